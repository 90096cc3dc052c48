"""Checks of arguments of the Python API, with the same limits as the command line's flags."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Integral
from typing import get_args

import numpy as np

from tfyolo.argument_checks import check_choice, check_whole
from tfyolo.errors import TfyoloError
from tfyolo.libraries import require
from tfyolo.quantization.budget.options import MAX_SHARE, BudgetOf, FloatBudget
from tfyolo.text import closest

_MAX_SIDE_PX = 16384


def check_names(given: Iterable[str], known: Collection[str], elsewhere: Mapping[str, str]) -> None:
    """Raise an error if a keyword argument does not exist.

    Args:
        given: names of the arguments that were passed.
        known: names that exist.
        elsewhere: remedies for names that other libraries use.

    Raises:
        TfyoloError: with the most similar name.

    Example:
        >>> check_names(["patience"], ["patience", "cache"], {})
    """
    for name in given:
        if name in known:
            continue
        similar = elsewhere.get(name) or closest(name, known)
        fix = f"write `{similar}`" if similar else "leave it out"
        raise TfyoloError(f"unknown option `{name}`", fix=fix)


def as_budget(share: float, of: BudgetOf, images: int) -> FloatBudget | None:
    """Convert the arguments of a float budget; None for a share of 0.

    Args:
        share: see `FloatBudget`.
        of: `latency` or `multiply-adds`.
        images: number of images that parts are compared on.

    Raises:
        TfyoloError: an argument is wrong, or has no effect without a share.

    Example:
        >>> as_budget(0.15, "latency", 32)
        FloatBudget(share=0.15, of='latency', images=32)
    """
    check_choice("budget_of", of, get_args(BudgetOf))
    check_whole(budget_images=images)
    if not (isinstance(share, int | float) and 0 <= share <= MAX_SHARE):
        raise TfyoloError(f"float_budget must be a number from 0 to {MAX_SHARE}, such as 0.15, not {share!r}")
    if share:
        require("matplotlib")  # draws the chart of the search
        return FloatBudget(share, of, images)
    if FloatBudget(share, of, images) != FloatBudget(share):
        raise TfyoloError("budget_of and budget_images need float_budget", fix="pass float_budget=0.15")
    return None


def as_image_size(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Convert an image size to (height, width) in pixels.

    Args:
        image_size: one number for a square, or (height, width), or None.

    Returns:
        (height, width), or None.

    Raises:
        TfyoloError: not one or two numbers from 1 to 16384.

    Example:
        >>> as_image_size(320)
        (320, 320)
    """
    if image_size is None:
        return None
    sides = (
        tuple(image_size) if isinstance(image_size, tuple | list | np.ndarray) else (image_size, image_size)
    )
    whole = all(isinstance(side, Integral) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not whole or not all(1 <= side <= _MAX_SIDE_PX for side in sides):
        raise TfyoloError(
            f"image_size must be one number from 1 to {_MAX_SIDE_PX}, or height and width, not {image_size!r}"
        )
    return int(sides[0]), int(sides[1])


def as_layers(keep_float: str | Sequence[str]) -> tuple[str, ...]:
    """Convert the names of float layers, or one name, to a tuple.

    Example:
        >>> as_layers("model.24")
        ('model.24',)
    """
    return (keep_float,) if isinstance(keep_float, str) else tuple(keep_float)


def as_names(names: Sequence[str] | Mapping[int, str]) -> tuple[str, ...]:
    """Convert class names to a tuple.

    Args:
        names: a list, or names by class id from 0.

    Raises:
        TfyoloError: not a list of different names.

    Example:
        >>> as_names({0: "cat", 1: "dog"})
        ('cat', 'dog')
    """
    if isinstance(names, Mapping):
        names = [names[i] for i in range(len(names))] if names.keys() == {*range(len(names))} else ""
    listed = () if isinstance(names, str) else tuple(names)
    are_names = all(isinstance(name, str) and name for name in listed)
    if isinstance(names, str) or not are_names or len({*listed}) < len(listed):
        raise TfyoloError("names must be a list of different class names", fix='pass names=["cat", "dog"]')
    return listed
