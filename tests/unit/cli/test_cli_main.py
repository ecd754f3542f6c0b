"""The whole command line: what it imports, its helps, exit statuses, one line for each error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from netrt import __version__
from netrt.cli.lazy import LazyGroup
from netrt.cli.main import cli, execute
from netrt.errors import NetrtError, Unavailable
from tests.unit.cli.conftest import Netrt
from tests.unit.cli.standin import StandIn

HEAVY = (
    "rich",
    "pyroute2",
    "nftables",
    "aiohttp",
    "asyncio",
    "sqlite3",
    "msgspec",
    "netrt.model",
    "netrt.launch",
    "docker",
)
"""What nobody shall pay for who only looks."""

TOOLS = {"ast", "dis", "platform", "tokenize", "dataclasses", "urllib.parse", "ipaddress"}
TOOLS |= {"locale", "_datetime", "_weakrefset", "socket", "selectors"}
"""What the modules load that are put off, what words need that are no names, and what `_socket` does without."""

REPORT = """
import sys
from netrt.cli.main import execute
status = execute(sys.argv[1:])
print("MODULES", *sorted(sys.modules), file=sys.stderr)
"""


def modules_of(*argv: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", REPORT, *argv], capture_output=True, text=True, check=True)
    return set(done.stderr.rpartition("MODULES")[2].split())


def heavy(modules: set[str]) -> set[str]:
    return {name for name in modules for prefix in HEAVY if name == prefix or name.startswith(f"{prefix}.")}


def test_help_imports_the_table_of_verbs_and_no_verb() -> None:
    modules = modules_of("--help")
    ours = {name for name in modules if name.startswith("netrt")}
    room = {"netrt.cli", "netrt.cli.lazy", "netrt.cli.lean", "netrt.cli.main", "netrt.cli.report", "netrt.cli.session"}
    assert ours == {"netrt", "netrt.errors", "netrt.later", "netrt.paths"} | room
    assert not heavy(modules)
    assert "http.client" not in modules
    assert not TOOLS & modules


def test_network_ls_imports_its_verb_and_the_client(daemon: StandIn) -> None:
    daemon.answer("GET", "/networks", [])
    modules = modules_of("--socket", daemon.socket, "network", "ls")
    ours = {name for name in modules if name.startswith("netrt.cli.")}
    verbs = {"lazy", "lean", "main", "network", "options", "report", "session", "show"}
    assert ours == {f"netrt.cli.{name}" for name in verbs}
    assert not heavy(modules)
    assert modules.isdisjoint(("http.client", "email", "ssl"))
    assert not TOOLS & modules


def test_what_starts_a_command_is_loaded_while_the_container_is_made(daemon: StandIn) -> None:
    daemon.answer("POST", "/containers/create", {"message": "no"}, 409)
    assert not {"netrt.cli.foreground", "httptools"} & modules_of("--socket", "/nowhere", "run", "--", "true")
    loaded = modules_of("--socket", daemon.socket, "run", "--", "true")
    assert "httptools" in loaded
    assert os.geteuid() != 0 or "netrt.cli.foreground" in loaded


def test_no_option_is_of_a_kind_that_is_not_there() -> None:
    """`cli/lean.py` has click do without dates."""

    def parameters(command: click.Command) -> Iterator[click.Parameter]:
        yield from command.params
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                yield from parameters(command.get_command(context, name) or command)

    assert not [each for each in parameters(cli) if isinstance(each.type, click.DateTime)]


def test_run_imports_what_its_options_need(daemon: StandIn) -> None:
    plain = modules_of("--socket", daemon.socket, "run", "-d", "--network", "app", "--", "true")
    assert not heavy(plain) - {"netrt.launch", "netrt.launch.program"}  # to say with which status it failed
    assert not TOOLS & plain
    more = modules_of("--socket", daemon.socket, "run", "-p", "8080:80", "--health-port", "80", "--", "true")
    assert {"netrt.model.port", "netrt.model.health"} <= more


WHOLE = """
import netrt.cli.main
import inspect, uuid
assert str(uuid.UUID(int=1)) == "00000000-0000-0000-0000-000000000001"
assert inspect.cleandoc("\\n  one\\n    two") == "one\\n  two"
assert inspect.cleandoc(" one") == "one"
assert inspect.isfunction(inspect.cleandoc) and inspect.cleandoc.__module__ == "inspect"
from click import UUID
assert UUID.convert("0" * 31 + "1", None, None) == uuid.UUID(int=1)
"""


def test_what_is_put_off_is_there_for_who_asks() -> None:
    subprocess.run([sys.executable, "-c", WHOLE], check=True)


def every_command(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Group, click.Command]]:
    """Each verb's words, the group that it stands in, and itself."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield (*path, name), group, command
        if isinstance(command, click.Group):
            yield from every_command(command, *path, name)


