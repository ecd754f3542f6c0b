"""From a call to the command that makes an attachment, whichever plugin was called."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from netrt.cni.call import Call, check_known
from netrt.cni.ranges import Pools
from netrt.cni.runtime import (
    KNOWN,
    Args,
    RuntimeConfig,
    aliases,
    bandwidth,
    generated_name,
    labels,
    named,
    ports,
    requested_addresses,
    requested_mac,
)
from netrt.errors import Invalid
from netrt.model.command import Attach, Definition, Endpoint
from netrt.model.container import Sandbox
from netrt.model.names import check_name, is_id, is_name
from netrt.model.network import PREDEFINED
from netrt.model.plugged import Plugged, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the edge adds to a call: the sandbox, an id for a network that may have to be made, and the host address of ports
    that name none."""

    sandbox: Sandbox
    network_id: str
    publish_address: str = ""


def container_id(known_as: str) -> str:
    """Our id of a runtime's container: the same, where that is one."""
    return known_as if is_id(known_as) else hashlib.sha256(f"cni:{known_as}".encode()).hexdigest()


def network_name(name: str) -> str:
    """Our name of a network that a configuration defines. Names that mean something else here, or are too long, get another."""
    if name not in (*PREDEFINED, "default") and is_name(name):
        return name
    return f"cni-{name}" if is_name(f"cni-{name}") else f"cni-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def attaching(
    call: Call,
    asked: Asked,
    *,
    runtime: RuntimeConfig,
    args: Args | None,
    network: str,
    definition: Definition | None,
    pools: Pools | None,
    routes: tuple[Way, ...] | None,
    down: bool = False,
    lease: str = "",
) -> Attach:
    """`network` is ours, by name. `pools` and `routes` None: as the network has it. Raises Refusal."""
    check_known(call.arguments, KNOWN)
    wanted = requested_addresses(call, runtime, args)
    four, six = (tuple(a for a in wanted if (":" in a) == (v == 6)) for v in (4, 6))
    if pools is None and max(len(four), len(six)) > 1:
        raise Invalid(f"{', '.join(wanted)} cannot be had", hint="one address of each family")
    names = aliases(runtime, call.network)
    for name in names:
        named("runtimeConfig.aliases", lambda name=name: check_name("alias", name))  # type: ignore[misc]
    return Attach(
        container=container_id(call.container),
        known_as=call.container,
        generated_name=generated_name(call.arguments),
        sandbox=asked.sandbox,
        definition=definition,
        endpoint=Endpoint(
            network=network,
            address4="".join(four) if pools is None else "",
            address6="".join(six) if pools is None else "",
            mac=requested_mac(call, runtime, args),
            aliases=names,
            ifname=call.ifname,
            pools=pools,
            wanted=wanted if pools is not None and not lease else (),
            routes=routes,
            down=down,
            bandwidth=bandwidth("runtimeConfig.bandwidth", runtime.bandwidth),
        ),
        plugged=Plugged(network=call.network, holders=(call.plugin,), lease=lease),
        labels=labels(call, args),
        ports=ports(runtime.port_mappings, asked.publish_address),
    )
