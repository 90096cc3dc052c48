"""`tfyolo classify train`, `val` and `predict`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfyolo.cli import arguments as options
from tfyolo.cli import train_quantized
from tfyolo.cli.next_command import print_next
from tfyolo.errors import TfyoloError, refuse_given

if TYPE_CHECKING:
    from tfyolo.evaluation.classification import ClassificationMetrics
    from tfyolo.training.classify.options import ClassifyOptions

EXAMPLES = (
    "tfyolo classify train --data cells/ --model yolov5n-cls --img 64 --epochs 30",
    "tfyolo classify train --data cells/ --pretrained yolov5n.pt --freeze 5   # a detector's backbone",
    "tfyolo classify train --qat --data cells/ --pretrained best.keras   # as an 8-bit model",
    "tfyolo classify train --resume                          # the newest unfinished run goes on",
    "tfyolo classify val --data cells/ --weights best.keras --split test",
    "tfyolo classify predict --weights best.keras --source images/",
)
PROJECT = Path("runs/train-cls")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A parser for each of the three."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="train|val|predict")
    for name, text, add in (
        ("train", "train a classifier on folders of images, one for each class", _train_arguments),
        ("val", "measure top-1 and top-5 on a split", _val_arguments),
        ("predict", "classify images, videos and streams", _predict_arguments),
    ):
        examples = "\n".join(f"  {line}" for line in EXAMPLES if line.startswith(f"tfyolo classify {name}"))
        add(
            parts.add_parser(
                name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False,
                epilog=f"examples:\n{examples}", formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Do the part that was asked for."""
    return {"train": _train, "val": _val, "predict": _predict}[arguments.part](arguments)


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of YOLOv5's classify/train.py."""
    add, count, positive = parser.add_argument, options.count, options.positive
    off = options.count_or_off
    add("--data", type=Path, metavar="FOLDER", help="dataset: train/CLASS/*.jpg, val/CLASS/*.jpg")
    add(
        "--model",
        default="",
        metavar="MODEL",
        help="name or YAML; by default that of --pretrained, or yolov5n-cls",
    )
    add("--pretrained", "--weights", default="", metavar="FILE",
        help="begin with the layers of this classifier or detector that fit; by default random")  # fmt: skip
    add("--epochs", type=positive, default=10, metavar="N", help="(%(default)s)")
    add("--batch-size", "--batch", dest="batch", type=positive, default=64, metavar="N", help="(%(default)s)")
    add("--img", "--imgsz", "--img-size", dest="img", type=options.side, metavar="PX",
        help="side of the images (224; with --qat the model's own)")  # fmt: skip
    add("--optimizer", choices=("SGD", "Adam", "AdamW"), default="Adam", help="(%(default)s)")
    add("--lr0", type=float, default=0.001, metavar="X", help="learning rate (%(default)s)")
    add("--lrf", type=float, default=0.01, metavar="P", help="last learning rate, as a share (%(default)s)")
    add("--momentum", type=float, default=0.9, metavar="P", help="of SGD; first beta of Adam (%(default)s)")
    add("--decay", type=float, default=5e-5, metavar="X", help="weight decay (%(default)s)")
    add(
        "--warmup-epochs",
        type=float,
        default=1.0,
        metavar="N",
        help="at most a tenth of the run (%(default)s)",
    )
    add("--cos-lr", action=argparse.BooleanOptionalAction, default=True,
        help="a cosine instead of a straight line")  # fmt: skip
    add("--label-smoothing", type=float, default=0.1, metavar="P", help="(%(default)s)")
    add("--dropout", type=float, default=0.0, metavar="P", help="before the last layer (%(default)s)")
    add(
        "--freeze",
        nargs="+",
        type=off,
        default=[0],
        metavar="N",
        help="first N layers, or several by number",
    )
    add("--scale", type=float, default=0.08, metavar="P",
        help="smallest share of an image in a random crop (%(default)s)")  # fmt: skip
    add("--ratio", type=float, default=4 / 3, metavar="X", help="largest proportion of its sides (1.33)")
    add("--hflip", type=float, default=0.5, metavar="P", help="flips left to right (%(default)s)")
    add("--vflip", type=float, default=0.0, metavar="P", help="flips upside down (%(default)s)")
    add("--jitter", type=float, default=0.4, metavar="P",
        help="change of brightness, contrast and saturation (%(default)s)")  # fmt: skip
    add("--hue", type=float, default=0.0, metavar="P", help="change of hue (%(default)s)")
    add("--randaugment", nargs="?", const=2, type=count, default=0, metavar="N",
        help="N operations of RandAugment in place of --jitter (2)")  # fmt: skip
    add("--magnitude", type=float, default=0.3, metavar="P", help="their strength (%(default)s)")
    add("--mixup", type=float, default=0.0, metavar="P", help="batches blended with themselves (%(default)s)")
    add("--cutmix", type=float, default=0.0, metavar="P", help="batches that exchange patches (%(default)s)")
    add("--patience", type=off, default=100, metavar="N",
        help="stop after N epochs without progress; 0 or -1: never (100)")  # fmt: skip
    add("--save-period", type=off, default=0, metavar="N",
        help="keep a file every N epochs; 0 or -1: none (0)")  # fmt: skip
    add("--nosave", action="store_true", help="write weights at the end only; such a run cannot be resumed")
    add("--cache", nargs="?", const="ram", default="auto", choices=("auto", "ram", "disk", "none"),
        help="keep decoded images; auto: in memory up to 512 MiB")  # fmt: skip
    add("--seed", type=options.seed, default=0, metavar="N", help="(%(default)s)")
    add(
        "--amp",
        nargs="?",
        const="bf16",
        default="off",
        choices=("off", "bf16", "fp16"),
        help="mixed precision",
    )
    add("--resume", nargs="?", const="", metavar="LAST",
        help="go on with an unfinished run: its folder or last.keras; the newest by default")  # fmt: skip
    train_quantized.add_arguments(parser)
    add("--noval", action="store_true", help="validate after the last epoch only")
    add("--noplots", action="store_true", help="draw nothing")
    add("--device", default="", type=options.device, help="cpu, or the index of a GPU")
    options.add_run(parser, str(PROJECT))


