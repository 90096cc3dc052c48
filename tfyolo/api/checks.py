"""Checks of arguments, as the command line checks its flags."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tfyolo.errors import TfyoloError

_LARGEST_SIDE = 16384


def check_whole(least: int = 1, **values: int | None) -> None:
    """Refuse what is not a whole number of at least `least`; None is accepted.

    Raises:
        TfyoloError: naming the argument.

    Example:
        >>> check_whole(epochs=1, batch_size=None)
    """
    for name, value in values.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise TfyoloError(f"{name} must be a whole number of at least {least}, not {value!r}")


def check_share(**values: float) -> None:
    """Refuse what is not a number within 0 and 1.

    Raises:
        TfyoloError: naming the argument.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise TfyoloError(f"{name} must be a number within 0 and 1, not {value!r}")


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Refuse what is not one of a few values.

    Raises:
        TfyoloError: naming the argument and its choices.
    """
    if value not in choices:
        raise TfyoloError(f"{name} cannot be {value!r}", fix=f"use one of {', '.join(map(repr, choices))}")


def check_names(given: Iterable[str], known: Collection[str], elsewhere: Mapping[str, str]) -> None:
    """Refuse keyword arguments that do not exist.

    Args:
        given: names of the arguments.
        known: names that exist.
        elsewhere: what to write instead of some others.

    Raises:
        TfyoloError: with the most similar name.
    """
    for name in given:
        if name in known:
            continue
        near = elsewhere.get(name) or next(iter(difflib.get_close_matches(name, known, 1)), "")
        raise TfyoloError(f"there is no option `{name}`", fix=f"write `{near}`" if near else "leave it out")


def as_image_size(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """An image size as height and width in pixels.

    Raises:
        TfyoloError: not one or two numbers within 1 and 16384.

    Example:
        >>> as_image_size(320)
        (320, 320)
    """
    if image_size is None:
        return None
    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(sides) != 2 or not all(isinstance(side, int) and 1 <= side <= _LARGEST_SIDE for side in sides):
        raise TfyoloError(
            f"image_size must be one number within 1 and {_LARGEST_SIDE}, or height and width, "
            f"not {image_size!r}"
        )
    return sides[0], sides[1]
