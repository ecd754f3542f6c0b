"""The log of a container: lines and parts, rotation, and a reader beside the writer."""

from __future__ import annotations

import json
import select
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrt.launch.logfile import PART, Lines, LogWriter, entry, timestamp
from netrt.launch.logread import LogReader


@given(st.lists(st.binary(max_size=40)))
def test_nothing_is_lost_however_the_stream_is_cut(chunks: list[bytes]) -> None:
    lines = Lines()
    parts = [part for chunk in chunks for part in lines.feed(chunk)]
    parts += lines.end()
    assert b"".join(parts) == b"".join(chunks)
    assert all(part.index(b"\n") == len(part) - 1 for part in parts if b"\n" in part)
    assert all(part.endswith(b"\n") for part in parts[:-1])


@given(st.text(alphabet="aé€😀", min_size=1, max_size=9), st.integers(1, 3 * PART), st.integers(500, 9000))
def test_a_long_line_is_cut_between_characters(pattern: str, times: int, size: int) -> None:
    lines, text = Lines(), pattern * times
    content = text.encode()
    parts = [p for at in range(0, len(content), size) for p in lines.feed(content[at : at + size])]
    parts += lines.end()
    assert "".join(part.decode() for part in parts) == text, "each part decodes by itself"
    assert all(0 < len(part) <= PART for part in parts)


def test_what_is_no_text_is_cut_all_the_same() -> None:
    lines = Lines()
    parts = [*lines.feed(b"\x80" * (3 * PART)), *lines.end()]
    assert b"".join(parts) == b"\x80" * (3 * PART)
    assert all(0 < len(part) <= PART for part in parts)


def test_entry_is_dockers() -> None:
    assert json.loads(entry(b'say "hi"\xff\n', "stderr", 1_700_000_000_000_000_007)) == {
        "log": 'say "hi"\ufffd\n',
        "stream": "stderr",
        "time": "2023-11-14T22:13:20.000000007Z",
    }
    assert timestamp(0) == "1970-01-01T00:00:00.000000000Z"


def write(writer: LogWriter, *words: str) -> None:
    for word in words:
        writer.write(entry(f"{word}\n".encode(), "stdout", 0))


def words(reader: LogReader) -> list[str]:
    return [e.log.strip() for e in reader.entries()]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "logs/c.log")


SIZE = len(entry(b"00\n", "stdout", 0))


def test_reader_follows_through_every_rotation(path: str) -> None:
    writer = LogWriter(path, limit=SIZE * 3)
    written = [f"{n:02}" for n in range(30)]
    with LogReader(path) as reader:
        seen = []
        for word in written:
            write(writer, word)
            assert select.select([reader], [], [], 0)[0], "the descriptor tells of each"
            seen += words(reader)
            assert not select.select([reader], [], [], 0)[0], "and is quiet when all is read"
    assert seen == written


def test_reader_that_comes_late_has_the_last_two_files(path: str) -> None:
    writer = LogWriter(path, limit=SIZE * 3)
    write(writer, *(f"{n:02}" for n in range(11)))
    for tail, expected in ((None, ["06", "07", "08", "09", "10"]), (3, ["08", "09", "10"]), (0, []), (99, None)):
        with LogReader(path, tail) as reader:
            assert words(reader) == (expected if expected is not None else ["06", "07", "08", "09", "10"])


def test_half_a_line_waits_and_rubbish_is_passed_over(path: str) -> None:
    writer = LogWriter(path)
    write(writer, "one")
    with LogReader(path) as reader, open(path, "ab") as file:
        assert words(reader) == ["one"]
        line = entry(b"two\n", "stdout", 0)
        file.write(line[:10])
        file.flush()
        assert words(reader) == []
        file.write(line[10:] + b"rubbish\n[]\n")
        file.flush()
        write(writer, "three")
        assert words(reader) == ["two", "three"]


def test_no_log_has_no_entries_until_there_is_one(path: str) -> None:
    with LogReader(path) as reader:
        assert words(reader) == []
        write(LogWriter(path), "one")
        assert words(reader) == ["one"]


def test_writer_goes_on_where_another_stopped(path: str) -> None:
    write(LogWriter(path, limit=SIZE * 3), "01", "02")
    write(LogWriter(path, limit=SIZE * 3), "03", "04")
    assert Path(path + ".1").read_bytes().count(b"\n") == 3
    assert Path(path).read_bytes().count(b"\n") == 1
