"""The order of one tensor's values in memory: NHWC against NCHW."""

from __future__ import annotations

from pathlib import Path

from docs.tools.figures._diagram import EDGE, MUTED, WIDTH, Canvas

CHANNELS = {"R": "#f6c9bd", "G": "#c5e6cf", "B": "#c3daf3"}


def draw(folder: Path) -> None:
    """Write `tensor-layouts.svg`."""
    canvas = Canvas(490, "Values of a 2 x 2 RGB image in memory")
    canvas.text(WIDTH / 2, 24, "one image of 2 × 2 pixels with 3 channels", 23, bold=True)
    for channel, (name, color) in enumerate(CHANNELS.items()):
        for row in range(2):
            for column in range(2):
                x, y = 120 + 180 * channel + 60 * column, 56 + 60 * row
                canvas.rect(x, y, 58, 58, color, 2)
                canvas.text(x + 29, y + 29, f"{name}{row}{column}", 21)
    canvas.text(WIDTH / 2, 198, "R01: channel red, row 0, column 1", 20, color=MUTED)
    pixels = [(row, column) for row in range(2) for column in range(2)]
    orders = {
        "NHWC, shape 1×2×2×3: all channels of a pixel together": [
            f"{name}{row}{column}" for row, column in pixels for name in CHANNELS
        ],
        "NCHW, shape 1×3×2×2: all pixels of a channel together": [
            f"{name}{row}{column}" for name in CHANNELS for row, column in pixels
        ],
    }
    for i, (title, values) in enumerate(orders.items()):
        y = 250 + 128 * i
        canvas.text(24, y, title, 21, "start", bold=True, color=EDGE)
        for place, value in enumerate(values):
            canvas.rect(24 + 56 * place, y + 22, 54, 54, CHANNELS[value[0]], 2)
            canvas.text(51 + 56 * place, y + 49, value, 19)
    canvas.text(24, 470, "memory addresses increase from left to right", 20, "start", color=MUTED)
    canvas.save(folder / "tensor-layouts.svg")
