"""`tfyolo classify train`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli import train_arguments, train_quantized
from tfyolo.cli.next_command import print_next
from tfyolo.errors import TfyoloError, refuse_given

if TYPE_CHECKING:
    from tfyolo.training.classification.options import ClassifyOptions

PROJECT = Path("runs/train-cls")
_FIELDS = {
    "batch": "batch_size",
    "img": "image_size",
    "nosave": "save",
    "noval": "val",
    "noplots": "plots",
    "decay": "weight_decay",
}
"""Fields of the options objects by the command-line options that have other names."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of YOLOv5's classify/train.py to the parser."""
    add = options.group(parser, "data")
    add("--data", type=Path, metavar="FOLDER", help="dataset folder with train/CLASS/*.jpg, val/CLASS/*.jpg")
    train_arguments.add_cache(parser, default="auto", choices=("auto", "ram", "disk", "none"))
    add = options.group(parser, "model")
    add(
        "--model",
        default="",
        metavar="MODEL",
        help="model name, YAML, or weights as --pretrained (default: its model, or yolov5n-cls)",
    )
    add(
        "--pretrained",
        "--weights",
        default="",
        metavar="FILE",
        help="classifier or detector whose matching layers are the initial weights (default: random weights)",
    )
    add("--dropout", type=float, default=0.0, metavar="P", help="dropout rate before the last layer")
    train_arguments.add_image_side(parser, 224, "; with --qat the model's own")
    train_arguments.add_schedule(parser, epochs=10, batch_size=64, optimizer="Adam")
    _add_optimization(parser)
    _add_augmentation(parser)
    train_arguments.add_qat(parser)
    train_arguments.add_output(parser, PROJECT)


def _add_optimization(parser: argparse.ArgumentParser) -> None:
    add = options.group(parser, "optimization")
    add("--lr0", type=float, default=0.001, metavar="X", help="learning rate after the warm-up")
    add("--lrf", type=float, default=0.01, metavar="P", help="final learning rate, as a fraction of --lr0")
    add("--momentum", type=float, default=0.9, metavar="P", help="momentum of SGD, or beta_1 of Adam")
    add("--decay", type=float, default=5e-5, metavar="X", help="weight decay of kernels")
    add(
        "--warmup-epochs",
        type=float,
        default=1.0,
        metavar="N",
        help="epochs of learning-rate warm-up, at most a tenth of the run",
    )
    add(
        "--cos-lr",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="use a cosine learning-rate schedule instead of a linear one",
    )
    add("--label-smoothing", type=float, default=0.1, metavar="P", help="label smoothing of the loss")


def _add_augmentation(parser: argparse.ArgumentParser) -> None:
    add = options.group(parser, "augmentation")
    add("--scale", type=float, default=0.08, metavar="P", help="minimum area of a random crop, as a fraction")
    add(
        "--ratio",
        type=float,
        default=4 / 3,
        metavar="X",
        help="maximum aspect ratio of a random crop (default: 1.33)",
    )
    add("--hflip", type=float, default=0.5, metavar="P", help="probability of a horizontal flip")
    add("--vflip", type=float, default=0.0, metavar="P", help="probability of a vertical flip")
    add(
        "--jitter",
        type=float,
        default=0.4,
        metavar="P",
        help="maximum change of brightness, contrast and saturation",
    )
    add("--hue", type=float, default=0.0, metavar="P", help="maximum change of hue")
    add(
        "--randaugment",
        nargs="?",
        const=2,
        type=types.count,
        default=0,
        metavar="N",
        help="apply N operations of RandAugment instead of --jitter (2 without N)",
    )
    add("--magnitude", type=float, default=0.3, metavar="P", help="magnitude of RandAugment, from 0 to 1")
    add("--mixup", type=float, default=0.0, metavar="P", help="probability that mixup blends two batches")
    add("--cutmix", type=float, default=0.0, metavar="P", help="probability that CutMix exchanges patches")


def run(arguments: argparse.Namespace) -> int:
    """Train or resume, print the metrics, and return the exit code."""
    from tfyolo.data.classification.folders import read_folders
    from tfyolo.files import run_folder
    from tfyolo.libraries import require

    require("tensorflow", "keras", "matplotlib")
    _take_weights_as_pretrained(arguments)
    if arguments.qat:
        train_quantized.train_quantized(arguments, "classify", "--pretrained", arguments.pretrained)
        return 0
    refuse_given(arguments.given, (), "only --qat calibrates")
    train_quantized.check_flags(arguments)
    if arguments.resume is not None:
        return _resume(arguments)
    if arguments.data is not None:
        read_folders(arguments.data)  # fails before TensorFlow is imported
    train_options = _options(arguments)
    return _train(train_options, run_folder(arguments.project, arguments.name, arguments.exist_ok), None)


