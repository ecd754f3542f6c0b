"""Whatever comes as variables or configuration: a plugin does what is asked or says, with a code of the specification, which
variable or field is wrong, within a second and with nothing changed."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from netrt.cni.bridge import BridgeConfig
from netrt.cni.call import Config, Least
from netrt.cni.chained import BandwidthConfig, FirewallConfig, PortmapConfig, TuningConfig
from netrt.cni.gc import GcConfig
from netrt.cni.hostlocal import HostLocalConfig
from netrt.cni.macvlan import MacvlanConfig
from netrt.cni.own import OwnConfig
from netrt.cni.ranges import HostLocal
from netrt.cni.result import Dns, Result
from tests.unit.cni.conftest import BEFORE, CONFIGS, Desk, Json, config

KINDS: dict[str, type[msgspec.Struct]] = {
    "netrt": OwnConfig,
    "netrt-bridge": BridgeConfig,
    "netrt-macvlan": MacvlanConfig,
    "netrt-host-local": HostLocalConfig,
    "netrt-portmap": PortmapConfig,
    "netrt-bandwidth": BandwidthConfig,
    "netrt-tuning": TuningConfig,
    "netrt-firewall": FirewallConfig,
    "netrt-loopback": Config,
}

INSIDE: dict[str, type[msgspec.Struct]] = {"ipam": HostLocal, "dns": Dns, "prevResult": Result}
"""What is kept as it came until it is needed."""

WRONG: tuple[Any, ...] = (
    True, 0, -1, 7, 2**31, 2**63, 2**70, 1.5, "", "x", "../x", "a/b", "/etc/passwd", "x y", "10.0.0.1", "10.0.0.0/33", "\0", "é",
    "x" * 100_000, [], [None], [7], ["x"], [["x"]], [{}], [{"x": "y"}], {}, {"x": 7}, {"x": "y"}, {"": ""},
)  # fmt: skip

SPECIFIED = {1, 2, 4, 5, 6, 7}
"""Codes of the specification for what is wrong with a call."""

CONFLICTS = {101, 102, 103, 104}
"""Codes of ours, for what is right as such and in conflict with what is there."""


def paths(kind: type[msgspec.Struct], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The fields of a configuration, down to those of objects in objects in lists."""
    for field in msgspec.structs.fields(kind):
        place = (*before, field.encode_name)
        yield place
        inner = INSIDE.get(field.encode_name) or next(iter(structs(field.type)), None)
        if inner is not None and len(place) < 6:
            yield from paths(inner, place)


def structs(said: Any) -> Iterator[type[msgspec.Struct]]:
    """The structures that a type is made of."""
    if isinstance(said, type) and issubclass(said, msgspec.Struct):
        yield said
    for part in getattr(said, "__args__", ()):
        yield from structs(part)


LISTED = {"portMappings": 1, "routes": 1, "interfaces": 1, "ips": 1, "labels": 1, "ipRanges": 2, "ranges": 2}
"""Whose value is a list of objects, and how many lists deep."""


def put(into: Json, place: tuple[str, ...], value: Any) -> Json:
    """The configuration with this value at this place."""
    made = copy.deepcopy(into)
    here = made
    for name in place[:-1]:
        depth = LISTED.get(name, 0) if not (name == "labels" and place[0] == "labels") else 0
        found = here.get(name)
        for _ in range(depth):
            found = found[0] if isinstance(found, list) and found else None
        inner = found if isinstance(found, dict) else {}
        wrapped: Any = inner
        for _ in range(depth):
            wrapped = [wrapped]
        here[name] = wrapped
        here = inner
    here[place[-1]] = value
    return made


@pytest.mark.parametrize("plugin", KINDS)
def test_each_field_of_each_configuration(desk: Desk, plugin: str) -> None:
    refused = 0
    for place in paths(KINDS[plugin]):
        if len(place) > 2 and plugin != {"runtimeConfig": "netrt", "args": "netrt", "prevResult": "netrt-portmap"}.get(
            place[0], plugin
        ):
            continue  # the same for all
        for value in WRONG:
            refused += one(desk, plugin, put(config(plugin), place, value), place, value)
    assert refused > 100 or plugin == "netrt-loopback"


