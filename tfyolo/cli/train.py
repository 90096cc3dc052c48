"""`tfyolo train`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli import train_arguments, train_quantized
from tfyolo.cli.next_command import print_next
from tfyolo.errors import TfyoloError, refuse_given

if TYPE_CHECKING:
    from tfyolo.cli.train_display import Display
    from tfyolo.training.detection.options import TrainOptions

Options = TypeVar("Options", bound="TrainOptions")

NEEDS = ("tensorflow", "keras", "matplotlib", "sklearn")
EXAMPLES = (
    "tfyolo train --data bccd.yaml --weights yolov5n.pt --img 320 --epochs 30",
    "tfyolo train --data bccd.yaml --weights '' --cfg yolov5s --hyp scratch-med --optimizer AdamW",
    "tfyolo train --qat --data bccd.yaml --weights best.keras --img 320 --epochs 10   # as an int8 model",
    "tfyolo train --resume   # continue the newest unfinished run",
)
PROJECT = Path("runs/train")
COMMANDS = {"detect": ("tfyolo", "train"), "segment": ("tfyolo", "segment", "train")}
"""Command lines that train, by task."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of YOLOv5's train.py to the parser."""
    add_training(parser, "; with --qat the model's own")
    train_arguments.add_qat(parser)
    train_arguments.add_output(parser, PROJECT)


def add_training(parser: argparse.ArgumentParser, size_note: str = "") -> None:
    """Add the options of training that detectors and segmentation models share.

    Args:
        parser: parser of the command.
        size_note: what is added to the help of `--img`.
    """
    add = options.group(parser, "data")
    add("--data", type=Path, metavar="YAML", help="dataset YAML with path, train, val and names")
    add("--rect", action="store_true", help="use rectangular batches, without mosaics")
    add("--multi-scale", action="store_true", help="vary the image size of each batch by up to half")
    add("--single-cls", action="store_true", help="treat all classes as one")
    add("--image-weights", action="store_true", help="sample images of badly detected classes more often")
    train_arguments.add_cache(parser, default="none", choices=("ram", "disk", "none"))
    add = options.group(parser, "model")
    add("--weights", default="yolov5n", metavar="FILE", help="initial weights; '' for random weights")
    add("--cfg", default="", metavar="MODEL", help="model name or YAML (default: that of --weights)")
    add("--noautoanchor", action="store_true", help="keep the anchors even if they do not fit the boxes")
    train_arguments.add_image_side(parser, 640, size_note)
    train_arguments.add_schedule(parser, epochs=100, batch_size=16, optimizer="SGD")
    add = options.group(parser, "optimization")
    add("--adam", action="store_true", help="the same as --optimizer Adam")
    add("--cos-lr", action="store_true", help="use a cosine learning-rate schedule instead of a linear one")
    add(
        "--nominal-batch",
        type=types.positive,
        default=64,
        metavar="N",
        help="images per weight update; gradients of smaller batches are accumulated",
    )
    add("--hyp", default="scratch-low", metavar="NAME", help="hyperparameters: a name or a YAML")
    add("--set", nargs="+", default=[], metavar="NAME=X", help="single hyperparameters, such as lr0=0.02")
    add("--label-smoothing", type=types.fraction, metavar="P", help="the same as --set label_smoothing=P")
    add("--autobalance", action="store_true", help="balance the objectness loss of the scales automatically")
    add(
        "--evolve",
        nargs="?",
        const=30,
        type=types.positive,
        metavar="N",
        help="search hyperparameters in N short runs (30 without N)",
    )
    add = options.group(parser, "hardware")
    add(
        "--strategy",
        choices=("none", "mirrored", "multiworker"),
        default="none",
        help="tf.distribute strategy: all GPUs of this machine, or several machines",
    )
    add("--sync-bn", action="store_true", help="synchronize batch normalization over all devices")


def run(arguments: argparse.Namespace) -> int:
    """Train, resume or evolve, print the results, and return the exit code."""
    if arguments.qat:
        train_quantized.train_quantized(arguments, "detect", "--weights", arguments.weights, arguments.hyp)
        return 0
    refuse_given(arguments.given, (), "only --qat calibrates")
    train_quantized.check_flags(arguments)
    from tfyolo.training.detection.options import TrainOptions

    return start(arguments, TrainOptions, "detect", _train)


def start(
    arguments: argparse.Namespace, kind: type[Options], task: str, train: Callable[..., int], **fields: Any
) -> int:
    """Begin, resume or evolve a run.

    Args:
        arguments: parsed arguments of the command.
        kind: type of the options.
        task: `detect` or `segment`.
        train: called with the options, the folder of the run, and the `last.keras` of a run to resume, or
            None.
        fields: fields of the options that only this task has.

    Returns:
        Exit code.
    """
    from tfyolo.data.detection.scan import read_dataset
    from tfyolo.files import run_folder

    if arguments.resume is not None:
        return _resume(arguments, kind, task, train, fields)
    if arguments.data is not None:
        read_dataset(arguments.data)  # fails before TensorFlow is imported
    train_options = _options(arguments, kind, fields)
    folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
    if arguments.evolve:
        from tfyolo.training.detection.evolve import evolve

        best = evolve(train_options, folder, arguments.evolve, print)
        print(f"the best hyperparameters are in {best}")
        print_next(*COMMANDS[task], "--data", train_options.data, "--hyp", best)
        return 0
    return train(train_options, folder, None)


