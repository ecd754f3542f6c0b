"""The plugins that add to what another one made: `netrt-portmap`, `netrt-bandwidth`, `netrt-tuning`, `netrt-firewall`.

They take the reference plugins' configurations. What those have for the sake of iptables (chains, marks, files of their own) is
accepted where it changes nothing for the container, and refused where leaving it out would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from netrt.cni.attaching import Asked, container_id, network_name
from netrt.cni.call import Call, Config, check_known
from netrt.cni.ranges import canonical, network_of
from netrt.cni.refusal import CONFIGURATION, UNSUPPORTED, Refusal
from netrt.cni.result import Interface, Result
from netrt.cni.runtime import KNOWN, Limits, RuntimeConfig, bandwidth, generated_name, labels, named, ports
from netrt.errors import Invalid
from netrt.model.address import check_mac, parse_ip
from netrt.model.command import Adjust, Attach, Definition, Endpoint, Lease
from netrt.model.names import is_link_name
from netrt.model.network import Ingress, Mode, Subnet
from netrt.model.plugged import Bandwidth, Plugged, Tuning

PLACEHOLDER = "IFNAME"
"""In the name of a sysctl: the interface."""

_PART = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.:@-]{0,63}\Z")


class PortmapConfig(Config, frozen=True, kw_only=True, rename="camel"):
    """netrt-portmap."""

    backend: str | None = None
    snat: bool | None = None
    masq_all: bool | None = None
    mark_masq_bit: int | None = None
    external_set_mark_chain: str | None = None
    conditions_v4: tuple[str, ...] | None = msgspec.field(default=None, name="conditionsV4")
    conditions_v6: tuple[str, ...] | None = msgspec.field(default=None, name="conditionsV6")
    runtime_config: RuntimeConfig | None = None


class BandwidthConfig(Config, frozen=True, kw_only=True, rename="camel"):
    """netrt-bandwidth: limits of the configuration, or else of the runtime."""

    ingress_rate: int = 0
    ingress_burst: int = 0
    egress_rate: int = 0
    egress_burst: int = 0
    shaped_subnets: tuple[str, ...] | None = None
    unshaped_subnets: tuple[str, ...] | None = None
    runtime_config: RuntimeConfig | None = None


class Tunables(msgspec.Struct, frozen=True, kw_only=True):
    """What netrt-tuning sets; also as `args.cni`."""

    sysctl: dict[str, str] | None = None
    mac: str | None = None
    mtu: int | None = None
    promisc: bool | None = None
    allmulti: bool | None = None
    queue: int | None = msgspec.field(default=None, name="txQLen")


class TuningArgs(msgspec.Struct, frozen=True, kw_only=True):
    """`args`."""

    cni: Tunables | None = None


class TuningConfig(Config, frozen=True, kw_only=True, rename="camel"):
    """netrt-tuning."""

    sysctl: dict[str, str] | None = None
    mac: str | None = None
    mtu: int | None = None
    promisc: bool | None = None
    allmulti: bool | None = None
    queue: int | None = msgspec.field(default=None, name="txQLen")
    data_dir: str | None = None
    runtime_config: RuntimeConfig | None = None
    args: TuningArgs | None = None


class FirewallConfig(Config, frozen=True, kw_only=True, rename="camel"):
    """netrt-firewall."""

    backend: str | None = None
    iptables_admin_chain_name: str | None = None
    firewalld_zone: str | None = None
    ingress_policy: str | None = None
    runtime_config: RuntimeConfig | None = None


def previous(call: Call, config: Config) -> Result:
    """What the plugin before it made. Raises Refusal."""
    before = call.previous(config)
    if before is None:
        raise Refusal(
            CONFIGURATION, "field prevResult is missing", hint=f"{call.plugin} adds to what another plugin made"
        )
    return before


def missing(call: Call, asked: Asked, before: Result, bridge: str = "", host_link: str = "") -> Attach:
    """The attachment to make where the interface is somebody else's work; `bridge` is the host's link that it hangs on, and
    `host_link` its other end, where these are needed."""
    ips = before.of(call.ifname)
    return Attach(
        container=container_id(call.container),
        known_as=call.container,
        generated_name=generated_name(call.arguments),
        sandbox=asked.sandbox,
        definition=Definition(
            id=asked.network_id,
            name=network_name(call.network),
            plugin="cni",
            mode=Mode.FOREIGN,
            options={"com.docker.network.bridge.name": bridge} if bridge else {},
        ),
        endpoint=Endpoint(network=network_name(call.network), ifname=call.ifname, mac=""),
        plugged=Plugged(network=call.network, host_link=host_link),
        lease=Lease(
            addresses=tuple(canonical(ip.address) for ip in ips),
            subnets=tuple(_subnet(ip.address, ip.gateway) for ip in ips),
            routes=(),
        ),
        labels=labels(call, None),
    )


def _subnet(address: str, gateway: str) -> Subnet:
    return Subnet(
        cidr=network_of(address), gateway=str(parse_ip("gateway", gateway)) if gateway else None, learned=True
    )


def bridge_of(before: Result) -> str:
    """The host's first link in a result, which is the bridge where there is one; empty where a link has no usable name."""
    first = next((link.name for link in before.interfaces if not link.sandbox), "")
    return first if is_link_name(first) else ""


