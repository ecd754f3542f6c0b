"""The steps of an apply, as verbs of the client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

import netrt
from netrt.declare.plan import Plan, independent, limits_text
from netrt.declare.steps import (
    Join,
    Leave,
    Limit,
    MakeContainer,
    MakeNetwork,
    Publish,
    Step,
    TakeContainer,
    TakeNetwork,
    Update,
    arguments,
    place_of,
)
from netrt.declare.wish import ContainerWish, port_text
from netrt.errors import NetrtError
from netrt.model.network import Subnet


def rehearse(client: netrt.Client, plan: Plan) -> None:
    """Ask the daemon of each step that depends on no other whether it would do it. Raises NetrtError, with the place."""
    for step in independent(plan.steps):
        try:
            _do(client, step, dry_run=True)
        except NetrtError as error:
            raise _placed(step, error, error.hint) from None


def performed(client: netrt.Client, plan: Plan) -> Iterator[Step]:
    """Each step when it is done. Raises NetrtError, with the place and how far it came."""
    for number, step in enumerate(plan.steps):
        try:
            _do(client, step)
        except NetrtError as error:
            far = f"{number} of {len(plan.steps)} steps were done; the next apply goes on from there"
            raise _placed(step, error, f"{error.hint}; {far}" if error.hint else far) from None
        yield step


def _placed(step: Step, error: NetrtError, hint: str) -> NetrtError:
    place = place_of(step)
    return type(error)(f"{place}: {error.message}" if place else error.message, hint=hint, retry=error.retry)


def _do(client: netrt.Client, step: Step, *, dry_run: bool = False) -> None:
    match step:
        case MakeNetwork(network=network):
            client.create_network(
                network.name,
                subnets=[_subnet(subnet) for subnet in network.subnets],
                driver=network.driver,
                ipam_driver=network.ipam_driver,
                ipv4=network.ipv4,
                ipv6=network.ipv6,
                internal=network.internal,
                options=network.options,
                labels=network.labels,
                dns=network.dns,
                dry_run=dry_run,
            )
        case Update():
            client.update_network(
                step.name,
                grow=step.grow,
                add_subnets=[_subnet(subnet) for subnet in step.add],
                ipv6=step.ipv6,
                labels=step.labels,
                remove_labels=step.lost,
                dns=step.dns,
                dry_run=dry_run,
            )
        case TakeNetwork():
            client.remove_network(step.name, dry_run=dry_run)
        case MakeContainer():
            client.create_container(step.container.name, **_wishes(step.container), dry_run=dry_run)
        case TakeContainer():
            client.remove_container(step.name, dry_run=dry_run)
        case Join():
            client.connect(step.network, step.container, **arguments(step.endpoint), dry_run=dry_run)
        case Leave():
            client.disconnect(step.network, step.container, dry_run=dry_run)
        case Publish():
            add, remove = ([port_text(port) for port in ports] for ports in (step.add, step.remove))
            client.publish(step.container, add, remove, dry_run=dry_run)
        case Limit():
            client.limit(step.container, limits_text(step.bandwidth), network=step.network, dry_run=dry_run)
        case _:
            assert_never(step)


def _subnet(subnet: Subnet) -> dict[str, Any]:
    return {
        "Subnet": subnet.cidr,
        "Gateway": subnet.gateway,
        "IPRange": subnet.ip_range,
        "AuxiliaryAddresses": dict(subnet.auxiliary),
    }


def _wishes(container: ContainerWish) -> dict[str, Any]:
    networks = {name: arguments(endpoint) for name, endpoint in container.networks.items()}
    lookup = container.lookup
    return {
        "networks": [container.mode] if container.mode else networks,
        "ports": [port_text(port) for port in container.ports],
        "hostname": container.hostname,
        "labels": container.labels,
        "dns": lookup.dns,
        "dns_search": lookup.dns_search,
        "dns_options": lookup.dns_options,
        "extra_hosts": lookup.extra_hosts,
        "netns": container.netns,
    }
