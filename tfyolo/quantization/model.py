"""From a float model to one that carries its quantization: the entry points of calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec, check_names
from tfyolo.progress import Log, Progress, no_log, no_progress
from tfyolo.quantization.budget.calibrate import Searched, calibrate_within_budget, unreported
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.calibration_images import calibration_images, fitting_count
from tfyolo.quantization.keras_model import quantized_model


def calibrate_on_dataset(
    network: Network,
    contract: Contract,
    data: str | Path,
    image_size: tuple[int, int],
    max_images: int,
    options: CalibrationOptions | None = None,
    progress: Progress = no_progress,
    log: Log = no_log,
    searched: Searched = unreported,
) -> tuple[Network, QuantizationSpec]:
    """Calibrate a float network on the training split of a dataset.

    Export, `tfyolo quantize`, `tfyolo quant-debug` and the benchmark all calibrate here.

    Args:
        network: the float network.
        contract: the contract of the model.
        data: dataset YAML, or the folder of a classification dataset.
        image_size: input size (height, width) in pixels.
        max_images: maximum number of images. Fewer are used if they do not fit into memory.
        options: how to calibrate.
        progress: called as `progress(label, done, total)` after each step.
        log: called with the number of images, and a note if that is not what was asked for.
        searched: called with the search for float parts, if `options.budget` asks for one.

    Returns:
        The network with int8 weights (as floats on the int8 grid), and its quantization.

    Raises:
        TfyoloError: the dataset is wrong, none of its images can be read, or a layer to keep in float is
            unknown.
    """
    options = options or CalibrationOptions()
    check_names(network, options.keep_float)
    count = fitting_count(network, image_size, max_images)
    images = calibration_images(contract.task, data, "train", image_size, count, progress, log)
    reason = "; more do not fit into memory" if len(images) == count < max_images else ""
    log(f"calibrating on {len(images)} images{reason}")
    return calibrate_within_budget(network, contract, images, options, progress, searched)


def calibrate_model(
    model: Any,
    contract: Contract,
    images: np.ndarray,
    options: CalibrationOptions | None = None,
    progress: Progress = no_progress,
    searched: Searched = unreported,
) -> tuple[Any, Contract]:
    """Calibrate a Keras model on images in memory (post-training quantization).

    Args:
        model: a Keras model that `build_model` made; it is not changed.
        contract: the contract of the model.
        images: uint8 (n, height, width, 3) RGB, letterboxed.
        options: how to calibrate.
        progress: called as `progress(label, done, total)` after each step.
        searched: called with the search for float parts, if `options.budget` asks for one.

    Returns:
        A new Keras model whose weights lie on the int8 grid, and its contract with `quantization` set.

    Example:
        >>> import tfyolo
        >>> detector = tfyolo.load("best.keras")  # doctest: +SKIP
        >>> model, contract = calibrate_model(detector.model, detector.contract, images)  # doctest: +SKIP
        >>> contract.quantization.method  # doctest: +SKIP
        'calibrated: mse'
    """
    float_network, options = Network.of(model, contract.spec), options or CalibrationOptions()
    network, spec = calibrate_within_budget(float_network, contract, images, options, progress, searched)
    return quantized_model(network, spec, contract)
