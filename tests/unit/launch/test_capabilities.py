"""Which capabilities `--cap-add` and `--cap-drop` leave, as Docker has it."""

from __future__ import annotations

import pytest

from netrt.errors import Invalid
from netrt.launch.capabilities import DEFAULT, NAMES, capability_names


def test_defaults_are_dockers_fourteen() -> None:
    assert len(DEFAULT) == 14
    assert capability_names([], []) == set(DEFAULT)
    assert NAMES.index("NET_ADMIN") == 12
    assert NAMES.index("CHECKPOINT_RESTORE") == 40


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["NET_ADMIN"], ["CHOWN"], set(DEFAULT) - {"CHOWN"} | {"NET_ADMIN"}),
        (["cap_net_admin", "CAP_BPF"], ["all"], {"NET_ADMIN", "BPF"}),
        (["ALL"], ["SYS_ADMIN"], set(NAMES) - {"SYS_ADMIN"}),
        (["ALL"], ["ALL"], set(NAMES)),
        ([], ["ALL"], set()),
        (["CHOWN"], ["CHOWN"], set(DEFAULT)),
    ],
)
def test_added_and_dropped(add: list[str], drop: list[str], expected: set[str]) -> None:
    assert capability_names(add, drop) == expected


@pytest.mark.parametrize("name", ["FLY", "", "CAP_", "NET ADMIN", "NET_ADMIN\n"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(Invalid, match="unknown capability"):
        capability_names([name], [])
    with pytest.raises(Invalid, match="unknown capability"):
        capability_names([], [name])
