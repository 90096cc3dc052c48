"""TFLite metadata as typed tables, written as a flatbuffer.

Source: metadata_schema.fbs 1.5.0 of TensorFlow Lite Support. A table lists its fields in the schema's order,
because the position of a field is its number in the file; fields after the last one written are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, TypeAlias

FILE_IDENTIFIER = b"M001"


class FileType(IntEnum):
    """Content of an associated file."""

    UNKNOWN = 0
    DESCRIPTIONS = 1
    TENSOR_AXIS_LABELS = 2
    TENSOR_VALUE_LABELS = 3


class ColorSpace(IntEnum):
    """Channel order of an input image."""

    UNKNOWN = 0
    RGB = 1


class BoxType(IntEnum):
    """Meaning of the four numbers of a box."""

    UNKNOWN = 0
    BOUNDARIES = 1


class Coordinates(IntEnum):
    """Unit of a box."""

    RATIO = 0
    PIXEL = 1


class Table:
    """A table of the schema."""

    def write(self, builder: Any) -> int:
        """Write the table and all tables, strings and vectors that it refers to.

        Args:
            builder: a `flatbuffers.Builder`.

        Returns:
            Offset of the table in the buffer.
        """
        values: list[Any] = []  # by field number: a number, or where something was written
        for entry in fields(self):  # type: ignore[arg-type]
            value = getattr(self, entry.name)
            if "union" in entry.metadata:  # takes two fields: which table, and the table
                values.append(_UnionType(1 + entry.metadata["union"].index(type(value).__name__)))
            values.append(
                value if value is None or isinstance(value, int | float) else _offset(builder, value)
            )
        builder.StartObject(len(values))
        for number, value in enumerate(values):
            _put(builder, number, value)
        return builder.EndObject()


class _UnionType(int):
    """Index of a type within a union."""


class _Offset(int):
    """Offset of a string, vector or table in the buffer."""


def _offset(builder: Any, value: Any) -> _Offset:
    """Write a string, a table or a vector; return its offset."""
    if isinstance(value, str):
        return _Offset(builder.CreateString(value))
    if isinstance(value, Table):
        return _Offset(value.write(builder))
    first = value[0]
    if isinstance(first, Table):
        items, prepend = [_offset(builder, item) for item in value], builder.PrependUOffsetTRelative
    else:
        items, prepend = value, builder.PrependFloat32 if isinstance(first, float) else builder.PrependUint32
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        prepend(item)
    return _Offset(builder.EndVector())


def _put(builder: Any, number: int, value: Any) -> None:
    """Add a field to the current table; values equal to the default of the schema take no space."""
    if value is None:
        return
    if isinstance(value, _Offset):
        builder.PrependUOffsetTRelativeSlot(number, value, 0)
    elif isinstance(value, float):
        builder.PrependFloat32Slot(number, value, 0.0)
    elif isinstance(value, _UnionType):
        builder.PrependUint8Slot(number, value, 0)
    else:
        builder.PrependInt8Slot(number, value, 0)


@dataclass(frozen=True)
class AssociatedFile(Table):
    """A file in the zip archive at the end of the model file.

    Attributes:
        name: name of the file in the archive.
        description: content of the file, for people.
        type: content of the file, for programs.
    """

    name: str
    description: str
    type: FileType = FileType.UNKNOWN


@dataclass(frozen=True)
class FeatureProperties(Table):
    """Properties of a tensor of numbers."""


@dataclass(frozen=True)
class ImageProperties(Table):
    """Properties of a tensor that is an image."""

    color_space: ColorSpace


@dataclass(frozen=True)
class BoundingBoxProperties(Table):
    """Properties of a tensor of boxes.

    Attributes:
        index: positions of left, top, right and bottom in the last axis.
        type: meaning of the four numbers.
        coordinate_type: whether they are relative to the input or in pixels.
    """

    index: tuple[int, int, int, int]
    type: BoxType
    coordinate_type: Coordinates


Properties: TypeAlias = FeatureProperties | ImageProperties | BoundingBoxProperties


@dataclass(frozen=True)
class Content(Table):
    """Kind of data in a tensor."""

    properties: Properties = field(
        metadata={
            "union": ("FeatureProperties", "ImageProperties", "BoundingBoxProperties", "AudioProperties")
        }
    )


@dataclass(frozen=True)
class NormalizationOptions(Table):
    """Normalization of float inputs: (pixel - mean) / std.

    Attributes:
        mean: subtracted, for pixels in 0..255: one value per channel, or one for all.
        std: divisor: one value per channel, or one for all.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class ScoreThresholdingOptions(Table):
    """Score threshold of the outputs."""

    global_score_threshold: float


@dataclass(frozen=True)
class ProcessUnit(Table):
    """A step before or after the model."""

    options: NormalizationOptions | ScoreThresholdingOptions = field(
        metadata={"union": ("NormalizationOptions", "ScoreCalibrationOptions", "ScoreThresholdingOptions")}
    )


@dataclass(frozen=True)
class TensorMetadata(Table):
    """One input or output.

    Attributes:
        name: name by which metadata libraries find the tensor.
        description: content of the tensor, for people.
        dimension_names: name of each dimension; None for none.
        content: kind of data: an image, boxes, or numbers.
        process_units: steps before or after the model, such as normalization.
        stats: minimum and maximum of the tensor; not written.
        associated_files: files that belong to the tensor, such as class names.
    """

    name: str
    description: str
    dimension_names: tuple[str, ...] | None
    content: Content
    process_units: tuple[ProcessUnit, ...] | None = None
    stats: None = None
    associated_files: tuple[AssociatedFile, ...] | None = None


@dataclass(frozen=True)
class SubGraphMetadata(Table):
    """The inputs and outputs of a subgraph.

    Attributes:
        name: name of the subgraph; None for none.
        description: what the subgraph does, for people; None for none.
        input_tensor_metadata: one entry per input, in the order of the subgraph.
        output_tensor_metadata: one entry per output, in the order of the subgraph.
        associated_files: files that belong to the whole subgraph.
    """

    name: str | None
    description: str | None
    input_tensor_metadata: tuple[TensorMetadata, ...]
    output_tensor_metadata: tuple[TensorMetadata, ...]
    associated_files: tuple[AssociatedFile, ...]


@dataclass(frozen=True)
class ModelMetadata(Table):
    """Metadata of a model with one subgraph.

    Attributes:
        name: name of the model.
        description: what the model does, for people.
        version: version of the model.
        subgraph_metadata: one entry.
        author: author of the model; None for none.
        license: license of the model; None for none.
        associated_files: files that belong to the model; those of tensors are in their own metadata.
        min_parser_version: lowest version of the metadata libraries that can read it.
    """

    name: str
    description: str
    version: str
    subgraph_metadata: tuple[SubGraphMetadata, ...]
    author: str | None = None
    license: str | None = None
    associated_files: tuple[AssociatedFile, ...] | None = None
    min_parser_version: str = "1.0.0"

    def pack(self) -> bytes:
        """Return the metadata as a flatbuffer, for the buffer `TFLITE_METADATA` of a model."""
        import flatbuffers

        builder = flatbuffers.Builder(1024)
        builder.Finish(self.write(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())
