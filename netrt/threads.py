"""Threads that wait for work."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def workers(count: int, name: str) -> ThreadPoolExecutor:
    """So many, all of them there from the start, so that no number of threads tells of growth."""
    pool, together = ThreadPoolExecutor(count, thread_name_prefix=name), threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(together.wait)
    together.wait()
    return pool
