"""Covers of test cases: few of many cases in which everything that matters still occurs, such as all pairs of
values of a full product.
"""

from __future__ import annotations

from collections import Counter
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


def pairwise_of_groups(cases: Sequence[Case], groups: Sequence[Sequence[Hashable]]) -> list[Case]:
    """A pairwise cover of cases whose first values form groups, with each first value at least once.

    Args:
        cases: rows of equal length, in order of preference.
        groups: the first values; those of one group take turns.

    Returns:
        A subset, in the order of `cases`, with each pair of values that occurs, a group counted as one value.

    Example:
        >>> pairwise_of_groups([(a, b) for a in "xyz" for b in "123"], ["xy", "z"])
        [('x', '1'), ('x', '3'), ('y', '2'), ('z', '1'), ('z', '2'), ('z', '3')]
    """
    group_of = {value: number for number, group in enumerate(groups) for value in group}
    rows = pairwise(list(dict.fromkeys((group_of[first], *rest) for first, *rest in cases)))
    turns = Counter({first: 0 for first, *_ in cases})
    chosen: set[Case] = set()
    for number, *rest in rows:
        first = min((x for x in groups[number] if (x, *rest) in cases), key=turns.__getitem__)
        turns[first] += 1
        chosen.add((first, *rest))
    for case in cases:
        if not turns[case[0]]:
            turns[case[0]] += 1
            chosen.add(case)
    return [case for case in cases if case in chosen]


def rest_is_slow(cases: Sequence[Case], always: Sequence[Case] | None = None) -> list[object]:
    """Parameters of a test: some cases run always, the others in `make test-slow`.

    Args:
        cases: all of them.
        always: those that run always; by default the pairwise cover.
    """
    always = set(pairwise(cases) if always is None else always)
    return [pytest.param(*case, marks=() if case in always else pytest.mark.slow) for case in cases]
