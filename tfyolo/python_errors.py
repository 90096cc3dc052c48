"""Translates error messages that name command-line flags into those that name Python arguments."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

from tfyolo.errors import TfyoloError

Function = TypeVar("Function", bound=Callable[..., Any])

ARGUMENTS = {
    "agnostic-nms": "agnostic",
    "augment": "augment",
    "batch-size": "batch_size",
    "cache": "cache",
    "calibration": "calibration",
    "calibrator": "calibrator",
    "candidates": "candidates",
    "cfg": "cfg",
    "classes": "class_ids",
    "conf-thres": "confidence",
    "data": "data",
    "dynamic": "dynamic=True",
    "dynamic-batch": "dynamic_batch=True",
    "epochs": "epochs",
    "budget-images": "budget_images",
    "budget-of": "budget_of",
    "float": "float_model",
    "float-budget": "float_budget",
    "freeze": "freeze",
    "half": "half=True",
    "img": "image_size",
    "include": "formats",
    "int16x8": "int16x8=True",
    "int8": "int8=True",
    "iou-thres": "iou_threshold",
    "keep-float": "keep_float",
    "max-det": "max_detections",
    "model": "model",
    "multi-label": "multi_label",
    "name": "name",
    "nms": "nms",
    "nominal-batch": "nominal_batch",
    "optimizer": "optimizer",
    "output": "output",
    "project": "project",
    "ranges": "ranges",
    "retina-masks": "retina_masks",
    "single-cls": "single_cls=True",
    "steps": "steps",
    "strategy": "strategy",
    "topk-per-class": "topk_per_class",
    "weights": "the model",
}
"""What to write in Python for each flag that messages of the library name."""

_WORD_VALUES = ("cache", "calibrator", "cfg", "include", "model", "nms", "strategy")
_NUMBER_VALUES = ("batch-size", "img", "steps")
_FLAG = re.compile(
    rf"`[^`]*`"  # commands do not change
    rf"|--(?P<words>{'|'.join(_WORD_VALUES)})(?![\w-])(?: (?P<word>\w[\w.-]*))?"
    rf"|--(?P<numbers>{'|'.join(_NUMBER_VALUES)})(?![\w-])(?: (?P<number>-?\d+(?: \d+)?))?"
    rf"|--(?P<plain>[a-z][a-z0-9-]*)"
)


def in_python(text: str) -> str:
    """Replace the flags in a message by arguments.

    Args:
        text: the message.

    Returns:
        The message; commands in backticks do not change.

    Example:
        >>> in_python("TF.js cannot hold --nms postprocess; use --img 320, or leave out --data")
        'TF.js cannot hold nms="postprocess"; use image_size=320, or leave out data'
    """
    return _FLAG.sub(_argument, text)


def _argument(match: re.Match[str]) -> str:
    flag = match["words"] or match["numbers"] or match["plain"]
    if flag is None or flag not in ARGUMENTS:
        return match[0]
    if match["word"]:
        return f'{ARGUMENTS[flag]}="{match["word"]}"'
    if match["number"]:
        height, _, width = match["number"].partition(" ")
        return f"{ARGUMENTS[flag]}=({height}, {width})" if width else f"{ARGUMENTS[flag]}={height}"
    return ARGUMENTS[flag]


def python_errors(function: Function) -> Function:
    """Decorate a method so that the messages of its `TfyoloError` name Python arguments instead of flags."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TfyoloError as error:
            error.rewrite(message=in_python(error.message), fix=in_python(error.fix) if error.fix else None)
            raise

    return cast(Function, wrapped)
