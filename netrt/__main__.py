"""The program `netrt`, also as `python -m netrt`: the command line, whose end an interrupt is at any moment, without a word."""

from __future__ import annotations

import os

INTERRUPTED = 130


def main() -> None:
    try:
        from netrt.cli.main import main as command_line

        command_line()
    except KeyboardInterrupt:  # before or after what `command_line` sees to; it is a long way there
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
