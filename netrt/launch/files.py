"""The files that each container has of its own: resolv.conf, hosts and hostname.

Rule 1: they are bind-mounted into running containers, so they are written in place. Rule 2: a file whose text is right is not
touched. Rule 3: names and addresses come from checked values; what `--add-host` and `--dns` gave is checked here once more and
left out where it is wrong. Rule 4: a container without a process, a namespace for others to use, has none until somebody is about
to enter it (`furnish`); whoever has them gets what changes.

Only the daemon writes them; this module is not loaded when a process starts."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from netrt.compile.facing import gateway_attachment
from netrt.dns.zone import ADDRESS
from netrt.errors import Invalid
from netrt.launch.extrahosts import HOST_GATEWAY, parse_extra_host
from netrt.launch.resolver import HOST_FILE, SYSTEMD_FILE, Wishes, host_resolv_conf, resolv_conf
from netrt.model.address import host_of, parse_ip
from netrt.model.container import HOST_SANDBOX, Attachment, Container
from netrt.model.difference import difference
from netrt.model.names import short_id
from netrt.model.network import has_names
from netrt.model.state import State
from netrt.paths import Paths

HOSTS_FILE = "/etc/hosts"

_LOCALHOST = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFiles:
    """What the host's own files say: `resolv_conf` for those that share its network, `resolvers` for all others."""

    resolv_conf: str = ""
    resolvers: str = ""
    hosts: str = _LOCALHOST
    hostname: str = field(default_factory=lambda: os.uname().nodename)

    @staticmethod
    def read() -> HostFiles:
        """As they are now. What cannot be read counts as empty."""
        stamps = tuple(map(_stamp, (HOSTS_FILE, HOST_FILE, SYSTEMD_FILE)))
        return _read_once(os.uname().nodename, stamps)


@lru_cache(maxsize=1)
def _read_once(hostname: str, _: tuple[object, ...]) -> HostFiles:
    """As they are while their stamps stay what they are."""
    hosts = _text_of(HOSTS_FILE) or _LOCALHOST
    return HostFiles(resolv_conf=_text_of(HOST_FILE), resolvers=host_resolv_conf(), hosts=hosts, hostname=hostname)


def _stamp(path: str) -> tuple[int, ...] | None:
    """What differs when a file was changed or replaced."""
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def hostname_of(container: Container, host: HostFiles) -> str:
    """The host name that a container sees: its own, or the host's in the host's network, or the first 12 digits of its id."""
    if container.hostname:
        return container.hostname
    return host.hostname if container.sandbox.path == HOST_SANDBOX else short_id(container.id)


def container_files(state: State, container_id: str, host: HostFiles) -> Mapping[str, str]:
    """The texts of a container's files, by name. One that shares another's sandbox has the owner's resolvers and hosts."""
    container = state.containers[container_id]
    owner = state.containers[container.shares] if container.shares else container
    shares_host = owner.sandbox.path == HOST_SANDBOX
    resolvers = host.resolv_conf if shares_host else host.resolvers
    known = host.hosts if shares_host else _LOCALHOST
    served = not shares_host and any(
        has_names(state.networks[attachment.network_id]) for attachment in state.attachments_of(owner.id)
    )
    lines = [*_own_lines(state, owner, host), *_extra_lines(state, owner), *_extra_lines(state, container, owner)]
    return {
        "resolv.conf": resolv_conf(
            resolvers, _wishes(owner), shares_host=shares_host, server=ADDRESS if served else ""
        ),
        "hosts": known + ("" if known.endswith("\n") else "\n") + "".join(dict.fromkeys(lines)),
        "hostname": hostname_of(container, host) + "\n",
    }


def _wishes(container: Container) -> Wishes:
    asked = container.names
    return Wishes(servers=_checked(asked.dns), search=asked.dns_search, options=asked.dns_options)


def _own_lines(state: State, container: Container, host: HostFiles) -> Iterator[str]:
    for attachment in state.attachments_of(container.id):
        names = dict.fromkeys((hostname_of(container, host), container.name, *attachment.aliases))
        for interface in attachment.addresses:
            yield f"{host_of(interface)}\t{' '.join(names)}\n"


