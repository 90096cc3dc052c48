"""Limits on the memory and computation of an untrusted graph, checked before it runs.

Memory and computation of a graph without loops follow from its shapes. The limits grow with the number of
input pixels, as those of a network do; the largest published networks stay below a third of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfyolo.errors import UNTRUSTED_FIX, TfyoloError

Shape = Sequence[int]
MAX_OPERATIONS = 15_000
"""Maximum number of operations in a graph; those of functions are counted for every call."""
TENSOR_BYTES = 256 * 2**20
TENSOR_BYTES_PER_PIXEL = 1024
"""Maximum size of one tensor."""
TOTAL_BYTES = 2 * 2**30
TOTAL_BYTES_PER_PIXEL = 16 * 1024
"""Maximum total size of the outputs of all operations."""
PEAK_BYTES = 2 * 2**30
PEAK_BYTES_PER_PIXEL = 1024
"""Maximum size of the tensors that are alive at the same time; yolov5x6 needs 400 bytes per pixel."""
PRODUCTS = 2 * 10**10
PRODUCTS_PER_PIXEL = 10**6
"""Maximum number of multiplications and equivalent work; yolov5x6 needs 300,000 per pixel."""
_ELEMENT_MULTIPLICATIONS = 16
"""Cost of an element that an operation reads or writes, which takes as long as several multiplications of a
convolution."""
_IOU_MULTIPLICATIONS = 16
"""Cost of the IoU of two boxes."""
_SORT_MULTIPLICATIONS = 32
"""Cost per sorted element: log2 of a large number of elements."""
_MAX_PIXELS = 4096 * 4096
"""Number of pixels up to which the limits grow; the input tensor of a larger image exceeds its own limit."""


@dataclass
class Budget:
    """Counter of the operations, memory and computation of a graph.

    Attributes:
        path: path of the model file, for messages.
        pixels: number of pixels of all images in one call.
        operations: number of operations so far.
        total: bytes of their outputs so far.
        products: number of multiplications and equivalent work so far.
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
        """Count an operation.

        Args:
            name: name of the operation, for the message.

        Raises:
            TfyoloError: there are too many operations.
        """
        self.operations += 1
        if self.operations > MAX_OPERATIONS:
            raise self._refused(f"contains more than {MAX_OPERATIONS:,} operations", name)

    def tensor(self, name: str, shape: tuple[int, ...], item_bytes: int, counted: bool = True) -> int:
        """Count a tensor.

        Args:
            name: name of the operation, for the message.
            shape: shape of its output.
            item_bytes: bytes per element.
            counted: add it to the total; False for a constant in the file.

        Returns:
            Its number of elements.

        Raises:
            TfyoloError: the tensor or the total is too large.
        """
        elements = math.prod(shape)
        size = elements * item_bytes
        if size > TENSOR_BYTES + TENSOR_BYTES_PER_PIXEL * self._pixels:
            raise self._refused(f"creates a tensor of {size:,} bytes", name)
        if counted:
            self.total += size
            if self.total > TOTAL_BYTES + TOTAL_BYTES_PER_PIXEL * self._pixels:
                raise self._refused(f"needs more than {self.total:,} bytes", name)
        return elements

    def peak(self, size: int) -> None:
        """Check the memory that a runtime allocates for tensors.

        Args:
            size: bytes of the tensors that are alive at the same time.

        Raises:
            TfyoloError: they are too many.
        """
        if size > PEAK_BYTES + PEAK_BYTES_PER_PIXEL * self._pixels:
            raise self._refused(f"needs {size / 2**30:.0f} GiB of memory", "the whole graph")

    def work(
        self, name: str, inputs: Iterable[Shape], outputs: Iterable[Shape], multiplications: int = 0
    ) -> int:
        """Count the computation of an operation.

        Every operation costs at least the elements of all its inputs and outputs.

        Args:
            name: name of the operation, for the message.
            inputs: shapes of its inputs.
            outputs: shapes of its outputs.
            multiplications: number of multiplications, if more than one per element.

        Returns:
            The cost of the operation, in multiplications.

        Raises:
            TfyoloError: the graph needs too many multiplications.
        """
        elements = sum(math.prod(shape) for shapes in (inputs, outputs) for shape in shapes)
        return self.charge(name, elements * _ELEMENT_MULTIPLICATIONS + multiplications)

    def charge(self, name: str, cost: int) -> int:
        """Count computation whose cost is known, such as that of operations that are computed again.

        Args:
            name: name of the operation, for the message.
            cost: its cost, in multiplications.

        Returns:
            `cost`.

        Raises:
            TfyoloError: the graph needs too many multiplications.
        """
        self.products += cost
        if self.products > PRODUCTS + PRODUCTS_PER_PIXEL * self._pixels:
            raise self._refused(f"needs more than {self.products:,} multiplications", name)
        return cost

    def _refused(self, what: str, name: str) -> TfyoloError:
        return TfyoloError(
            f"{what} (at {name[:60]!r}), far more than a network of this image size needs, so it is not run",
            path=self.path,
            fix=UNTRUSTED_FIX,
        )


def sort_multiplications(elements: int) -> int:
    """Return the cost of sorting, or of the selection of the largest elements.

    Args:
        elements: number of elements.
    """
    return elements * _SORT_MULTIPLICATIONS


def nms_multiplications(num_boxes: int, max_selected: int) -> int:
    """Return the cost of NMS of one class: boxes are sorted, and each is compared with all that are selected.

    Args:
        num_boxes: number of boxes.
        max_selected: maximum number of boxes that are selected.
    """
    comparisons = num_boxes * min(num_boxes, max_selected)
    return sort_multiplications(num_boxes) + comparisons * _IOU_MULTIPLICATIONS


def refused_operation(name: str, path: Path) -> TfyoloError:
    """Return the error for an operation that is not on the allow-list of a format."""
    return foreign(f"the operation {name[:60]!r}", path)


def foreign(what: str, path: Path) -> TfyoloError:
    """Return the error for something in a model file that exported models do not have.

    Args:
        what: description of it, such as "the operation 'WriteFile'".
        path: path of the file.
    """
    return TfyoloError(
        f"contains {what}, which exported models do not need, so it is not run",
        path=path,
        fix=UNTRUSTED_FIX,
    )