def _adding(call: Call, made: Attach) -> Adjust:
    check_known(call.arguments, KNOWN)
    return Adjust(container=made.container, ifname=call.ifname, network=call.network, holder=call.plugin, missing=made)


# portmap


def portmap(call: Call, asked: Asked, before: Result) -> Adjust | None:
    """None where no port is published. Raises Refusal."""
    config = call.config(PortmapConfig)
    _check_portmap(config)
    mappings = ports((config.runtime_config or RuntimeConfig()).port_mappings, asked.publish_address)
    if not mappings:
        return None
    made = missing(call, asked, before, bridge_of(before))
    return replace(_adding(call, made), ports=mappings, masquerade=bool(config.masq_all))


def _check_portmap(config: PortmapConfig) -> None:
    _check_backend(config.backend, ("iptables", "nftables"))
    for key, conditions in (("conditionsV4", config.conditions_v4), ("conditionsV6", config.conditions_v6)):
        if conditions:
            shown = msgspec.json.encode(conditions).decode()
            raise Refusal(
                UNSUPPORTED,
                f"field {key}: {shown[:80]} is not supported: netrt publishes ports without conditions",
                hint="hostIP of a mapping names the host's address",
            )
    if config.mark_masq_bit is not None and config.external_set_mark_chain is not None:
        raise Refusal(CONFIGURATION, "fields markMasqBit and externalSetMarkChain exclude each other")
    if config.mark_masq_bit is not None and not 0 <= config.mark_masq_bit <= 31:
        raise Refusal(CONFIGURATION, f"field markMasqBit: {config.mark_masq_bit} is no bit", hint="0 to 31")


def _check_backend(backend: str | None, known: Iterable[str]) -> None:
    if backend and backend not in known:
        raise Refusal(
            CONFIGURATION,
            f"field backend: unknown {backend[:40]!r}",
            hint=f"known: {', '.join(known)}; all mean nftables",
        )


# bandwidth


def limits(call: Call) -> Bandwidth | None:
    """None where there is no limit. Raises Refusal."""
    config = call.config(BandwidthConfig)
    for key, subnets in (("shapedSubnets", config.shaped_subnets), ("unshapedSubnets", config.unshaped_subnets)):
        if subnets:
            shown = msgspec.json.encode(subnets).decode()
            raise Refusal(UNSUPPORTED, f"field {key}: {shown[:80]} is not supported: limits are for all traffic")
    own = Limits(
        ingress_rate=config.ingress_rate,
        ingress_burst=config.ingress_burst,
        egress_rate=config.egress_rate,
        egress_burst=config.egress_burst,
    )
    if own != Limits():
        return bandwidth("bandwidth", own) or None
    return bandwidth("runtimeConfig.bandwidth", (config.runtime_config or RuntimeConfig()).bandwidth) or None


def limited(call: Call, asked: Asked, before: Result, found: Bandwidth, host_link: str) -> Adjust:
    """`host_link` is the host's end of the container's interface. Raises Refusal."""
    return replace(_adding(call, missing(call, asked, before, host_link=host_link)), bandwidth=found)


# tuning


