"""Variants that a benchmark exports: `tflite`, `tfjs:float16`, `all`."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.export.registry import PRECISIONS, Format, exportable, find_format

CALIBRATED_PRECISIONS = ("int8", "int16x8")
"""Precisions whose ranges are measured."""


@dataclass(frozen=True)
class Variant:
    """A format in a precision.

    Attributes:
        format: key of the format registry.
        precision: a key of `PRECISIONS`.
        named: requested by name and not by `all`, so that it must not be skipped.
    """

    format: Format
    precision: str
    named: bool = True

    def __str__(self) -> str:
        return f"{self.format.name}:{self.precision}"

    def stem(self, stem: str) -> str:
        """What its file is called before the suffix: each precision has a name of its own."""
        return stem if self.precision == "float32" else f"{stem}_{self.precision}"


def find_variants(words: Sequence[str], precisions: Sequence[str] = ()) -> list[Variant]:
    """Parse the values of --include.

    Args:
        words: `FORMAT`, `FORMAT:PRECISION`, `all` or `all:PRECISION`. `all` are the formats of the registry
            that `export` writes, but for those that hold the network itself: Keras would run it once more.
        precisions: precisions for words that name none; defaults to a format's first one, and to every one
            with `all`.

    Returns:
        Each variant once, in the order of the words.

    Raises:
        TfyoloError: an unknown format or precision, a format that cannot be written in it, or precisions
            without words.

    Example:
        >>> [str(variant) for variant in find_variants(["tflite", "pb:float16"], ["int8"])]
        ['tflite:int8', 'pb:float16']
    """
    for precision in precisions:
        _check_precision(precision)
    if precisions and not words:
        flag = PRECISIONS[precisions[0]] or f"`{precisions[0]}`"
        raise TfyoloError(f"{flag} sets only the precision", fix="name the formats with --include")
    found: dict[str, Variant] = {}
    for word in words:
        name, _, precision = word.partition(":")
        if precision:
            _check_precision(precision, f" in `{word}`")
        wanted = [precision] if precision else list(precisions)
        if name == "all":
            variants = [
                Variant(entry, this, named=False)
                for entry in exportable()
                for this in entry.precisions
                if not entry.source and (not wanted or this in wanted)
            ]
        else:
            entry = find_format(name)
            variants = [Variant(entry, this) for this in wanted or entry.precisions[:1]]
            for variant in variants:
                entry.check("auto", variant.precision)
        for variant in variants:
            if variant.named or str(variant) not in found:
                found[str(variant)] = variant
    return list(found.values())


def _check_precision(precision: str, place: str = "") -> None:
    if precision not in PRECISIONS:
        raise TfyoloError(
            f"unknown precision `{precision}`{place}", fix=f"use one of {', '.join(PRECISIONS)}"
        )


def calibratable_variants(
    variants: Sequence[Variant], data: bool, quantized: bool
) -> tuple[list[Variant], list[tuple[Variant, str]]]:
    """Split variants into those that can be written, and those that cannot be calibrated.

    Args:
        variants: from `find_variants`.
        data: whether images for calibration are given.
        quantized: whether the model already has the ranges that int8 needs.

    Returns:
        Variants that can be written, and each that is left out with the reason.

    Raises:
        TfyoloError: one that was asked for by its name would be left out.
    """
    left_out: dict[Variant, str] = {}
    for variant in variants:
        if variant.precision not in CALIBRATED_PRECISIONS or (quantized and variant.precision == "int8"):
            continue
        if quantized:
            left_out[variant] = "its ranges would be calibrated on weights that are already rounded"
            fix = "pass the float model"
        elif not data:
            left_out[variant] = "its ranges are measured on --data"
            fix = "pass the dataset's YAML"
            fix += ", or weights that `tfyolo quantize` wrote" if variant.precision == "int8" else ""
        if variant.named and variant in left_out:
            reason = left_out[variant] if quantized else "quantization is calibrated on training images"
            raise TfyoloError(
                f"{variant} {'cannot be exported' if quantized else 'needs --data'}: {reason}", fix=fix
            )
    return [variant for variant in variants if variant not in left_out], list(left_out.items())


def runnable_variants(variants: Sequence[Variant]) -> tuple[list[Variant], list[tuple[Variant, str]]]:
    """Which variants can run here, and which are left out for want of more than Python's packages.

    Only those that `all` asks for are left out: what is asked for by its name fails with its own words.

    Args:
        variants: from `find_variants`.

    Returns:
        The others, and each that is left out with the reason.
    """
    reasons = {}
    for name in {variant.format.name for variant in variants if not variant.named}.intersection(_NEEDS):
        try:
            _NEEDS[name]()
        except TfyoloError as error:
            reasons[name] = error.message + (f" (fix: {error.fix})" if error.fix else "")
    left_out = [(v, reasons[v.format.name]) for v in variants if not v.named and v.format.name in reasons]
    gone = {str(variant) for variant, _ in left_out}
    return [variant for variant in variants if str(variant) not in gone], left_out


def _node() -> None:
    from tfyolo.export.tfjs.runtime import find_node

    find_node()


def _nvidia() -> None:
    if importlib.util.find_spec("tensorrt") is None:
        raise MissingExtraError("tensorrt", "tensorrt")
    if shutil.which("nvidia-smi") is None:
        raise TfyoloError("this machine has no NVIDIA GPU")


def _mac() -> None:
    if sys.platform != "darwin":
        raise TfyoloError("Core ML models run on macOS only")


_NEEDS: dict[str, Callable[[], None]] = {"tfjs": _node, "engine": _nvidia, "coreml": _mac}
"""By format: raises TfyoloError where this machine cannot run its files."""
