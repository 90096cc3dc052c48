"""Checks of arguments, with the same limits as the command line's flags."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, get_args

from tfyolo.errors import TfyoloError
from tfyolo.quantization.budget.options import MAX_SHARE, BudgetOf, FloatBudget

_MAX_SIDE_PX = 16384


def check_whole(minimum: int = 1, **values: int | None) -> None:
    """Raise an error if a value is not a whole number of at least `minimum`; None is accepted.

    Args:
        minimum: smallest accepted value.
        values: values by the names of the arguments.

    Raises:
        TfyoloError: naming the argument.

    Example:
        >>> check_whole(epochs=1, batch_size=None)
    """
    for name, value in values.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < minimum):
            raise TfyoloError(f"{name} must be a whole number of at least {minimum}, not {value!r}")


def check_fraction(**values: float) -> None:
    """Raise an error if a value is not a number between 0 and 1.

    Args:
        values: values by the names of the arguments.

    Raises:
        TfyoloError: naming the argument.

    Example:
        >>> check_fraction(confidence=0.25)
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise TfyoloError(f"{name} must be between 0 and 1, not {value!r}")


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Raise an error if a value is not one of several choices.

    Args:
        name: name of the argument.
        value: value of the argument.
        choices: accepted values.

    Raises:
        TfyoloError: naming the argument and its choices.

    Example:
        >>> check_choice("split", "val", ("train", "val", "test"))
    """
    if value not in choices:
        raise TfyoloError(f"{name} cannot be {value!r}", fix=f"use one of {', '.join(map(repr, choices))}")


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
        similar = elsewhere.get(name) or next(iter(difflib.get_close_matches(name, known, 1)), "")
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
    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(sides) != 2 or not all(isinstance(side, int) and 1 <= side <= _MAX_SIDE_PX for side in sides):
        raise TfyoloError(
            f"image_size must be one number from 1 to {_MAX_SIDE_PX}, or height and width, not {image_size!r}"
        )
    return sides[0], sides[1]
