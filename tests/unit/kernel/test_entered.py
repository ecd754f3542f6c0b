"""What is noted of the sandboxes that a command enters, and who finds it."""

from __future__ import annotations

from pathlib import Path

from netrt.kernel.entered import Entered


def test_the_next_one_finds_what_was_not_done(tmp_path: Path) -> None:
    file = tmp_path / "entered"
    first = Entered(str(file))
    first.note(["/proc/7/ns/net"])
    first.note(["/run/netns/pod", "/proc/7/ns/net"])
    second = Entered(str(file))
    assert second.paths == {"/proc/7/ns/net", "/run/netns/pod"}
    second.forget()
    assert not file.read_bytes()
    assert not Entered(str(file)).paths
    second.note(["/run/netns/b"])
    assert Entered(str(file)).paths == {"/run/netns/b"}
    second.close()
    assert Entered(str(file)).paths == {"/run/netns/b"}


def test_a_file_that_somebody_took_away_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "entered"
    entered = Entered(str(file))
    entered.note(["/run/netns/a"])
    entered.forget()
    file.unlink()
    entered.note(["/run/netns/b"])
    assert Entered(str(file)).paths == {"/run/netns/b"}
    entered.close()


def test_what_is_left_of_a_torn_note_stands_in_nobodys_way(tmp_path: Path) -> None:
    file = tmp_path / "entered"
    file.write_text('["/run/netns/a-very-long-name", "/run/netns/an')
    entered = Entered(str(file))
    entered.note(["/run/netns/b"])
    assert Entered(str(file)).paths == {"/run/netns/b"}
    entered.close()


def test_nothing_is_written_where_nobody_elses_is_entered(tmp_path: Path) -> None:
    entered = Entered(str(tmp_path / "none" / "entered"))
    entered.note([])
    entered.forget()


def test_a_file_of_something_else_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "entered").write_bytes(b"\xff[")
    assert not Entered(str(tmp_path / "entered")).paths
