"""Diagram of a network: backbone, neck, head and their connections."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.files import atomic, suffix_of
from tfyolo.models.build import count_model
from tfyolo.models.spec import Layer, ModelSpec

_COLORS = {"backbone": "#d7e8f7", "neck": "#dff0d8", "head": "#fbe3d0"}
_EDGE = "#46525e"


def save_diagram(spec: ModelSpec, path: str | Path) -> Path:
    """Write a diagram: `.svg` or `.png`, or Mermaid in a `.md` file.

    Raises:
        TfyoloError: the suffix is not supported.
    """
    path = Path(path)
    writers = {
        ".svg": _draw,
        ".png": _draw,
        ".md": lambda spec, file: file.write_text(mermaid(spec), encoding="utf-8"),
    }
    if suffix_of(path) not in writers:
        raise TfyoloError("unsupported diagram format", path=path, fix="use .svg, .png or .md")
    with atomic(path) as temporary:
        writers[suffix_of(path)](spec, temporary)
    return path


def mermaid(spec: ModelSpec) -> str:
    """Return the network as a Mermaid flow chart in Markdown."""
    _, shapes = count_model(spec, (_side(spec),) * 2)
    lines = [f"# {spec.name}", "", "```mermaid", "flowchart TB"]
    for section in dict.fromkeys(layer.section for layer in spec.layers):
        lines.append(f"  subgraph {section}")
        lines += [
            f'    L{layer.index}["{_label(layer, shapes)}"]'
            for layer in spec.layers
            if layer.section == section
        ]
        lines.append("  end")
    lines += [
        f"  L{source} --> L{layer.index}" for layer in spec.layers for source in layer.sources if source >= 0
    ]
    return "\n".join([*lines, "```", ""])


def _label(layer: Layer, shapes: list) -> str:
    repeats = f" x{layer.repeats}" if layer.repeats > 1 else ""
    if isinstance(shapes[layer.index], list):  # a head
        return f"{layer.index} {layer.block}"
    return f"{layer.index} {layer.block}{repeats} · {shapes[layer.index].channels}"


def _side(spec: ModelSpec) -> int:
    """Return the smallest valid input size."""
    return 2 * max(spec.strides)


def _columns(spec: ModelSpec) -> dict[int, int]:
    """Return the column of each layer: backbone, one per path up or down the pyramid, head."""
    columns: dict[int, int] = {}
    column, direction = 0, 0
    for before, layer in zip((None, *spec.layers), spec.layers, strict=False):
        if before is not None and layer.section != before.section:
            column, direction = column + 1, 0
        step = (
            0
            if before is None
            else int(math.copysign(1, layer.stride - before.stride)) * (layer.stride != before.stride)
        )
        if layer.section == "neck" and step and direction and step != direction:
            column += 1
        if layer.section == "neck":
            direction = step or direction
        columns[layer.index] = column
    return columns


def _draw(spec: ModelSpec, path: Path) -> None:
    """Draw strides as rows, the finest at the top; layers of one column and stride are stacked."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    _, shapes = count_model(spec, (_side(spec),) * 2)
    columns = _columns(spec)
    cells: dict[tuple[int, float], list[int]] = {}
    for layer in spec.layers[:-1]:
        cells.setdefault((columns[layer.index], layer.stride), []).append(layer.index)
    strides = sorted({stride for _, stride in cells})
    heights = [max(len(cells.get((c, s), [])) for c in set(columns.values())) for s in strides]
    tops = {s: sum(heights[:i]) + 0.6 * i for i, s in enumerate(strides)}
    bottom = tops[strides[-1]] + heights[-1]
    rising = _rising(spec, columns)
    place: dict[int, tuple[float, float]] = {}
    for (column, stride), members in cells.items():
        # Layers on the way to finer strides are stacked upwards, so that arrows do not cross.
        stack = members[::-1] if column in rising else members
        for row, index in enumerate(stack):
            place[index] = (3.4 * column, tops[stride] + row)
    head_x = 3.4 * columns[spec.head.index]
    width = head_x + 3.2
    figure = Figure(figsize=(width * 0.72, (bottom + 1.6) * 0.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-1.2, width - 0.8)
    axes.set_ylim(bottom + 0.1, -1.9)
    axes.axis("off")
    for stride in strides:
        axes.axhline(tops[stride] - 0.8, color="#e3e6ea", lw=0.8, zorder=0)
        level = f"P{int(math.log2(stride))}" if stride >= 1 else ""
        axes.text(-1.15, tops[stride] - 0.72, f"{level}  1/{stride:g}", fontsize=7, color="#8a94a0", va="top")
    axes.text(-1.15, -1.25, spec.name.replace("$", r"\$"), fontsize=11, color="#20262c", weight="bold")

    def box(x: float, y: float, text: str, section: str) -> None:
        patch = FancyBboxPatch(
            (x - 1.05, y - 0.33),
            2.3,
            0.66,
            boxstyle="round,pad=0.02,rounding_size=0.12",
            fc=_COLORS[section],
            ec=_EDGE,
            lw=0.7,
            zorder=3,
        )
        axes.add_patch(patch)
        axes.text(x + 0.1, y, text, ha="center", va="center", fontsize=7.5, zorder=4)

    def arrow(start: tuple[float, float], end: tuple[float, float]) -> None:
        between = any(
            x == end[0] and min(start[1], end[1]) < y < max(start[1], end[1]) for x, y in place.values()
        )
        axes.add_patch(_arrow(FancyArrowPatch, start, end, between))

    for layer in spec.layers[:-1]:
        box(*place[layer.index], _label(layer, shapes), layer.section)
        for source in layer.sources:
            if source >= 0:
                arrow(place[source], place[layer.index])
    for source, stride in zip(spec.head.sources, spec.strides, strict=True):
        y = place[source][1]
        box(head_x, y, f"{spec.head.index} {spec.head.block} P{int(math.log2(stride))}", "head")
        arrow(place[source], (head_x, y))
    for section in _COLORS:
        middles = {columns[layer.index] * 3.4 for layer in spec.layers if layer.section == section}
        if middles:
            middle = sum(middles) / len(middles) + 0.1
            axes.text(middle, -0.95, section, ha="center", fontsize=9, weight="bold", color=_EDGE)
    figure.savefig(path, dpi=150)


def _rising(spec: ModelSpec, columns: dict[int, int]) -> set[int]:
    """Return the columns that go from coarse to fine strides."""
    found = set()
    for column in set(columns.values()):
        strides = [layer.stride for layer in spec.layers if columns[layer.index] == column]
        if strides[-1] < strides[0]:
            found.add(column)
    return found


def _arrow(kind: type, start: tuple[float, float], end: tuple[float, float], around: bool) -> Any:
    """Draw an arrow between columns, or around the boxes of one column."""
    (x1, y1), (x2, y2) = start, end
    if x1 == x2:
        down = 1 if y2 > y1 else -1
        if around:  # 0.4 to the left of the boxes, whatever the distance
            bend, points = 0.8 / (y2 - y1), ((x1 - 1.07, y1), (x2 - 1.07, y2))
        else:
            bend, points = 0.0, ((x1 + 0.1, y1 + 0.35 * down), (x2 + 0.1, y2 - 0.35 * down))
    else:
        bend, points = 0.0, ((x1 + 1.27, y1), (x2 - 1.07, y2))
    return kind(
        *points,
        arrowstyle="-|>",
        mutation_scale=7,
        lw=0.8,
        color=_EDGE,
        zorder=2,
        shrinkA=0,
        shrinkB=0,
        connectionstyle=f"arc3,rad={bend}",
    )