def tuned(call: Call, asked: Asked, before: Result) -> Adjust:
    """Raises Refusal."""
    tuning, mac = tunables(call)
    return replace(_adding(call, missing(call, asked, before)), tuning=tuning, mac=mac)


def tunables(call: Call) -> tuple[Tuning, str]:
    """What is to be set, and the MAC, empty where it stays. As in the reference, `args.cni` counts most. Raises Refusal."""
    config = call.config(TuningConfig)
    inside = (config.args and config.args.cni) or Tunables()
    runtime = config.runtime_config or RuntimeConfig()
    mac = inside.mac or runtime.mac or call.arguments.get("MAC") or config.mac or ""
    mtu = config.mtu if inside.mtu is None else inside.mtu
    queue = config.queue if inside.queue is None else inside.queue
    if mtu and not 68 <= mtu <= 65535:
        raise Refusal(CONFIGURATION, f"field mtu: {mtu} is no MTU", hint="68 to 65535")
    if queue is not None and not 0 <= queue < 1 << 31:
        raise Refusal(CONFIGURATION, f"field txQLen: {queue} is out of range")
    return Tuning(
        sysctls=sysctls({**(config.sysctl or {}), **(inside.sysctl or {})}, call.ifname),
        mtu=mtu or 0,
        promisc=(config.promisc if inside.promisc is None else inside.promisc) or None,
        allmulti=config.allmulti if inside.allmulti is None else inside.allmulti,
        queue=queue,
    ), named("mac", lambda: check_mac(mac)) if mac else ""


def sysctls(asked: Mapping[str, str], ifname: str) -> dict[str, str]:
    """By path. Dots and slashes change places where a dot comes first. Raises Refusal."""
    found: dict[str, str] = {}
    for name, value in asked.items():
        path = sysctl_path(name, ifname)
        if "\0" in value or "\n" in value.strip() or len(value) > 1024:
            raise Refusal(CONFIGURATION, f"field sysctl: {name[:60]} has a value that no setting has")
        if found.setdefault(path, " ".join(value.split())) != " ".join(value.split()):
            raise Refusal(CONFIGURATION, f"field sysctl: {path} is there twice")
    return found


def sysctl_path(name: str, ifname: str) -> str:
    """`net/ipv4/conf/eth0/arp_filter` of `net.ipv4.conf.IFNAME.arp_filter`. Raises Refusal."""
    swapped = name.translate(str.maketrans("./", "/.")) if name.partition("/")[0].count(".") else name
    parts = [ifname if part == PLACEHOLDER else part for part in swapped.split("/")]
    if len(parts) < 2 or parts[0] != "net" or not all(_PART.match(part) for part in parts):
        raise Refusal(
            CONFIGURATION,
            f"field sysctl: {name[:60]!r} is no setting of a network namespace",
            hint="as in net.core.somaxconn",
        )
    return "/".join(parts)


def with_mac(before: Result, ifname: str, mac: str, mtu: int) -> Result:
    """The result with what tuning changed of the interface."""

    def changed(link: Interface) -> Interface:
        if link.name != ifname or not link.sandbox:
            return link
        return msgspec.structs.replace(link, mac=mac or link.mac, mtu=(mtu or link.mtu) if link.mtu else 0)

    return msgspec.structs.replace(before, interfaces=tuple(map(changed, before.interfaces)))


# firewall


def fenced(call: Call, asked: Asked, before: Result) -> tuple[Adjust, Ingress]:
    """Raises Refusal."""
    config = call.config(FirewallConfig)
    _check_backend(config.backend, ("iptables", "nftables", "firewalld"))
    policy = config.ingress_policy or Ingress.OPEN
    if policy not in tuple(Ingress):
        raise Refusal(
            CONFIGURATION, f"field ingressPolicy: unknown {policy[:40]!r}", hint=f"known: {', '.join(Ingress)}"
        )
    ingress = Ingress(policy)
    bridge = bridge_of(before)
    if ingress is not Ingress.OPEN and not bridge:
        raise Invalid(f"ingressPolicy {ingress} needs a bridge, and prevResult has no interface of the host")
    return replace(_adding(call, missing(call, asked, before, bridge)), ingress=ingress), ingress
