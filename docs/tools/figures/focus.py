"""The pixels that Focus and a 6 x 6 convolution of stride 2 read."""

from __future__ import annotations

from pathlib import Path

from docs.tools.figures._diagram import EDGE, WIDTH, Canvas

PHASES = {"A": "#c3daf3", "B": "#ffe08a", "C": "#f6c9bd", "D": "#c5e6cf"}
"""Row and column even; row odd; column odd; both odd: the order in which Focus concatenates them."""
OFFSETS = {"A": (0, 0), "B": (1, 0), "C": (0, 1), "D": (1, 1)}
WINDOW = "#d13a12"


def draw(folder: Path) -> None:
    """Write `focus.svg`."""
    canvas = Canvas(1020, "Pixels that Focus and a 6 x 6 convolution of stride 2 read")
    names = {offset: name for name, offset in OFFSETS.items()}
    side, left, top = 52, (WIDTH - 8 * 52) / 2, 84
    canvas.text(WIDTH / 2, 24, "6 × 6 convolution, stride 2", 24, bold=True)
    canvas.text(WIDTH / 2, 56, "one output value reads 36 pixels of the image", 20, color=EDGE)
    for row in range(8):
        for column in range(8):
            name = names[row % 2, column % 2]
            canvas.rect(left + side * column, top + side * row, side, side, PHASES[name], 0, "#ffffff", 2)
            x, y = left + side * (column + 0.5), top + side * (row + 0.5)
            canvas.text(x, y, f"{name}{row // 2}{column // 2}", 20)
    _window(canvas, left, top, 6 * side)

    top = 590
    canvas.text(WIDTH / 2, top - 62, "Focus: 3 × 3 convolution of four half-size images", 24, bold=True)
    text = "one output value reads 3 × 3 pixels of each: the same 36"
    canvas.text(WIDTH / 2, top - 30, text, 20, color=EDGE)
    side = 50
    for i, (name, color) in enumerate(PHASES.items()):
        left, y = WIDTH / 2 - 210 + 220 * (i % 2), top + 218 * (i // 2)
        for row in range(4):
            for column in range(4):
                canvas.rect(left + side * column, y + side * row, side, side, color, 0, "#ffffff", 2)
                canvas.text(left + side * (column + 0.5), y + side * (row + 0.5), f"{name}{row}{column}", 19)
        _window(canvas, left, y, 3 * side)
    canvas.save(folder / "focus.svg")


def _window(canvas: Canvas, x: float, y: float, side: float) -> None:
    corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)]
    canvas.arrow(corners, WINDOW, head=False, line=5)
