"""Threads that wait for work, or have some."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def workers(count: int, name: str) -> ThreadPoolExecutor:
    """So many, all of them there from the start, so that no number of threads tells of growth."""
    pool, together = ThreadPoolExecutor(count, thread_name_prefix=name), threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(together.wait)
    together.wait()
    return pool


def begun(work: Callable[[], T]) -> Future[T]:
    """What a thread of its own makes of this work, which goes on meanwhile; where there can be none, it is done by now."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    try:
        threading.Thread(target=run, name="meanwhile", daemon=True).start()
    except RuntimeError:  # there can be no more threads
        run()
    return future
