"""YOLOv5's flags that have no option here: accepted without effect, or refused with the reason.

A command line for YOLOv5's scripts should run here, or get one sentence that says why not and what to pass.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.text import printable

SECOND = "<second value>"
"""Matches any value after the first one of a flag."""


@dataclass(frozen=True)
class Flag:
    """A flag of YOLOv5 that has no option here.

    Attributes:
        name: the flag.
        commands: commands that accept it.
        reason: why it has no effect, or why it is refused.
        fix: what to do instead. A flag with a remedy is refused; one without is accepted, with a note.
        takes_value: the flag has a value.
        default: a value of a refused flag that changes nothing, and is accepted.
    """

    name: str
    commands: tuple[str, ...]
    reason: str
    fix: str = ""
    takes_value: bool = False
    default: str = ""


@dataclass(frozen=True)
class Value:
    """A value of YOLOv5 for a flag that is an option here.

    Attributes:
        flag: the flag.
        value: value of the flag in YOLOv5.
        commands: commands that accept it.
        means: the value with the same meaning here; None where it is refused.
        reason: why it is refused.
        fix: what to do instead.
    """

    flag: str
    value: str
    commands: tuple[str, ...]
    means: str | None = None
    reason: str = ""
    fix: str = ""


_BOX_TRAIN = ("train", "segment train")
_TRAIN = (*_BOX_TRAIN, "classify train")
_VAL = ("val", "segment val", "classify val")
_PREDICT = ("detect", "classify predict", "segment predict")
_RUN = (*_VAL, *_PREDICT)

FLAGS = (
    Flag(
        "--workers",
        (*_TRAIN, *_VAL),
        "the number of threads that read images is chosen automatically",
        takes_value=True,
    ),
    Flag("--half", _RUN, "a model runs in the precision of its file; `tfyolo export --half` writes float16"),
    Flag("--dnn", _RUN, "ONNX files run in ONNX Runtime, not in OpenCV"),
    Flag("--data", _PREDICT, "class names come from the model file", takes_value=True),
    Flag(
        "--view-img",
        _PREDICT,
        "no window is opened; results are written as files, and `tfyolo web` shows a camera live",
    ),
    Flag("--update", _PREDICT, "model files contain no optimizer state to strip"),
    Flag("--inplace", ("export",), "the exported graph has no in-place operations"),
    Flag("--keras", ("export",), "every model is a Keras model"),
    Flag("--verbose", ("export", "classify train"), "all messages are printed anyway"),
    Flag(
        "--workspace", ("export",), "the workspace of TensorRT's builder is fixed at 4 GiB", takes_value=True
    ),
    Flag(
        "--quad",
        _BOX_TRAIN,
        "there is no quad data loader, which joins four images into one",
        "leave it out; --img trains at a larger size, --multi-scale at several",
    ),
    Flag(
        "--local_rank",
        _TRAIN,
        "training does not start one process per GPU",
        "leave it out; `tfyolo train --strategy mirrored` trains on all GPUs in one process",
        True,
        "-1",
    ),
    Flag(
        "--bucket", _BOX_TRAIN, "uploads are not supported", "leave it out, and copy the run's folder", True
    ),
    *(
        Flag(
            name,
            ("train",),
            "Weights & Biases is not supported",
            "leave it out; `tensorboard --logdir runs/train` shows the curves",
            True,
            default,
        )
        for name, default in (
            ("--entity", "None"),
            ("--upload_dataset", "False"),
            ("--bbox_interval", "-1"),
            ("--artifact_alias", "latest"),
        )
    ),
    *(
        Flag(
            name,
            ("val", "segment val"),
            "validation writes no label files",
            "pass it to `tfyolo detect` or `tfyolo segment predict`, with the images as --source",
        )
        for name in ("--save-txt", "--save-conf")
    ),
    Flag(
        "--save-hybrid",
        ("val", "segment val"),
        "predictions are not merged with labels",
        "`tfyolo detect --save-txt` writes predictions alone",
    ),
    Flag(
        "--visualize",
        _PREDICT,
        "feature maps are not drawn",
        "leave it out; `detector.model` in Python is a Keras model whose layers can be evaluated",
    ),
    Flag("--augment", ("classify predict",), "classifiers have no test-time augmentation", "leave it out"),
    Flag(
        "--augment",
        ("segment predict", "segment val"),
        "segmentation models have no test-time augmentation",
        "leave it out",
    ),
    Flag(
        "--cutoff",
        ("classify train",),
        "the model's YAML defines where the backbone ends",
        "pass a YAML as --model",
        True,
        "None",
    ),
    Flag(
        "--optimize",
        ("export",),
        "TorchScript is not rewritten for PyTorch's mobile interpreter",
        "leave it out; `--include tflite` is for phones",
    ),
    Flag(
        "--batch-size",
        ("export",),
        "exported files have a batch size of 1",
        "leave it out; ONNX and OpenVINO files accept any batch size with --dynamic-batch",
        True,
        "1",
    ),
    Flag(
        "--batch-size",
        ("benchmark",),
        "latency is measured with a batch size of 1",
        "leave it out",
        True,
        "1",
    ),
    Flag("--test", ("benchmark",), "there is no mode that only exports", "pass --rounds 1 --runs 1"),
    Flag("--pt-only", ("benchmark",), "only the formats in --include are measured", "leave it out"),
)
"""All others of YOLOv5 v7.0's scripts (train, val, detect, export, benchmarks, classify) are options."""