def _val_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of YOLOv5's classify/val.py."""
    options.add_model(parser)
    add = parser.add_argument
    add("--data", required=True, type=Path, metavar="FOLDER", help="dataset: val/CLASS/*.jpg")
    add("--split", "--task", choices=("train", "val", "test"), default="",
        help="by default val, or test where there is no val")  # fmt: skip
    add("--batch-size", "--batch", dest="batch", type=options.positive, default=64, metavar="N", help="(64)")
    add("--verbose", action="store_true", help="a row for each class, however many")
    add("--noplots", action="store_true", help="draw nothing")
    options.add_run(parser, "runs/val-cls")


def _predict_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of YOLOv5's classify/predict.py."""
    options.add_model(parser)
    add = parser.add_argument
    add("--source", nargs="+", required=True, metavar="SRC",
        help="image, folder, glob, .txt list, video, webcam index, rtsp:// or http:// stream")  # fmt: skip
    add("--top", type=options.positive, default=5, metavar="N", help="classes to name (%(default)s)")
    add("--save-txt", action="store_true", help="write labels/NAME.txt: probability and class, best first")
    add("--save-csv", action="store_true", help="write predictions.csv")
    add("--nosave", action="store_true", help="write no annotated images and videos")
    add("--vid-stride", type=options.positive, default=1, metavar="N", help="every n-th frame (1)")
    options.add_run(parser, "runs/predict-cls")


