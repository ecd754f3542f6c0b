"""What a runtime calls a plugin with: environment variables, and a configuration on its standard input.

Rule 1: what is wrong is named: the variable, or the field of the configuration. Rule 2: DEL does not care what else the
configuration says, for it may have been changed or lost since ADD."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from netrt.cni.refusal import CONFIGURATION, DECODING, VARIABLES, VERSION_UNKNOWN, Refusal
from netrt.cni.result import Dns, Result, check_places, read_result, said_plainly
from netrt.cni.version import SUPPORTED, at_least, is_version
from netrt.errors import Invalid
from netrt.model.names import check_ifname

PREFIX = "netrt-"
PLUGINS = ("netrt", "bridge", "macvlan", "host-local", "portmap", "bandwidth", "firewall", "tuning", "loopback")
"""What the one program is called as; all but the first also with PREFIX before it."""

LOOPBACK, LOOPBACK_PLUGIN = "lo", "loopback"
LONGEST_ID, LONGEST_NAME, LONGEST_PATH = 1024, 255, 4095
_WORD = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*\Z")
_FILE = re.compile(r"[^/\\\0]{1,255}\Z")
_TRUE = ("1", "true", "TRUE", "True", "t", "T")

T = TypeVar("T", bound="Least")


class Verb(enum.StrEnum):
    """CNI_COMMAND."""

    ADD = "ADD"
    DEL = "DEL"
    CHECK = "CHECK"
    GC = "GC"
    STATUS = "STATUS"
    VERSION = "VERSION"


NEEDED: dict[Verb, tuple[str, ...]] = {
    Verb.ADD: ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    Verb.DEL: ("CNI_CONTAINERID", "CNI_IFNAME"),
    Verb.CHECK: ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    Verb.GC: (),
    Verb.STATUS: (),
    Verb.VERSION: (),
}
"""Which variables must not be empty."""

SINCE = {Verb.CHECK: "0.4.0", Verb.GC: "1.1.0", Verb.STATUS: "1.1.0"}
"""Which version brought a verb."""


class Least(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What DEL looks at."""

    cni_version: str | None = None
    name: str | None = None


