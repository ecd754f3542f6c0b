"""`netrt`: a network of netrt's own, by name, or defined in the configuration (then `mode` says so)."""

from __future__ import annotations

from netrt.cni.attaching import Asked, attaching, network_name
from netrt.cni.call import Call, Config
from netrt.cni.ranges import pool_of
from netrt.cni.refusal import CONFIGURATION, Refusal
from netrt.cni.runtime import Args, Range, RuntimeConfig, named
from netrt.model.address import family
from netrt.model.command import Attach, Definition
from netrt.model.names import check_label
from netrt.model.network import MADE, Mode, Subnet, check_options

MODES = MADE
"""What can be defined."""


class OwnConfig(Config, frozen=True, kw_only=True, rename="camel"):
    """`network` is the name of a network that is there; else that of the configuration is. With `mode` it is made when it is not
    there. `subnets` are CIDR, or objects as in host-local's `ranges`; a family without one gets a free one."""

    network: str | None = None
    mode: str | None = None
    subnets: tuple[str | Range, ...] | None = None
    ipv4: bool | None = None
    ipv6: bool | None = None
    internal: bool | None = None
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    runtime_config: RuntimeConfig | None = None
    args: Args | None = None


def attach(call: Call, asked: Asked) -> Attach:
    """ADD. Raises Refusal."""
    config = call.config(OwnConfig)
    runtime = config.runtime_config or RuntimeConfig()
    definition = _definition(call, config, asked)
    return attaching(
        call,
        asked,
        runtime=runtime,
        args=config.args,
        network=name_of(call, config),
        definition=definition,
        pools=None,
        routes=None,
    )


def name_of(call: Call, config: OwnConfig) -> str:
    """The network's name among ours: as it is written, unless it is defined here."""
    name = config.network or call.network
    return network_name(name) if config.mode else name


def _definition(call: Call, config: OwnConfig, asked: Asked) -> Definition | None:
    if not config.mode:
        defining = {"subnets": config.subnets, "internal": config.internal, "options": config.options}
        for key, said in defining.items():
            if said:
                raise Refusal(
                    CONFIGURATION,
                    f"field {key} defines a network, but field mode is missing",
                    hint='with "mode": "bridge" the network is made; without, it must be there',
                )
        return None
    if config.mode not in MODES:
        raise Refusal(CONFIGURATION, f"field mode: unknown {config.mode[:40]!r}", hint=f"known: {', '.join(MODES)}")
    mode = Mode(config.mode)
    named("options", lambda: check_options(mode, config.options or {}))
    for key, value in (config.labels or {}).items():
        named("labels", lambda key=key, value=value: check_label(key, value))  # type: ignore[misc]
    subnets = tuple(_subnet(f"subnets[{n}]", given) for n, given in enumerate(config.subnets or ()))
    families = {family(subnet.cidr) for subnet in subnets}
    wished = {4: config.ipv4 is not False, 6: bool(config.ipv6)}
    if not families and not any(wished.values()):
        raise Refusal(CONFIGURATION, "fields ipv4 and ipv6: a network needs one of them")
    return Definition(
        id=asked.network_id,
        name=name_of(call, config),
        plugin="netrt",
        mode=mode,
        subnets=subnets,
        choose=frozenset(version for version, on in wished.items() if on and version not in families),
        internal=bool(config.internal),
        options=config.options or {},
        labels=config.labels or {},
        shared=True,
    )


def _subnet(field: str, given: str | Range) -> Subnet:
    return pool_of(field, Range(subnet=given) if isinstance(given, str) else given)
