"""`make bench-peers`: a command in a container of its own on a network with names, from its start to its end, beside Docker from
Debian's packages, on one host, in turn."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing

from tests.bench import commands
from tests.bench.__main__ import bench
from tests.bench.docker import PROGRAM, Docker, install
from tests.bench.table import Row, shown

TRUE = "int main(void) { return 0; }\n"


def rows() -> Iterator[Row]:
    with bench(), closing(Docker()) as docker:
        image = docker.image(TRUE)
        docker("network", "create", "peers")
        ours, theirs = commands.in_turn(
            [commands.PROGRAM, "run", "--rm", "--network", "bench", "--", "true"],
            [*docker.argv, "run", "--rm", "--network", "peers", image, PROGRAM],
        )
        docker("network", "rm", "peers")
    yield Row("netrt run -- true / docker run --rm", ours / theirs, 0.2, ours, theirs)


def main() -> int:
    install()
    return not shown(rows(), "run-peers.json")


if __name__ == "__main__":
    sys.exit(main())