def _train(arguments: argparse.Namespace) -> int:
    from tfyolo.data.classification.folders import read_folders
    from tfyolo.files import run_folder
    from tfyolo.libraries import require

    require("tensorflow", "keras", "matplotlib")
    if arguments.qat:
        train_quantized.train_quantized(arguments, "classify", "--pretrained", arguments.pretrained)
        return 0
    refuse_given(arguments.given, (), "only --qat calibrates")
    train_quantized.check_flags(arguments)
    if arguments.resume is not None:
        return _resume(arguments)
    if arguments.data is not None:
        read_folders(arguments.data)  # refuses before TensorFlow is loaded
    wanted = _options(arguments)
    return _run(wanted, run_folder(arguments.project, arguments.name, arguments.exist_ok), None)


def _options(arguments: argparse.Namespace) -> ClassifyOptions:
    from tfyolo.data.classification.augment import ClassificationAugmentation
    from tfyolo.training.classify.options import ClassifyHyps, ClassifyOptions

    if arguments.data is None:
        raise TfyoloError("--data is missing", fix="pass the folder of a dataset, or --resume")
    given = vars(arguments) | {"weight_decay": arguments.decay}
    names = ("data", "model", "pretrained", "epochs", "batch", "optimizer", "cos_lr", "patience",
             "save_period", "cache", "seed", "amp")  # fmt: skip
    return ClassifyOptions(
        **{name: given[name] for name in names},
        image_size=arguments.img or ClassifyOptions.image_size,
        hyps=_checked(ClassifyHyps, given),
        augmentation=_checked(ClassificationAugmentation, given),
        freeze=tuple(arguments.freeze),
        save=not arguments.nosave,
        val=not arguments.noval,
        plots=not arguments.noplots,
    )


def _checked(model: Any, given: dict[str, Any]) -> Any:
    """Settings of the same names as flags, within their bounds."""
    from pydantic import ValidationError

    try:
        return model(**{name: given[name] for name in model.model_fields})
    except ValidationError as error:
        first = error.errors()[0]
        name = {"weight_decay": "decay"}.get(str(first["loc"][0]), str(first["loc"][0]))
        raise TfyoloError(
            f"--{name.replace('_', '-')} {first['input']}: {first['msg'][:1].lower()}{first['msg'][1:]}",
            fix="tfyolo classify train --help",
        ) from error


def _resume(arguments: argparse.Namespace) -> int:
    from tfyolo.training.classify.train import TASK, from_plain, plain
    from tfyolo.training.resume import tell_ignored
    from tfyolo.training.state import newest_run, read_state

    last = Path(arguments.resume) if arguments.resume else newest_run(Path(arguments.project), TASK)
    if last.is_dir():  # a run's folder
        last = last / "weights/last.keras"
    saved = from_plain(read_state(last, TASK).options, last)
    wanted = _options(argparse.Namespace(**{**vars(arguments), "data": arguments.data or saved.data}))
    flags = options.given(arguments.parser, arguments.words)
    fields = {_FIELDS.get(name, name) for name in flags}
    tell_ignored(_flat(plain(wanted), fields), _flat(plain(saved), fields), print)
    options.tell_folder_is_kept(flags, last.parent.parent)
    return _run(saved, last.parent.parent, last)


_FIELDS = {"img": "image_size", "nosave": "save", "noval": "val", "noplots": "plots", "decay": "weight_decay"}
"""Options of the run by flags that are called otherwise."""


