"""Options that several commands share, with YOLOv5's names."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError


def add_model(parser: argparse.ArgumentParser, *, many: bool = False, required: bool = True) -> None:
    """--weights, --img and --device."""
    parser.add_argument(
        "--weights",
        nargs="+" if many else None,
        required=required,
        metavar="FILE",
        help="model file (.pt, .keras, .tflite, a SavedModel folder) or a release name such as yolov5s"
        + ("" if required else "; by default the shipped model of blood cells"),
    )
    parser.add_argument(
        "--img", "--imgsz", "--img-size", dest="img", nargs="+", type=int, metavar="PX",
        help="input size, one number or height and width; by default the model's own",
    )  # fmt: skip
    parser.add_argument("--device", default="", type=device, help="cpu, or the index of a GPU")


def add_thresholds(parser: argparse.ArgumentParser, conf: float, iou: float, max_det: int) -> None:
    """--conf-thres, --iou-thres and --max-det."""
    parser.add_argument(
        "--conf-thres", "--conf", type=fraction, default=conf, metavar="P",
        help="lowest confidence (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--iou-thres", "--iou", type=fraction, default=iou, metavar="P",
        help="IoU threshold of suppression (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--max-det", type=positive, default=max_det, metavar="N", help="most boxes an image (%(default)s)"
    )


def add_calibration(parser: argparse.ArgumentParser, required: bool = False, data: bool = True) -> None:
    """--data, --calibration, --ranges and --keep-float: how an integer network's ranges are measured."""
    add = parser.add_argument
    if data:
        add(
            "--data",
            required=required,
            metavar="DATA",
            help="dataset whose training images are looked at: a YAML, of a classifier its folder",
        )
    add(
        "--calibration", type=positive, default=200, metavar="N", action=_Given,
        help="most images (%(default)s)",
    )  # fmt: skip
    add(
        "--ranges", choices=("mse", "minmax", "percentile"), default="mse", action=_Given,
        help="what a tensor's range is chosen by (%(default)s)",
    )  # fmt: skip
    add(
        "--keep-float", nargs="+", default=[], metavar="NAME", action=_Given,
        help="layers that stay in float, such as model.9 or model.24.m.0.box",
    )  # fmt: skip
    parser.set_defaults(given=())


class _Given(argparse.Action):
    """Stores a value, and in `given` that it was given: also one that equals the default."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, values)
        namespace.given = (*namespace.given, self.option_strings[0])


def add_qat(parser: argparse.ArgumentParser, loss: str = "distill", short: bool = True) -> None:
    """--qat-loss and --qat-lr, or in short --loss and --lr: how a quantized network is trained."""
    parser.add_argument(
        *(["--loss"] if short else []), "--qat-loss", dest="qat_loss",
        choices=("distill", "labels", "both"), default=loss,
        help="follow the float model, YOLOv5's loss, or both (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        *(["--lr"] if short else []), "--qat-lr", dest="qat_lr", type=number, default=0.01, metavar="X",
        help="learning rate, in quantization steps (%(default)s)",
    )  # fmt: skip


def add_run(parser: argparse.ArgumentParser, project: str) -> None:
    """--project, --name and --exist-ok: where results go."""
    parser.add_argument("--project", type=Path, default=Path(project), help="folder of results (%(default)s)")
    parser.add_argument("--name", default="exp", help="subfolder, counted up where it exists (%(default)s)")
    parser.add_argument("--exist-ok", action="store_true", help="write into an existing subfolder")


def given(parser: argparse.ArgumentParser, words: Sequence[str]) -> set[str]:
    """Names of the options that stand in a command line, whatever their values."""
    flags = {word.partition("=")[0] for word in words if word.startswith("-")}
    return {action.dest for action in parser._actions if flags.intersection(action.option_strings)}


def tell_folder_is_kept(flags: set[str], folder: Path) -> None:
    """Say that --name and --exist-ok have no effect on a run that goes on in its folder."""
    for name in sorted(flags & {"name", "exist_ok"}):
        print(f"--{name.replace('_', '-')} is ignored: a resumed run goes on in {folder}")


def image_size(values: list[int] | None) -> tuple[int, int] | None:
    """--img as height and width.

    Raises:
        TfyoloError: more than two numbers, or not within 1 and 16384.
    """
    if not values:
        return None
    if len(values) > 2 or min(values) < 1 or max(values) > _MOST_PX:
        raise TfyoloError("--img takes one number within 1 and 16384, or height and width")
    return values[0], values[-1]


def fraction(text: str) -> float:
    """A number in 0..1, for argparse."""
    try:
        if 0 <= (value := float(text)) <= 1:
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is not a number within 0 and 1")


_MOST = 2**31 - 1
_MOST_PX = 16384


def positive(text: str, most: int = _MOST) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    if len(text) > len(str(most)) or int(text) > most:
        raise argparse.ArgumentTypeError(f"{text[:30]} is larger than {most}")
    return int(text)


def count(text: str) -> int:
    """A whole number of at least 0, for argparse."""
    return 0 if text == "0" else positive(text)


def count_or_off(text: str) -> int:
    """A whole number, for argparse; a negative one is 0, which switches off, as -1 does in YOLOv5."""
    return 0 if text.startswith("-") and text[1:].isdecimal() else count(text)


def side(text: str) -> int:
    """Side of images in pixels, for argparse."""
    return positive(text, _MOST_PX)


def seed(text: str) -> int:
    """A seed that NumPy and TensorFlow take, for argparse."""
    return 0 if text == "0" else positive(text, 2**32 - 1)


def number(text: str, above: float = 0.0, most: float = math.inf) -> float:
    """A finite number greater than `above` and at most `most`, for argparse."""
    try:
        if above < (value := float(text)) <= most and math.isfinite(value):
            return value
    except ValueError:
        pass
    limit = "" if math.isinf(most) else f" and at most {most:g}"
    raise argparse.ArgumentTypeError(f"{text} is not a number over {above:g}{limit}")


def device(text: str) -> str:
    """`cpu`, or indices of GPUs, for argparse."""
    if text not in ("", "cpu") and not all(part.isdecimal() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text} is neither `cpu` nor the index of a GPU")
    return text


def drawn_plots(wanted: bool) -> bool:
    """Whether a validation draws plots: if `wanted`, and matplotlib is installed. Says so if it is not."""
    from tfyolo.libraries import is_installed

    if wanted and not is_installed("matplotlib"):
        note = "note: no plots, since matplotlib is not installed: pip install 'tfyolo[plots]'"
        print(note, file=sys.stderr)
        return False
    return wanted
