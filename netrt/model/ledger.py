"""What became of the dynamic addresses of one network and family: which is fresh, which rest, who had them.

Rule 1: a Ledger is derived from attachments, released addresses and subnets, and never saved. Rule 2: an edit looks at the
addresses that it is about and at no others, so the 10,000th container of a /16 costs what the first one did, and a /64 what a
/24 does. Rule 3: addresses that containers may only have by choice (reserved ones, ones outside the ip-range) are not in it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from netrt.model.address import host_of, ip, prefix_of
from netrt.model.container import Released
from netrt.model.network import Network, Subnet

EverUsed = Callable[[str], bool]
"""Whether an address (without prefix length) is in use or was released."""


class Ledger(Struct, frozen=True, kw_only=True):
    """`fresh` is the lowest address that nobody ever had, empty when there is none; `resting` are those given back, by whom,
    the longest unused first; `last` are the resting addresses of each owner, the latest last. Addresses are with their
    prefix length."""

    fresh: str = ""
    resting: Mapping[str, str] = field(default_factory=dict)
    last: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def taken(self, interface: str, network: Network, ever: EverUsed) -> Ledger:
        """After `interface` came into use; `ever` knows so already."""
        ledger = self
        if interface == ledger.fresh:
            ledger = replace(ledger, fresh=next_fresh(network, interface, ever))
        if interface not in ledger.resting:
            return ledger
        resting, last = dict(ledger.resting), dict(ledger.last)
        owner = resting.pop(interface)
        last[owner] = tuple(other for other in last[owner] if other != interface)
        if not last[owner]:
            del last[owner]
        return replace(ledger, resting=resting, last=last)

    def rested(self, interface: str, owner: str, network: Network) -> Ledger:
        """After `owner` gave `interface` back."""
        subnet = network.subnet_of(interface)
        if not is_dynamic(subnet, interface):
            return self
        interface = f"{host_of(interface)}/{prefix_of(subnet.cidr)}"  # the subnet may have grown meanwhile
        return replace(
            self,
            resting={**self.resting, interface: owner},
            last={**self.last, owner: (*self.last.get(owner, ()), interface)},
        )


def ledger_of(network: Network, version: int, ever: EverUsed, released: Iterable[Released] = ()) -> Ledger:
    """The Ledger of a family, anew. `released` are its released addresses in their order."""
    resting: dict[str, str] = {}
    last: dict[str, tuple[str, ...]] = {}
    for gone in released:
        subnet = network.subnet_of(gone.address)
        if is_dynamic(subnet, gone.address):
            interface = f"{gone.address}/{prefix_of(subnet.cidr)}"
            resting[interface] = gone.owner
            last[gone.owner] = (*last.get(gone.owner, ()), interface)
    subnets = network.subnets_of(version)
    return Ledger(fresh=lowest(subnets, ever), resting=resting, last=last)


def is_dynamic(subnet: Subnet, interface: str) -> bool:
    """Whether an address of the subnet may be given to whom did not choose it."""
    number = int(ip(host_of(interface)))
    return number in subnet.dynamic and number not in subnet.reserved


def next_fresh(network: Network, interface: str, ever: EverUsed) -> str:
    """The lowest dynamic address above `interface` that nobody ever had, with prefix length; empty when there is none."""
    subnet = network.subnet_of(interface)
    subnets = network.subnets_of(6 if ":" in interface else 4)
    above = int(ip(host_of(interface))) + 1
    return lowest((subnet,), ever, above) or lowest(subnets[subnets.index(subnet) + 1 :], ever)


def lowest(subnets: Iterable[Subnet], ever: EverUsed, above: int = 0) -> str:
    """The lowest dynamic address from `above` on, in the first of these subnets that has one, that nobody ever had; or empty."""
    for subnet in subnets:
        make = ipaddress.IPv6Address if ":" in subnet.cidr else ipaddress.IPv4Address
        dynamic, reserved = subnet.dynamic, subnet.reserved
        for number in range(max(dynamic.start, above), dynamic.stop):
            if number not in reserved and not ever(text := str(make(number))):
                return f"{text}/{prefix_of(subnet.cidr)}"
    return ""
