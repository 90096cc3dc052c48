"""A real detector quantized once: blood cells at 160 pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.shared import SHARED, require_shared

IMAGE_HW = (160, 160)


@dataclass(frozen=True)
class Quantized:
    """The float network, the calibrated one and its quantization."""

    exact: Any
    network: Any
    spec: Any
    contract: Any
    images: np.ndarray


def cell_images(count: int, first: int = 0) -> np.ndarray:
    """uint8 (count, 160, 160, 3): photographs of blood cells."""
    from tfyolo.data.images.letterbox import Letterbox
    from tfyolo.data.images.read import read_image

    require_shared()
    files = sorted((SHARED / "data" / "bccd" / "JPEGImages").glob("*.jpg"))[first : first + count]
    images = [read_image(file) for file in files]
    return np.stack([Letterbox.fit(image.shape[:2], IMAGE_HW).apply(image) for image in images])


@pytest.fixture(scope="session")
def cells_int8(cells_detector):
    """Calibrated with the default estimator and reconstruction, on 12 images."""
    from tfyolo.models.network import Network
    from tfyolo.quantization.calibration import calibrate

    contract = cells_detector.contract.model_copy(update={"image_size": IMAGE_HW})
    exact = Network.of(cells_detector.model, contract.spec)
    network, spec = calibrate(exact, cell_images(12))
    return Quantized(exact, network, spec, contract, cell_images(6, first=50))
