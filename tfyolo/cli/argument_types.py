"""Types of command-line values: each converts a text for argparse, or says what the value must be."""

from __future__ import annotations

import argparse
import math

from tfyolo.quantization.budget.options import MAX_SHARE

_MAX_INT = 2**31 - 1
_MAX_SEED = 2**32 - 1
MAX_SIDE_PX = 16384


def fraction(text: str) -> float:
    """Convert a number from 0 to 1.

    Example:
        >>> fraction("0.25")
        0.25
    """
    try:
        if 0 <= (value := float(text)) <= 1:
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is not a number between 0 and 1")


def percentage(text: str) -> float:
    """Convert a percentage, or a fraction below 1: `5` without a percent sign could mean 5 % or 500 %.

    Example:
        >>> percentage("15%"), percentage("0.15"), percentage("0")
        (0.15, 0.15, 0.0)
    """
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        if 0 <= value <= MAX_SHARE and (value < 1 or text.endswith("%")):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is not a percentage such as 15%")


def positive(text: str, maximum: int = _MAX_INT) -> int:
    """Convert a whole number from 1 to `maximum`.

    Example:
        >>> positive("16")
        16
    """
    if not text.isdecimal() or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    if len(text) > len(str(maximum)) or int(text) > maximum:
        raise argparse.ArgumentTypeError(f"{text[:30]} is larger than {maximum}")
    return int(text)


def count(text: str) -> int:
    """Convert a whole number of at least 0.

    Example:
        >>> count("0")
        0
    """
    return 0 if text == "0" else positive(text)


def count_or_off(text: str) -> int:
    """Convert a whole number; a negative one becomes 0, which disables an option as -1 does in YOLOv5.

    Example:
        >>> count_or_off("-1"), count_or_off("30")
        (0, 30)
    """
    return 0 if text.startswith("-") and text[1:].isdecimal() else count(text)


def batch_size(text: str) -> int:
    """Convert a number of images per batch, or -1 (measure the batch size that fits the GPU).

    Example:
        >>> batch_size("-1")
        -1
    """
    return -1 if text == "-1" else positive(text)


def side(text: str) -> int:
    """Convert the side of square images in pixels.

    Example:
        >>> side("640")
        640
    """
    return positive(text, MAX_SIDE_PX)


def seed(text: str) -> int:
    """Convert a seed that both NumPy and TensorFlow accept.

    Example:
        >>> seed("0")
        0
    """
    return 0 if text == "0" else positive(text, _MAX_SEED)


def number(text: str, above: float = 0.0, maximum: float = math.inf) -> float:
    """Convert a finite number greater than `above` and at most `maximum`.

    Args:
        text: argument of the command line.
        above: exclusive lower bound.
        maximum: inclusive upper bound; none by default.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: it is not such a number.

    Example:
        >>> number("0.01")
        0.01
    """
    try:
        if above < (value := float(text)) <= maximum and math.isfinite(value):
            return value
    except ValueError:
        pass
    limit = "" if math.isinf(maximum) else f" and at most {maximum:g}"
    raise argparse.ArgumentTypeError(f"{text} is not a number above {above:g}{limit}")


def side_ratio(text: str) -> float:
    """Convert a ratio of two sides, greater than 1.

    Example:
        >>> side_ratio("4")
        4.0
    """
    return number(text, above=1.0)


def device(text: str) -> str:
    """Check `cpu`, or comma-separated indices of GPUs.

    Example:
        >>> device("0,1")
        '0,1'
    """
    if text not in ("", "cpu") and not all(part.isdecimal() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text} is neither `cpu` nor the index of a GPU")
    return text


def opset(text: str) -> int:
    """Convert an ONNX operator set version that tf2onnx can write.

    Example:
        >>> opset("17")
        17
    """
    from tfyolo.export.registry import OPSETS

    if not text.isdecimal() or int(text) not in OPSETS:
        raise argparse.ArgumentTypeError(f"{text} is not between {OPSETS[0]} and {OPSETS[-1]}")
    return int(text)


def port(text: str) -> int:
    """Convert a TCP port; 0 lets the system choose a free one.

    Example:
        >>> port("8000")
        8000
    """
    value = count(text)
    if value > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port: the highest is 65535")
    return value