def _flat(values: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    """Those of the options, hyperparameters and augmentation that are named."""
    flat = {**values, **values["hyps"], **values["augmentation"]}
    return {name: value for name, value in flat.items() if name in fields}


def _run(wanted: ClassifyOptions, folder: Path, resume: Path | None) -> int:
    from tfyolo.cli.classify_display import ClassifyDisplay
    from tfyolo.data.classification.folders import read_folders
    from tfyolo.training.classify.train import train_classifier

    with ClassifyDisplay(wanted.epochs) as display:
        result = train_classifier(wanted, folder, resume=resume, callbacks=[display.callback()],
                                  log=display.log, progress=display.bar)  # fmt: skip
    print_metrics(result.metrics, folder, len(result.metrics.names) <= 30)
    split = ["--split", "test"] if "test" in read_folders(wanted.data).splits else []
    print(f"best model: {result.best}")
    print_next("tfyolo", "classify", "val", "--weights", result.best, "--data", wanted.data, *split)
    print_next(
        "tfyolo", "export", "--weights", result.best, "--include", "tflite", "--img", wanted.image_size
    )
    return 0


def _val(arguments: argparse.Namespace) -> int:
    from tfyolo.cli.progress import progress_bar
    from tfyolo.data.classification.folders import read_folders
    from tfyolo.evaluation.classification import ClassifyValOptions, validate_classifier
    from tfyolo.files import run_folder
    from tfyolo.inference.load import load_classifier

    dataset = read_folders(arguments.data)
    classifier = load_classifier(arguments.weights, options.image_size(arguments.img))
    dataset.with_names(classifier.names)  # refuses before a folder is made
    plots = options.drawn_plots(not arguments.noplots)
    folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
    settings = ClassifyValOptions(arguments.split, arguments.batch, plots)
    with progress_bar() as progress:
        metrics = validate_classifier(classifier, dataset, settings, folder, progress)
    print_metrics(metrics, folder, arguments.verbose or len(metrics.names) <= 30)
    print_next("tfyolo", "classify", "predict", "--weights", arguments.weights, "--source", "IMAGES")
    return 1 if metrics.scan.corrupt else 0


def _predict(arguments: argparse.Namespace) -> int:
    from tfyolo.files import run_folder
    from tfyolo.inference.classify_predict import predict_classes
    from tfyolo.inference.load import load_classifier
    from tfyolo.inference.sources import open_sources
    from tfyolo.inference.writers import Outputs

    frames = open_sources(arguments.source, arguments.vid_stride)
    classifier = load_classifier(arguments.weights, options.image_size(arguments.img))
    outputs = None
    if not arguments.nosave or arguments.save_txt or arguments.save_csv:
        folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
        outputs = Outputs(folder, images=not arguments.nosave, txt=arguments.save_txt, csv=arguments.save_csv)
    report = predict_classes(classifier, frames, outputs, arguments.top)
    print(report)
    if report.interrupted and frames.total is not None:  # to stop a stream is no failure
        return 130
    return 0 if report.is_complete else 1


def print_metrics(metrics: ClassificationMetrics, folder: Path, per_class: bool) -> None:
    """Print the table of figures."""
    import math

    from rich.markup import escape
    from rich.table import Table

    from tfyolo.cli.console import console
    from tfyolo.data.classification.folders import scan_summary
    from tfyolo.text import printable

    out = console()
    for problem in metrics.problems:
        print(printable(problem, keep="\n"), file=sys.stderr)
    out.print(f"{metrics.settings['split']}: {scan_summary(metrics.scan, len(metrics.names))}")
    if per_class:
        table = Table("class", *("images", "P", "R", "F1"), box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        columns = (metrics.images, metrics.precision, metrics.recall, metrics.f1)
        for name, count, *values in zip(metrics.names, *columns, strict=True):
            shown = ("-" if math.isnan(value) else f"{value:.3f}" for value in values)
            table.add_row(escape(printable(name)), str(count), *shown)
        out.print(table)
    out.print(
        f"top-1 {metrics.top1:.4f}, top-5 {metrics.top5:.4f}, mean recall of the classes "
        f"{metrics.balanced:.4f}, loss {metrics.loss:.4f}"
    )
    speed = ", ".join(f"{value:.1f} ms {key}" for key, value in metrics.speed_ms.items())
    out.print(f"speed an image: {speed}")
    out.print(f"results are in {folder}", markup=False, soft_wrap=True)
