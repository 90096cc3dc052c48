"""`Segmenter` on the stored checkpoint against PyTorch, and on small models with every kind of input."""

import numpy as np
import pytest

import tfyolo
from tests.shared import SHARED, needs_shared
from tfyolo.errors import TfyoloError
from tfyolo.inference.detection import DetectionPredictor
from tfyolo.inference.load import load_detection_predictor, load_segmentation_predictor
from tfyolo.inference.nms import NmsOptions
from tfyolo.inference.segmentation.masks import THRESHOLD, crop_masks, enlarge_then_crop, mask_probabilities
from tfyolo.inference.segmentation.results import SegmentationResult


@pytest.fixture(scope="module", params=["bus", "a"])
def stored(request):
    """What PyTorch computes for one of two images, by name."""
    with np.load(SHARED / "reference" / "segment_predictions_320.npz") as arrays:
        prefix = f"{request.param}_"
        return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}


def order(rows: np.ndarray) -> np.ndarray:
    """PyTorch's rows (anchor, y, x per scale) in the order (y, x, anchor)."""
    parts, start = [], 0
    for side in (40, 20, 10):
        part = rows[start : start + 3 * side * side].reshape(3, side, side, -1)
        parts.append(part.transpose(1, 2, 0, 3).reshape(3 * side * side, -1))
        start += 3 * side * side
    return np.concatenate(parts)


@needs_shared
def test_predictions_and_prototypes_are_pytorchs(coco_segmenter, stored):
    (found,) = coco_segmenter.runtime(stored["image_rgb_uint8"][None], 0.0)
    expected = order(stored["decoded_xywh_px"])
    np.testing.assert_allclose(found.prototypes, stored["proto_chw"].transpose(1, 2, 0), atol=1e-4)
    centers = (found.boxes_xyxy_px[:, :2] + found.boxes_xyxy_px[:, 2:]) / 2
    np.testing.assert_allclose(centers, expected[:, :2], atol=1e-4, rtol=1e-5)  # up to 320 pixels
    sizes = found.boxes_xyxy_px[:, 2:] - found.boxes_xyxy_px[:, :2]
    np.testing.assert_allclose(sizes, expected[:, 2:4], atol=1e-4, rtol=1e-5)  # up to 1,100 pixels
    objectness = expected[:, 4:5]
    np.testing.assert_allclose(found.scores, expected[:, 5:85] * objectness, atol=1e-5)
    np.testing.assert_allclose(found.coefficients, expected[:, 85:] * objectness, atol=1e-4)


@needs_shared
def test_detections_and_masks_are_pytorchs(coco_segmenter, stored):
    image, expected = stored["image_rgb_uint8"], stored["detections_xyxy_conf_cls_coef"]
    (found,), _ = coco_segmenter.detect_batch(image[None], NmsOptions())
    np.testing.assert_allclose(found.boxes_xyxy_px, expected[:, :4], atol=1e-3)
    np.testing.assert_allclose(found.scores, expected[:, 4], atol=1e-5)
    np.testing.assert_array_equal(found.class_ids, expected[:, 5])
    np.testing.assert_allclose(found.coefficients, expected[:, 6:], atol=1e-4)
    probabilities = mask_probabilities(found.coefficients, found.prototypes)
    small = crop_masks(probabilities, found.boxes_xyxy_px / 4) > THRESHOLD
    assert (small == stored["masks_proto_size"]).mean() > 0.9999
    large = np.unpackbits(stored["masks_input_size"], axis=2).astype(bool)
    exact = enlarge_then_crop(found.coefficients, found.prototypes, found.boxes_xyxy_px, (320, 320))
    assert (exact.dense() == large).mean() > 0.9999


@needs_shared
@pytest.mark.parametrize(("retina", "agreement"), [(True, 0.999), (False, 0.998)])
def test_masks_of_results_are_pytorchs(coco_segmenter, stored, retina, agreement):
    """The stored masks are enlarged, then cropped to exact boxes; predictions round them as YOLOv5 does."""
    large = np.unpackbits(stored["masks_input_size"], axis=2).astype(bool)
    (result,) = coco_segmenter(stored["image_rgb_uint8"], retina_masks=retina)
    assert (result.masks == large).mean() > agreement


