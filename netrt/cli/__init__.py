"""The command line: a client of the daemon's API, in the words and flags of Docker's.

Rule 1: nothing is imported before it is needed; `netrt --help` loads click (as little of it as will do) and this room's table of
verbs, no more.
Rule 2: a verb asks the daemon and prints the answer; it decides nothing, but refuses what can be known to be wrong.
Rule 3: a start is most of what a command costs, so what is imported is not searched for garbage.
"""

import gc

gc.disable()

import netrt.cli.lean  # noqa: E402, F401  first, for it says what click loads
