"""`netrt`: the table of verbs, the global options, and the one place where an error becomes a line and an exit status.

Exit status: 0 done, 1 the daemon or a check refused, 2 the command line could not be understood, 130 interrupted; `run` and
`exec` pass on that of the command, and `run` says 125 where netrt itself failed, as Docker does.
"""

from __future__ import annotations

import gc
import os
import sys

import click

from netrt.cli.lazy import CONTEXT, LazyGroup
from netrt.cli.report import report
from netrt.cli.session import Session
from netrt.errors import NetrtError
from netrt.paths import ROOT_VARIABLE

VERBS = {
    "run": ("netrt.cli.run:run", "Create a container and run a command of this host in it"),
    "exec": ("netrt.cli.execute:execute", "Run a command inside a container"),
    "ps": ("netrt.cli.container:ls", "List containers"),
    "start": ("netrt.cli.run:start", "Start containers again"),
    "stop": ("netrt.cli.execute:stop", "Stop containers"),
    "rm": ("netrt.cli.container:rm", "Remove containers"),
    "rename": ("netrt.cli.container:rename", "Give a container another name"),
    "logs": ("netrt.cli.execute:logs", "Show what a container printed"),
    "publish": ("netrt.cli.publish:publish", "Change the published ports of a container"),
    "port": ("netrt.cli.container:port", "List the published ports of a container"),
    "inspect": ("netrt.cli.inspect:inspect", "Show containers and networks as a JSON list"),
    "network": ("netrt.cli.network:network", "Manage networks"),
    "container": ("netrt.cli.container:container", "Manage containers"),
    "dns": ("netrt.cli.dns:dns", "Look at names: what containers are answered, and why"),
    "apply": ("netrt.cli.apply:apply", "Make networks and containers as a file says"),
    "export": ("netrt.cli.apply:export", "Print networks and containers as a file for apply"),
    "diff": ("netrt.cli.upkeep:diff", "Show what differs between what is asked for and what the kernel holds"),
    "gc": ("netrt.cli.upkeep:gc", "Show what lies about that nobody needs"),
    "debug": ("netrt.cli.debug:debug", "Look at a container from inside: what is there, who answers, what was dropped"),
    "capture": ("netrt.cli.capture:capture", "Show the packets of a container or a network"),
    "doctor": ("netrt.cli.upkeep:doctor", "Look for what is wrong with this host"),
    "events": ("netrt.cli.system:events", "Show what happens, as it happens"),
    "metrics": ("netrt.cli.system:metrics", "Show what the daemon counts, as Prometheus reads it"),
    "daemon": ("netrt.cli.system:daemon", "Look at or stop the daemon"),
    "version": ("netrt.cli.system:version", "Show the versions of client and daemon"),
}

COMPLETION = (
    """Completion in bash: eval "$(_NETRT_COMPLETE=bash_source netrt)" (zsh_source and fish_source likewise)."""
)

RUN_FAILED = 125
INTERRUPTED = 130
TRACEBACK_VARIABLE = "NETRT_TRACEBACK"


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from netrt import __version__

        click.echo(f"netrt version {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, verbs=VERBS, context_settings=CONTEXT, epilog=COMPLETION)
@click.option(
    "--root",
    metavar="DIR",
    envvar=ROOT_VARIABLE,
    help=f"Keep run, state and configuration below DIR. [{ROOT_VARIABLE}]",
)
@click.option("--socket", metavar="PATH", help="Talk to the daemon at this unix socket.")
@click.option("--trace", is_flag=True, help="Show where the time of each request goes, on stderr.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
@click.pass_context
def cli(ctx: click.Context, root: str | None, socket: str | None, trace: bool) -> None:
    """Container networks on Linux: bridges, addresses, NAT, published ports and isolation."""
    ctx.obj = Session(root=root, socket=socket, trace=trace)


def _fail(message: str, status: int) -> int:
    report(message)
    return status


def execute(argv: list[str]) -> int:
    """Run one command line. Returns its exit status."""
    gc.freeze()
    gc.enable()
    try:
        done = cli.main(argv, prog_name="netrt", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:  # a group without a verb
        error.show()
        return error.exit_code
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "netrt"
        status = RUN_FAILED if where.endswith(" run") else error.exit_code
        return _fail(f"{error.format_message().rstrip('.')} (see '{where} --help')", status)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except NetrtError as error:
        return _fail(str(error), 1)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error), 1)
    except click.Abort as error:
        interrupted = isinstance(error.__cause__, KeyboardInterrupt)
        return INTERRUPTED if interrupted else _fail("cancelled", 1)
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        what = f"{type(error).__name__}: {error}"
        return _fail(f"a fault of netrt itself: {what} (with {TRACEBACK_VARIABLE}=1 it says where)", 1)
    return done if isinstance(done, int) else 0


def _open_streams() -> None:
    """Have standard streams that our caller closed lead nowhere, as others do: else the next files that are opened, which are
    those between us, the daemon and the command, had their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
            os.set_inheritable(null, True)
            setattr(sys, name, open(null, mode, closefd=False))  # noqa: SIM115 (for as long as we are there)


def main() -> None:
    """The program `netrt`. It ends without taking itself apart, which would be a quarter of what it does."""
    _open_streams()
    status = execute(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # whoever read it has left
        pass
    except OSError as error:  # which was said already where a command met it
        status = status or _fail(f"the output cannot be written: {error.strerror}", 1)
    os._exit(status)
