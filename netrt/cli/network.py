"""`netrt network …`."""

from __future__ import annotations

from typing import Any

import click

from netrt.cli import options
from netrt.cli.lazy import CONTEXT
from netrt.cli.session import Session, remove_each, say

PRUNE_WARNING = "WARNING! This will remove all custom networks not used by at least one container."


@click.group(context_settings=CONTEXT)
def network() -> None:
    """Manage networks."""


@network.command(cls=options.DockerCommand)
@click.option(
    "-d", "--driver", default="bridge", metavar="DRIVER", help="how the network is made: bridge, macvlan or ipvlan"
)
@click.option(
    "--ipam-driver",
    default="default",
    metavar="DRIVER",
    help="who gives the addresses: default, or dhcp (macvlan only)",
)
@click.option("--subnet", "subnets", multiple=True, metavar="CIDR", help="address block; one a family or more")
@click.option("--gateway", "gateways", multiple=True, metavar="ADDRESS", help="the host's address in its subnet")
@click.option("--ip-range", "ranges", multiple=True, metavar="CIDR", help="the part that addresses are chosen from")
@click.option(
    "--aux-address", "auxiliary", multiple=True, metavar="NAME=ADDRESS", help="an address never to be given out"
)
@click.option("--ipv4/--no-ipv4", default=True, help="with IPv4 addresses (the default)")
@click.option("--ipv6/--no-ipv6", default=False, help="with IPv6 addresses")
@click.option("--internal", is_flag=True, help="without a way to the outside")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="metadata")
@click.option("-o", "--opt", "driver_options", multiple=True, metavar="KEY=VALUE", help="driver option")
@click.option("--dns", multiple=True, metavar="ADDRESS", help="DNS server for its containers, if not the host's")
@options.dry_run_option
@click.argument("name")
@click.pass_obj
def create(session: Session, /, dry_run: bool, **asked: Any) -> None:
    """Create a network, and print its id."""
    from netrt.cli.subnets import network_wishes

    say(session.client.create_network(**network_wishes(**asked), dry_run=dry_run), dry_run=dry_run)


@network.command(cls=options.DockerCommand)
@click.option("--grow", multiple=True, metavar="CIDR", help="a larger block, for the subnet that it contains")
@click.option("--add-subnet", "subnets", multiple=True, metavar="CIDR", help="one more address block")
@click.option("--gateway", "gateways", multiple=True, metavar="ADDRESS", help="the host's address in an added subnet")
@click.option("--ip-range", "ranges", multiple=True, metavar="CIDR", help="the part that addresses are chosen from")
@click.option("--aux-address", "auxiliary", multiple=True, metavar="NAME=ADDRESS", help="an address never given out")
@click.option("--ipv6", is_flag=True, help="with IPv6 addresses from now on, for those who are on it, too")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="metadata to set")
@click.option("--label-rm", "remove_labels", multiple=True, metavar="KEY", help="metadata to take away")
@click.option(
    "--dns", multiple=True, metavar="ADDRESS", help="DNS server in the place of what there were; host: its own"
)
@options.dry_run_option
@options.network_argument
@click.pass_obj
def update(session: Session, /, network: str, dry_run: bool, **asked: Any) -> None:
    """Change a network while it is used; no connection is lost by it."""
    from netrt.cli.subnets import update_wishes

    say(session.client.update_network(network, **update_wishes(**asked), dry_run=dry_run), dry_run=dry_run)


@network.command()
@options.filter_option
@options.format_option
@options.no_trunc_option
@options.quiet_option
@click.pass_obj
def ls(session: Session, filters: options.Pairs, form: str, no_trunc: bool, quiet: bool) -> None:
    """List networks."""
    from netrt.cli import show

    found = session.client.networks(options.filters_of(filters))
    rows = [show.network_row(each, no_trunc) for each in sorted(found, key=lambda each: str(each["Name"]))]
    show.listing(rows, show.NETWORK_COLUMNS, form, quiet)


@network.command()
@options.inspect_format_option
@options.networks_argument
@click.pass_obj
def inspect(session: Session, names: tuple[str, ...], form: str | None) -> None:
    """Show networks as a JSON list."""
    from netrt.cli.inspect import show_found

    show_found(session, names, ["network"], form)


@network.command()
@click.option("--ip", "address4", metavar="ADDRESS", default="", help="IPv4 address")
@click.option("--ip6", "address6", metavar="ADDRESS", default="", help="IPv6 address")
@click.option("--mac", "--mac-address", "mac", metavar="MAC", default="", help="MAC address")
@click.option("--alias", "aliases", metavar="NAME", multiple=True, help="one more name on this network")
@click.option("--driver-opt", "driver_options", multiple=True, metavar="KEY=VALUE", help="option of this attachment")
@click.option("--ifname", default="", metavar="NAME", help="name of the interface inside")
@click.option("--bandwidth", default="", metavar="LIMITS", help="as in ingress=10mbit,egress=1mbit")
@click.option("--gw-priority", type=int, default=0, metavar="N", help="the way out is by the network with the highest")
@options.dry_run_option
@options.network_argument
@options.container_argument
@click.pass_obj
def connect(session: Session, /, network: str, container: str, dry_run: bool, **asked: Any) -> None:
    """Attach a container to a network."""
    from netrt.cli.wishes import endpoint_wishes

    wishes = endpoint_wishes(**asked)
    say(session.client.connect(network, container, **wishes, dry_run=dry_run), dry_run=dry_run)


@network.command()
@click.option("-f", "--force", is_flag=True, help="no error where it is not attached")
@options.dry_run_option
@options.network_argument
@options.container_argument
@click.pass_obj
def disconnect(session: Session, network: str, container: str, force: bool, dry_run: bool) -> None:
    """Detach a container from a network."""
    say(session.client.disconnect(network, container, force=force, dry_run=dry_run), dry_run=dry_run)


@network.command()
@click.option("-f", "--force", is_flag=True, help="disconnect its containers first; no error where it does not exist")
@options.dry_run_option
@options.networks_argument
@click.pass_obj
def rm(session: Session, names: tuple[str, ...], force: bool, dry_run: bool) -> None:
    """Remove networks, and print their names."""
    remove_each(session.client.remove_network, names, force=force, dry_run=dry_run)


@network.command()
@click.option("-f", "--force", is_flag=True, help="do not ask")
@options.long_filter_option
@options.dry_run_option
@click.pass_obj
def prune(session: Session, filters: options.Pairs, force: bool, dry_run: bool) -> None:
    """Remove all networks that no container is on."""
    if not force and not dry_run:
        click.echo(PRUNE_WARNING)
        if not click.confirm("Are you sure you want to continue?"):
            raise click.ClickException("cancelled")
    said = session.client.prune_networks(options.filters_of(filters), dry_run=dry_run)
    say("\n".join(said if dry_run else ("Deleted Networks:", *said) if said else ()), dry_run=dry_run)
