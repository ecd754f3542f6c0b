"""What CNI plugins cost, beside Debian's reference plugins: whole executions as a runtime makes them, in wall time.

Ours and theirs each have a host of their own (a process in namespaces), and are asked in turn, in an order that changes, so that
what else the machine does, and what the one left to the kernel when the other is asked, meets both. A list is bridge with
masquerade and host-local addresses, or that and a published port; the attachments that are there before have a published port
each."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from netrt.paths import Paths
from tests.bench.names import installed
from tests.bench.table import Row, shown
from tests.cni import PLUGINS, Answer, Cni, Config, bridge, network, port
from tests.host import Host
from tests.namespaces import own_namespaces

REFERENCE = "/usr/lib/cni"
TURNS, WARM_UP = 30, 3
FULL, TOGETHER, AT_A_TIME = 300, 50, 8

LIMITS = {
    ("ADD", 0): 0.6, ("ADD with a port", 0): 0.25, ("ADD", FULL): 0.3, ("ADD with a port", FULL): 0.08,
    ("DEL", 0): 0.3, ("DEL with a port", 0): 0.12, ("DEL", FULL): 0.3, ("DEL with a port", FULL): 0.12,
}  # fmt: skip
"""What is to be reached, as ratios to the reference plugins."""


def lists(prefix: str) -> dict[str, Config]:
    """What is measured; `prefix` is that of our plugins' names, empty for the reference plugins. Those need a plugin more to
    publish a port, ours can do without."""
    ipam = {"type": f"{prefix}host-local", "ranges": [[{"subnet": "10.22.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    plain = bridge(ipam=ipam) | {"type": f"{prefix}bridge"}
    capable = plain | {"capabilities": {"portMappings": True}}
    chained = network(plain, {"type": f"{prefix}portmap", "capabilities": {"portMappings": True}}, version="1.0.0")
    return {
        "": network(plain, version="1.0.0"),
        " with a port": network(capable, version="1.0.0") if prefix else chained,
        " with a port, chained": chained,
    }


# in a host of its own


class Side:
    """One kind of plugins on a host."""

    def __init__(self, host: Host, prefix: str) -> None:
        self.cni = Cni(host, PLUGINS if prefix else REFERENCE)
        self.lists = lists(prefix)
        self.count = 0

    def containers(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """Names of new namespaces, each with the capabilities' arguments for a published port of its own."""
        numbers = range(self.count, self.count + count)
        self.count += count
        for number in numbers:
            subprocess.run(["ip", "netns", "add", f"c{number}"], check=True)
        return [(f"c{number}", {"portMappings": [port(10_000 + number, 80)]}) for number in numbers]

    def run(self, verb: str, config: Config, name: str, given: dict[str, Any], result: Any = None) -> Any:
        """A whole list; the last result."""
        plugins = config["plugins"] if verb == "ADD" else config["plugins"][::-1]
        for plugin in plugins:
            request = self.cni.request(config, plugin, given, result)
            answer: Answer = self.cni.execute(verb, request, container=name, netns=f"/run/netns/{name}")
            assert answer.status == 0, answer.output + answer.errors
            result = json.loads(answer.output) if verb == "ADD" else result
        return result

    def turn(self, number: int) -> dict[str, float]:
        """Milliseconds of one ADD and DEL of each list, of which each turn begins with another one."""
        took = {}
        first = number % len(self.lists)
        for what, config in (*[*self.lists.items()][first:], *[*self.lists.items()][:first]):
            ((name, given),) = self.containers(1)
            began = time.perf_counter()
            result = self.run("ADD", config, name, given)
            between = time.perf_counter()
            self.run("DEL", config, name, given, result)
            took |= {f"ADD{what}": between - began, f"DEL{what}": time.perf_counter() - between}
            subprocess.run(["ip", "netns", "del", name], check=True)
        return {what: seconds * 1000 for what, seconds in took.items()}

    def many(self, count: int) -> dict[str, float]:
        """Milliseconds of so many ADDs with a port, several at a time. They stay."""
        waiting = self.containers(count)
        began = time.perf_counter()
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(lambda one: self.run("ADD", self.lists[" with a port"], *one), waiting))
        return {"many": (time.perf_counter() - began) * 1000}

    def memory(self) -> dict[str, float]:
        """Resident megabytes of the daemon, 0 where there is none."""
        lock = Path(Paths().lock)
        if not lock.exists():
            return {"memory": 0}
        status = Path(f"/proc/{lock.read_text().strip()}/status").read_text()
        return {"memory": int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024}


def serve(prefix: str) -> None:
    """Answer lines of `VERB [NUMBER]` on stdin with lines of JSON, as a host of its own."""
    os.environ.pop("NETRT_ROOT", None)
    with own_namespaces(), closing(Host()) as host:
        host.run("ip", "link", "set", "lo", "up")
        host.outside()
        side = Side(host, prefix)
        for line in sys.stdin:
            verb, *words = line.split()
            answer = getattr(side, verb)(*map(int, words))
            print(json.dumps(answer), flush=True)


# who asks


class Far:
    """The other end of `serve`."""

    def __init__(self, prefix: str) -> None:
        words = [sys.executable, "-c", "import sys; from tests.bench.cni import serve; serve(sys.argv[1])", prefix]
        self._child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *words: object) -> dict[str, float]:
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(" ".join(map(str, words)) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, "the other end has ended"
        found: dict[str, float] = json.loads(line)
        return found

    def close(self) -> None:
        self._child.communicate(timeout=60)


def both(sides: tuple[Far, Far], *words: object, last: int = 1) -> tuple[dict[str, float], dict[str, float]]:
    """What both say, the one that is to be asked last last: the kernel is still busy with what the one before it left."""
    told = {side: sides[side](*words) for side in (1 - last, last)}
    return told[0], told[1]


def turns(sides: tuple[Far, Far], at: int) -> Iterator[Row]:
    taken = [both(sides, "turn", number, last=number % 2) for number in range(TURNS + WARM_UP)][WARM_UP:]
    for what in taken[0][0]:
        ours, theirs = (statistics.median(turn[side][what] for turn in taken) for side in (0, 1))
        yield Row(f"CNI {what} at {at} / reference", ours / theirs, LIMITS.get((what, at), 0), ours, theirs)


def rows(settle: Callable[[], None], full: int = FULL) -> Iterator[Row]:
    """Of ours beside the reference plugins, which must be there."""
    with ExitStack() as stack:
        sides = (Far("netrt-"), Far(""))
        for side in sides:
            stack.callback(side.close)
        settle()
        yield from turns(sides, 0)
        ours, theirs = (side["many"] for side in both(sides, "many", TOGETHER))
        yield Row(f"CNI {TOGETHER} ADDs, {AT_A_TIME} at a time / reference", ours / theirs, 0.5, ours, theirs)
        both(sides, "many", full - TOGETHER)
        settle()
        yield from turns(sides, FULL)
        megabytes = sides[0]("memory")["memory"]
        yield Row(f"megabytes of netrtd with {full} attachments", megabytes, 0, megabytes, 0, "MB")


def there() -> bool:
    """Whether the reference plugins are installed."""
    return Path(REFERENCE, "portmap").exists()


def had() -> None:
    """Have the reference plugins, by apt if they are missing. Raises OSError."""
    installed(f"{REFERENCE}/bridge", "containernetworking-plugins")
    installed("iptables", "iptables")


def main() -> int:
    had()
    from tests.bench.__main__ import settle

    return not shown(rows(settle), "peers.json")


if __name__ == "__main__":
    sys.exit(main())
