"""From a float model to one that carries its quantization: the entry points of calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.models import Contract, build_model
from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec
from tfyolo.progress import Log, Progress, no_log, no_progress
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.calibration_images import calibration_images, fitting_count


def calibrate_on_dataset(
    network: Network,
    contract: Contract,
    data: str | Path,
    image_size: tuple[int, int],
    max_images: int,
    options: CalibrationOptions | None = None,
    progress: Progress = no_progress,
    log: Log = no_log,
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
        log: called with the number of images.

    Returns:
        The network with int8 weights (as floats on the int8 grid), and its quantization.

    Raises:
        TfyoloError: the dataset is wrong, or none of its images can be read.
    """
    count = fitting_count(network, image_size, max_images)
    images = calibration_images(contract.task, data, "train", image_size, count, progress)
    log(f"calibrating on {len(images)} images")
    return calibrate(network, images, options, progress)


def calibrate_model(
    model: Any,
    contract: Contract,
    images: np.ndarray,
    options: CalibrationOptions | None = None,
    progress: Progress = no_progress,
) -> tuple[Any, Contract]:
    """Calibrate a Keras model on images in memory (post-training quantization).

    Args:
        model: a Keras model that `build_model` made; it is not changed.
        contract: the contract of the model.
        images: uint8 (n, height, width, 3) RGB, letterboxed.
        options: how to calibrate.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        A new Keras model whose weights lie on the int8 grid, and its contract with `quantization` set.

    Example:
        >>> import tfyolo
        >>> detector = tfyolo.load("best.keras")  # doctest: +SKIP
        >>> model, contract = calibrate_model(detector.model, detector.contract, images)  # doctest: +SKIP
        >>> contract.quantization.method  # doctest: +SKIP
        'calibrated: mse'
    """
    network, spec = calibrate(Network.of(model, contract.spec), images, options, progress)
    return quantized_model(network, spec, contract)


def quantized_model(network: Network, spec: QuantizationSpec, contract: Contract) -> tuple[Any, Contract]:
    """Build the Keras model of a quantized network.

    Args:
        network: network whose weights are loaded into the model.
        spec: ranges and weight scheme of the network.
        contract: contract of the float model.

    Returns:
        The Keras model, and its contract with `quantization=spec`.
    """
    model = build_model(contract.spec)
    network.load_into(model, contract.spec)
    return model, contract.model_copy(update={"quantization": spec})
