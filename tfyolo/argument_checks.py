"""Checks of the values of arguments; the message names the argument."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tfyolo.errors import TfyoloError


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
            problem = f"{name} must be a whole number of at least {minimum}, not {value!r}"
            raise TfyoloError(problem, fix=_plain(value, "int"))


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
            raise TfyoloError(f"{name} must be between 0 and 1, not {value!r}", fix=_plain(value, "float"))


def _plain(value: Any, kind: str) -> str | None:
    """Return the remedy for a scalar of NumPy, which YAML and JSON files cannot hold."""
    return f"convert it with {kind}()" if type(value).__module__ == "numpy" else None


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
