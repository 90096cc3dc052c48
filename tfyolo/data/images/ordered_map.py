"""Map a function over many files in order, with threads if the disk is slow."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, thread_time
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
PROBE = 64
THREADS = 16


def ordered_map(function: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result, None, None]:
    """Map a function over items, in order; with threads if the first items show that the disk is slow.

    Threads slow down reading from a warm local disk, and speed up reading from a network disk many times.
    Close the generator if it is not exhausted; this ends its threads.

    Example:
        >>> list(ordered_map(abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    wall = cpu = 0.0
    for item in items[:PROBE]:
        wall, cpu = wall - perf_counter(), cpu - thread_time()
        result = function(item)
        wall, cpu = wall + perf_counter(), cpu + thread_time()
        yield result
    if wall < 3 * cpu:
        yield from map(function, items[PROBE:])
        return
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            yield from pool.map(function, items[PROBE:])
        finally:
            pool.shutdown(cancel_futures=True)
