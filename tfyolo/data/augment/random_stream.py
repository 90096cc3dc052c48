"""Random numbers of one training image: a pure function of seed, epoch and index."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_COUNT = 64


class RandomStream:
    """A stateless stream of uniform numbers; the same calls in the same order give the same numbers.

    Args:
        seed: seed of the run.
        element: a scalar tensor, different for each image of each epoch.

    Example:
        >>> float(RandomStream(0, tf.constant(7)).uniform(-1.0, 1.0)) <= 1
        True
    """

    def __init__(self, seed: int, element: Any, stream: int = 0) -> None:
        self._base, self._element, self._stream, self._forks = seed, element, stream, 0
        key = tf.cast(element, tf.int64) + (stream << 40)
        self._seed = tf.stack([tf.constant(seed, tf.int64), key])
        self._values = tf.random.stateless_uniform([_COUNT], self._seed)
        self._used = 0

    def fork(self) -> RandomStream:
        """Return an independent stream, for numbers drawn inside a `tf.cond` branch."""
        self._forks += 1
        return RandomStream(self._base, self._element, self._stream + self._forks)

    def uniform(self, low: float | Any, high: float | Any, count: int | None = None) -> Any:
        """Draw uniform random numbers.

        Args:
            low: lower bound, included.
            high: upper bound, excluded.
            count: number of values; None for a scalar.

        Returns:
            float32 scalar, or (count,).

        Raises:
            ValueError: more than 64 numbers are drawn from this stream.
        """
        end = self._used + (count or 1)
        if end > _COUNT:
            raise ValueError("more random numbers are requested than were drawn")
        values = self._values[self._used : end] if count else self._values[self._used]
        self._used = end
        return low + values * (high - low)

    def bernoulli(self, probability: float) -> Any:
        """Draw a bool scalar that is true with this probability."""
        return self.uniform(0.0, 1.0) < probability

    def integers(self, size: int, count: int) -> Any:
        """Draw (count,) int32 in [0, size)."""
        return tf.minimum(tf.cast(self.uniform(0.0, float(size), count), tf.int32), size - 1)

    def permutation(self, size: Any) -> Any:
        """Draw a permutation of [0, size), int32."""
        shifted = self._seed + tf.constant([1 << 41, 0], tf.int64)
        return tf.random.experimental.stateless_shuffle(tf.range(size), shifted)

    def beta(self, alpha: float) -> Any:
        """Draw one number of the symmetric Beta distribution."""
        shifted = self._seed + tf.constant([1 << 40, 0], tf.int64)
        a, b = tf.unstack(tf.random.stateless_gamma([2], shifted, alpha))
        return a / (a + b)
