"""Spans: what they tell, to whom, and that nobody else's command is in them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from netrt.spans import Trace, current, into, span


def test_spans_are_told_in_the_order_in_which_they_began() -> None:
    trace = Trace()
    with into(trace), span("all"):
        with span("first"):
            pass
        with span(lambda: "second"):
            pass
    assert [(s.name, s.depth) for s in trace.spans] == [("all", 0), ("first", 1), ("second", 1)]
    whole, first, second = trace.spans
    assert first.began + first.took <= second.began + 1  # each rounded down
    assert second.began + second.took <= whole.began + whole.took + 1


def test_a_step_that_fails_has_ended() -> None:
    trace = Trace()
    with into(trace):
        try:
            with span("fails"):
                raise KeyError
        except KeyError:
            pass
        with span("next"):
            pass
    assert [(s.name, s.depth) for s in trace.spans] == [("fails", 0), ("next", 0)]


def test_nobody_asked() -> None:
    def never() -> str:
        raise AssertionError("a name that nobody wants to know")

    with span(never):
        assert current() is None


def test_other_threads_write_elsewhere() -> None:
    trace = Trace()

    def work() -> None:
        with span("theirs"):
            assert current() is None

    with into(trace), ThreadPoolExecutor(1) as other:
        other.submit(work).result()
    assert trace.spans == ()
