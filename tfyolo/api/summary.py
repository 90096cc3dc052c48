"""The layers of a network with their output shapes and cost, for `summary()` and `tfyolo summary`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfyolo.models.tasks import TASKS

if TYPE_CHECKING:
    from tfyolo.models.spec import Layer, ModelSpec

_SHORT_ARGUMENTS = {"filters": "", "kernel": "k", "stride": "s", "padding": "p"}
"""How the arguments that nearly every layer has are abbreviated."""


@dataclass(frozen=True)
class LayerRow:
    """One layer of a network.

    Attributes:
        index: position in the configuration.
        section: `backbone`, `neck` or `head`.
        sources: indices of the layers whose outputs are the inputs; -1 is the image.
        repeats: number of repeated blocks.
        block: name of the block.
        arguments: its arguments, abbreviated; of a detection head, the anchors of each scale.
        outputs: shape of each output, as `height x width x channels`.
        parameters: number of weights.
        gflops: floating-point operations for one image, in units of 10^9.
    """

    index: int
    section: str
    sources: tuple[int, ...]
    repeats: int
    block: str
    arguments: str
    outputs: tuple[str, ...]
    parameters: int
    gflops: float


def layer_rows(spec: ModelSpec, image_size: tuple[int, int]) -> list[LayerRow]:
    """Compute the shape and the cost of each layer, without building the network.

    Args:
        spec: configuration of the network.
        image_size: input size (height, width) in pixels.

    Returns:
        One row per layer.

    Example:
        >>> from tfyolo.models import load_spec
        >>> first = layer_rows(load_spec("yolov5n"), (640, 640))[0]
        >>> first.block, first.outputs, first.parameters
        ('Conv', ('320x320x16',), 1760)
    """
    from tfyolo.models import count_model

    ops, shapes = count_model(spec, image_size)
    rows = []
    for layer in spec.layers:
        cost, shape = ops.costs[f"model.{layer.index}"], shapes[layer.index]
        outputs = shape if isinstance(shape, list) else [shape]
        rows.append(
            LayerRow(
                layer.index,
                layer.section,
                tuple(layer.sources),
                layer.repeats,
                layer.block,
                _arguments(layer, spec),
                tuple("x".join(map(str, output)) for output in outputs),
                cost.parameters,
                cost.gflops,
            )
        )
    return rows


def _arguments(layer: Layer, spec: ModelSpec) -> str:
    if TASKS[spec.task].finds_boxes and layer is spec.head:
        rows = [" ".join(f"{value:g}" for value in row) for row in spec.anchors_px]
        masks = [f"{spec.num_coefficients} prototypes"] if spec.num_coefficients else []
        return "\n".join(rows + masks)
    parts = ((_SHORT_ARGUMENTS.get(key, f"{key}="), value) for key, value in layer.arguments.items())
    return " ".join(f"{name}{value}" for name, value in parts)


def summary_lines(title: str, rows: list[LayerRow]) -> Iterator[str]:
    """Format rows as plain text, at most 80 columns wide.

    Args:
        title: first line.
        rows: result of `layer_rows`.

    Yields:
        Lines: the title, headings, one line per layer, and totals.

    Example:
        >>> from tfyolo.models import load_spec
        >>> print(list(summary_lines("", layer_rows(load_spec("yolov5n"), (640, 640))))[-1])
        total   25 layers                              1,872,157     4.563
    """
    yield title
    yield f"{'layer':<8}{'block':<18}{'output':<20}{'parameters':>10}{'GFLOPs':>10}"
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            yield f"{section}:"
        first, *others = row.outputs
        block = row.block if row.repeats == 1 else f"{row.block} x{row.repeats}"
        yield f"{row.index:<8}{block:<18}{first:<20}{row.parameters:>10,}{row.gflops:>10.3f}"
        for output in others:
            yield f"{'':<26}{output}"
    parameters, gflops = sum(row.parameters for row in rows), sum(row.gflops for row in rows)
    yield f"{'total':<8}{f'{len(rows)} layers':<38}{parameters:>10,}{gflops:>10.3f}"