class Config(Least, frozen=True, kw_only=True, rename="camel"):
    """What every configuration may have; those of the plugins have more. Unknown keys are let be, as the reference plugins do."""

    type: str | None = None
    ipam: msgspec.Raw = msgspec.Raw()
    dns: Dns | None = None
    prev_result: msgspec.Raw = msgspec.Raw()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One execution of a plugin. `plugin` is one of PLUGINS; `network` the name in the configuration, empty where DEL came
    without one; `arguments` those of CNI_ARGS; `environment` and `text` what plugins get that work is handed on to."""

    plugin: str
    verb: Verb
    version: str
    container: str = ""
    netns: str = ""
    ifname: str = ""
    network: str = ""
    arguments: Mapping[str, str]
    environment: Mapping[str, str]
    text: bytes
    heard: list[bytes] = field(default_factory=list)
    """What those said on their standard error output: the runtime is to see it."""

    def config(self, kind: type[T]) -> T:
        """The configuration as this plugin has it. Raises Refusal."""
        return _decoded(kind, self.text)

    def previous(self, config: Config) -> Result | None:
        """What the plugin before it in the chain yielded. Raises Refusal."""
        if not given(config.prev_result):
            return None
        result = read_result(bytes(config.prev_result), self.version)
        check_places("prevResult", result)
        return result


def given(raw: msgspec.Raw) -> bool:
    """Whether there is a value: null is none."""
    return bytes(raw) not in (b"", b"null")


def read_call(body: bytes) -> Call:
    """What the program sent: its name, the variables, and an empty one, each with a NUL after it, then the configuration.

    Raises Refusal."""
    head, _, text = body.partition(b"\0\0")
    program, *lines = _text(head).split("\0")
    environment = dict(line.partition("=")[::2] for line in lines)
    plugin = program.removeprefix(PREFIX)
    if plugin not in PLUGINS:
        raise Refusal(CONFIGURATION, f"there is no plugin {program[:40]!r}", hint=f"known: {', '.join(PLUGINS)}")
    verb = _verb(environment)
    if verb is Verb.VERSION:
        text = text.strip() or b"{}"
    config = _decoded(Least, text.strip() or b"{}") if verb is Verb.DEL else _decoded(Config, text)
    version = _version(verb, config.cni_version)
    if verb is Verb.VERSION:
        return Call(plugin=plugin, verb=verb, version=version, arguments={}, environment=environment, text=text)
    _check_variables(verb, environment)
    if environment.get("CNI_IFNAME") == LOOPBACK and plugin != LOOPBACK_PLUGIN and verb is Verb.ADD:
        raise Refusal(VARIABLES, f"variable CNI_IFNAME: {LOOPBACK} is the loopback's name")
    return Call(
        plugin=plugin,
        verb=verb,
        version=version,
        container=environment.get("CNI_CONTAINERID", ""),
        netns=environment.get("CNI_NETNS", ""),
        ifname=environment.get("CNI_IFNAME", ""),
        network=_network(verb, config),
        arguments=_arguments(verb, environment.get("CNI_ARGS", "")),
        environment=environment,
        text=text,
    )


def _text(head: bytes) -> str:
    try:
        return head.decode()
    except UnicodeDecodeError:
        bad = next(line for line in head.split(b"\0") if b"\xef\xbf\xbd" in line.decode(errors="replace").encode())
        name = bad.partition(b"=")[0].decode(errors="replace")
        raise Refusal(VARIABLES, f"variable {name} is not UTF-8") from None


def _verb(environment: Mapping[str, str]) -> Verb:
    said = environment.get("CNI_COMMAND", "")
    try:
        return Verb(said)
    except ValueError:
        what = f"is {said[:40]!r}" if said else "is missing"
        raise Refusal(VARIABLES, f"variable CNI_COMMAND {what}", hint=f"one of {', '.join(Verb)}") from None


def _version(verb: Verb, said: str | None) -> str:
    """Without a version a configuration is of the first one, as everywhere in CNI."""
    version = said or SUPPORTED[0]
    if not is_version(version):
        raise Refusal(DECODING, f"field cniVersion: {version[:40]!r} is no version", hint="as in 1.1.0")
    if verb is Verb.VERSION:
        return version
    if version not in SUPPORTED:
        raise Refusal(
            VERSION_UNKNOWN,
            f"field cniVersion: version {version[:40]} is not supported",
            hint=f"supported: {', '.join(SUPPORTED)}",
        )
    if not at_least(version, SINCE.get(verb, version)):
        raise Refusal(
            VERSION_UNKNOWN,
            f"field cniVersion: version {version} has no {verb}",
            hint=f"it is there since {SINCE[verb]}",
        )
    return version


def _check_variables(verb: Verb, environment: Mapping[str, str]) -> None:
    missing = [name for name in NEEDED[verb] if not environment.get(name)]
    if missing:
        raise Refusal(VARIABLES, f"needed and missing: {', '.join(missing)}", hint=f"{verb} is about one attachment")
    container, netns = environment.get("CNI_CONTAINERID", ""), environment.get("CNI_NETNS", "")
    if "CNI_CONTAINERID" in NEEDED[verb] and not (_WORD.match(container) and len(container) <= LONGEST_ID):
        raise Refusal(
            VARIABLES,
            f"variable CNI_CONTAINERID: invalid {container[:40]!r}",
            hint=f"1 to {LONGEST_ID} characters of a-z A-Z 0-9 _ . -, the first a letter or a digit",
        )
    if netns and not (netns.startswith("/") and len(netns) <= LONGEST_PATH):
        raise Refusal(VARIABLES, f"variable CNI_NETNS: {netns[:60]!r} is no absolute path")
    if "CNI_IFNAME" in NEEDED[verb]:
        try:
            check_ifname(environment["CNI_IFNAME"])
        except Invalid as error:
            raise Refusal(VARIABLES, f"variable CNI_IFNAME: {error.message}", hint=error.hint) from None


def _network(verb: Verb, config: Least) -> str:
    name = config.name or ""
    if not name and verb is Verb.DEL:
        return ""
    if not name:
        raise Refusal(CONFIGURATION, "field name is missing")
    if not _WORD.match(name) or len(name) > LONGEST_NAME:
        raise Refusal(
            CONFIGURATION,
            f"field name: invalid {name[:40]!r}",
            hint=f"1 to {LONGEST_NAME} characters of a-z A-Z 0-9 _ . -, the first a letter or a digit",
        )
    if isinstance(config, Config):
        check_file("type", config.type)
    return name


def check_file(field: str, name: str | None) -> str:
    """The name of a plugin. Raises Refusal."""
    if not name:
        raise Refusal(CONFIGURATION, f"field {field} is missing")
    if not _FILE.match(name) or name in (".", ".."):
        raise Refusal(
            CONFIGURATION, f"field {field}: invalid {name[:40]!r}", hint="it is a file's name, without a path"
        )
    return name


def _arguments(verb: Verb, said: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in said.split(";") if pair]
    bad = next((key for key, equals, _ in pairs if not equals or not key), None)
    if bad is not None and verb is not Verb.DEL:
        raise Refusal(VARIABLES, f"variable CNI_ARGS: {bad[:40]!r} is not KEY=VALUE", hint="as in IP=10.1.0.5;FOO=BAR")
    return {key: value for key, _, value in pairs}


def check_known(arguments: Mapping[str, str], known: Iterable[str]) -> None:
    """As with the reference plugins, an unknown argument is an error unless IgnoreUnknown is true. Raises Refusal."""
    if arguments.get("IgnoreUnknown", "") in _TRUE:
        return
    unknown = sorted(arguments.keys() - {"IgnoreUnknown", *known})
    if unknown:
        raise Refusal(
            VARIABLES, f"variable CNI_ARGS: unknown {unknown[0][:40]!r}", hint="IgnoreUnknown=1 lets such arguments be"
        )


def _decoded(kind: type[T], text: bytes) -> T:
    if not text.strip():
        raise Refusal(DECODING, "no configuration came on the standard input")
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        said = said_plainly(error)
        raise Refusal(DECODING, f"field {said}" if ": " in said else f"configuration: {said}") from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Refusal(DECODING, f"the configuration is not JSON: {error}") from None
