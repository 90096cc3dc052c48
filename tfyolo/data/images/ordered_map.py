"""Doing the same to many files, in order, by as many threads as the disk makes worth while."""

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
    """`function` of every item, in order; by threads if the first items show that the disk is waited for.

    On a warm local disk threads only stand in each other's way; on a network disk they are many times faster.
    Close the generator where it is not run to its end; its threads end then.

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
