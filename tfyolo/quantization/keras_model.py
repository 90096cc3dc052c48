"""The Keras model of a quantized network."""

from __future__ import annotations

from typing import Any

from tfyolo.models import Contract, build_model
from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec


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