def _extra_lines(state: State, container: Container, owner: Container | None = None) -> Iterator[str]:
    for text in container.names.extra_hosts:
        with contextlib.suppress(Invalid):
            name, address = parse_extra_host(text)
            for known in _gateways(state, owner or container) if address == HOST_GATEWAY else [address]:
                yield f"{known}\t{name}\n"


def _gateways(state: State, container: Container) -> list[str]:
    """The addresses at which a container finds the host: the gateways of the network that leads outside."""
    if container.sandbox.path == HOST_SANDBOX:
        return ["127.0.0.1"]
    found = [_gateway(state, gateway_attachment(state, container.id, version), version) for version in (4, 6)]
    return [address for address in found if address]


def _gateway(state: State, attachment: Attachment | None, version: int) -> str | None:
    if attachment is None:
        return None
    return state.networks[attachment.network_id].subnet_of(attachment.address(version)).gateway


def _checked(addresses: Iterable[str]) -> list[str]:
    checked = []
    for text in addresses:
        with contextlib.suppress(Invalid):
            checked.append(str(parse_ip("resolver", text)))
    return checked


def affected(before: State, after: State) -> frozenset[str]:
    """Ids of the containers of `after` whose files may have to say something else than in `before`."""
    _, put = difference(before.containers, after.containers)
    gone, attached = difference(before.attachments, after.attachments)
    ids = (
        {key for key, item in put if not _ran_on(before.containers.get(key), item)}
        | {key[0] for key in gone}
        | {key[0] for key, _ in attached}
    )
    ids |= {member for owner in ids for member in after.sharing.get(owner, ())}
    return frozenset(ids & after.containers.keys())


def _ran_on(before: Container | None, after: Container) -> bool:
    """Whether its process alone did something; but what that wrote into the files goes when it is about to start anew."""
    return before is not None and after.only_ran_on(before) and not after.state.starting


def is_furnished(paths: Paths, container_id: str) -> bool:
    """Whether a container has its files."""
    return os.path.exists(paths.container(container_id))


def furnish(paths: Paths, state: State, container_id: str, host: HostFiles) -> None:
    """Write the files of a container as they should be. Raises OSError."""
    write_files(paths.container(container_id), container_files(state, container_id, host))


def refresh(paths: Paths, before: State, after: State, host: Callable[[], HostFiles]) -> None:
    """Write the files, where they are wanted, of every container that the step from `before` to `after` may concern, and remove
    the directories and logs of those that are gone. At start-up `before` is an empty State; `host` reads the host's own, where
    they are needed. Raises OSError."""
    wanted = [c for c in affected(before, after) if after.containers[c].process or is_furnished(paths, c)]
    if wanted:
        known = host()
        for container_id in wanted:
            furnish(paths, after, container_id, known)
    for container_id in departed(paths, before, after):
        shutil.rmtree(paths.container(container_id), ignore_errors=True)
        for log in (paths.log(container_id), f"{paths.log(container_id)}.1"):
            with contextlib.suppress(OSError):
                os.unlink(log)


def departed(paths: Paths, before: State, after: State) -> tuple[str, ...]:
    """Ids of the containers that are gone since `before`; at start-up of all that left files here and are not in `after`: the
    daemon before may have ended when that was saved, and before the files were removed."""
    if before.networks:
        return difference(before.containers, after.containers)[0]
    left: set[str] = set()
    for directory in (os.path.dirname(paths.container("x")), os.path.dirname(paths.log("x"))):
        with contextlib.suppress(FileNotFoundError):
            left |= {name.partition(".")[0] for name in os.listdir(directory)}
    return tuple(left - after.containers.keys())


def write_files(directory: str, files: Mapping[str, str]) -> None:
    """Write texts by name into `directory`, which is made if it is not there. Raises OSError."""
    try:
        os.makedirs(directory, mode=0o755)
    except FileExistsError:
        files = {name: text for name, text in files.items() if _text_of(f"{directory}/{name}") != text}
    for name, text in files.items():
        # in place, for these files are bound into the container
        descriptor = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.truncate(descriptor, os.write(descriptor, text.encode()))
        finally:
            os.close(descriptor)


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
