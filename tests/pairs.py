"""Pairwise test cases: few rows of a full product in which all pairs of values still occur."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations

import pytest

Case = tuple[Hashable, ...]


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
    missing = set().union(*map(_pairs, cases))
    chosen: set[Case] = set()
    while missing:
        best = max(cases, key=lambda case: len(_pairs(case) & missing))
        chosen.add(best)
        missing -= _pairs(best)
    return [case for case in cases if case in chosen]


def _pairs(case: Case) -> set[tuple[int, Hashable, int, Hashable]]:
    return {(i, a, j, b) for (i, a), (j, b) in combinations(enumerate(case), 2)}


def rest_is_slow(cases: Sequence[Case]) -> list[object]:
    """Parameters of a test: the pairwise cover runs always, the other cases in `make test-slow`."""
    always = set(pairwise(cases))
    return [pytest.param(*case, marks=() if case in always else pytest.mark.slow) for case in cases]
