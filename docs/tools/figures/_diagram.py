"""A small SVG canvas, and drawings of networks from their `ModelSpec`."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path

from tfyolo.models.build import count_model
from tfyolo.models.reports.diagram import _columns, _rising
from tfyolo.models.spec import Layer, ModelSpec

COLORS = {"backbone": "#d7e8f7", "neck": "#dff0d8", "head": "#fbe3d0"}
"""Fill of boxes, as in the diagrams of `tfyolo summary --diagram`."""
EDGE, TEXT, MUTED, CHANGED = "#46525e", "#20262c", "#5f6b76", "#ffe08a"
WIDTH = 720
"""Width of figures: text of size 20 is 10 pixels high on a phone of 360 pixels."""

Point = tuple[float, float]


class Canvas:
    """An SVG image on white.

    Args:
        height: in units of which the image is `WIDTH` wide.
        title: accessible name.
    """

    def __init__(self, height: float, title: str) -> None:
        self.height, self.title = height, title
        self.parts: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 20,
        anchor: str = "middle",
        bold: bool = False,
        color: str = TEXT,
    ) -> None:
        """Write a line whose vertical middle is `y`."""
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y + 0.35 * size:g}" font-size="{size:g}" text-anchor="{anchor}"'
            f'{weight} fill="{color}">{html.escape(text)}</text>'
        )

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        radius: float = 6,
        edge: str = EDGE,
        line: float = 1.5,
    ) -> None:
        """Draw a rectangle from its upper left corner."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"'
            f' fill="{fill}" stroke="{edge}" stroke-width="{line:g}"/>'
        )

    def box(
        self,
        center: Point,
        size: Point,
        lines: Sequence[str],
        fill: str,
        font: float = 20,
    ) -> None:
        """Draw a box with centered lines of text, the first one bold."""
        (x, y), (width, height) = center, size
        self.rect(x - width / 2, y - height / 2, width, height, fill)
        step = 1.15 * font
        top = y - step * (len(lines) - 1) / 2
        for i, line in enumerate(lines):
            self.text(x, top + i * step, line, font, bold=i == 0 and len(lines) > 1)

    def circle(self, x: float, y: float, radius: float, fill: str) -> None:
        """Draw a circle."""
        self.parts.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}" stroke="{EDGE}" stroke-width="1.5"/>'
        )

    def arrow(self, points: Sequence[Point], color: str = EDGE, head: bool = True, line: float = 2) -> None:
        """Draw a line through points, with an arrowhead at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        marker = ""
        if head:
            (x0, y0), (x1, y1) = points[-2:]
            angle = math.atan2(y1 - y0, x1 - x0)
            corners = [(x1, y1)]
            for turn in (math.pi - 0.45, math.pi + 0.45):
                corners.append((x1 + 11 * math.cos(angle + turn), y1 + 11 * math.sin(angle + turn)))
            shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
            marker = f'<polygon points="{shape}" fill="{color}"/>'
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{line:g}"'
            f' stroke-linejoin="round"/>{marker}'
        )

    def save(self, path: Path) -> None:
        """Write the SVG file."""
        size = f'width="{WIDTH}" height="{self.height:g}" viewBox="0 0 {WIDTH} {self.height:g}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif">'
        title = f"<title>{html.escape(self.title)}</title>"
        ground = f'<rect width="{WIDTH}" height="{self.height:g}" fill="white"/>'
        path.write_text("\n".join([head, title, ground, *self.parts, "</svg>", ""]), encoding="utf-8")


def label(layer: Layer) -> str:
    """Return index, block and repeats of a layer."""
    repeats = f" ×{layer.repeats}" if layer.repeats > 1 else ""
    return f"{layer.index} {layer.block}{repeats}"


def shape_text(shape: Sequence[int]) -> str:
    """Return height, width and channels."""
    return "×".join(map(str, shape))


def level(stride: float) -> str:
    """Return the name of a stride: P3 of 8."""
    return f"P{int(math.log2(stride))}"


def draw_network(spec: ModelSpec, path: Path, side: int = 640) -> None:
    """Draw all layers of a detector with output shapes: strides as rows, the finest at the top."""
    _, shapes = count_model(spec, (side, side))
    columns, rising = _columns(spec), _rising(spec, _columns(spec))
    body = spec.layers[:-1]
    cells: dict[tuple[int, float], list[int]] = {}
    for layer in body:
        cells.setdefault((columns[layer.index], layer.stride), []).append(layer.index)
    strides = sorted({stride for _, stride in cells})
    rows = {s: max(len(members) for (_, stride), members in cells.items() if stride == s) for s in strides}
    pitch, step, top = WIDTH / 4, 64.0, 156.0
    tops = {s: top + step * sum(rows[t] for t in strides[:i]) + 36 * i for i, s in enumerate(strides)}
    height = tops[strides[-1]] + step * rows[strides[-1]] + 8
    canvas = Canvas(height, f"Layers of {spec.name} with the shapes of their outputs")
    canvas.text(8, 22, f"{spec.name}, image {side}×{side}×3", 22, "start", bold=True)

    def middle(column: int) -> float:
        return pitch * (column + 0.5)

    place: dict[int, Point] = {}
    for (column, stride), members in cells.items():
        for row, index in enumerate(members[::-1] if column in rising else members):
            place[index] = (middle(column), tops[stride] + step * (row + 0.5))
    for section, first, last in (("backbone", 0, 0), ("neck", 1, 2), ("head", 3, 3)):
        left, right = middle(first) - 86, middle(last) + 86
        canvas.rect(left, 44, right - left, height - 48, "#fafbfc", 8, "#d5dae0", 1)
        canvas.text((left + right) / 2, 66, section, 22, bold=True, color=EDGE)
    canvas.text(middle(1), 92, "top-down", 20, color=MUTED)
    canvas.text(middle(2), 92, "bottom-up", 20, color=MUTED)
    for stride in strides:
        y = tops[stride] - 20
        canvas.arrow([(4, y), (WIDTH - 4, y)], "#d5dae0", head=False, line=1)
        canvas.text(middle(3) + 80, y + 13, f"{level(stride)}, stride {stride:g}", 18, "end", color=MUTED)
    half_w, half_h = 74, 24
    for layer in body:
        x2, y2 = place[layer.index]
        for source in layer.sources:
            if source < 0:
                canvas.arrow([(x2, y2 - half_h - 34), (x2, y2 - half_h)])
                canvas.text(x2, y2 - half_h - 46, "image", 20, color=MUTED)
                continue
            x1, y1 = place[source]
            around = any(x == x1 and min(y1, y2) < y < max(y1, y2) for x, y in place.values())
            if x1 == x2 and not around:
                sign = 1 if y2 > y1 else -1
                canvas.arrow([(x1, y1 + sign * half_h), (x2, y2 - sign * half_h)])
            elif x1 == x2:
                side_x = x1 - half_w - 8
                canvas.arrow([(x1 - half_w, y1), (side_x, y1), (side_x, y2), (x2 - half_w, y2)])
            else:
                canvas.arrow([(x1 + half_w, y1), (x2 - half_w, y2)])
    heads = shapes[spec.head.index]
    for source, shape in zip(spec.head.sources, heads, strict=True):
        x1, y1 = place[source]
        convolved = spec.head.arguments["convolve"]
        canvas.arrow([(x1 + half_w, y1), (middle(3) - half_w, y1)])
        name = label(spec.head) if convolved else f"{spec.head.index} Detect"
        lines = [name, shape_text((shape.height, shape.width, shape.channels))]
        canvas.box((middle(3), y1), (2 * half_w, 2 * half_h), lines, COLORS["head"])
    for layer in body:
        shape = shapes[layer.index]
        lines = [label(layer), shape_text((shape.height, shape.width, shape.channels))]
        block = {"BottleneckCSP": "CSP", "Upsample": "Upsample"}.get(layer.block, layer.block)
        lines[0] = lines[0].replace(layer.block, block)
        canvas.box(place[layer.index], (2 * half_w, 2 * half_h), lines, COLORS[layer.section])
    canvas.save(path)
