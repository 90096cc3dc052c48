"""Decoded pictures, kept in memory or on the disk, that TensorFlow operations read by index."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.files import atomic, cache_folder

_MARGIN = 1 << 30
"""Bytes of the disk that are left free."""


class InMemory:
    """All pictures in one flat tensor.

    Args:
        pictures: uint8 (h, w, 3) tensors.
        count: how many there are.

    Raises:
        TfyoloError: memory would not hold them.
    """

    def __init__(self, pictures: Iterable[Any], count: int) -> None:
        kept: list[np.ndarray] = []
        used, free = 0, _free_memory()
        for picture in pictures:
            used += picture.shape.num_elements()
            expected = used * count // (len(kept) + 1)
            if 2 * expected > free:  # the list, and then the tensor made of it
                raise TfyoloError(
                    f"--cache ram needs about {2 * expected / 2**30:.1f} GiB of memory, "
                    f"and {free / 2**30:.1f} are free",
                    fix="use --cache disk, or leave out --cache",
                )
            kept.append(picture.numpy())
        self._hw = tf.constant([picture.shape[:2] for picture in kept], tf.int64)
        self._starts = tf.constant(np.cumsum([0, *(picture.size for picture in kept)]), tf.int64)
        self._flat = tf.constant(np.concatenate([picture.ravel() for picture in kept]))

    def __call__(self, index: Any) -> Any:
        """uint8 (h, w, 3)."""
        flat = self._flat[self._starts[index] : self._starts[index + 1]]
        return tf.reshape(flat, tf.concat([self._hw[index], [3]], 0))


class OnDisk:
    """All pictures one after the other in a file of the cache folder, which later runs use again.

    Args:
        pictures: uint8 (h, w, 3) tensors; asked for only if there is no such file yet.
        count: how many there are.
        identity: of what they were decoded from, and how: it names the file.

    Raises:
        TfyoloError: the disk would not hold them.
    """

    def __init__(self, pictures: Iterable[Any], count: int, identity: Sequence[Any]) -> None:
        name = blake2b(repr(tuple(identity)).encode(errors="surrogatepass"), digest_size=16).hexdigest()
        self.path = cache_folder() / "pictures" / f"{name}.rgb"
        shapes_path = self.path.with_suffix(".npy")
        hw = _read_shapes(shapes_path, self.path, count)
        if hw is None:
            with atomic(self.path) as pixels, atomic(shapes_path) as shapes:
                hw = _write(pictures, count, pixels)
                np.save(shapes, hw)
        self._hw = tf.constant(hw)
        self._starts = tf.constant(np.cumsum([0, *(hw.prod(1) * 3)]), tf.int64)

    def __call__(self, index: Any) -> Any:
        """uint8 (h, w, 3)."""
        begin, end = self._starts[index], self._starts[index + 1]
        data = read_span(str(self.path), begin, end - begin, self._starts[-1] - end)
        return tf.reshape(tf.io.decode_raw(data, tf.uint8), tf.concat([self._hw[index], [3]], 0))


def read_span(path: Any, offset: Any, length: Any, rest: Any) -> Any:
    """A part of a file, without reading what is around it: a data set of one record, with head and foot.

    Args:
        path: of the file.
        offset: of the part, in bytes.
        length: in bytes.
        rest: bytes of the file after the part.
    """
    return tf.data.FixedLengthRecordDataset(
        path, record_bytes=length, header_bytes=offset, footer_bytes=rest
    ).get_single_element()


def _read_shapes(path: Path, pixels: Path, count: int) -> np.ndarray | None:
    """Heights and widths of an earlier run's file, if it is whole."""
    try:
        hw = np.load(path, allow_pickle=False)
        whole = hw.shape == (count, 2) and int(hw.prod(1).sum()) * 3 == pixels.stat().st_size
    except (OSError, ValueError, EOFError):
        return None
    return hw if whole else None


def _write(pictures: Iterable[Any], count: int, path: Path) -> np.ndarray:
    """Write pixels, give heights and widths (n, 2)."""
    shapes, used = [], 0
    free = shutil.disk_usage(path.parent).free - _MARGIN
    with path.open("wb") as stream:
        for picture in pictures:
            pixels = picture.numpy()
            shapes.append(pixels.shape[:2])
            used += pixels.size
            expected = used * count // len(shapes)
            if expected > free:
                raise TfyoloError(
                    f"--cache disk needs about {expected / 2**30:.1f} GiB, and {max(free, 0) / 2**30:.1f} "
                    "are free",
                    path=path.parent.parent,
                    fix="set TFYOLO_CACHE to a folder on a larger disk, or leave out --cache",
                )
            stream.write(pixels.tobytes())
    return np.array(shapes, np.int64)


def _free_memory() -> int:
    """Bytes that may be used without swapping; without a limit where the system does not tell."""
    try:
        rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 1 << 62
