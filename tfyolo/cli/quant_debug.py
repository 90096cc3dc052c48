"""`tfyolo quant-debug`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli import quantization_arguments as quantization
from tfyolo.cli.next_command import print_next

if TYPE_CHECKING:
    from tfyolo.evaluation.bootstrap import Interval
    from tfyolo.quantization.budget.search import FloatSearch
    from tfyolo.quantization.debug import DebugReport

NEEDS = ("tensorflow", "keras", "matplotlib")
EXAMPLES = (
    "tfyolo quant-debug --weights yolov5n.pt --data coco128.yaml",
    "tfyolo quant-debug --weights best_int8.keras --float best.keras --data fruit.yaml --images 64 --worst 8",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    quantization.add_calibration(parser, required=True)
    add = options.group(parser, "data")
    add("--task", choices=("train", "val", "test"), default="val", help="split to compare on")
    add("--images", type=types.positive, default=32, metavar="N", help="number of images to compare")
    options.add_weights(parser, exported=False)
    options.add_float_model(parser)
    add = options.group(parser, "quantization")
    add("--worst", type=types.count, default=5, metavar="N", help="number of noisiest layers to try in float")
    options.add_run_folder(parser, "runs/quant-debug")


def run(arguments: argparse.Namespace) -> int:
    """Compare layers, print tables, draw the chart, and return the exit code."""
    from tfyolo.weights.hub import fetch_weights

    path = fetch_weights(arguments.weights)

    from tfyolo.cli.progress import progress_bar
    from tfyolo.errors import TfyoloError, refuse_given
    from tfyolo.files import run_folder
    from tfyolo.models.network import Network
    from tfyolo.models.quantization import check_names
    from tfyolo.quantization.budget.report import save_report
    from tfyolo.quantization.chart import save_noise_chart
    from tfyolo.quantization.debug import debug
    from tfyolo.quantization.mixed import MixedPrecision
    from tfyolo.quantization.model import calibrate_on_dataset
    from tfyolo.quantization.run import load_float_network
    from tfyolo.quantization.tasks import find_task
    from tfyolo.weights import load_model

    model, contract = load_model(path)
    task = find_task(arguments.data, contract)
    network = float_network = Network.of(model, contract.spec)
    spec = contract.quantization
    image_size = options.image_size(arguments.img) or contract.image_size
    contract.check_size(image_size)
    if spec is not None and arguments.float_model is None:
        raise TfyoloError(
            "is quantized: its weights are already rounded",
            path=path,
            fix="pass the float model as --float",
        )
    if spec is None and arguments.float_model is not None:
        raise TfyoloError(
            "is not quantized; --float is only for quantized weights",
            path=path,
            fix="leave out --float",
        )
    if spec is not None:
        refuse_given(arguments.given, ("--keep-float",), f"{path} is already quantized, with its own ranges")
    if arguments.float_model is not None:
        float_network = load_float_network(arguments.float_model, contract)
    searches: list[FloatSearch] = []
    with progress_bar() as progress:
        if spec is None:
            settings = quantization.calibration_options(arguments)
            network, spec = calibrate_on_dataset(
                float_network,
                contract,
                arguments.data,
                image_size,
                arguments.calibration,
                settings,
                progress,
                searched=searches.append,
            )
        elif arguments.keep_float:
            check_names(network, arguments.keep_float)
            network, spec = MixedPrecision(float_network, network, spec).keeping(arguments.keep_float)
        shown = task.images(arguments.task, image_size, arguments.images, progress)
        report = debug(float_network, network, spec, contract, shown, arguments.worst, progress)
    folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
    chart = save_noise_chart(report.layers, contract.spec, folder / "noise.png")
    for search in searches:
        save_report(search, folder / "quant-debug", print)
    _print(report, len(shown), spec.keep_float)
    print(f"chart: {chart}")
    _advise(
        report, arguments.float_model or path, arguments.data, bool(contract.quantization), spec.keep_float
    )
    return 0


def _advise(
    report: DebugReport, weights: str | Path, data: str, trained: bool, kept: Sequence[str] = ()
) -> None:
    """Print the next command: with layers in float only where the table shows that they gain.

    Args:
        report: report with the measured variants.
        weights: the float model.
        data: dataset as given on the command line.
        trained: whether the quantized model is a file of its own, which has to be made anew.
        kept: names of the layers that were in float already.
    """
    if report.best is None:
        print(
            "keep all layers quantized: no layer in float lowers the score error beyond noise "
            "without lowering fidelity"
        )
        return
    command = ["quantize"] if trained else ["export", "--int8"]
    print_next(
        "tfyolo", *command, "--weights", weights, "--data", data, "--keep-float", *kept, *report.best.kept
    )


def _print(report: DebugReport, images: int, kept: Sequence[str]) -> None:
    from rich.table import Table

    from tfyolo.cli.console import console

    noisy = Table(title="layers with the most quantization noise", title_style="bold")
    for heading in ("tensor", "signal to noise", "lost here"):
        noisy.add_column(heading, justify="left" if heading == "tensor" else "right")
    for layer in sorted(report.layers, key=lambda layer: -layer.drop_db)[:12]:
        noisy.add_row(layer.name, f"{layer.signal_to_noise_db:.1f} dB", f"{layer.drop_db:.1f} dB")
    console().print(noisy)
    effect = Table(
        title=f"difference to the float model, {images} images",
        title_style="bold",
        caption="95 % intervals by bootstrap over images; ~ within noise: the paired interval of the "
        "difference to the first row contains 0",
    )
    effect.add_column("in float")
    for heading in ("score error", "change", "fidelity", "95 %", "change"):
        effect.add_column(heading, justify="right", no_wrap=True)
    first = report.variants[0]
    for variant in report.variants:
        relative = variant.score_error_change.scaled(100 / max(first.score_error.value, 1e-12))
        effect.add_row(
            _in_float(kept, variant.kept),
            f"{variant.score_error.value:.5f}",
            "" if variant is first else _change(relative, "+.0f", " %"),
            f"{variant.fidelity.value:.3f}",
            variant.fidelity.bounds(".3f"),
            "" if variant is first else _change(variant.gain, "+.3f"),
        )
    console().print(effect)


def _in_float(kept: Sequence[str], added: Sequence[str]) -> str:
    """Return what is in float: all of it in the row of the given network, else what a variant adds."""
    if not added:
        return " ".join(kept) or "nothing"
    return " ".join(("also", *added) if kept else added)


def _change(change: Interval, form: str, unit: str = "") -> str:
    return f"{'~ ' if change.is_noise else ''}{change.value:{form}}{unit}"
