"""`tfyolo train`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tfyolo.cli import arguments as options
from tfyolo.cli import train_quantized
from tfyolo.cli.next_command import print_next
from tfyolo.errors import TfyoloError, refuse_given

if TYPE_CHECKING:
    from tfyolo.training.options import TrainOptions
    from tfyolo.training.train import TrainResult

NEEDS = ("tensorflow", "keras", "matplotlib", "sklearn")
EXAMPLES = (
    "tfyolo train --data bccd.yaml --weights yolov5n.pt --img 320 --epochs 30",
    "tfyolo train --data bccd.yaml --weights '' --cfg yolov5s --hyp scratch-med --optimizer AdamW",
    "tfyolo train --qat --data bccd.yaml --weights best.keras --img 320 --epochs 10   # as an 8-bit model",
    "tfyolo train --resume                 # the newest unfinished run goes on",
)
PROJECT = Path("runs/train")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of YOLOv5's train.py."""
    add = parser.add_argument
    add("--data", type=Path, metavar="YAML", help="dataset: path, train, val, names")
    add(
        "--weights",
        default="yolov5n",
        metavar="FILE",
        help="begin from this; '' for random weights (%(default)s)",
    )
    add("--cfg", default="", metavar="MODEL", help="model name or YAML; by default that of --weights")
    add(
        "--hyp", default="scratch-low", metavar="NAME", help="hyperparameters: a name or a YAML (%(default)s)"
    )
    add("--set", nargs="+", default=[], metavar="NAME=X", help="single hyperparameters, as lr0=0.02")
    add("--epochs", type=options.positive, default=100, metavar="N", help="(%(default)s)")
    add("--batch-size", "--batch", dest="batch", type=_batch, default=16, metavar="N",
        help="images in a batch; -1 measures what fits a GPU (%(default)s)")  # fmt: skip
    add("--nominal-batch", type=options.positive, default=64, metavar="N",
        help="images in an update, by accumulation (%(default)s)")  # fmt: skip
    add("--img", "--imgsz", "--img-size", dest="img", type=options.side, metavar="PX",
        help="side of the images (640; with --qat the model's own)")  # fmt: skip
    add("--optimizer", choices=("SGD", "Adam", "AdamW"), default="SGD", help="(%(default)s)")
    add("--adam", action="store_true", help="the same as --optimizer Adam")
    add("--cos-lr", action="store_true", help="cosine instead of linear learning rate")
    add("--label-smoothing", type=options.fraction, metavar="P", help="the same as --set label_smoothing=P")
    add("--rect", action="store_true", help="rectangular batches, without mosaics")
    add("--multi-scale", action="store_true", help="vary each batch's size by half")
    add("--single-cls", action="store_true", help="train all classes as one")
    add("--image-weights", action="store_true", help="draw images of badly detected classes more often")
    add("--autobalance", action="store_true", help="balance the scales' objectness by their losses")
    add("--noautoanchor", action="store_true", help="keep the anchors, whatever the boxes")
    add("--freeze", nargs="+", type=options.count_or_off, default=[0], metavar="N",
        help="first N layers, or several by number")  # fmt: skip
    add("--patience", type=options.count_or_off, default=100, metavar="N",
        help="stop after N epochs without progress; 0 or -1: never (100)")  # fmt: skip
    add("--save-period", type=options.count_or_off, default=0, metavar="N",
        help="keep a file every N epochs; 0 or -1: none (0)")  # fmt: skip
    add("--nosave", action="store_true", help="write weights at the end only; such a run cannot be resumed")
    add("--cache", nargs="?", const="ram", default="none", choices=("ram", "disk", "none"),
        help="keep decoded images (ram)")  # fmt: skip
    add("--seed", type=options.seed, default=0, metavar="N", help="(%(default)s)")
    add(
        "--amp",
        nargs="?",
        const="bf16",
        default="off",
        choices=("off", "bf16", "fp16"),
        help="mixed precision",
    )
    add("--strategy", choices=("none", "mirrored", "multiworker"), default="none", help="several devices")
    add("--sync-bn", action="store_true", help="batch-norm over all devices")
    add(
        "--resume",
        nargs="?",
        const="",
        metavar="LAST",
        help="go on with an unfinished run: its folder or last.keras; the newest by default",
    )
    add("--evolve", nargs="?", const=30, type=options.positive, metavar="N",
        help="search hyperparameters in N short runs (30)")  # fmt: skip
    train_quantized.add_arguments(parser)
    add("--noval", action="store_true", help="validate after the last epoch only")
    add("--noplots", action="store_true", help="draw nothing")
    add("--device", default="", type=options.device, help="cpu, or the index of a GPU")
    options.add_run(parser, str(PROJECT))