def one(desk: Desk, plugin: str, given: Json, place: tuple[str, ...], value: Any) -> bool:
    """Whether it was refused, as it should be if it is."""
    before, began = desk.state, time.monotonic()
    answer = desk.ask(plugin, "ADD", given)
    case = f"{plugin}: {'.'.join(place)} = {str(value)[:60]!r}: {str(answer)[:400]}"
    assert time.monotonic() - began < 1, case
    if "code" in answer:
        named = any(name.lower() in answer["msg"].lower() for name in place)
        assert (answer["code"] in SPECIFIED and named) or answer["code"] in CONFLICTS or unreachable(answer), case
        assert len(answer["msg"]) < 600, case
        assert desk.state is before, case
        return True
    assert answer["cniVersion"] == given.get("cniVersion", "1.1.0") or place[0] == "cniVersion", case
    assert desk.ask(plugin, "DEL", config(plugin)) == {}, case
    if not desk.state.attachments:
        return False
    assert desk.ask(plugin, "DEL", {**config(plugin), "name": given["name"]}) == {}, case
    assert not desk.state.attachments, case
    return False


def unreachable(answer: Json) -> bool:
    """A route by a gateway that cannot be reached: only the kernel knows, for other routes may lead there."""
    return answer["code"] == 100 and answer["msg"].startswith("cannot route")


@pytest.mark.parametrize("plugin", [name for name in KINDS if name != "netrt-loopback"])
@pytest.mark.parametrize("verb", ["CHECK", "GC", "STATUS", "DEL"])
def test_each_field_with_the_other_verbs(desk: Desk, plugin: str, verb: str) -> None:
    """DEL says no only to what it cannot read."""
    kind = {"DEL": Least, "GC": GcConfig}.get(verb, KINDS[plugin])
    assert "code" not in desk.ask(plugin, "ADD", config(plugin))
    before = desk.state
    for place in paths(kind):
        for value in WRONG[:: 1 if verb == "DEL" else 3]:
            given = put(config(plugin), place, value)
            if verb == "DEL":
                given["name"] = "other" if place != ("name",) else value
            if verb == "GC" and not place[0].startswith("cni.dev"):
                given["cni.dev/valid-attachments"] = [{"containerID": "c1", "ifname": "eth0"}]
            answer = desk.ask(plugin, verb, given, CNI_CONTAINERID="c2" if verb == "DEL" else "c1")
            case = f"{plugin} {verb}: {'.'.join(place)} = {str(value)[:60]!r}: {str(answer)[:400]}"
            assert answer.get("code", 7) in {*SPECIFIED, 3, 50, 51, 105}, case
            if desk.state is not before and verb == "GC":
                desk.ask(plugin, "ADD", config(plugin))
                before = desk.state
            assert desk.state is before, case


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("CNI_COMMAND", ("", "add", "ADD ", "PUT", "x" * 100_000)),
        ("CNI_CONTAINERID", ("", "../c1", "a/b", "-x", "a b", "x" * 1025, "\udcff", "é", "a\nb")),
        ("CNI_NETNS", ("", "c1", "../c1", "/run/netns/none", "/" + "x" * 5000, "\udcff")),
        ("CNI_IFNAME", ("", ".", "..", "a/b", "a:b", "a b", "x" * 16, "\udcff", "é\n", "lo")),
        ("CNI_ARGS", ("IP", "=x", "IP=no", "IP=10.0.0.1,x", "MAC=x", "UNKNOWN=1", "\udcff")),
    ],
)
@pytest.mark.parametrize("plugin", [name for name in KINDS if name != "netrt-loopback"])
def test_each_variable(desk: Desk, plugin: str, variable: str, values: tuple[str, ...]) -> None:
    before = desk.state
    for value in values:
        if (
            variable == "CNI_ARGS"
            and plugin not in ("netrt", "netrt-bridge", "netrt-macvlan", "netrt-host-local")
            and "=" in value[1:]
        ):
            continue  # a chained plugin has no use for an address
        answer = desk.ask(plugin, "ADD", config(plugin), **{variable: value})
        assert answer.get("code") == 4, f"{variable}={value[:60]!r}: {answer}"
        assert variable in answer["msg"]
        assert desk.state is before


