"""`make profile`: where the time of an attach and of a detach goes, function by function, as cProfile has it, into
bench/profile.md. What it said the last time stays there as `before`.

The engine works as in netrtd, on a host of its own; requests and names, which are other threads and processes, are left out.
cProfile makes each call dearer, so functions that call much look worse than they are."""

from __future__ import annotations

import cProfile
import os
import platform
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from netrt.daemon.config import Config
from netrt.daemon.publisher import Publisher
from netrt.decide.networks import initial_state
from netrt.engine.engine import Engine
from netrt.kernel.kernel import LinuxKernel
from netrt.model.command import Command, CreateContainer, CreateNetwork, RemoveContainer
from netrt.model.network import Subnet
from netrt.model.port import parse_port
from netrt.model.state import State
from netrt.paths import Paths
from netrt.store.local import LocalStore
from tests.namespaces import own_namespaces

REPEATS, WARM_UP = 100, 20
SHOWN = 40
FILE = Path("bench", "profile.md")
IDLE = "_queue.SimpleQueue"
"""Where the engine waits for a command."""
AFTER, BEFORE = "# after\n", "# before\n"


def profiled(engine: Engine, commands: Iterable[Command]) -> pstats.Stats:
    """What the engine's thread did for these."""
    profile = cProfile.Profile()
    engine.look(lambda kernel, state: profile.enable()).result()
    for command in commands:
        engine.submit(command).result(20)
    engine.look(lambda kernel, state: profile.disable()).result()
    return pstats.Stats(profile)


def table(title: str, stats: pstats.Stats, count: int) -> str:
    """The functions that took most themselves: figures for one of `count` commands."""
    found = stats.stats.items()  # type: ignore[attr-defined]
    busy = ((where, figures) for where, figures in found if IDLE not in where[2])
    rows = sorted(((own, calls, whole, where) for where, (_, calls, own, whole, _) in busy), reverse=True)
    total = sum(own for own, *_ in rows)
    lines = [f"## {title}: {total / count * 1000:.2f} ms, {sum(calls for _, calls, *_ in rows) / count:,.0f} calls\n"]
    lines += ["| own ms | with callees | calls | function |", "|---:|---:|---:|---|"]
    for own, calls, whole, (file, line, name) in rows[:SHOWN]:
        place = name if file == "~" else f"{file.removeprefix(f'{os.getcwd()}/')}:{line} {name}"
        lines.append(f"| {own / count * 1000:.3f} | {whole / count * 1000:.3f} | {calls / count:.1f} | `{place}` |")
    return "\n".join(lines) + "\n"


def tables() -> str:
    with own_namespaces(), tempfile.TemporaryDirectory() as root:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        paths = Paths.under(root)
        os.makedirs(paths.run)
        store = LocalStore(paths.database)
        store.save(State(), initial_state(time.time_ns()))
        pools = Config().address_pools("fd00:1:2::/48")
        with closing(Engine(LinuxKernel(paths), store, Publisher(paths, lambda *_: None), pools)) as engine:
            engine.start()
            network = CreateNetwork(id="a" * 64, name="lan", subnets=(Subnet(cidr="10.1.0.0/16", gateway="10.1.0.1"),))
            engine.submit(network).result(20)
            come = [
                CreateContainer(
                    id=f"{number:064x}", name=f"c{number}", network_mode="lan", ports=(parse_port(f"{number}:80"),)
                )
                for number in range(20_000, 20_000 + WARM_UP + REPEATS)
            ]
            profiled(engine, come[:WARM_UP])
            attach = profiled(engine, come[WARM_UP:])
            detach = profiled(engine, [RemoveContainer(container=each.name) for each in come[WARM_UP:]])
    return f"{table('attach', attach, REPEATS)}\n{table('detach', detach, REPEATS)}"


def main() -> None:
    last = FILE.read_text().partition(AFTER)[2].partition(BEFORE)[0].strip() if FILE.exists() else ""
    host = f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} processors\n"
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(f"{AFTER}\n{host}\n{tables()}" + (f"\n{BEFORE}\n{last}\n" if last else ""))
    print(f"{FILE}: written", file=sys.stderr)


if __name__ == "__main__":
    main()