VALUES = (
    Value("--cache", "images", _TRAIN, means="ram"),
    Value("--pretrained", "False", ("classify train",), means=""),
    Value(
        "--pretrained",
        "True",
        ("classify train",),
        reason="no ImageNet weights are downloaded",
        fix="pass the path of a checkpoint, such as yolov5n-cls.pt",
    ),
    Value(
        "--optimizer",
        "RMSProp",
        ("classify train",),
        reason="RMSProp is not implemented",
        fix="pass --optimizer Adam",
    ),
    Value(
        "--task",
        "speed",
        ("val", "segment val"),
        reason="validation measures accuracy",
        fix="use `tfyolo benchmark` to measure speed",
    ),
    Value(
        "--task",
        "study",
        ("val", "segment val"),
        reason="validation measures one image size at a time",
        fix="run it once per --img, or use `tfyolo benchmark`",
    ),
    Value(
        "--weights",
        SECOND,
        (*_RUN, "export"),
        reason="model ensembles are not supported",
        fix="pass one model",
    ),
    Value(
        "--include",
        "paddle",
        ("export", "benchmark"),
        reason="PaddlePaddle export is not supported",
        fix="pass `--include onnx`, and convert the file with Paddle's x2paddle",
    ),
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Let the parser of a command and of its subcommands accept `FLAGS`; `--help` does not list them.

    Args:
        parser: its `prog` is "tfyolo" and the command.
    """
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                add_flags(part)
    command = parser.prog.removeprefix("tfyolo ")
    for flag in FLAGS:
        if command in flag.commands:
            parser.add_argument(
                flag.name,
                dest="yolov5_flags",
                nargs=None if flag.takes_value else 0,
                default=(),
                action=_Collected,
                help=argparse.SUPPRESS,
            )


class _Collected(argparse.Action):
    """Appends the flag, its command and its value to `yolov5_flags`."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        taken = (self.option_strings[0], parser.prog.removeprefix("tfyolo "), values or "")
        setattr(namespace, self.dest, (*getattr(namespace, self.dest), taken))


def report_flags(arguments: argparse.Namespace) -> None:
    """Print a note on stderr for each flag without effect.

    Args:
        arguments: parsed arguments of the command.

    Raises:
        TfyoloError: a flag is refused.
    """
    for name, command, value in dict.fromkeys(getattr(arguments, "yolov5_flags", ())):
        flag = next(flag for flag in FLAGS if flag.name == name and command in flag.commands)
        if flag.fix and (not value or value != flag.default):
            raise TfyoloError(f"{name} is not supported: {flag.reason}", fix=flag.fix)
        print(printable(f"note: {name} has no effect: {flag.reason}"), file=sys.stderr)


def translated(command: str, words: Sequence[str]) -> list[str]:
    """Replace YOLOv5's values in a command line by those with the same meaning here.

    Args:
        command: name of the command.
        words: the command line after the name.

    Returns:
        The command line for the parser.

    Raises:
        TfyoloError: a value is refused.

    Example:
        >>> translated("train", ["--cache", "images", "--img", "320"])
        ['--cache', 'ram', '--img', '320']
    """
    if command in ("classify", "segment"):
        command = " ".join([command, *words[:1]])
    table = {(entry.flag, entry.value): entry for entry in VALUES if command in entry.commands}
    translated_words = list(words)
    for index, flag, value, is_second in _values(words):
        entry = table.get((flag, value)) or (table.get((flag, SECOND)) if is_second else None)
        if entry is None:
            continue
        if entry.means is None:
            raise TfyoloError(f"{flag} {value}: {entry.reason}", fix=entry.fix)
        before = f"{flag}=" if words[index].startswith("-") else ""
        translated_words[index] = before + entry.means
    return translated_words


def _values(words: Sequence[str]) -> Iterator[tuple[int, str, str, bool]]:
    """Yield the index of the word, the flag, its value, and whether the flag had a value before."""
    flag, count = "", 0
    for index, word in enumerate(words):
        if word.startswith("--"):
            flag, sign, value = word.partition("=")
            count = 0
            if not sign:
                continue
        else:
            value = word
        count += 1
        yield index, flag, value, count > 1
