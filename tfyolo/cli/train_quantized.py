"""`--qat` of `tfyolo train` and `tfyolo classify train`: quantization-aware training."""

from __future__ import annotations

import argparse

from tfyolo.cli import arguments as options
from tfyolo.cli import quantization_arguments as quantization
from tfyolo.cli.next_command import print_next
from tfyolo.errors import TfyoloError

_INTERNAL = frozenset({"parser", "part", "given", "yolov5_flags"})
_SUPPORTED_OPTIONS = _INTERNAL | frozenset(
    {
        *("data", "weights", "pretrained", "img", "epochs", "batch", "seed", "hyp", "device"),
        *("qat", "qat_loss", "qat_lr", "calibration", "ranges", "keep_float"),
        *("float_budget", "budget_of", "budget_images"),
        *("project", "name", "exist_ok"),
    }
)
"""Options of the two commands that have an effect with `--qat`."""
_QAT_OPTIONS = frozenset({"qat_loss", "qat_lr"})
"""Options that have an effect only with `--qat`."""


def check_flags(arguments: argparse.Namespace) -> None:
    """Refuse the options of quantization-aware training in a run without `--qat`.

    Args:
        arguments: parsed arguments of the command.

    Raises:
        TfyoloError: naming the flag.
    """
    for name in sorted(_QAT_OPTIONS & options.given_options(arguments.parser, arguments.words)):
        raise TfyoloError(f"--{name.replace('_', '-')} requires --qat", fix="add --qat, or leave it out")


def train_quantized(arguments: argparse.Namespace, task: str, flag: str, weights: str, hyp: str = "") -> None:
    """Calibrate and train into a new run folder, and print the metrics of the integer file.

    Args:
        arguments: parsed arguments of the command.
        task: `detect` or `classify`.
        flag: flag that gave the weights, for error messages.
        weights: value of the flag.
        hyp: hyperparameters of the detection loss, by name or file.

    Raises:
        TfyoloError: weights or data are missing or wrong, or a flag would have no effect.
    """
    from tfyolo.cli.metrics_tables import print_metrics
    from tfyolo.cli.progress import progress_bar
    from tfyolo.files import run_folder
    from tfyolo.quantization.run import QuantizeOptions, measure, quantize
    from tfyolo.quantization.training.qat_options import QatOptions

    if arguments.data is None or not weights:
        raise TfyoloError(f"--qat needs --data and {flag}", fix="pass a trained model and its dataset")
    for name in sorted(options.given_options(arguments.parser, arguments.words)):
        if name not in _SUPPORTED_OPTIONS:
            raise TfyoloError(f"--qat does not support --{name.replace('_', '-')}", fix="leave it out")
    folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
    quantize_options = QuantizeOptions(
        data=arguments.data,
        weights=weights,
        output=folder / "weights/best.keras",
        task=task,
        image_size=(arguments.img, arguments.img) if arguments.img else None,
        calibration=arguments.calibration,
        calibrate=quantization.calibration_options(arguments),
        train=QatOptions(learning_rate=arguments.qat_lr, loss=arguments.qat_loss),
        epochs=arguments.epochs,
        batch_size=max(arguments.batch, 1),
        seed=arguments.seed,
        hyp=hyp or QuantizeOptions.hyp,
        given=arguments.given,
    )
    with progress_bar() as progress:
        best = quantize(quantize_options, progress, print)
        file, metrics = measure(best, arguments.data, folder, progress)
    print_metrics(metrics, folder)
    print(f"quantized model: {best}\nint8 file, on which metrics were measured: {file}")
    print_next("tfyolo", "export", "--weights", best, "--include", "tflite", "edgetpu", "tfjs", "--int8")
