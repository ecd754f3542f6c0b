"""`make bench-peers`: a command in a container of its own on a network, from its start to its end, beside Docker and podman from
Debian's packages, on one host, in turn. podman has it easier: its network has no names, its container no control group."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing

from tests.bench import commands, docker, podman
from tests.bench.__main__ import bench
from tests.bench.docker import PROGRAM, Docker
from tests.bench.podman import Podman
from tests.bench.table import Row, shown

TRUE = "int main(void) { return 0; }\n"


def rows() -> Iterator[Row]:
    with bench(), closing(Docker()) as by_docker:
        by_podman = Podman()
        by_docker("network", "create", "peers")
        ours, dockers, podmans = commands.in_turn(
            [commands.PROGRAM, "run", "--rm", "--network", "bench", "--", "true"],
            [*by_docker.argv, "run", "--rm", "--network", "peers", by_docker.image(TRUE), PROGRAM],
            [*by_podman.argv, "run", "--rm", "--network", "peers", by_podman.image(TRUE), PROGRAM],
        )
        by_docker("network", "rm", "peers")
    yield Row("netrt run -- true / docker run --rm", ours / dockers, 0.2, ours, dockers)
    yield Row("netrt run -- true / podman run --rm", ours / podmans, 0.2, ours, podmans)


def main() -> int:
    docker.install()
    podman.install()
    return not shown(rows(), "run-peers.json")


if __name__ == "__main__":
    sys.exit(main())
