"""FPN, PANet and BiFPN: stages of the backbone and the neck, and the connections between them."""

from __future__ import annotations

from pathlib import Path

from docs.tools.figures._diagram import COLORS, EDGE, MUTED, WIDTH, Canvas, Point, level
from tfyolo.models.registry import load_spec
from tfyolo.models.reports.diagram import _columns

NAMES = {"yolov5-fpn": "FPN", "yolov5-panet": "PANet", "yolov5-bifpn": "BiFPN"}
NEW = "#d13a12"
"""Color of connections that the neck on the left does not have."""


def draw(folder: Path) -> None:
    """Write `necks.svg`."""
    canvas = Canvas(520, "Connections of FPN, PANet and BiFPN")
    pitch = WIDTH / len(NAMES)
    known: set[tuple[object, ...]] = set()
    for panel, (name, title) in enumerate(NAMES.items()):
        spec = load_spec(name)
        columns = _columns(spec)
        left = pitch * panel
        canvas.rect(left + 4, 4, pitch - 8, 412, "#fafbfc", 8, "#d5dae0", 1)
        canvas.text(left + pitch / 2, 28, title, 25, bold=True)
        cells = {layer.index: (columns[layer.index], layer.stride) for layer in spec.layers[:-1]}
        cells = {index: cell for index, cell in cells.items() if cell[1] >= 8}
        sections = {cells[layer.index]: layer.section for layer in spec.layers if layer.index in cells}
        head = max(columns.values())

        def place(cell: tuple[int, float], left: float = left, head: int = head) -> Point:
            column = 3 if cell[0] == head else cell[0]
            return left + 38 + column * 58, 110 + 115 * {8: 0, 16: 1, 32: 2}[int(cell[1])]

        edges = {
            (cells[source], cells[layer.index])
            for layer in spec.layers[:-1]
            for source in layer.sources
            if source in cells and layer.index in cells and cells[source] != cells[layer.index]
        }
        edges |= {(cells[source], (head, cells[source][1])) for source in spec.head.sources}
        for start, end in sorted(edges):
            to_head = end[0] == head
            key = (start, end) if not to_head else ("head", end[1])
            new = panel > 0 and key not in known
            known.add(key)
            columns_between = range(start[0] + 1, end[0])
            around = any((column, end[1]) in sections and start[1] == end[1] for column in columns_between)
            _edge(canvas, place(start), place(end), 12 if to_head else 24, NEW if new else EDGE, around)
        for cell, section in sections.items():
            canvas.circle(*place(cell), 23, COLORS[section])
            canvas.text(*place(cell), level(cell[1]), 20)
        for source in spec.head.sources:
            x, y = place((head, cells[source][1]))
            canvas.rect(x - 12, y - 14, 24, 28, COLORS["head"])
        canvas.text(left + 38, 60, "1", 20, color=MUTED)
        canvas.text(left + 96, 60, "2", 20, color=MUTED)
        if head == 3:
            canvas.text(left + 154, 60, "3", 20, color=MUTED)
        canvas.text(left + 212, 60, "4", 20, color=MUTED)
    names = "1 backbone · 2 top-down · 3 bottom-up · 4 head"
    canvas.text(WIDTH / 2, 446, names, 21, color=EDGE)
    canvas.arrow([(130, 486), (180, 486)], NEW, line=3)
    canvas.text(192, 486, "connection that the neck on its left does not have", 20, "start", color=EDGE)
    canvas.save(folder / "necks.svg")


def _edge(canvas: Canvas, start: Point, end: Point, gap: float, color: str, around: bool) -> None:
    """Draw an arrow between the edges of two nodes; an arrow around a node is bent below it."""
    (x1, y1), (x2, y2) = start, end
    line = 3 if color == NEW else 2
    if around:
        canvas.arrow(
            [(x1 + 14, y1 + 20), (x1 + 34, y1 + 42), (x2 - 30, y2 + 42), (x2 - 12, y2 + 22)], color, line=line
        )
        return
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    canvas.arrow([(x1 + 24 * dx, y1 + 24 * dy), (x2 - gap * dx, y2 - gap * dy)], color, line=line)