@pytest.mark.parametrize("plugin", [name for name in KINDS if name not in ("netrt-host-local", "netrt-loopback")])
@pytest.mark.parametrize(("place", "interfaces"), [(99, 3), (3, 3), (-2, 3), (99, 0), (0, 0)])
def test_an_address_of_an_interface_that_is_not_there(desk: Desk, plugin: str, place: int, interfaces: int) -> None:
    before = {**BEFORE, "interfaces": BEFORE["interfaces"][:interfaces]}
    before["ips"] = [*BEFORE["ips"][:interfaces], {"address": "10.33.0.9/16", "interface": place}]
    answer = desk.ask(plugin, "ADD", config(plugin, prevResult=before))
    field = f"prevResult.ips[{len(before['ips']) - 1}].interface"
    assert (answer["code"], answer["msg"]) == (7, f"{field}: {place} is out of range")
    assert not desk.state.attachments


def test_an_address_of_no_interface_that_is_said(desk: Desk) -> None:
    """-1 says what null says, for those whose library had no null there."""
    for place in (None, -1):
        given = config("netrt-portmap", prevResult={**BEFORE, "ips": [{**BEFORE["ips"][0], "interface": place}]})
        assert "code" not in desk.ask("netrt-portmap", "ADD", given)
        (attachment,) = desk.state.attachments.values()
        assert attachment.addresses == ("10.33.0.2/16",)
        assert desk.ask("netrt-portmap", "DEL", given) == {}


NO_JSON = (
    b"", b" ", b"{", b"nonsense", b"[]", b"7", b'"x"', b"null", b"{}}", b"\xff\xfe", b"\0", b'{"name": "\xff"}', b"[" * 100_000,
    b'{"a":' * 100_000, b'{"cniVersion": 1}', b'{"name": NaN}', b'{"cniVersion": "1.1.0", "name": "x", "type": "y"',
)  # fmt: skip


@pytest.mark.parametrize("verb", ["ADD", "DEL", "CHECK", "GC", "STATUS"])
def test_what_is_no_configuration(desk: Desk, verb: str) -> None:
    for text in NO_JSON:
        answer = desk.ask("netrt-bridge", verb, text)
        if verb == "DEL" and not text.strip():
            assert answer == {}, "a configuration that is lost is no reason to keep anything"
        else:
            assert answer["code"] in (6, 7), text[:40]


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ("0.0.1", 1),
        ("2.0.0", 1),
        ("1.2.0", 1),
        ("1.1", 6),
        ("x", 6),
        ("1.1.0\n", 6),
        ("9" * 100_000, 6),
        ("1.1.0-rc", 1),
    ],
)
def test_unknown_versions(desk: Desk, version: str, code: int) -> None:
    for plugin in CONFIGS:
        for verb in ("ADD", "DEL", "CHECK", "GC", "STATUS"):
            answer = desk.ask(plugin, verb, config(plugin, cniVersion=version))
            assert answer["code"] == code
            assert "cniVersion" in answer["msg"]
            assert answer["cniVersion"] == "1.1.0"


def test_an_unknown_plugin(desk: Desk) -> None:
    answer = desk.ask("netrt-" + "x" * 1000, "ADD", config("netrt"))
    assert answer["code"] == 7
    assert "there is no plugin" in answer["msg"]


def test_errors_are_one_line_of_json(desk: Desk) -> None:
    answer = desk.ask("netrt-bridge", "ADD", config("netrt-bridge", mtu="a\nb"))
    assert set(answer) <= {"cniVersion", "code", "msg", "details"}
    assert "\n" not in answer["msg"]
    assert json.dumps(answer)
