"""`--qat` of `tfyolo train` and `tfyolo classify train`."""

from __future__ import annotations

import argparse

from tfyolo.cli import arguments as options
from tfyolo.cli.next_command import print_next
from tfyolo.errors import TfyoloError

_SUPPORTED_FLAGS = {
    "parser", "part", "data", "weights", "pretrained", "img", "epochs", "batch", "seed", "hyp", "device",
    "project", "name", "exist_ok", "qat", "qat_loss", "qat_lr", "calibration", "ranges", "keep_float",
    "given", "yolov5_flags",
}  # fmt: skip
"""Arguments of the two commands that mean something with --qat."""


_OWN = {"qat_loss", "qat_lr"}
"""Arguments that mean something with --qat only."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--qat, and how the model is calibrated and trained."""
    parser.add_argument(
        "--qat", action="store_true", help="train the given weights as the 8-bit model they are to become"
    )
    options.add_calibration(parser, data=False)
    options.add_qat(parser, "both", short=False)
    parser.set_defaults(parser=parser)


def check_flags(arguments: argparse.Namespace) -> None:
    """Refuse flags of quantized training without --qat.

    Raises:
        TfyoloError: naming the flag.
    """
    for name in sorted(_OWN & options.given(arguments.parser, arguments.words)):
        raise TfyoloError(f"--{name.replace('_', '-')} is for --qat", fix="add --qat, or leave it out")


def train_quantized(arguments: argparse.Namespace, task: str, flag: str, weights: str, hyp: str = "") -> None:
    """Calibrate and train, write the run's folder, and print what the integer file is worth.

    Args:
        arguments: of the command.
        task: of its models.
        flag: that the weights were given by.
        weights: its value.
        hyp: hyperparameters of YOLOv5's loss.

    Raises:
        TfyoloError: weights or data are missing or wrong, or a flag would have no effect.
    """
    from tfyolo.cli.classify import print_metrics as print_classification
    from tfyolo.cli.progress import progress_bar
    from tfyolo.cli.val import print_metrics
    from tfyolo.evaluation.classification import ClassificationMetrics
    from tfyolo.files import run_folder
    from tfyolo.quantization.calibration import CalibrationOptions
    from tfyolo.quantization.qat_options import QatOptions
    from tfyolo.quantization.run import QuantizeOptions, measure, quantize

    if arguments.data is None or not weights:
        raise TfyoloError(f"--qat needs --data and {flag}", fix="pass a trained model and its dataset")
    for name in sorted(options.given(arguments.parser, arguments.words)):
        if name not in _SUPPORTED_FLAGS:
            raise TfyoloError(f"--qat takes no --{name.replace('_', '-')}", fix="leave it out")
    folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
    wanted = QuantizeOptions(
        data=arguments.data,
        weights=weights,
        output=folder / "weights/best.keras",
        task=task,
        image_size=(arguments.img, arguments.img) if arguments.img else None,
        calibration=arguments.calibration,
        calibrate=CalibrationOptions(arguments.ranges, keep_float=tuple(arguments.keep_float)),
        train=QatOptions(learning_rate=arguments.qat_lr, loss=arguments.qat_loss),
        epochs=arguments.epochs,
        batch=max(arguments.batch, 1),
        seed=arguments.seed,
        hyp=hyp or QuantizeOptions.hyp,
    )
    with progress_bar() as progress:
        best = quantize(wanted, progress, print)
        file, metrics = measure(best, arguments.data, folder, progress)
    per_class = len(metrics.names) <= 30
    if isinstance(metrics, ClassificationMetrics):
        print_classification(metrics, folder, per_class)
    else:
        print_metrics(metrics, folder, per_class)
    print(f"quantized model: {best}\nas an integer file, which was measured: {file}")
    print_next("tfyolo", "export", "--weights", best, "--include", "tflite", "edgetpu", "tfjs", "--int8")
