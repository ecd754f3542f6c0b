"""What a container's resolv.conf says.

On a network with names our own server is asked, which asks the others. Elsewhere the host's resolvers are used unless others
are asked for, less those that a container cannot reach: one on the host's loopback, and one whose address names an interface of
the host. Where the host's file only leads to systemd-resolved's stub
(127.0.0.53), the file in which systemd-resolved lists the real ones is read instead.
Nothing of a file is copied as it is: only what reads as an address, a domain or an option goes on."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from netrt.errors import Invalid

HOST_FILE = "/etc/resolv.conf"
SYSTEMD_FILE = "/run/systemd/resolve/resolv.conf"
STUB = ("127.0.0.53", "127.0.0.54")

_DOMAIN = re.compile(r"(\.|[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,251}[a-zA-Z0-9_.])?)\Z")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was asked for besides: `--dns`, `--dns-search` (`.` alone: no domains at all) and `--dns-option`. Each stands, if
    there are any, in place of what the host's file says."""

    servers: Sequence[str] = ()
    search: Sequence[str] = ()
    options: Sequence[str] = ()


def resolv_conf(host_text: str, wishes: Wishes = Wishes(), *, shares_host: bool = False, server: str = "") -> str:
    """The text of a container's resolv.conf.

    `host_text` is the host's own. `shares_host` keeps the host's loopback resolvers, which a container in the host's own
    network can reach. `server` is the address of a server of ours: then that alone is asked, which knows the others, and first
    for a name as it is, without a domain behind it, for that may be a neighbour.
    """
    servers = [server] if server else list(wishes.servers) or nameservers(host_text)
    if not (server or wishes.servers or shares_host):
        servers = [each for each in servers if _reachable(each)]
    domains = [*wishes.search] or [domain for words in _words(host_text, "search", "domain")[-1:] for domain in words]
    options = [*wishes.options] or [option for words in _words(host_text, "options") for option in words]
    if server and not any(option.startswith("ndots:") for option in options):
        options.append("ndots:0")
    lines = [
        "# made by netrt: changes are overwritten",
        *(f"nameserver {each}" for each in servers if _is_address(each)),
    ]
    if len(lines) == 1:
        lines.append("# the host has no resolver that a container could reach; give one with --dns")
    search = [domain for domain in domains if _DOMAIN.match(domain) and domain != "."]
    if search:
        lines.append("search " + " ".join(search))
    options = [option for option in options if _OPTION.match(option)]
    if options:
        lines.append("options " + " ".join(options))
    return "\n".join(lines) + "\n"


def check_search(text: str) -> str:
    """A domain that `--dns-search` gave. Raises Invalid."""
    if not _DOMAIN.match(text):
        raise Invalid(f"invalid search domain {text[:60]!r}", hint="letters, digits, -, _ and dots; . alone for none")
    return text


def check_option(text: str) -> str:
    """What `--dns-option` gave. Raises Invalid."""
    if not _OPTION.match(text):
        raise Invalid(f"invalid resolver option {text[:60]!r}", hint="as in resolv.conf(5), e.g. ndots:2 or rotate")
    return text
