import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.shared import SHARED, needs_shared
from tests.small import IMAGES, rescaled
from tfyolo.errors import TfyoloError
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.runtime.predictions import Candidates, Detections
from tfyolo.inference.boxes import iou
from tfyolo.inference.detection import DetectionPredictor
from tfyolo.inference.load import create_predictor, load_predictor

LOW = 1e-5  # an untrained network is sure of nothing


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def assert_same(a, b):
    np.testing.assert_allclose(a.boxes_xyxy_px, b.boxes_xyxy_px, atol=0.05)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)
    np.testing.assert_array_equal(a.class_ids, b.class_ids)


@pytest.fixture
def fixed(tiny):
    """A detector whose input is fixed to 64 x 64, with one box on the left half, NMS inside."""

    class Fixed:
        contract = tiny.contract
        input_hw = (64, 64)
        max_batch = 1

        def __init__(self):
            self.seen = []

        def __call__(self, images, confidence):
            self.seen.append(images.shape)
            box = np.float32([[0, 0, 32, 64]])
            return [Detections(box, np.float32([0.6]), np.array([2])) for _ in images]

    return DetectionPredictor(Fixed())


def test_no_images(tiny):
    assert tiny([]) == []


@needs_shared
@pytest.mark.parametrize("name", ["bus", "zidane"])
def test_official_weights_find_what_pytorch_finds(nano, name):
    reference = json.loads((SHARED / "reference" / "yolov5n_detections_640.json").read_text())[name]
    result = nano(SHARED / "images" / f"{name}.jpg")[0]
    expected = reference["detections"]
    assert result.image.shape[:2] == tuple(reference["image_hw"])
    assert nano.letterbox(result.image.shape[:2]).out_hw == tuple(reference["input_hw"])
    assert [result.names[i] for i in result.class_ids] == [d["name"] for d in expected]
    assert iou(result.boxes_xyxy_px, np.array([d["xyxy"] for d in expected])).min() > 0.98
    np.testing.assert_allclose(result.scores, [d["confidence"] for d in expected], atol=0.01)


def test_a_path_an_array_and_a_pil_image_give_the_same(tiny, image):
    result = tiny(str(image), LOW)[0]
    assert len(result) > 0
    assert result.path == image
    for same in (image, result.image):
        assert_same(tiny(same, LOW)[0], result)
    # Two JPEG decoders differ by a few gray levels: a PNG is compared.
    png = image.with_suffix(".png")
    Image.fromarray(result.image).save(png)
    with Image.open(png) as opened:
        assert_same(tiny(opened, LOW)[0], result)
        assert tiny(opened)[0].path == png


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16"])
def test_pil_modes_become_rgb(tiny, mode):
    gray = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) // 13
    image = Image.fromarray(gray * 256) if mode == "I;16" else Image.fromarray(np.uint8(gray)).convert(mode)
    np.testing.assert_array_equal(tiny(image)[0].image, np.repeat(np.uint8(gray)[..., None], 3, 2))


def test_a_gray_array_is_three_equal_channels(tiny):
    gray = noise(48, 64)[..., 0]
    expected = tiny(np.repeat(gray[..., None], 3, 2), LOW)[0]
    for image in (gray, gray[..., None]):
        assert_same(tiny(image, LOW)[0], expected)


def test_transparency_is_dropped_as_in_files(tiny, tmp_path):
    image = np.concatenate([noise(48, 64), noise(48, 64, 1)[..., :1]], 2)
    Image.fromarray(image).save(tmp_path / "a.png")
    found = tiny(image, LOW)[0]
    assert found.image.flags.c_contiguous
    np.testing.assert_array_equal(found.image, image[..., :3])
    assert_same(found, tiny(tmp_path / "a.png", LOW)[0])


@pytest.mark.parametrize("channels", [1, 3])
def test_an_array_of_several_images_is_a_batch(tiny, channels):
    images = np.stack([noise(48, 64, seed)[..., :channels] for seed in range(3)])
    found, expected = tiny(images, LOW), tiny(list(images), LOW)
    assert len(found) == 3
    for a, b in zip(found, expected, strict=True):
        assert_same(a, b)
    assert tiny(images[:0]) == []


@pytest.mark.parametrize("opened", [False, True], ids=["path", "pil"])
def test_exif_rotation(tiny, tmp_path, opened):
    upright, exif = noise(64, 48), Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    path = tmp_path / "turned.png"
    Image.fromarray(np.rot90(upright).copy()).save(path, exif=exif)
    result = tiny(Image.open(path) if opened else path)[0]
    np.testing.assert_array_equal(result.image, upright)


def test_images_of_different_sizes_equal_those_detected_one_by_one(tiny):
    images = [noise(h, w, i) for i, (h, w) in enumerate([(48, 64), (64, 48), (48, 64), (20, 200), (1, 7)])]
    together = tiny(images, LOW)
    for image, result in zip(images, together, strict=True):
        assert result.image is image
        assert_same(result, tiny(image, LOW)[0])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((1, 8, 8, 3), np.float32),
        np.zeros((1, 1, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 8), bool),
        7,
    ],
    ids=["float", "two channels", "float batch", "batch of batches", "empty", "bool", "number"],
)
def test_what_is_no_image_is_refused(tiny, image):
    with pytest.raises(TfyoloError, match=r"must be uint8 \(height, width, 3\) RGB"):
        tiny(image)