def _take_weights_as_pretrained(arguments: argparse.Namespace) -> None:
    """Move weights that are given as `--model`, as in YOLOv5, to `--pretrained`."""
    if Path(arguments.model).suffix not in (".pt", ".keras"):
        return
    if arguments.pretrained:
        raise TfyoloError(
            f"--model {arguments.model} and --pretrained {arguments.pretrained} are both weights",
            fix="leave out one of them",
        )
    arguments.model, arguments.pretrained = "", arguments.model


def _options(arguments: argparse.Namespace) -> ClassifyOptions:
    """Convert parsed arguments to `ClassifyOptions`."""
    from tfyolo.data.classification.augment import ClassificationAugmentationOptions
    from tfyolo.training.classification.options import ClassifyHyps, ClassifyOptions

    if arguments.data is None:
        raise TfyoloError("--data is missing", fix="pass the folder of a dataset, or --resume")
    values = vars(arguments) | {"weight_decay": arguments.decay}
    names = (
        "data",
        "model",
        "pretrained",
        "epochs",
        "optimizer",
        "cos_lr",
        "patience",
        "save_period",
        "cache",
        "seed",
        "amp",
    )
    return ClassifyOptions(
        **{name: values[name] for name in names},
        batch_size=arguments.batch,
        image_size=arguments.img or ClassifyOptions.image_size,
        hyps=_validated(ClassifyHyps, values),
        augmentation=_validated(ClassificationAugmentationOptions, values),
        freeze=tuple(arguments.freeze),
        save=not arguments.nosave,
        val=not arguments.noval,
        plots=not arguments.noplots,
    )


def _validated(model: Any, values: dict[str, Any]) -> Any:
    """Create a pydantic model from the values of the same names; an error names the flag."""
    from pydantic import ValidationError

    try:
        return model(**{name: values[name] for name in model.model_fields})
    except ValidationError as error:
        first = error.errors()[0]
        name = {"weight_decay": "decay"}.get(str(first["loc"][0]), str(first["loc"][0]))
        raise TfyoloError(
            f"--{name.replace('_', '-')} {first['input']}: {first['msg'][:1].lower()}{first['msg'][1:]}",
            fix="tfyolo classify train --help",
        ) from error


def _resume(arguments: argparse.Namespace) -> int:
    """Continue an unfinished run with its own options."""
    from tfyolo.api.resume import find_run
    from tfyolo.training.classification.options import ClassifyOptions
    from tfyolo.training.resume import log_ignored_options
    from tfyolo.training.state import read_state

    last = find_run(arguments.resume, arguments.project, "classify")
    saved = ClassifyOptions.from_plain(read_state(last, "classify").options, last)
    given = _options(argparse.Namespace(**{**vars(arguments), "data": arguments.data or saved.data}))
    names = options.given_options(arguments.parser, arguments.words)
    fields = {_FIELDS.get(name, name) for name in names}
    log_ignored_options(_flat(given.to_plain(), fields), _flat(saved.to_plain(), fields), print)
    options.print_ignored_folder(names if arguments.resume else names - {"project"}, last.parent.parent)
    return _train(saved, last.parent.parent, last)


def _flat(values: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    """Options, hyperparameters and augmentation of the given names, in one dictionary."""
    flat = {**values, **values["hyps"], **values["augmentation"]}
    return {name: value for name, value in flat.items() if name in fields}


def _train(train_options: ClassifyOptions, folder: Path, resume: Path | None) -> int:
    """Train with a live display, and print the metrics and the next command."""
    from tfyolo.cli.classify_display import ClassifyDisplay
    from tfyolo.cli.metrics_tables import print_metrics
    from tfyolo.data.classification.folders import read_folders
    from tfyolo.training.train import train

    with ClassifyDisplay(train_options.epochs) as display:
        result = train(
            train_options,
            folder,
            resume=resume,
            callbacks=[display.callback()],
            log=display.log,
            progress=display.bar,
        )
    print_metrics(result.metrics, folder)
    data = train_options.data
    split = ["--split", "test"] if "test" in read_folders(data).splits else []
    print(f"best model: {result.best}")
    print_next("tfyolo", "classify", "val", "--weights", result.best, "--data", data, *split)
    side = train_options.image_size
    print_next("tfyolo", "export", "--weights", result.best, "--include", "tflite", "--img", side)
    return 0
