"""Bounds on what an untrusted graph may need: memory and arithmetic, known before anything runs.

A graph of plain operations, without loops, needs what its shapes say. Limits grow with the input, as the
needs of a network do; the largest published ones stay below a third of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from tfyolo.errors import TfyoloError

MAX_OPERATIONS = 15_000
"""In one graph, those of the functions that it calls counted at every call."""
TENSOR_BYTES = 256 * 2**20
TENSOR_BYTES_PER_PIXEL = 1024
"""Of one tensor."""
TOTAL_BYTES = 2 * 2**30
TOTAL_BYTES_PER_PIXEL = 16 * 1024
"""Of all results of operations together."""
PRODUCTS = 2 * 10**10
PRODUCTS_PER_PIXEL = 10**6
"""Multiplications and comparisons; yolov5x needs 250,000 per pixel."""
_MAX_PIXELS = 4096 * 4096
"""Of an input, for the limits: a larger one is refused by its own size."""


@dataclass
class Budget:
    """Counts what a graph needs.

    Attributes:
        path: of the model file, for messages.
        pixels: of all images of one call.
    """

    path: Path
    pixels: int
    operations: int = 0
    total: int = 0
    products: int = 0
    _pixels: int = field(init=False)

    def __post_init__(self) -> None:
        self._pixels = min(self.pixels, _MAX_PIXELS)

    def operation(self, name: str) -> None:
        """One more.

        Raises:
            TfyoloError: there are too many.
        """
        self.operations += 1
        if self.operations > MAX_OPERATIONS:
            raise self._refused(f"holds more than {MAX_OPERATIONS:,} operations", name)

    def tensor(self, name: str, shape: tuple[int, ...], item_bytes: int, counted: bool = True) -> int:
        """A result, or with `counted=False` a constant that the file itself holds.

        Returns:
            Its number of elements.

        Raises:
            TfyoloError: it is too large, or all results together are.
        """
        elements = math.prod(shape)
        size = elements * item_bytes
        if size > TENSOR_BYTES + TENSOR_BYTES_PER_PIXEL * self._pixels:
            raise self._refused(f"makes a tensor of {size:,} bytes", name)
        if counted:
            self.total += size
            if self.total > TOTAL_BYTES + TOTAL_BYTES_PER_PIXEL * self._pixels:
                raise self._refused(f"needs more than {self.total:,} bytes", name)
        return elements

    def work(self, name: str, products: int) -> None:
        """Arithmetic of one operation.

        Raises:
            TfyoloError: the graph would compute for too long.
        """
        self.products += products
        if self.products > PRODUCTS + PRODUCTS_PER_PIXEL * self._pixels:
            raise self._refused(f"asks for more than {self.products:,} multiplications", name)

    def _refused(self, what: str, name: str) -> TfyoloError:
        return TfyoloError(
            f"{what} (at {name[:60]!r}), far beyond what a network for its image size needs, and is not run",
            path=self.path,
            fix="use files that you or people you trust have exported",
        )


def refused_operation(name: str, path: Path) -> TfyoloError:
    """An operation that is not on the allow-list of a format."""
    return foreign(f"the operation {name[:60]!r}", path)


def foreign(what: str, path: Path) -> TfyoloError:
    """Something in a model file that exporters do not write.

    Args:
        what: such as "the operation 'WriteFile'".
        path: of the file.
    """
    return TfyoloError(
        f"holds {what}, which no exported detector needs, and is not run",
        path=path,
        fix="use files that you or people you trust have exported",
    )