def run(arguments: argparse.Namespace) -> int:
    """Train, resume or evolve, and say what was made."""
    from tfyolo.data.detection.scan import read_dataset
    from tfyolo.files import run_folder

    if arguments.qat:
        train_quantized.train_quantized(arguments, "detect", "--weights", arguments.weights, arguments.hyp)
        return 0
    refuse_given(arguments.given, (), "only --qat calibrates")
    train_quantized.check_flags(arguments)
    if arguments.resume is not None:
        from tfyolo.training.state import newest_run

        last = Path(arguments.resume) if arguments.resume else newest_run(Path(arguments.project))
        return _resume(arguments, last)
    if arguments.data is not None:
        read_dataset(arguments.data)  # refuses before TensorFlow is loaded
    wanted = _options(arguments)
    folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
    if arguments.evolve:
        from tfyolo.training.evolve import evolve

        best = evolve(wanted, folder, arguments.evolve, print)
        print(f"the best hyperparameters are in {best}")
        print_next("tfyolo", "train", "--data", wanted.data, "--hyp", best)
        return 0
    return _train(wanted, folder, None)


def _options(arguments: argparse.Namespace) -> TrainOptions:
    from tfyolo.training.options import TrainOptions

    if arguments.data is None:
        raise TfyoloError("--data is missing", fix="pass a dataset's YAML, or --resume")
    names = ("data", "weights", "cfg", "hyp", "epochs", "batch", "nominal_batch", "rect", "multi_scale",
             "single_cls", "image_weights", "cos_lr", "autobalance", "patience", "save_period", "cache",
             "seed", "amp", "strategy", "sync_bn")  # fmt: skip
    return TrainOptions(
        **{name: getattr(arguments, name) for name in names},
        hyp_overrides=_settings(arguments.set, arguments.label_smoothing),
        image_size=arguments.img or TrainOptions.image_size,
        optimizer="Adam" if arguments.adam else arguments.optimizer,
        autoanchor=not arguments.noautoanchor,
        freeze=tuple(arguments.freeze),
        save=not arguments.nosave,
        val=not arguments.noval,
        plots=not arguments.noplots,
    )


_FIELDS = {
    "img": "image_size", "adam": "optimizer", "set": "hyp_overrides", "label_smoothing": "hyp_overrides",
    "nosave": "save", "noval": "val", "noplots": "plots", "noautoanchor": "autoanchor",
}  # fmt: skip
"""Options of the run by flags that are called otherwise."""


def _resume(arguments: argparse.Namespace, last: Path) -> int:
    from tfyolo.training.resume import tell_ignored
    from tfyolo.training.state import read_state
    from tfyolo.training.train import from_plain, plain

    if arguments.evolve:
        raise TfyoloError("--resume goes on with one run, and --evolve makes many", fix="pass one of them")
    if last.is_dir():  # a run's folder
        last = last / "weights/last.keras"
    saved = from_plain(read_state(last).options, last)
    wanted = _options(argparse.Namespace(**{**vars(arguments), "data": arguments.data or saved.data}))
    flags = options.given(arguments.parser, arguments.words)
    fields = {_FIELDS.get(name, name) for name in flags}
    tell_ignored(
        {name: value for name, value in plain(wanted).items() if name in fields}, plain(saved), print
    )
    options.tell_folder_is_kept(flags, last.parent.parent)
    return _train(saved, last.parent.parent, last)


def _train(wanted: TrainOptions, folder: Path, resume: Path | None) -> int:
    from tfyolo.cli.train_display import Display
    from tfyolo.training.train import train

    with Display(wanted.epochs) as display:
        result = train(wanted, folder, resume=resume, callbacks=[display.callback()], log=display.log,
                       progress=display.bar)  # fmt: skip
    if result.metrics is not None:
        _report(result, wanted)
    return 0


def _report(result: TrainResult, wanted: TrainOptions) -> None:
    from tfyolo.cli.val import print_metrics

    assert result.metrics is not None  # noqa: S101
    print_metrics(result.metrics, result.folder, len(result.metrics.names) <= 30, scanned=True)
    print(f"best model: {result.best}")
    size = ["--img", str(wanted.image_size)]
    single = ["--single-cls"] if wanted.single_cls else []
    print_next("tfyolo", "val", "--weights", result.best, "--data", wanted.data, *size, *single)
    print_next("tfyolo", "export", "--weights", result.best, "--include", "tflite")


def _settings(texts: list[str], label_smoothing: float | None) -> dict[str, str | float]:
    """Hyperparameters of --set and --label-smoothing, by name."""
    found: dict[str, str | float] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise TfyoloError(f"--set {text} is not NAME=VALUE", fix="write, for example, --set lr0=0.02")
        if name in found:
            raise TfyoloError(f"--set has `{name}` twice", fix="remove one")
        found[name] = value
    if label_smoothing is None:
        return found
    if "label_smoothing" in found:
        raise TfyoloError("--label-smoothing and --set label_smoothing are the same", fix="remove one")
    return {**found, "label_smoothing": label_smoothing}


def _batch(text: str) -> int:
    return -1 if text == "-1" else options.positive(text)
