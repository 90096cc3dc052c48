"""Random numbers of one training image, a pure function of seed, epoch and place in the epoch."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_COUNT = 64


class RandomStream:
    """Uniform numbers by name, all drawn at once; the same names in the same order give the same numbers.

    Args:
        seed: of the run.
        element: a scalar tensor that differs from image to image.

    Example:
        >>> float(RandomStream(0, tf.constant(7)).between(-1.0, 1.0)) <= 1
        True
    """

    def __init__(self, seed: int, element: Any, stream: int = 0) -> None:
        self._base, self._element, self._stream, self._forks = seed, element, stream, 0
        key = tf.cast(element, tf.int64) + (stream << 40)
        self._seed = tf.stack([tf.constant(seed, tf.int64), key])
        self._values = tf.random.stateless_uniform([_COUNT], self._seed)
        self._used = 0

    def fork(self) -> RandomStream:
        """Numbers of another stream, where they are to be drawn inside a branch."""
        self._forks += 1
        return RandomStream(self._base, self._element, self._stream + self._forks)

    def between(self, low: float | Any, high: float | Any, count: int | None = None) -> Any:
        """One number, or `count` of them, float32 in [low, high)."""
        end = self._used + (count or 1)
        if end > _COUNT:
            raise ValueError("more random numbers are asked for than are drawn")
        values = self._values[self._used : end] if count else self._values[self._used]
        self._used = end
        return low + values * (high - low)

    def happens(self, probability: float) -> Any:
        """A bool scalar that is true with this probability."""
        return self.between(0.0, 1.0) < probability

    def indices(self, size: int, count: int) -> Any:
        """(count,) int32 below `size`."""
        return tf.minimum(tf.cast(self.between(0.0, float(size), count), tf.int32), size - 1)

    def order(self, size: Any) -> Any:
        """(size,) the int32 below `size`, shuffled."""
        shifted = self._seed + tf.constant([1 << 41, 0], tf.int64)
        return tf.random.experimental.stateless_shuffle(tf.range(size), shifted)

    def beta(self, alpha: float) -> Any:
        """One number of the symmetric Beta distribution."""
        shifted = self._seed + tf.constant([1 << 40, 0], tf.int64)
        a, b = tf.unstack(tf.random.stateless_gamma([2], shifted, alpha))
        return a / (a + b)