@needs_shared
def test_one_image_of_a_photographs_size(coco_segmenter):
    result = coco_segmenter.predict(SHARED / "images" / "bus.jpg")[0]
    assert isinstance(result, SegmentationResult)
    assert result.masks.shape == (len(result), 1080, 810)
    assert result.masks.dtype == bool
    assert set(result.speed_ms) == {"preprocess", "inference", "nms", "masks"}
    for mask, (x1, y1, x2, y2) in zip(result.masks, result.boxes_xyxy_px, strict=True):
        y, x = np.nonzero(mask)
        assert 0.3 < mask.sum() / ((x2 - x1) * (y2 - y1)) <= 1.05
        cell = 4 * 1080 / 320  # masks end at a cell of the prototypes
        assert x1 - cell <= x.min() <= x.max() <= x2 + cell
        assert y1 - cell <= y.min() <= y.max() <= y2 + cell


def test_batches_give_the_masks_of_single_images(tiny_seg):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((48, 64), (64, 48), (48, 64))]
    together = tiny_seg(images, max_detections=5)
    for image, result in zip(images, together, strict=True):
        (alone,) = tiny_seg(image, max_detections=5)
        assert len(result) == 5
        np.testing.assert_allclose(result.boxes_xyxy_px, alone.boxes_xyxy_px, atol=1e-3)
        assert (result.masks == alone.masks).mean() > 0.999
        assert result.masks.shape == (5, *image.shape[:2])


def test_nothing_found(tiny_seg):
    (result,) = tiny_seg(np.zeros((48, 64, 3), np.uint8), confidence=0.99)
    assert (len(result), result.masks.shape, result.polygons_px) == (0, (0, 48, 64), [])


def test_load_and_create_return_a_segmenter(tiny_seg_keras):
    loaded = tfyolo.load(tiny_seg_keras)
    assert repr(loaded) == "<Segmenter tiny-seg.keras: 2 classes (ant, bee), 64x64 pixels, Keras>"
    assert isinstance(tfyolo.create("yolov5n-seg", num_classes=2, image_size=64), tfyolo.Segmenter)
    assert not isinstance(loaded, DetectionPredictor)


def test_files_of_other_tasks_are_refused(tiny_keras, tiny_seg_keras):
    with pytest.raises(TfyoloError, match="is a detector, not a segmentation model"):
        load_segmentation_predictor(tiny_keras)
    with pytest.raises(TfyoloError, match="is a segmentation model, not a detector"):
        load_detection_predictor(tiny_seg_keras)


def test_a_checkpoint_written_again_gives_the_same_masks(tiny_seg, tiny_seg_keras, tmp_path):
    loaded = tfyolo.load(tiny_seg_keras)
    path = loaded.export("pt", output=tmp_path / "tiny")
    again = tfyolo.load(path)
    assert again.contract.task == "segment"
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    expected, found = (model(image, max_detections=9)[0] for model in (tiny_seg, again))
    np.testing.assert_array_equal(found.masks, expected.masks)


def test_damaged_outputs_are_reported(tiny_seg):
    """Boxes that are not numbers are left out together with their masks."""
    import keras

    from tfyolo.export.keras.runtime import KerasRuntime
    from tfyolo.inference.segmentation.predictor import SegmentationPredictor

    model = keras.models.clone_model(tiny_seg.model)
    model.set_weights(tiny_seg.model.get_weights())
    layer = model.get_layer("model.12.m.0")
    kernel, bias = layer.get_weights()
    bias[0] = np.nan
    layer.set_weights([kernel, bias])
    (result,) = SegmentationPredictor(KerasRuntime(model, tiny_seg.contract))(
        np.zeros((64, 64, 3), np.uint8), max_detections=5
    )
    assert "boxes are left out" in result.problem
    assert len(result) == len(result.masks) == 5


def test_outputs_that_differ_from_the_contract_are_refused(tiny_seg):
    from tfyolo.export.runtime.outputs import check_arrays

    outputs = tiny_seg.runtime.outputs(np.zeros((1, 64, 64, 3), np.uint8))
    assert outputs["prototypes"].shape == (1, 16, 16, 8)
    assert set(check_arrays(outputs, tiny_seg.contract, 1, (64, 64))) == set(outputs)
    small = {**outputs, "prototypes": outputs["prototypes"][:, :8]}
    with pytest.raises(TfyoloError, match="its output `prototypes`"):
        check_arrays(small, tiny_seg.contract, 1, (64, 64))
    del outputs["prototypes"]
    with pytest.raises(TfyoloError, match="differ from those of exported models"):
        check_arrays(outputs, tiny_seg.contract, 1, (64, 64))
