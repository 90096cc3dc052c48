"""`tfyolo inspect`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfyolo.cli import arguments as options
from tfyolo.text import printable

if TYPE_CHECKING:
    from tfyolo.export.runtime.inspection import Inspection, TensorInfo

EXAMPLES = (
    "tfyolo inspect best_int8.tflite",
    "tfyolo inspect yolov5n.pt",
    "tfyolo inspect best_web_model --json",
    "tfyolo inspect best.tflite --snippet python > client.py",
)
_SHOWN_NAMES = 10
"""Number of class names that are printed without `--all-names`."""
_GAP, _HEADINGS = 3, 23
"""Characters between columns of operators, and of the headings and borders beside them."""
_NMS_OPTIONS = {
    "conf_thres": "confidence over {}",
    "iou_thres": "IoU up to {}",
    "max_det": "at most {} boxes",
    "per_class": "at most {} per class",
    "candidates": "from {} candidates",
    "multi_label": "several classes per box",
    "agnostic": "across classes",
}
"""How each option of the NMS in a file is printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    options.group(parser, "model")(
        "file", metavar="FILE", help="model file or folder of any format, or a release name such as yolov5s"
    )
    add = options.group(parser, "output")
    add("--json", action="store_true", help="print everything as JSON, with all class names")
    add("--all-names", action="store_true", help=f"print all class names, not only the first {_SHOWN_NAMES}")
    add(
        "--snippet",
        choices=("python", "kotlin", "js", "swift"),
        help="print a complete client for this file, which does not need tfyolo, and nothing else",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what the file holds, without running its graph, and return the exit code."""
    from tfyolo.export.registry import format_of
    from tfyolo.export.runtime.inspection import inspect_file
    from tfyolo.files import megabytes
    from tfyolo.weights.hub import fetch_weights

    path = fetch_weights(arguments.file)
    if arguments.snippet:
        from tfyolo.inference.snippets.write import snippet

        print(snippet(path, arguments.snippet), end="")
        return 0
    entry, found = format_of(path), inspect_file(path)
    about = {"file": str(path), "format": entry.name, "megabytes": round(megabytes(path), 3)}
    if arguments.json:
        print(json.dumps({**about, **found.to_dict()}, indent=1))
        return 0
    rows = [("format", f"{entry.label}, {about['megabytes']:,.1f} MB")]
    _print(path.name, [*rows, *_rows(found, arguments.all_names)], found)
    return 0


def _rows(found: Inspection, all_names: bool) -> Iterator[tuple[str, str]]:
    """Yield name and text of each row that the contract fills."""
    contract = found.contract
    yield "task", contract.task
    shown = (
        contract.names
        if all_names or len(contract.names) <= _SHOWN_NAMES
        else contract.names[: _SHOWN_NAMES - 1]
    )
    more = f", and {len(contract.names) - len(shown)} more" if len(shown) < len(contract.names) else ""
    yield (
        f"{len(contract.names)} class" + ("es" if len(contract.names) > 1 else ""),
        printable(", ".join(shown)) + more,
    )
    yield "strides", ", ".join(map(str, contract.strides))
    if contract.anchors_px:
        lines = []
        for stride, row in zip(contract.strides, contract.anchors_px, strict=True):
            pairs = zip(row[::2], row[1::2], strict=True)
            lines.append(f"at stride {stride}: " + ", ".join(f"{w:g}x{h:g}" for w, h in pairs))
        yield "anchors", "\n".join(lines)
    height, width = contract.image_size
    yield "image size", f"{height}x{width} pixels"
    yield "precision", printable(found.precision)
    limits = [
        text.format(value)
        for key, text in _NMS_OPTIONS.items()
        if (value := found.thresholds.get(key)) is not None and value is not False
    ]
    kind = {"none": "none, all boxes", "raw": "none, raw outputs"}.get(found.nms, found.nms)
    yield "NMS", printable(": ".join(filter(None, (kind, ", ".join(limits)))))
    yield "tfyolo", printable(contract.version)


def _print(name: str, rows: list[tuple[str, str]], found: Inspection) -> None:
    """Print the rows, the inputs and outputs, and the operator counts as one table."""
    from rich.markup import escape
    from rich.table import Table

    from tfyolo.cli.console import console

    table = Table(title=escape(printable(name)), title_style="bold", show_header=False)
    for heading, text in rows:
        table.add_row(heading, escape(text))
    for heading, tensors in (("inputs", found.inputs), ("outputs", found.outputs)):
        table.add_section()
        for number, tensor in enumerate(tensors):
            table.add_row("" if number else heading, escape(_tensor(tensor)))
    table.add_section()
    operators = found.to_dict()["operators"]
    cells = [f"{count:>5,} {printable(kind)}" for kind, count in operators.items()]
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    for line in _in_columns(cells, console().width - _HEADINGS):
        grid.add_row(*map(escape, line))
    table.add_row(f"{sum(operators.values()):,} operators\nof {len(operators)} kinds", grid)
    if found.not_on_gpu is not None:
        table.add_row("GPU", escape(printable(_gpu(found.not_on_gpu))))
    console().print(table)


def _in_columns(cells: list[str], width: int) -> list[list[str]]:
    """Return the rows of the most columns, at most three, that fit into a number of characters."""
    for columns in (3, 2, 1):
        lines = -(-len(cells) // columns)
        rows = [cells[line::lines] for line in range(lines)]
        widths = [
            max(map(len, cells[start : start + lines])) for start in range(0, len(cells), max(lines, 1))
        ]
        if sum(widths) + _GAP * len(widths) <= width:
            break
    return rows


def _gpu(left: dict[str, int]) -> str:
    """Describe the operators that LiteRT's GPU delegate leaves to the CPU."""
    if not left:
        return "LiteRT's GPU delegate takes every operator"
    return "LiteRT's GPU delegate leaves to the CPU: " + ", ".join(f"{n} {kind}" for kind, n in left.items())


def _tensor(tensor: TensorInfo) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in tensor.shape)
    # TorchScript files name their outputs, and do not say their shapes.
    text = f"{tensor.name} ({sizes}) {tensor.dtype}" if sizes else f"{tensor.name} {tensor.dtype}"
    if tensor.quantization:
        text += ", scale {:.6g}, zero point {}".format(*tensor.quantization)
    return printable(text)