def test_rect_pads_to_whole_cells_and_square_to_the_input(tiny):
    wide = noise(16, 64)
    assert tiny.letterbox((16, 64)).out_hw == (32, 64)
    assert tiny.letterbox((16, 64), rect=False).out_hw == (64, 64)
    a, b = (tiny(wide, LOW, rect=rect, max_detections=10_000, iou_threshold=1.0)[0] for rect in (True, False))
    assert (len(a), len(b)) == (126, 252)  # a box a cell and anchor: 3 * (4*8 + 2*4 + 1*2), and twice


@pytest.mark.parametrize("classes", [[], [1], [0, 3]])
def test_only_these_classes(tiny, classes):
    every = tiny(noise(64, 64), LOW, iou_threshold=1.0)[0]
    found = tiny(noise(64, 64), LOW, iou_threshold=1.0, class_ids=classes)[0]
    wanted = np.isin(every.class_ids, classes)
    np.testing.assert_array_equal(found.scores, every.scores[wanted])


@pytest.mark.parametrize("classes", [[4], [0, -1]])
def test_classes_out_of_range_are_refused(tiny, classes):
    with pytest.raises(TfyoloError, match=rf"unknown class id {classes[-1]}\n.*from 0 to 3"):
        tiny(noise(64, 64), class_ids=classes)


def test_thresholds(tiny):
    scores = tiny(noise(64, 64), LOW, iou_threshold=1.0)[0].scores
    middle = float(np.median(scores))
    assert len(tiny(noise(64, 64), middle, iou_threshold=1.0)[0]) == (scores > middle).sum()
    assert len(tiny(noise(64, 64), LOW, max_detections=3)[0]) == 3
    assert len(tiny(noise(64, 64), 1.0)[0]) == 0


def test_augmentation_finds_the_unscaled_boxes_and_more(tiny):
    plain = tiny(noise(64, 64), LOW, iou_threshold=1.0, max_detections=9999)[0]
    augmented = tiny(noise(64, 64), LOW, iou_threshold=1.0, max_detections=9999, augment=True)[0]
    strides = {8: 192, 16: 48, 32: 12}  # boxes per feature map; 54 and 43 pixels are padded to 64
    assert len(plain) == sum(strides.values())
    assert len(augmented) == 3 * len(plain) - strides[32] - strides[8]
    assert np.isin(plain.scores, augmented.scores).sum() >= len(plain) - strides[32]


@pytest.mark.parametrize(("asked", "used"), [(None, (64, 64)), ((64, 64), (64, 64))])
def test_a_fixed_input_is_kept(fixed, asked, used):
    assert DetectionPredictor(fixed.runtime, asked).image_size == used


def test_a_fixed_input_refuses_another_size(fixed):
    with pytest.raises(TfyoloError, match=r"fixed input size of 64x64 pixels, not 96x64\n.*--img 96 64"):
        DetectionPredictor(fixed.runtime, (96, 64))


def test_a_fixed_input_gets_squares_one_at_a_time(fixed):
    results = fixed([noise(16, 64), noise(64, 64)])
    assert fixed.runtime.seen == [(1, 64, 64, 3)] * 2
    assert results[0].boxes_xyxy_px.tolist() == [[0, 0, 32, 16]]
    assert results[1].counts() == {"cat": 1}


def test_a_free_input_is_rounded_up_to_whole_cells(tiny):
    assert DetectionPredictor(tiny.runtime, (33, 100)).image_size == (64, 128)


def test_an_exported_file_has_no_keras_model(fixed):
    with pytest.raises(TfyoloError, match=r"contains no keras\.Model"):
        _ = fixed.model


def test_batches_are_no_larger_than_the_runtime_takes(tiny):
    class Counting:
        contract, input_hw, max_batch = tiny.contract, None, 2

        def __init__(self):
            self.sizes = []

        def __call__(self, images, confidence):
            self.sizes.append(len(images))
            return [Candidates(np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32))] * len(images)

    runtime = Counting()
    assert len(DetectionPredictor(runtime)([noise(64, 64)] * 5)) == 5
    assert runtime.sizes == [2, 2, 1]


def test_a_saved_detector_finds_the_same(tiny, tiny_keras):
    loaded = load_predictor(tiny_keras)
    assert loaded.names == tiny.names
    assert loaded.image_size == (64, 64)
    assert_same(loaded(noise(64, 64), LOW)[0], tiny(noise(64, 64), LOW)[0])


@needs_shared
def test_a_network_of_one_scale_finds_the_same_in_another_runtime(tmp_path):
    # Keras returns the only head without a list, and TensorFlow would iterate over its batch instead.
    import keras

    keras.utils.set_random_seed(0)
    detector = rescaled(create_predictor(Path(__file__).parents[1] / "micro.yaml", image_size=64), (64, 64))
    expected = detector(IMAGES, rect=False, confidence=0.25)
    assert min(map(len, expected)) > 0
    request = ExportJob(detector.model, detector.contract, ExportOptions(image_size=(64, 64)))
    exported = load_predictor(export_model(request, ["tflite"], tmp_path / "one")["tflite"])
    for found, wanted in zip(exported(IMAGES, rect=False), expected, strict=True):
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
        np.testing.assert_allclose(found.boxes_xyxy_px, wanted.boxes_xyxy_px, atol=0.05)
        np.testing.assert_array_equal(found.class_ids, wanted.class_ids)
