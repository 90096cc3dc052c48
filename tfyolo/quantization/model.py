"""From a float model to one that carries its quantization."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfyolo.models import Contract, build_model
from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.calibration import CalibrationOptions, calibrate


def calibrate_model(
    model: Any,
    contract: Contract,
    images: np.ndarray,
    options: CalibrationOptions | None = None,
    progress: Progress = no_progress,
) -> tuple[Any, Contract]:
    """Quantize after training.

    Args:
        model: Keras model of the contract; it is left as it is.
        contract: of the model.
        images: uint8 (n, height, width, 3) RGB, letterboxed.
        options: how.
        progress: is told how far it is.

    Returns:
        A model whose weights lie on the int8 grid, and its contract with `quantization`.

    Example:
        >>> detector = tfyolo.load("best.keras")  # doctest: +SKIP
        >>> model, contract = calibrate_model(detector.model, detector.contract, images)  # doctest: +SKIP
        >>> request = ExportJob(model, contract, (320, 320), precision="int8")  # doctest: +SKIP
    """
    network, spec = calibrate(
        Network.of(model, contract.spec), images, options or CalibrationOptions(), progress
    )
    return quantized_model(network, spec, contract)


def quantized_model(network: Network, spec: QuantizationSpec, contract: Contract) -> tuple[Any, Contract]:
    """A Keras model with the network's weights, and its contract with `spec`."""
    model = build_model(contract.spec)
    network.load_into(model, contract.spec)
    return model, contract.model_copy(update={"quantization": spec})
