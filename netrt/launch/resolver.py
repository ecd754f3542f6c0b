"""What a container's resolv.conf says.

The host's resolvers are used unless others are asked for, less those that a container cannot reach: one on the host's
loopback, and one whose address names an interface of the host. Where the host's file only leads to systemd-resolved's stub
(127.0.0.53), the file in which systemd-resolved lists the real ones is read instead.
Nothing of a file is copied as it is: only what reads as an address, a domain or an option goes on."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

HOST_FILE = "/etc/resolv.conf"
SYSTEMD_FILE = "/run/systemd/resolve/resolv.conf"
STUB = ("127.0.0.53", "127.0.0.54")

_DOMAIN = re.compile(r"\.|[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,251}[a-zA-Z0-9_.])?\Z")
_OPTION = re.compile(r"[a-z0-9-]{1,32}(:[0-9]{1,5})?\Z")


def _words(text: str, *keys: str) -> list[list[str]]:
    """The words after one of these keywords, line by line."""
    lines = [line.split() for line in text.splitlines()]
    return [words[1:] for words in lines if len(words) > 1 and words[0] in keys]


def nameservers(text: str) -> list[str]:
    """The addresses of the `nameserver` lines that are addresses at all, as they are written."""
    return [words[0] for words in _words(text, "nameserver") if _is_address(words[0])]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text.isprintable()  # a zone may hold anything


def _reachable(text: str) -> bool:
    """Whether a container can reach this resolver of the host, as far as the address tells."""
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or address.is_unspecified or getattr(address, "scope_id", None))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def host_resolv_conf(path: str = HOST_FILE, systemd_path: str = SYSTEMD_FILE) -> str:
    """The host's resolv.conf, or systemd-resolved's own where the host's names nothing but its stub. Empty if unreadable."""
    text = _read(path)
    found = nameservers(text)
    if found and all(server in STUB for server in found):
        return _read(systemd_path) or text
    return text


def resolv_conf(host_text: str, dns: Sequence[str] = (), *, shares_host: bool = False) -> str:
    """The text of a container's resolv.conf.

    `host_text` is the host's own; `dns` are the addresses that `--dns` gave and, if any, stand in place of the host's;
    `shares_host` keeps the host's loopback resolvers, which a container in the host's own network can reach.
    """
    servers = list(dns) or nameservers(host_text)
    if not dns and not shares_host:
        servers = [server for server in servers if _reachable(server)]
    domains = _words(host_text, "search", "domain")[-1:]  # the last line counts, as in resolv.conf(5)
    search = [domain for words in domains for domain in words if _DOMAIN.match(domain)]
    options = [option for words in _words(host_text, "options") for option in words if _OPTION.match(option)]
    lines = [
        "# made by netrt: changes are overwritten",
        *(f"nameserver {server}" for server in servers if _is_address(server)),
    ]
    if len(lines) == 1:
        lines.append("# the host has no resolver that a container could reach; give one with --dns")
    if search:
        lines.append("search " + " ".join(search))
    if options:
        lines.append("options " + " ".join(options))
    return "\n".join(lines) + "\n"
