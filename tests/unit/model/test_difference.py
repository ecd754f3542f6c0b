"""What differs between two tables, however one became the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netrt.model.difference import difference

ENTRIES = {(key, letter): (key, letter) for key in range(10) for letter in "abc"}
"""An entry belongs to one key, as in a State."""
tables = st.dictionaries(st.integers(0, 9), st.sampled_from("abc"), max_size=8).map(
    lambda drawn: {key: ENTRIES[key, letter] for key, letter in drawn.items()}
)
Table = dict[int, tuple[int, str]]


@given(tables, tables)
def test_applied_to_the_one_it_gives_the_other(before: Table, after: Table) -> None:
    gone, put = difference(before, after)
    rest = {key: value for key, value in before.items() if key not in gone}
    assert set(gone) == before.keys() - after.keys()
    assert rest | dict(put) == after
    assert all(before.get(key) is not value for key, value in put), "nothing that stayed"


@given(tables, st.integers(0, 9))
def test_an_edit_is_all_that_differs(before: Table, key: int) -> None:
    value = (key, "new")
    assert difference(before, {**before, key: value}) == ((), ((key, value),))
    assert difference(before, before) == ((), ())
    without = {k: v for k, v in before.items() if k != key}
    assert difference(before, without) == (((key,) if key in before else ()), ())
