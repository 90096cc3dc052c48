"""A small dataset and a small network that a test can train in seconds."""

from pathlib import Path

import pytest

from tfyolo.data import synthetic as datasets

MICRO = str(Path(__file__).parents[1] / "micro.yaml")


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """The YAML of 24 training and 8 validation images of 64 pixels."""
    return datasets.create_shapes_dataset(tmp_path_factory.mktemp("shapes"), train=24, val=8, image_size=64)
