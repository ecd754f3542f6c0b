"""Settings that a runtime asked for inside a sandbox."""

from __future__ import annotations

from collections.abc import Iterator

from netrt.dataplane.objects import Object, Setting, Sysctl
from netrt.model.plugged import Tuning


def compile_tuning(netns: str, ifname: str, tuning: Tuning) -> Iterator[Object]:
    """What is set besides MAC and MTU."""
    for name, value in tuning.sysctls.items():
        yield Sysctl(netns=netns, name=name, value=value)
    flags = {"promisc": tuning.promisc, "allmulti": tuning.allmulti}
    for name, on in flags.items():
        if on is not None:
            yield Setting(netns=netns, link=ifname, name=name, value=str(int(on)))
    if tuning.queue is not None:
        yield Setting(netns=netns, link=ifname, name="queue", value=str(tuning.queue))
