"""Which capabilities a container's processes have.

Rule 1: Docker's default set, changed by `--cap-drop` and `--cap-add` as Docker does: with `ALL` added, all but those dropped;
with `ALL` dropped, only those added. Rule 2: what is not in the set is gone for good: from the bounding set too, and nothing is
inheritable or ambient, so that no program that is run later can have it back. Rule 3: no new privileges, always."""

from __future__ import annotations

from collections.abc import Iterable

from netrt.errors import Invalid, Unavailable
from netrt.launch import syscalls

NAMES = (  # noqa: SIM905
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST "
    "NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
"""By number, as in linux/capability.h."""

DEFAULT = (  # noqa: SIM905
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
).split()
"""Docker's."""

ALL = "ALL"


def capability_names(add: Iterable[str], drop: Iterable[str]) -> frozenset[str]:
    """The names, without `CAP_`, of what a container has that was given these options. Raises Invalid for an unknown name."""
    added, dropped = {_name(text) for text in add}, {_name(text) for text in drop}
    if ALL in added:
        return frozenset(NAMES) - dropped
    if ALL in dropped:
        return frozenset(added)
    return frozenset(DEFAULT) - dropped | added


def _name(text: str) -> str:
    name = text.upper().removeprefix("CAP_")
    if name != ALL and name not in NAMES:
        raise Invalid(
            f"unknown capability {text[:40]!r}", hint="use ALL, or a name such as NET_ADMIN (capabilities(7))"
        )
    return name


def capability_mask(add: Iterable[str], drop: Iterable[str]) -> int:
    """The same as bits by number, less what this process may not pass on itself. Raises Invalid; Unavailable where `add`
    names one of those."""
    ours = _bounding_set()
    wanted = sum(1 << NAMES.index(name) for name in capability_names(add, drop))
    for name in {_name(text) for text in add} - {ALL}:
        if not ours >> NAMES.index(name) & 1:
            raise Unavailable(f"capability {name} cannot be given: netrt does not have it itself")
    return wanted & ours


def _bounding_set() -> int:
    mask = 0
    for number in range(64):
        try:
            mask |= syscalls.prctl(syscalls.PR_CAPBSET_READ, number) << number
        except OSError:  # past this kernel's last
            break
    return mask


def confine(mask: int) -> None:
    """Leave the calling process, and all that it runs, these capabilities and no way to more. Raises OSError."""
    excess = _bounding_set() & ~mask
    for number in range(excess.bit_length()):
        if excess >> number & 1:
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, number, "drop a capability")
    syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL, "clear ambient capabilities")
    syscalls.capset(mask)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1, "no new privileges")
