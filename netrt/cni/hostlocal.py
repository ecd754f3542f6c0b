"""`netrt-host-local`: the configuration of the reference's IPAM plugin, as addresses of a network whose links others make."""

from __future__ import annotations

from netrt.cni.attaching import Asked, attaching, network_name
from netrt.cni.bridge import host_local
from netrt.cni.call import Call, Config, given
from netrt.cni.ranges import pools, ways
from netrt.cni.refusal import CONFIGURATION, Refusal
from netrt.cni.runtime import Args, RuntimeConfig
from netrt.model.command import Attach, Definition
from netrt.model.network import Mode, Network
from netrt.model.state import State


class HostLocalConfig(Config, frozen=True, kw_only=True, rename="camel"):
    """The whole configuration of the plugin that asks; ours is the part `ipam`."""

    runtime_config: RuntimeConfig | None = None
    args: Args | None = None


def attach(call: Call, asked: Asked) -> Attach:
    """Raises Refusal."""
    config = call.config(HostLocalConfig)
    if not given(config.ipam):
        raise Refusal(CONFIGURATION, "field ipam is missing")
    runtime = config.runtime_config or RuntimeConfig()
    section = host_local(config)
    chosen = pools(section, runtime, call.version)
    ways("ipam.routes", section.routes)
    return attaching(
        call,
        asked,
        runtime=RuntimeConfig(ips=runtime.ips),
        args=config.args,
        network=network_name(call.network),
        definition=Definition(
            id=asked.network_id,
            name=network_name(call.network),
            plugin="cni",
            mode=Mode.FOREIGN,
            subnets=tuple(subnet for pool in chosen for subnet in pool),
        ),
        pools=chosen,
        routes=(),
    )


def exhausted(state: State, call: Call) -> str:
    """Why no address can be had of a network that exists, or empty. Raises Refusal."""
    config = call.config(HostLocalConfig)
    pools(host_local(config), config.runtime_config or RuntimeConfig(), call.version)
    network = state.networks.get(state.network_names.get(network_name(call.network), ""))
    return full(state, network) if network else ""


def full(state: State, network: Network) -> str:
    """Which family of a network has no address left, in words, or empty."""
    for version in (4, 6):
        ledger = state.ledgers[network.id, version]
        given_here = any(not subnet.learned for subnet in network.subnets_of(version))
        if given_here and not ledger.fresh and not ledger.resting:
            return f"network {network.name} has no IPv{version} address left"
    return ""
