"""Backbones of three releases beside each other; what changed from one to the next is highlighted."""

from __future__ import annotations

from pathlib import Path

from docs.tools.figures._diagram import CHANGED, COLORS, EDGE, MUTED, WIDTH, Canvas, label, shape_text
from tfyolo.models.build import count_model
from tfyolo.models.registry import load_spec

NAMES = {"yolov5s-v1.0": "v1.0", "yolov5s-v5.0": "v5.0", "yolov5s": "v6.0 to v7.0"}


def draw(folder: Path) -> None:
    """Write `versions.svg`."""
    specs = [load_spec(name) for name in NAMES]
    pitch, step, top = WIDTH / len(specs), 72, 110
    canvas = Canvas(top + 13 * step + 6, "Layers of yolov5s in v1.0, v5.0 and v6.0 to v7.0")
    for column, (spec, release) in enumerate(zip(specs, NAMES.values(), strict=True)):
        _, shapes = count_model(spec, (640, 640))
        x = pitch * (column + 0.5)
        canvas.text(x, 24, release, 26, bold=True)
        canvas.text(x, 54, {"leaky_relu": "LeakyReLU", "silu": "SiLU"}[spec.activation], 21, color=EDGE)
        canvas.text(x, 82, "640×640×3", 20, color=MUTED)
        before = specs[column - 1] if column else None
        backbone = [layer for layer in spec.layers if layer.section == "backbone"]
        rows = []
        for layer in backbone:
            old = before.layers[layer.index] if before else layer
            changed = (old.block, old.repeats) != (layer.block, layer.repeats)
            shape = shapes[layer.index]
            text = shape_text((shape.height, shape.width, shape.channels))
            rows.append(([label(layer), text], "backbone", changed))
        neck = [layer for layer in spec.layers if layer.section == "neck"]
        blocks = {layer.block for layer in neck}
        block = "C3" if "C3" in blocks else "BottleneckCSP"
        count = sum(layer.block == block for layer in neck)
        changed = bool(before) and not any(layer.block == block for layer in before.layers)
        rows.append((["PANet neck", f"{count} {block}"], "neck", changed))
        heads = shapes[spec.head.index]
        sizes = [f"{shape.height}" for shape in heads]
        order = bool(before) and before.strides != spec.strides
        rows.append(([f"{spec.head.index} Detect", f"grids {', '.join(sizes)}"], "head", order))
        parameters = sum(cost.parameters for cost in count_model(spec)[0].costs.values())
        for row, (lines, section, changed) in enumerate(rows):
            y = top + step * (row + 0.5)
            canvas.arrow([(x, y - step + 27), (x, y - 27)])
            canvas.box((x, y), (pitch - 14, 54), lines, CHANGED if changed else COLORS[section], 19.5)
        canvas.text(x, top + step * len(rows) + 14, f"{parameters / 1e6:.2f} M parameters", 20, color=EDGE)
    y = top + 12.8 * step
    canvas.rect(40, y - 12, 34, 24, CHANGED)
    canvas.text(84, y, "changed since the release on its left", 20, "start", color=EDGE)
    canvas.save(folder / "versions.svg")