@pytest.mark.parametrize("path", [(), ("network",), ("container",), ("publish",), ("dns",), ("daemon",)])
def test_a_group_without_a_verb_shows_its_help(capsys: pytest.CaptureFixture[str], path: tuple[str, ...]) -> None:
    assert execute([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) > 5
    assert execute([*path]) == 2
    assert capsys.readouterr() == ("", shown)


def test_the_tables_say_what_each_verb_begins_with() -> None:
    for path, group, command in every_command(cli):
        if isinstance(group, LazyGroup):
            assert command.get_short_help_str(200).startswith(group.verbs[path[-1]][1]), path


def test_each_verb_has_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    for path, _, _ in every_command(cli):
        assert execute([*path, "--help"]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"Usage: netrt {' '.join(path)}")
        assert "--help" in shown


def test_version(netrt: Netrt, daemon: StandIn) -> None:
    assert netrt("--version").out == f"netrt version {__version__}\n"
    daemon.answer("GET", "/version", {"Version": "9", "ApiVersion": "1.47", "KernelVersion": "6.1"})
    assert netrt("version").out == f"Client: netrt {__version__}\nServer: netrtd 9, API 1.47, Linux 6.1\n"
    assert json.loads(netrt("version", "--format", "json").out)["Server"]["Version"] == "9"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("fly", "No such command 'fly'"),
        ("network fly", "No such command 'fly'"),
        ("network ls --fly", "No such option '--fly'"),
        ("network rm", "Missing argument"),
        ("network ls --filter x", "'x' is not KEY=VALUE"),
        ("network ls --format {{.Name}}", "is not supported; use json or table"),
        ("container create --pid x", "'x' is not a valid integer"),
        ("inspect --type volume x", "'volume' is not one of"),
    ],
)
def test_what_cannot_be_understood_has_status_2_and_one_line(netrt: Netrt, argv: str, says: str) -> None:
    done = netrt(*argv.split())
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("netrt: ")
    assert says in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid"), (404, "missing"), (403, "used"), (409, "taken"), (500, "kernel"), (503, "away")],
)
def test_the_daemon_s_message_is_shown(daemon: StandIn, netrt: Netrt, status: int, kind: str) -> None:
    daemon.answer("POST", "/networks/web/connect", {"message": f"it is {kind}"}, status)
    done = netrt("network", "connect", "web", "app")
    assert (done.status, done.out, done.err) == (1, "", f"netrt: it is {kind}\n")


def test_an_error_stays_on_its_line(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("POST", "/networks/web/connect", {"message": "two\nlines \x1b[31mred"}, 400)
    assert netrt("network", "connect", "web", "app").err == "netrt: two\\nlines \\x1b[31mred\n"


def test_no_daemon_at_a_socket_that_was_named(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    socket = f"{tmp_path}/none.sock"
    assert execute(["--socket", socket, "network", "ls"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert socket in shown.err
    assert execute(["--socket", socket, "version"]) == 0
    assert capsys.readouterr().out.endswith("Server: not running\n")
    assert execute(["--socket", socket, "daemon", "status"]) == 1
    assert capsys.readouterr().out == f"netrtd is not running (socket {socket})\n"


def test_stopping_no_daemon(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert execute(["--root", str(tmp_path), "daemon", "stop"]) == 0
    assert capsys.readouterr().err == "netrt: netrtd is not running\n"


@pytest.mark.parametrize(
    ("raised", "status", "says"),
    [
        (KeyboardInterrupt(), 130, ""),
        (PermissionError(13, "Permission denied", "/x"), 1, "netrt: /x: Permission denied\n"),
        (Unavailable("it is away", hint="start it"), 1, "netrt: it is away (start it)\n"),
        (NetrtError("x"), 1, "netrt: x\n"),
        (KeyError("x"), 1, "netrt: a fault of netrt itself: KeyError: 'x' (with NETRT_TRACEBACK=1 it says where)\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_traceback(
    netrt: Netrt, monkeypatch: pytest.MonkeyPatch, raised: BaseException, status: int, says: str
) -> None:
    def fail(*args: object, **named: object) -> None:
        raise raised

    monkeypatch.setattr("netrt.api.client.Client.networks", fail)
    done = netrt("network", "ls")
    assert (done.status, done.err.lstrip("\n")) == (status, says)


def test_events(daemon: StandIn, netrt: Netrt, monkeypatch: pytest.MonkeyPatch) -> None:
    def event(action: str, nanoseconds: int) -> dict[str, object]:
        actor = {"ID": "abc", "Attributes": {"type": "bridge", "name": "web"}}
        return {"Type": "network", "Action": action, "Actor": actor, "scope": "local", "timeNano": nanoseconds}

    shown = event("create", 1700000000123456789), event("destroy", 1700000001000000000)
    daemon.answer("GET", "/events", shown)
    done = netrt("events", "--since", "10m", "--until", "1700000002", "-f", "type=network")
    words = [line.split(maxsplit=1) for line in done.out.splitlines()]
    assert words[0][0][19:29] == ".123456789"
    assert [line for _, line in words] == [
        "network create abc (name=web, type=bridge)",
        "network destroy abc (name=web, type=bridge)",
    ]
    assert daemon.asked[-1].query == {"since": "10m", "until": "1700000002", "filters": '{"type": ["network"]}'}
    assert [json.loads(line) for line in netrt("events", "--format", "json").out.splitlines()] == list(shown)


def completions(daemon: StandIn, words: str, number: int) -> list[str]:
    """What bash would be offered, by click's own protocol."""
    code = "from netrt.cli.main import main; main()"
    env = {"_NETRT_COMPLETE": "bash_complete", "COMP_WORDS": f"netrt --socket {daemon.socket} {words}"}
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, env=env | {"COMP_CWORD": str(number + 2)}, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_completion(daemon: StandIn) -> None:
    daemon.answer("GET", "/networks", [{"Name": "web"}, {"Name": "wide"}, {"Name": "db"}])
    daemon.answer("GET", "/containers/json", [{"Names": ["/app"], "Id": "1"}])
    assert completions(daemon, "network conn", 2) == ["connect"]
    assert completions(daemon, "network connect w", 3) == ["web", "wide"]
    assert completions(daemon, "network connect web a", 4) == ["app"]
    assert "--subnet" in completions(daemon, "network create --su", 3)


def test_trace_shows_each_request_on_stderr(daemon: StandIn, netrt: Netrt) -> None:
    daemon.answer("GET", "/networks", [])
    done = netrt("--trace", "network", "ls", "-q")
    assert done.out == ""
    assert "GET /networks" in done.err
    assert "GET /networks" not in netrt("network", "ls", "-q").err
