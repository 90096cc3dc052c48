"""`tfyolo summary`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options

if TYPE_CHECKING:
    from tfyolo.models.spec import ModelSpec

EXAMPLES = (
    "tfyolo summary   # a list of all models",
    "tfyolo summary yolov5n",
    "tfyolo summary my-model.yaml --diagram my-model.svg",
    "tfyolo summary best.pt --diagram best.md   # Mermaid",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    add = options.group(parser, "model")
    add("model", nargs="?", help="model name or YAML, or a .pt or .keras file (default: a list of all names)")
    options.add_image_size(parser, "640, or a classifier's own size")
    add("--classes", type=types.positive, metavar="N", help="number of classes (default: the model's own)")
    options.group(parser, "output")(
        "--diagram", type=Path, metavar="FILE", help="draw the network: .svg, .png, or .md for Mermaid"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print layers, parameters and GFLOPs without importing TensorFlow, and return the exit code."""
    from tfyolo.models.reports.diagram import save_diagram

    image_size = options.image_size(arguments.img)
    if arguments.model is None:
        _print_models(image_size or (640, 640))
        return 0
    spec = _spec(arguments.model, arguments.classes)
    side = spec.image_size if spec.task == "classify" else 640
    _print_layers(spec, image_size or (side, side))
    if arguments.diagram:
        print(f"diagram: {save_diagram(spec, arguments.diagram)}")
    return 0


def _spec(model: str, classes: int | None) -> ModelSpec:
    from tfyolo.assets import MODELS
    from tfyolo.configs.reader import Document
    from tfyolo.models import load_spec, parse_spec

    model = str(MODELS.get(model, model))
    if model.endswith((".pt", ".pth", ".keras")):
        from tfyolo.weights import read_model_contract

        contract = read_model_contract(Path(model))
        return parse_spec(Document(Path(model), contract.config), num_classes=classes)
    return load_spec(model, num_classes=classes)


def _print_layers(spec: ModelSpec, image_size: tuple[int, int]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from tfyolo.api.summary import layer_rows
    from tfyolo.cli.console import console

    rows = layer_rows(spec, image_size)
    table = Table(
        title=f"{escape(spec.name)}, {spec.num_classes} classes, {image_size[0]}x{image_size[1]} pixels",
        caption="k: kernel, s: stride, p: padding",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for heading in ("", "from", "n", "module", "arguments", "output", "parameters", "GFLOPs"):
        left = heading in ("module", "arguments", "output")
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            table.add_row("", "", "", f"[bold]{section}[/bold]")
        sources, outputs = ",".join(map(str, row.sources)), "\n".join(row.outputs)
        cells = (str(row.index), sources, str(row.repeats), row.block, row.arguments, outputs)
        table.add_row(*cells, f"{row.parameters:,}", f"{row.gflops:.3f}")
    parameters, gflops = sum(row.parameters for row in rows), sum(row.gflops for row in rows)
    count = f"{len(rows)} layers"
    table.add_row("", "", "", "[bold]total[/bold]", count, "", f"{parameters:,}", f"{gflops:.3f}")
    console().print(table)


def _print_models(image_size: tuple[int, int]) -> None:
    from rich.table import Table

    from tfyolo.cli.console import console
    from tfyolo.models import count_model, list_models, load_spec

    table = Table(
        "model",
        "layers",
        "strides",
        "parameters",
        f"GFLOPs at {image_size[0]}x{image_size[1]}",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for column in (table.columns[1], *table.columns[3:]):
        column.justify = "right"
    for name in list_models():
        spec = load_spec(name)
        costs = count_model(spec, image_size)[0].costs.values()
        parameters, gflops = sum(cost.parameters for cost in costs), sum(cost.gflops for cost in costs)
        strides = " ".join(map(str, spec.strides))
        table.add_row(name, str(len(spec.layers)), strides, f"{parameters:,}", f"{gflops:.1f}")
    console().print(table)
