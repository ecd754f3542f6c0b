"""Names for containers that got none."""

from __future__ import annotations

import secrets

_ADJECTIVES = (
    "able", "agile", "amber", "brave", "bright", "brisk", "calm", "clear", "clever", "crisp", "eager", "early", "fair",
    "fleet", "fond", "fresh", "gentle", "glad", "golden", "green", "happy", "hardy", "keen", "kind", "lively", "loyal",
    "lucid", "merry", "mild", "neat", "noble", "patient", "polite", "proud", "quick", "quiet", "ready", "robust",
    "serene", "sharp", "silent", "silver", "simple", "smooth", "steady", "sunny", "swift", "tidy", "warm", "wise",
)  # fmt: skip
_NOUNS = (
    "acorn", "anchor", "badger", "beacon", "birch", "bridge", "brook", "canal", "cedar", "cliff", "comet", "coral",
    "crane", "delta", "falcon", "fern", "ferry", "finch", "fjord", "forest", "garden", "grove", "harbor", "hazel",
    "heron", "island", "juniper", "kestrel", "lagoon", "lantern", "larch", "maple", "meadow", "orchard", "osprey",
    "otter", "pebble", "pine", "plover", "poplar", "quarry", "reef", "river", "robin", "rowan", "spruce", "stork",
    "summit", "thistle", "willow",
)  # fmt: skip


def generated_name() -> str:
    """As in `swift_otter`."""
    return f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_NOUNS)}"
