"""Shapes, a detector of their classes, and that detector in int8, for the tests of quantization."""

import pytest

from tfyolo.cli.main import main
from tfyolo.data import synthetic as datasets


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    return str(
        datasets.create_shapes_dataset(tmp_path_factory.mktemp("shapes"), train=6, val=4, image_size=64)
    )


@pytest.fixture(scope="session")
def tiny_shapes(tmp_path_factory):
    """`micro.yaml` with the three classes of the shapes."""
    from pathlib import Path

    import keras

    from tfyolo.inference.load import create_predictor

    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.keras"
    return create_predictor(Path(__file__).parents[1] / "micro.yaml", names=datasets.SHAPES).save(path)


@pytest.fixture(scope="session")
def quantized(shapes, tiny_shapes):
    words = ["quantize", "--weights", str(tiny_shapes), "--data", shapes, "--steps", "2", "--batch", "2"]
    assert main(words) == 0
    return tiny_shapes.with_name("tiny_int8.keras")
