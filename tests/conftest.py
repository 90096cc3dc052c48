"""What tests share: models are loaded once a process, and TensorFlow starts once."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from functools import cache
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("COLUMNS", "200")

import numpy as np
import pytest

from tests.shared import SHARED, require_shared

# Tracing makes millions of objects that stay; looking through them took a quarter of the time.
gc.set_threshold(200_000, 50, 1000)


LONGEST = ("tests/docs/", "tests/contract/", "tests/quantization/")


@pytest.hookimpl(tryfirst=True)  # before xdist appends groups to the tests' names
def pytest_collection_modifyitems(items):
    """With `--dist loadgroup` the tests of a module run in one worker, so that its fixtures are built once.

    A module that marks its tests with groups of its own is left as it is. What takes longest begins first, so
    that no worker waits for another at the end.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def pytest_collection_finish():
    """Imported modules stay, so that the collections after each module need not look through them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _memory_of_a_module_is_given_back():
    """Graphs and models refer to themselves: without this, a worker grows until the end of the run."""
    yield
    _forget_custom_gradients()
    gc.collect()
    gc.freeze()  # what is left belongs to the session: later collections need not look through it again
    _return_freed_memory()


def _return_freed_memory() -> None:
    """Have glibc give freed pages back, a fifth of the memory of a worker; other C libraries cannot."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _forget_custom_gradients() -> None:
    """Remove the gradients of functions that have been traced, and with them their graphs.

    TensorFlow registers those of `tf.custom_gradient`, such as that of SiLU, under a name for each call, and
    never removes them. They are needed until the gradient has been traced.
    """
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import ops

        registered = ops.gradient_registry._registry
        for name in [name for name in registered if name.startswith("CustomGradient-")]:
            del registered[name]


@pytest.fixture(scope="session")
def nano():
    """The official yolov5n as a detector."""
    require_shared()
    from tfyolo.inference.load import load_predictor

    return load_predictor(SHARED / "weights" / "yolov5n.pt")


@pytest.fixture(scope="session")
def tiny():
    """An untrained detector of four classes at 64 pixels: milliseconds an image, always the same weights."""
    import keras

    from tfyolo.inference.load import create_predictor

    keras.utils.set_random_seed(0)
    return create_predictor(Path(__file__).with_name("tiny.yaml"), names=("ant", "bee", "cat", "dog"))


@pytest.fixture(scope="session")
def tiny_keras(tiny, tmp_path_factory) -> Path:
    """`tiny` as a .keras file."""
    return tiny.save(tmp_path_factory.mktemp("tiny") / "tiny.keras")


@pytest.fixture(scope="session")
def tiny_seg():
    """An untrained segmentation model of two classes at 64 pixels, whose biases make it find a lot."""
    import keras

    from tfyolo.inference.load import create_predictor

    keras.utils.set_random_seed(0)
    segmenter = create_predictor(Path(__file__).with_name("tiny-seg.yaml"), names=("ant", "bee"))
    for i in range(3):
        layer = segmenter.model.get_layer(f"model.12.m.{i}")
        kernel, bias = layer.get_weights()
        bias = bias.reshape(3, -1)
        bias[:, 4:7] = 2, 2, -2
        layer.set_weights([kernel, bias.reshape(-1)])
    return segmenter


@pytest.fixture(scope="session")
def tiny_seg_keras(tiny_seg, tmp_path_factory) -> Path:
    """`tiny_seg` as a .keras file."""
    return tiny_seg.save(tmp_path_factory.mktemp("tiny-seg") / "tiny-seg.keras")


@pytest.fixture(scope="session")
def coco_segmenter():
    """The segmentation model trained by PyTorch on coco128's polygons: 80 classes, 320 pixels."""
    require_shared()
    import tfyolo

    return tfyolo.load(SHARED / "weights" / "coco128_yolov5n_seg_320.pt", 320)


@pytest.fixture
def image(tmp_path) -> Path:
    """A 48 x 64 JPEG of smooth noise."""
    from PIL import Image

    small = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    path = tmp_path / "image.jpg"
    Image.fromarray(small).resize((64, 48)).save(path)
    return path


@pytest.fixture(scope="session")
def cells_detector():
    """The blood cell detector: real weights, three classes, 320 pixels."""
    require_shared()
    from tfyolo.inference.load import load_predictor

    return load_predictor(SHARED / "weights" / "bccd_yolov5n_320.pt", 320)


@pytest.fixture(scope="session")
def export(cells_detector, tmp_path_factory):
    """A function that exports the blood cell detector, once per test run for each kind of request."""
    from tests.exports import exported_once, run_folder
    from tfyolo.data.images.read import read_image
    from tfyolo.export.graph.options import GraphNmsOptions
    from tfyolo.export.job import ExportJob
    from tfyolo.export.options import ExportOptions

    folder = run_folder(tmp_path_factory)
    files = sorted((SHARED / "data" / "bccd" / "JPEGImages").glob("*.jpg"))[:4]
    images = np.stack([cells_detector.letterbox((480, 640), False).apply(read_image(f)) for f in files])
    request = ExportJob(
        cells_detector.model,
        cells_detector.contract,
        ExportOptions(image_size=(320, 320)),
        calibration_images=images,
    )

    @cache
    def run(name: str, nms: str = "auto", precision: str = "float32", **settings) -> Path:
        this = request.with_options(nms=nms, precision=precision, nms_options=GraphNmsOptions(**settings))
        return exported_once(this, name, folder)

    return run


@pytest.fixture(scope="session")
def export_tiny(tiny, tmp_path_factory):
    """A function that exports `tiny` at 64 pixels, once per test run for each format, precision and NMS."""
    from tests.exports import exporter, run_folder
    from tfyolo.export.job import ExportJob
    from tfyolo.export.options import ExportOptions

    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    options = ExportOptions(image_size=(64, 64))
    job = ExportJob(tiny.model, tiny.contract, options, calibration_images=images)
    return exporter(job, images, run_folder(tmp_path_factory))


@pytest.fixture(scope="session")
def export_segmenter(coco_segmenter, tmp_path_factory):
    """A function that exports `coco_segmenter`, once per test run for each format, precision and NMS.

    Files with NMS return at most 20 objects with scores over 0.3; int8 is calibrated on two photographs.
    """
    from tests.exports import exporter, run_folder
    from tests.small import letterboxed
    from tfyolo.export.graph.options import GraphNmsOptions
    from tfyolo.export.job import ExportJob
    from tfyolo.export.options import ExportOptions

    size = (320, 320)
    options = ExportOptions(image_size=size, nms_options=GraphNmsOptions(confidence=0.3, max_detections=20))
    job = ExportJob(coco_segmenter.model, coco_segmenter.contract.resized(size), options)
    return exporter(job, letterboxed(size), run_folder(tmp_path_factory))
