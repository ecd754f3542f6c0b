"""What a process sees that is alone in a container: the sandbox's network, and the host's files but for what must differ.

Done by the process itself between its fork and its exec. The order matters: what is bound from the host's files is bound before
they may become read-only, and what must stay writable (/proc, /dev/shm) is mounted after.

The host's later mounts reach the container as they reach other programs, unless it is read-only; none of its own reach the
host. `/sys` and the parts of /proc that act on the whole machine are read-only, as Docker makes them; only the sandbox's own
network settings (/proc/sys/net) may be written by who has NET_ADMIN."""

from __future__ import annotations

import os
import sys

from netrt.launch.launch import Launch
from netrt.launch.syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    MS_SLAVE,
    make_tree_read_only,
    mount,
    sethostname,
    setns,
    unshare,
)

_PLAIN = MS_NOSUID | MS_NODEV | MS_NOEXEC
_MACHINE_WIDE = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_NETWORK_SETTINGS = "/proc/sys/net"
_OUR_NAMESPACES = "/run/netns/netrt-"
_CGROUP = "/sys/fs/cgroup"
_KEPT = {"nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC, "noatime": 0x400, "nodiratime": 0x800}


def isolate(launch: Launch, netns: int | None, *, process_one: bool, network_admin: bool) -> None:
    """Put the calling process into the container.

    `netns` is a descriptor of the sandbox, None for the host's network. `process_one` says that the process is the first of a
    new PID namespace; else it shares the host's, and its IPC, as `ip netns exec` does. Raises OSError.
    """
    if netns is not None:
        setns(netns, CLONE_NEWNET, "the sandbox")
        if launch.netns.startswith(_OUR_NAMESPACES):
            _open_to_everybody()
    unshare(CLONE_NEWNS | CLONE_NEWUTS | (CLONE_NEWIPC if process_one else 0))
    mount("", "/", flags=MS_REC | (MS_PRIVATE if launch.read_only else MS_SLAVE))
    if launch.hostname:
        sethostname(launch.hostname)
    _bind_own_files(launch.directory)
    if launch.read_only:
        _read_only("/")
    if process_one:
        mount("proc", "/proc", "proc", _PLAIN)
        _fresh_ipc()
    _protect_proc(network_admin and netns is not None)
    if netns is not None:
        _fresh_sys()
    _read_only("/sys")


def _open_to_everybody() -> None:
    """Low ports and ping in a sandbox of its own are for every user and without capabilities, as Docker has it."""
    for name, value in (("ip_unprivileged_port_start", "0"), ("ping_group_range", "0 2147483647")):
        with open(f"{_NETWORK_SETTINGS}/ipv4/{name}", "w") as file:
            file.write(value)


def _bind_own_files(directory: str) -> None:
    """Bind the container's resolv.conf, hosts and hostname over the host's, and hide netrt's own /run from it: who is root in
    a container would else be heard by the daemon."""
    if not directory:
        return
    for name in ("resolv.conf", "hosts", "hostname"):
        target = f"/etc/{name}"
        if os.path.exists(target):
            mount(f"{directory}/{name}", target, flags=MS_BIND)
        elif name != "hostname":
            print(f"netrt: this host has no {target}, so the container's own cannot be shown", file=sys.stderr)
    containers = os.path.dirname(directory)
    if os.path.basename(containers) == "containers":
        mount("tmpfs", os.path.dirname(containers), "tmpfs", _PLAIN, "mode=755,size=1m")


def _fresh_ipc() -> None:
    """Shared memory and message queues of the new IPC namespace. Writable even in a read-only container, as with Docker."""
    if os.path.isdir("/dev/shm"):
        mount("shm", "/dev/shm", "tmpfs", _PLAIN, "mode=1777,size=64m")
    if os.path.isdir("/dev/mqueue"):
        mount("mqueue", "/dev/mqueue", "mqueue", _PLAIN)


def _protect_proc(own_network: bool) -> None:
    writable = os.open(_NETWORK_SETTINGS, os.O_PATH | os.O_CLOEXEC)
    for name in _MACHINE_WIDE:
        path = f"/proc/{name}"
        if os.path.exists(path):
            mount(path, path, flags=MS_BIND | MS_REC)
            _read_only(path)
    if own_network:
        mount(f"/proc/self/fd/{writable}", _NETWORK_SETTINGS, flags=MS_BIND)
    os.close(writable)


def _fresh_sys() -> None:
    """/sys as the sandbox's network namespace shows it, with the control groups that were mounted below it."""
    old = os.open(_CGROUP, os.O_PATH | os.O_CLOEXEC) if os.path.ismount(_CGROUP) else None
    mount("sysfs", "/sys", "sysfs", _PLAIN)
    if old is not None:
        mount(f"/proc/self/fd/{old}", _CGROUP, flags=MS_BIND | MS_REC)
        os.close(old)


def _read_only(path: str) -> None:
    try:
        make_tree_read_only(path)
    except OSError:  # before Linux 5.12, or forbidden by a filter
        read_only_one_by_one(path)


def read_only_one_by_one(path: str) -> None:
    """Make each mount at or below `path` read-only. Those that are hidden below others stay as they are."""
    for target, flags in _mounts_below(path):
        if os.path.ismount(target):
            mount("", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def _mounts_below(path: str) -> list[tuple[str, int]]:
    """Each mount point at or below `path`, with the flags that it must keep (proc(5), mountinfo)."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            target, options = line.split(" ")[4:6]
            for escape, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
                target = target.replace(escape, character)
            if path in ("/", target) or target.startswith(f"{path}/"):
                found.append((target, sum(_KEPT.get(option, 0) for option in options.split(","))))
    return found