def _options(arguments: argparse.Namespace, kind: type[Options], fields: dict[str, Any]) -> Options:
    """Convert parsed arguments to options."""
    if arguments.data is None:
        raise TfyoloError("--data is missing", fix="pass a dataset's YAML, or --resume")
    names = (
        "data",
        "weights",
        "cfg",
        "hyp",
        "epochs",
        "nominal_batch",
        "rect",
        "multi_scale",
        "single_cls",
        "image_weights",
        "cos_lr",
        "autobalance",
        "patience",
        "save_period",
        "cache",
        "seed",
        "amp",
        "strategy",
        "sync_bn",
    )
    return kind(
        **{name: getattr(arguments, name) for name in names},
        batch_size=arguments.batch,
        hyp_overrides=_hyperparameters(arguments.set, arguments.label_smoothing),
        image_size=arguments.img or kind.image_size,
        optimizer="Adam" if arguments.adam else arguments.optimizer,
        autoanchor=not arguments.noautoanchor,
        freeze=tuple(arguments.freeze),
        save=not arguments.nosave,
        val=not arguments.noval,
        plots=not arguments.noplots,
        **fields,
    )


_FIELDS = {
    "batch": "batch_size",
    "img": "image_size",
    "adam": "optimizer",
    "set": "hyp_overrides",
    "label_smoothing": "hyp_overrides",
    "nosave": "save",
    "noval": "val",
    "noplots": "plots",
    "noautoanchor": "autoanchor",
    "no_overlap": "overlap",
}
"""Fields of the options by the command-line options that have other names."""


def _resume(
    arguments: argparse.Namespace,
    kind: type[Options],
    task: str,
    train: Callable[..., int],
    fields: dict[str, Any],
) -> int:
    """Continue an unfinished run with its own options."""
    from tfyolo.api.resume import find_run
    from tfyolo.training.resume import log_ignored_options
    from tfyolo.training.state import read_state

    if arguments.evolve:
        raise TfyoloError("--resume and --evolve are mutually exclusive", fix="pass only one of them")
    last = find_run(arguments.resume, arguments.project, task)
    saved = kind.from_plain(read_state(last, task).options, last)
    data = arguments.data or saved.data
    given = _options(argparse.Namespace(**{**vars(arguments), "data": data}), kind, fields)
    names = options.given_options(arguments.parser, arguments.words)
    given_names = {_FIELDS.get(name, name) for name in names}
    given_values = {name: value for name, value in given.to_plain().items() if name in given_names}
    log_ignored_options(given_values, saved.to_plain(), print)
    options.print_ignored_folder(names if arguments.resume else names - {"project"}, last.parent.parent)
    return train(saved, last.parent.parent, last)


def _train(train_options: TrainOptions, folder: Path, resume: Path | None) -> int:
    """Train with a live display, and print the metrics and the next command."""
    from tfyolo.cli.train_display import Display

    best = train_and_print(Display(train_options.epochs), train_options, folder, resume)
    if best is None:
        return 0
    size = ["--img", str(train_options.image_size)]
    single = ["--single-cls"] if train_options.single_cls else []
    print_next("tfyolo", "val", "--weights", best, "--data", train_options.data, *size, *single)
    print_next("tfyolo", "export", "--weights", best, "--include", "tflite")
    return 0


def train_and_print(
    display: Display, train_options: TrainOptions, folder: Path, resume: Path | None
) -> Path | None:
    """Train with a live display, and print the metrics.

    Args:
        display: display of the task.
        train_options: options of the run.
        folder: folder of the run.
        resume: `last.keras` of a run to resume, or None.

    Returns:
        The best model, or None on workers other than the first, which do not validate.
    """
    from tfyolo.cli.metrics_tables import print_metrics
    from tfyolo.training.train import train

    with display:
        result = train(
            train_options,
            folder,
            resume=resume,
            callbacks=[display.callback()],
            log=display.log,
            progress=display.bar,
        )
    if result.metrics is None:
        return None
    print_metrics(result.metrics, result.folder, problems_printed=True)
    print(f"best model: {result.best}")
    return result.best


def _hyperparameters(texts: list[str], label_smoothing: float | None) -> dict[str, str | float]:
    """Hyperparameters of `--set` and `--label-smoothing`, by name."""
    values: dict[str, str | float] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise TfyoloError(
                f"--set {text} is not in the form NAME=VALUE", fix="write, for example, --set lr0=0.02"
            )
        if name in values:
            raise TfyoloError(f"--set sets `{name}` twice", fix="remove one")
        values[name] = value
    if label_smoothing is None:
        return values
    if "label_smoothing" in values:
        raise TfyoloError("--label-smoothing and --set label_smoothing are the same", fix="remove one")
    return {**values, "label_smoothing": label_smoothing}
