"""Options and arguments that several verbs share, and what their texts become."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from netrt.cli.session import Session
from netrt.errors import NetrtError

Command = TypeVar("Command", bound=Callable[..., Any])
Pairs = Sequence[tuple[str, str]]


class DockerCommand(click.Command):
    """A command whose on/off options may also be written as Docker's users write them: `--ipv6=true`, `--ipv4=false`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        switches = [option for option in self.params if isinstance(option, click.Option) and option.is_flag]
        words = {}
        for option in switches:
            for flag in option.opts:
                words[f"{flag}=true"] = [flag]
                words[f"{flag}=false"] = option.secondary_opts[:1]
        return super().parse_args(ctx, [word for given in args for word in words.get(given, [given])])


class Format(click.ParamType[str]):
    """`json` or `table`. Docker's `{{json .}}` is the same as `json`; other templates are refused."""

    name = "json|table"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        words = str(value).replace("{{", " ").replace("}}", " ").split()
        if words in (["json"], ["json", "."]):
            return "json"
        if words == ["table"]:
            return "table"
        return self.fail(f"{value!r} is not supported; use json or table (and jq in place of templates)", param, ctx)


class Pair(click.ParamType[tuple[str, str]]):
    """`KEY=VALUE`, as a pair."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, equals, wanted = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key, wanted


class Known(click.ParamType[str]):
    """The name or id of something that the daemon knows, completed by the shell. `names` asks for the names that there are."""

    name = "name"

    def __init__(self, names: Callable[[Session], Iterable[str]]) -> None:
        self.names = names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value) or self.fail("a name cannot be empty", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        given = ctx.find_root().params
        try:
            found = sorted(self.names(Session(root=given["root"], socket=given["socket"])))
        except NetrtError:
            return []
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def _networks(session: Session) -> list[str]:
    return [each["Name"] for each in session.bystander.networks()]


def _containers(session: Session) -> list[str]:
    return [name.lstrip("/") for each in session.bystander.containers(every=True) for name in each["Names"]]


NETWORK, CONTAINER = Known(_networks), Known(_containers)
OBJECT = Known(lambda session: [*_networks(session), *_containers(session)])

network_argument = click.argument("network", type=NETWORK)
networks_argument = click.argument("names", metavar="NETWORK...", type=NETWORK, nargs=-1, required=True)
container_argument = click.argument("container", type=CONTAINER)
objects_argument = click.argument("names", metavar="NAME...", type=OBJECT, nargs=-1, required=True)
containers_argument = click.argument("names", metavar="CONTAINER...", type=CONTAINER, nargs=-1, required=True)

format_option = click.option("--format", "form", type=Format(), default="table", help="json or table")
inspect_format_option = click.option("-f", "--format", "form", type=Format(), help="json: all in one line")
FILTER: dict[str, Any] = {"type": Pair(), "multiple": True, "help": "only what matches, e.g. label=tier=web"}
filter_option = click.option("-f", "--filter", "filters", **FILTER)
long_filter_option = click.option("--filter", "filters", **FILTER)
"""For verbs whose `-f` is `--force`."""

quiet_option = click.option("-q", "--quiet", is_flag=True, help="print ids only")
no_trunc_option = click.option("--no-trunc", is_flag=True, help="do not shorten what is printed")
dry_run_option = click.option("--dry-run", is_flag=True, help="print the plan of kernel operations, change nothing")


TEXTS: dict[str, Any] = {"multiple": True}
CONTAINER_OPTIONS = (
    click.option("--name", default="", metavar="NAME", help="name of the container"),
    click.option("-h", "--hostname", default="", metavar="NAME", help="host name inside"),
    click.option(
        "--network", "--net", "networks", **TEXTS, metavar="NET", help="a network, none, host or container:NAME"
    ),
    click.option("--ip", "address4", default="", metavar="ADDRESS", help="IPv4 address on the first network"),
    click.option("--ip6", "address6", default="", metavar="ADDRESS", help="IPv6 address on the first network"),
    click.option("--mac-address", "--mac", "mac", default="", metavar="MAC", help="MAC on the first network"),
    click.option("--ifname", default="", metavar="NAME", help="name of the interface on the first network"),
    click.option("--bandwidth", default="", metavar="LIMITS", help="on the first network: ingress=10mbit,egress=1mbit"),
    click.option(
        "--gw-priority", type=int, default=0, metavar="N", help="priority of the first network as the way out"
    ),
    click.option(
        "--alias", "--network-alias", "aliases", **TEXTS, metavar="NAME", help="one more name on the first network"
    ),
    click.option("-p", "--publish", "ports", **TEXTS, metavar="SPEC", help="publish a port, e.g. 8080:80"),
    click.option("-l", "--label", "labels", **TEXTS, metavar="KEY=VALUE", help="metadata"),
    click.option("-e", "--env", "env", **TEXTS, metavar="KEY=VALUE", help="environment; KEY alone: as it is here"),
    click.option("-w", "--workdir", default="", metavar="DIR", help="working directory inside"),
    click.option("--cap-add", **TEXTS, metavar="NAME", help="add a capability"),
    click.option("--cap-drop", **TEXTS, metavar="NAME", help="drop a capability, or ALL"),
    click.option("--read-only", is_flag=True, help="read-only file system"),
    click.option("--rm", "auto_remove", is_flag=True, help="remove it when its process ends"),
    click.option("--dns", **TEXTS, metavar="ADDRESS", help="DNS server"),
    click.option("--dns-search", **TEXTS, metavar="DOMAIN", help="domain to look names up in; . for none"),
    click.option(
        "--dns-option", "--dns-opt", "dns_options", **TEXTS, metavar="OPTION", help="option of resolv.conf(5)"
    ),
    click.option("--health-cmd", default="", metavar="LINE", help="healthy while this shell line succeeds inside"),
    click.option("--health-port", default="", metavar="PORT", help="healthy while connections are taken at this port"),
    click.option("--health-interval", default="", metavar="DURATION", help="time between two checks [30s]"),
    click.option("--health-timeout", default="", metavar="DURATION", help="time that a check may take [30s]"),
    click.option("--health-retries", type=int, metavar="N", help="failures in a row that make it unhealthy [3]"),
    click.option("--health-start-period", default="", metavar="DURATION", help="time whose failures do not count [0s]"),
    click.option("--health-start-interval", default="", metavar="DURATION", help="time between checks until then [5s]"),
    click.option("--no-healthcheck", is_flag=True, help="accepted: nothing is checked unless asked for"),
    click.option("--add-host", "extra_hosts", **TEXTS, metavar="NAME:ADDRESS", help="one more line of /etc/hosts"),
)
RUN_CONTEXT = {"help_option_names": ["--help"], "allow_interspersed_args": False}
"""For `run` and `container create`: `-h` is the host name, as in Docker, and after the first word all belongs to the command."""


def container_options(command: Command) -> Command:
    """What `run` and `container create` have in common: the arguments of `wishes.container_wishes` but for the command."""
    for option in reversed(CONTAINER_OPTIONS):
        command = option(command)
    return command


def filters_of(pairs: Pairs) -> dict[str, list[str]]:
    """Filters as the client takes them: key to values."""
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found
