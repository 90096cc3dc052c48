"""Tables of models with parameters and GFLOPs, for pages that hold a marker."""

from __future__ import annotations

import re

from mkdocs.structure.files import File

MARKER = re.compile(r"<!-- models: ([\w. ,-]+) -->")


def model_table(names: list[str]) -> str:
    """Return a Markdown table of models with input size, parameters and GFLOPs."""
    from tfyolo.models.build import count_model
    from tfyolo.models.registry import load_spec

    lines = ["| model | input | parameters | GFLOPs |", "|---|---|---|---|"]
    for name in names:
        spec = load_spec(name)
        side = spec.image_size
        costs = count_model(spec, (side, side))[0].costs.values()
        parameters, gflops = sum(cost.parameters for cost in costs), sum(cost.gflops for cost in costs)
        lines.append(f"| {name} | {side} | {parameters:,} | {gflops:.1f} |")
    return "\n".join(lines)


def fill_model_tables(file: File) -> None:
    """Replace markers such as `<!-- models: yolov5n, yolov5s -->` in a page by tables."""
    text = file.content_string
    if MARKER.search(text):
        file.content_string = MARKER.sub(
            lambda match: model_table([name.strip() for name in match[1].split(",")]), text
        )
