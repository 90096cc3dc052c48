"""Exported files that are made once per test run, whichever worker needs them first."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.registry import find_format
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.model import calibrate_model


def run_folder(tmp_path_factory) -> Path:
    """The folder that all pytest workers of one run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


def exported_once(request: ExportJob, name: str, folder: Path) -> Path:
    """Export a model, unless a worker of this run has done so.

    Args:
        request: what and how; requests are equal if weights, contract, images and options are.
        name: of the format.
        folder: which the workers share.

    Returns:
        The file or folder; tests only read it, and copy it before they change it.
    """
    entry = find_format(name)
    nms = entry.check(request.options.nms, request.options.precision, request.contract.task)
    request = request.with_options(nms=nms)
    digest = hashlib.sha256(request.contract.to_json().encode())
    digest.update(repr([name, request.image_size, request.options]).encode())
    images = [] if request.calibration_images is None else [request.calibration_images]
    for array in (*request.model.get_weights(), *images):
        digest.update(repr((array.shape, array.dtype)).encode() + np.ascontiguousarray(array).tobytes())
    stem = folder / "exports" / digest.hexdigest()[:16] / "model"
    path = stem.with_name(stem.name + entry.suffix)
    stem.parent.mkdir(parents=True, exist_ok=True)
    with stem.with_name("lock").open("w") as lock:  # else one worker replaces what another one reads
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Exporters rename what they have finished, so that what is there is whole.
        return path if path.exists() else export_model(request, [name], stem)[name]


def exporter(exact: ExportJob, images: np.ndarray, folder: Path) -> Callable[..., Path]:
    """Return a function that exports a model once for each format, precision and kind of NMS.

    Args:
        exact: job of the float model.
        images: for the calibration of int8 files.
        folder: which the workers share.
    """

    @cache
    def quantized() -> ExportJob:
        options = CalibrationOptions(reconstruct=False)
        model, contract = calibrate_model(exact.model, exact.contract, images, options)
        return replace(exact, model=model, contract=contract)

    @cache
    def run(name: str, precision: str = "float32", nms: str = "auto") -> Path:
        job = quantized() if precision == "int8" else exact
        return exported_once(job.with_options(precision=precision, nms=nms), name, folder)

    return run
