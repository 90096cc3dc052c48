"""Covers of test cases: few of many cases in which everything that matters still occurs, such as all pairs of
values of a full product.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import combinations

import pytest

Case = tuple[Hashable, ...]


def cover(cases: Sequence[Case], parts: Callable[[Case], set[Hashable]]) -> list[Case]:
    """Choose cases greedily until every part of any case occurs.

    Args:
        cases: in order of preference.
        parts: the parts of a case.

    Returns:
        A subset, in the order of `cases`.

    Example:
        >>> cover([("train", "--img"), ("train",), ("train", "--img", "--seed")], lambda case: set(case))
        [('train', '--img', '--seed')]
    """
    missing = set().union(*map(parts, cases))
    chosen: set[Case] = set()
    while missing:
        best = max(cases, key=lambda case: len(parts(case) & missing))
        chosen.add(best)
        missing -= parts(best)
    return [case for case in cases if case in chosen]


def pairwise(cases: Sequence[Case]) -> list[Case]:
    """A greedy pairwise cover of some cases.

    Args:
        cases: rows of equal length, in order of preference.

    Returns:
        A subset, in the order of `cases`, with each pair of values of two columns that occurs in `cases`.

    Example:
        >>> pairwise([(a, b, c) for a in "xy" for b in "12" for c in "pq"])
        [('x', '1', 'p'), ('x', '2', 'q'), ('y', '1', 'q'), ('y', '2', 'p')]
    """
    return cover(cases, _pairs)


def _pairs(case: Case) -> set[Hashable]:
    return {(i, a, j, b) for (i, a), (j, b) in combinations(enumerate(case), 2)}


def rest_is_slow(cases: Sequence[Case]) -> list[object]:
    """Parameters of a test: the pairwise cover runs always, the other cases in `make test-slow`."""
    always = set(pairwise(cases))
    return [pytest.param(*case, marks=() if case in always else pytest.mark.slow) for case in cases]
