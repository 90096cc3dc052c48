"""SPP and SPPF as diagrams, and the windows of poolings in series."""

from __future__ import annotations

from pathlib import Path

from docs.tools.figures._diagram import COLORS, EDGE, MUTED, WIDTH, Canvas

CONV, POOL, CONCAT = COLORS["backbone"], "#ffe08a", COLORS["neck"]


def draw(folder: Path) -> None:
    """Write `spp-sppf.svg` and `sppf-windows.svg`."""
    _diagrams(folder / "spp-sppf.svg")
    _windows(folder / "sppf-windows.svg")


def _diagrams(path: Path) -> None:
    canvas = Canvas(720, "SPP has three poolings in parallel, SPPF three in series")
    canvas.arrow([(360, 10), (360, 710)], "#d5dae0", head=False, line=1)
    for left, title in ((0, "SPP (v1.0 to v5.0)"), (360, "SPPF (since v6.0)")):
        canvas.text(left + 180, 24, title, 24, bold=True)
        canvas.text(left + 180, 66, "20×20×512", 20, color=MUTED)
        canvas.arrow([(left + 180, 80), (left + 180, 100)])
        canvas.box((left + 180, 128), (210, 56), ["Conv 1×1", "20×20×256"], CONV)
        canvas.box((left + 180, 566), (300, 56), ["Concat", "20×20×1024"], CONCAT)
        canvas.arrow([(left + 180, 594), (left + 180, 622)])
        canvas.box((left + 180, 650), (210, 56), ["Conv 1×1", "20×20×512"], CONV)
        canvas.text(left + 180, 700, "output", 20, color=MUTED)
    # SPP: the input of the poolings and three poolings, side by side.
    canvas.arrow([(180, 156), (180, 196)], head=False)
    canvas.arrow([(36, 196), (308, 196)], head=False)
    canvas.arrow([(36, 196), (36, 538)])
    for x, kernel in ((112, 5), (210, 9), (308, 13)):
        canvas.arrow([(x, 196), (x, 310)])
        canvas.box((x, 342), (94, 64), ["MaxPool", f"{kernel}×{kernel}"], POOL, 18)
        canvas.arrow([(x, 374), (x, 538)])
    # SPPF: each pooling reads the one before it.
    for i, y in enumerate((226, 322, 418)):
        canvas.arrow([(560, 156 if i == 0 else y - 64), (560, y - 32)])
        canvas.box((560, y), (110, 64), ["MaxPool", "5×5"], POOL, 19)
    canvas.arrow([(560, 450), (560, 538)])
    for x, y in ((420, 178), (455, 274), (655, 370)):
        canvas.arrow([(560, y), (x, y), (x, 538)])
    canvas.save(path)


def _windows(path: Path) -> None:
    canvas = Canvas(410, "A pooling of 5 after a pooling of 5 covers 9 positions, a third one 13")
    side, left = 46, (WIDTH - 13 * 46) / 2
    rows = [
        ("3rd pooling:", "13 inputs", 6, 7),
        ("2nd pooling:", "9 inputs each", 4, 9),
        ("1st pooling:", "5 inputs each", 2, 11),
        ("", "", 0, 13),
    ]
    for i, (name, inputs, first, last) in enumerate(rows):
        y, start = 12 + 106 * i, left + side * first - 1.5
        for column in range(first, last):
            canvas.rect(left + side * column, y, side - 3, side - 3, POOL if i < 3 else CONV, 3)
        canvas.text(start - 14, y + 9, name, 20, "end", bold=True, color=EDGE)
        canvas.text(start - 14, y + 33, inputs, 20, "end", color=EDGE)
        if i < 3:
            for x, target in ((first, first - 2), (last, last + 2)):
                ends = [(left + side * column - 1.5, z) for column, z in ((x, y + side), (target, y + 103))]
                canvas.arrow(ends, MUTED, head=False, line=1.5)
    canvas.text(WIDTH / 2, 392, "input: one row of 13 values", 20, color=EDGE)
    canvas.save(path)
