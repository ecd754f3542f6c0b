"""What a host's kernel holds, as text that can be compared: read with the field's own tools, not with netrt's eyes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from difflib import ndiff
from typing import Any

from tests.host import Host

VOLATILE = {
    "ifindex", "link_index", "link_netnsid", "master_index", "stats", "stats64", "gc_timer", "hello_timer", "tcn_timer",
    "topology_change_timer", "valid_life_time", "preferred_life_time", "num_tx_queues", "num_rx_queues", "ext_filter",
    "linkmode", "operstate", "flags", "tso_max_size", "tso_max_segs", "link", "inet6_addr_gen_mode", "promiscuity",
}  # fmt: skip


_OWNER = re.compile(r" # progname .*|\tflags (owner|persist|owner,persist)?\n")
"""How nft shows whom a table belongs to: a running daemon, or none."""

_COUNTS = re.compile(r"^(\tset dropped_\w+ \{\n[^}]*?)\t\telements = \{[^}]*\}\n", re.MULTILINE)
"""What was dropped, which packets put there."""


def _still(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _still(held) for key, held in sorted(value.items()) if key not in VOLATILE}
    if isinstance(value, list):
        return sorted((_still(held) for held in value), key=json.dumps)
    return value


def _links(host: Host, *where: str) -> Any:
    links = json.loads(host.run("ip", *where, "-j", "-d", "addr", "show").stdout or "[]")
    for link in links:
        link["up"] = "UP" in link["flags"]
        if link.get("linkinfo", {}).get("info_kind") == "veth" and not where:
            link.pop("address", None)  # the host's end of a pair has a random one
        if link.get("linkinfo", {}).get("info_kind") != "bridge":
            link.get("linkinfo", {}).pop("info_slave_data", None)
        link["addr_info"] = [a for a in link["addr_info"] if a.get("scope") != "link"]
        link.get("linkinfo", {}).pop("info_data", None)
    return _still(links)


def _follows(route: Mapping[str, Any]) -> bool:
    """Whether the kernel makes it of an address by itself, some time after that."""
    itself = route.get("type") in ("local", "anycast") and ":" in str(route.get("dst", ""))
    return itself or str(route.get("dst", "")).startswith(("fe80", "ff00"))


def snapshot(host: Host) -> dict[str, Any]:
    """Links, addresses and routes of the host and of each named namespace, and all nftables rules."""
    names = sorted(os.listdir("/run/netns"))
    taken: dict[str, Any] = {"namespaces": names}
    for name in ["", *names]:
        where = ("-n", name) if name else ()
        taken[f"links {name}"] = _links(host, *where)
        for version in ("-4", "-6"):
            routes = host.run("ip", *where, version, "-j", "route", "show", "table", "all").stdout
            kept = [r for r in json.loads(routes or "[]") if not _follows(r)]
            taken[f"routes {version} {name}"] = _still(kept)
        if name:
            taken[f"nft {name}"] = host.run("ip", "netns", "exec", name, "nft", "-s", "list", "ruleset").stdout
    rules = _COUNTS.sub(r"\1", _OWNER.sub("", host.run("nft", "-s", "list", "ruleset").stdout))
    taken["nft"] = "".join(sorted(re.split(r"^(?=table )", rules, flags=re.MULTILINE)))  # whichever was made first
    return taken


def differences(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What differs, for the message of a failed assertion; empty when nothing does."""
    lines = []
    for key in sorted({*before, *after}):
        old, new = _lines(before.get(key)), _lines(after.get(key))
        if old != new:
            lines.append("\n  ".join((f"{key}:", *(line for line in ndiff(old, new) if line[0] in "+-"))))
    return "\n".join(lines)


def _lines(taken: Any) -> list[str]:
    return taken.splitlines() if isinstance(taken, str) else json.dumps(taken, indent=0).splitlines()
