"""Caches of decoded images in memory or on disk, read by index in TensorFlow operations."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.files import atomic_folder, cache_folder
from tfyolo.memory import available_memory_bytes
from tfyolo.owned_files import Owned

_MARGIN = 1 << 30
"""Bytes of the disk that are left free."""
_SHAPES = "shapes.npy"
_OWNED = Owned(("*.rgb", _SHAPES), marker=_SHAPES)


class InMemory:
    """A cache in memory: all images in one flat tensor.

    Args:
        images: uint8 (h, w, 3) tensors.
        count: how many there are.

    Raises:
        TfyoloError: there is not enough memory.
    """

    def __init__(self, images: Iterable[Any], count: int) -> None:
        kept: list[np.ndarray] = []
        used, free = 0, available_memory_bytes()
        for image in images:
            used += image.shape.num_elements()
            expected = used * count // (len(kept) + 1)
            if free is not None and 2 * expected > free:  # the list, and then the tensor made of it
                raise TfyoloError(
                    f"--cache ram needs about {2 * expected / 2**30:.1f} GiB of memory, "
                    f"but only {free / 2**30:.1f} GiB is free",
                    fix="use --cache disk, or leave out --cache",
                )
            kept.append(image.numpy())
        self._hw = tf.constant([image.shape[:2] for image in kept], tf.int64)
        self._starts = tf.constant(np.cumsum([0, *(image.size for image in kept)]), tf.int64)
        self._flat = tf.constant(np.concatenate([image.ravel() for image in kept]))

    def __call__(self, index: Any) -> Any:
        """uint8 (h, w, 3)."""
        flat = self._flat[self._starts[index] : self._starts[index + 1]]
        return tf.reshape(flat, tf.concat([self._hw[index], [3]], 0))


class OnDisk:
    """A cache on disk: raw pixels in the cache folder, reused by later runs.

    Args:
        images: uint8 (h, w, 3) tensors; read only if the cache does not exist yet.
        count: how many there are.
        identity: describes the files and the decoding; the folder's name is its hash.

    Raises:
        TfyoloError: there is not enough disk space.
    """

    def __init__(self, images: Iterable[Any], count: int, identity: Sequence[Any]) -> None:
        name = blake2b(repr(tuple(identity)).encode(errors="surrogatepass"), digest_size=16).hexdigest()
        self.folder = cache_folder() / "images" / name
        hw = _read_shapes(self.folder, count)
        if hw is None:
            with atomic_folder(self.folder, _OWNED, durable=False) as folder:
                hw = _write(images, count, folder)
                np.save(folder / _SHAPES, hw)
        self._hw = tf.constant(hw, tf.int64)

    def __call__(self, index: Any) -> Any:
        """uint8 (h, w, 3)."""
        path = tf.strings.join([f"{self.folder}/", tf.strings.as_string(index), ".rgb"])
        data = tf.io.decode_raw(tf.io.read_file(path), tf.uint8)
        return tf.reshape(data, tf.concat([self._hw[index], [3]], 0))


def _read_shapes(folder: Path, count: int) -> np.ndarray | None:
    """Return heights and widths (n, 2) of an existing cache; None if it is incomplete."""
    try:
        hw = np.load(folder / _SHAPES, allow_pickle=False)
        if hw.shape != (count, 2):
            return None
        sizes = [(folder / f"{number}.rgb").stat().st_size for number in range(count)]
    except (OSError, ValueError, EOFError):
        return None
    return hw if sizes == (3 * hw.prod(1)).tolist() else None


def _write(images: Iterable[Any], count: int, folder: Path) -> np.ndarray:
    """Write pixels, and return heights and widths (n, 2)."""
    shapes, used = [], 0
    free = shutil.disk_usage(folder).free - _MARGIN
    for number, image in enumerate(images):
        pixels = image.numpy()
        shapes.append(pixels.shape[:2])
        used += pixels.size
        expected = used * count // len(shapes)
        if expected > free:
            raise TfyoloError(
                f"--cache disk needs about {expected / 2**30:.1f} GiB, "
                f"but only {max(free, 0) / 2**30:.1f} GiB is free",
                path=folder.parent.parent,
                fix="set TFYOLO_CACHE to a folder on a larger disk, or leave out --cache",
            )
        (folder / f"{number}.rgb").write_bytes(pixels.tobytes())
    return np.array(shapes, np.int64)
