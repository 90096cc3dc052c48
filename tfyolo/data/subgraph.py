"""Functions of tensors that a graph calls many times and that are traced once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import tensorflow as tf

F = TypeVar("F", bound=Callable[..., Any])


def traced_once(function: F) -> F:
    """Make a function a subgraph of the graphs that call it, instead of copying its operations into them.

    A mosaic calls the same functions for each of its tiles, and is traced once more for mixup: without this,
    tracing an augmentation takes seconds before the first batch. Outside of a graph nothing changes.

    Args:
        function: a function of tensors, and of hashable Python values that choose what is traced. It draws no
            random numbers from a `RandomStream`, whose numbers depend on how often it is called.

    Returns:
        A function with the same arguments and results.

    Example:
        >>> @traced_once
        ... def double(values):
        ...     print("traced")
        ...     return 2 * values
        >>> values = tf.data.Dataset.range(2).map(lambda x: double(x) + double(x + 1))
        traced
        >>> [int(value) for value in values]
        [2, 6]
    """
    # AutoGraph would find nothing to convert, and multiply the time of tracing.
    traced = tf.function(function, autograph=False, reduce_retracing=True)

    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        return (function if tf.executing_eagerly() else traced)(*arguments, **keywords)

    return call  # type: ignore[return-value]
