"""Segmentation models in training: PyTorch's losses, Keras' `fit`, and batches as `fit` takes them."""

import numpy as np
import pytest
import tensorflow as tf

import tfyolo
from tests.shared import needs_shared
from tests.training.segmentation.conftest import MICRO_SEG
from tests.training.segmentation.test_loss import CASES, close, reference
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.batches import load_batches, plan_batches
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.export.runtime.predictions import Detections
from tfyolo.models import Contract
from tfyolo.training.detection.validation import batch_labels
from tfyolo.training.loop import run_epochs
from tfyolo.training.segmentation.model import SegmenterTraining
from tfyolo.training.segmentation.validation import (
    SegmentationBatchValidation,
    SegmentationValidation,
    batch_masks,
)

NAMES = ["precision", "recall", "map50", "map50_95"]


@pytest.fixture(scope="module")
def data(polygons):
    return tfyolo.TrainingData(polygons, image_size=64, batch_size=8, cache="ram", masks=True)


def fresh(data):
    model = tfyolo.training_model("", data, cfg=MICRO_SEG, autoanchor=False)
    model.compile("SGD")
    return model


@needs_shared
@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_of_a_step_match_pytorch(case, monkeypatch):
    ref, loss, heads, prototypes, labels, masks = reference(case)
    spec = tfyolo.load_spec("yolov5n-seg", num_classes=loss.boxes.classes)
    model = SegmenterTraining(Contract.of(spec), 128)
    model.compile("SGD")
    model.make_loss(loss.boxes.settings)  # those of the stored values, which are not scaled
    outputs = [*heads, prototypes]
    monkeypatch.setattr(
        "tfyolo.training.detection.box_model.call_heads", lambda network, images, training: outputs
    )
    targets = {"labels": tf.constant(labels), "masks": tf.constant(masks)}
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        found = model.losses_of(tf.zeros((2, 128, 128, 3), tf.uint8), targets)
    *slopes, prototype_slope = tape.gradient(found.total, outputs)
    np.testing.assert_allclose(found.total, ref["total"][0], rtol=1e-5)
    logs = [float(value) for value in found.logs.values()]
    np.testing.assert_allclose(logs, ref["items_box_seg_obj_cls"], rtol=1e-5, atol=1e-8)
    assert list(found.logs) == ["box_loss", "seg_loss", "obj_loss", "cls_loss"]
    for slope, name in zip(slopes, ("g3", "g4", "g5"), strict=True):
        close(slope, ref[name].transpose(0, 2, 3, 1, 4).reshape(slope.shape))
    if prototype_slope is not None:
        close(prototype_slope, ref["g_proto"].transpose(0, 2, 3, 1))


@needs_shared
def test_masks_of_another_size_are_resized_to_the_nearest_pixel():
    """As `F.interpolate(mode="nearest")` does: the pixel at floor(i * old / new)."""
    _, loss, heads, prototypes, labels, masks = reference("overlap")
    expected = loss(heads, prototypes, labels, tf.constant(masks)).seg
    large = np.repeat(np.repeat(masks, 2, 1), 2, 2)
    large[:, 1::2], large[:, :, 1::2] = 99, 99  # pixels that are not read
    found = loss(heads, prototypes, labels, tf.constant(large)).seg
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    small = masks[:, ::2, ::2]
    found = loss(heads, prototypes, labels, tf.constant(small)).seg
    again = loss(heads, prototypes, labels, tf.constant(np.repeat(np.repeat(small, 2, 1), 2, 2))).seg
    np.testing.assert_allclose(found, again, rtol=1e-6)


def test_fit_and_the_loop_train_alike(data):
    tf.keras.utils.set_random_seed(0)
    first = fresh(data)
    weights = first.network.get_weights()
    history = first.fit(data, epochs=2, validation_data=data, verbose=0).history
    second = fresh(data)
    second.begin_with(weights)
    second.plan(2, data.steps, data.batch_size)
    logs = []
    keep = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, found: logs.append(dict(found)))
    run_epochs(second, data.pipeline, 2, callbacks=[keep])
    for name in ("box_loss", "seg_loss", "obj_loss", "cls_loss"):
        assert history[name] == pytest.approx([found[name] for found in logs], rel=1e-3)
    metrics = {f"val_{prefix}{name}" for prefix in ("", "mask_") for name in NAMES}
    assert metrics | {"val_loss", "val_seg_loss"} <= history.keys()
    assert not any("/" in name for name in history)


def test_a_stream_and_arrays_are_validated_as_the_dataset(data):
    model = fresh(data)
    whole = model.evaluate(data, return_dict=True)
    images, targets = next(iter(data.stream()))
    found = model.evaluate(images.numpy(), {name: value.numpy() for name, value in targets.items()}, 4)
    assert len(found) == len(whole)
    stream = model.evaluate(data.stream(), steps=1, return_dict=True)
    assert list(stream) == list(whole)
    assert stream["seg_loss"] > 0


def test_batches_are_evaluated_like_a_dataset(data, polygons):
    """The same images, as files and as batches, have the same losses and mAP."""
    model = fresh(data)
    model.fit(data, epochs=8, verbose=0)
    dataset = read_dataset(polygons)
    plans = plan_batches(scan_split(dataset, "val").samples, (64, 64), 4, 8, False)
    batches = [
        (batch.images, {"labels": batch_labels(batch), "masks": batch_masks(batch)})
        for batch in load_batches(plans, (64, 64))
    ]
    found = []
    for callback in (
        SegmentationBatchValidation(batches),
        SegmentationValidation(dataset, options=ValOptions(rect=False, batch_size=4)),
    ):
        callback.set_model(model)
        found.append(callback.validate())
    assert found[0] == pytest.approx(found[1], abs=1e-5)


@pytest.mark.parametrize("overlap", [True, False])
def test_predictions_that_equal_the_ground_truth_are_true_positives(overlap):
    """Masks at twice the size of the prototypes, and a row of padding."""
    square = np.zeros((2, 8, 8), np.float32)
    square[0, 2:6, 2:6], square[1, :2, 6:] = 1, 1
    prototypes = (2 * square - 1).transpose(1, 2, 0) * 9
    boxes = np.array([[24, 0, 32, 8], [8, 8, 24, 24]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8]), np.array([1, 0]), "", np.eye(2)[::-1], prototypes)
    labels = np.array([[[-1, 0, 0, 0, 0], [0, 0.5, 0.5, 0.5, 0.5], [1, 0.875, 0.125, 0.25, 0.25]]])
    masks = np.repeat(np.repeat(np.concatenate([0 * square[:1], square]), 2, 1), 2, 2)
    if overlap:
        masks = masks[1] * 2 + masks[2] * 3
    validation = SegmentationBatchValidation([])
    matched = validation.match_image(found, {"labels": labels, "masks": masks[None]}, 0, (32, 32))
    assert [part.shape for part in matched.correct] == [(2, 10), (2, 10)]
    assert all(part.all() for part in matched.correct)


def test_data_without_masks_is_refused_with_the_remedy(polygons):
    plain = tfyolo.TrainingData(polygons, image_size=64, batch_size=8)
    with pytest.raises(
        TfyoloError, match=r"is a segmentation model, but the data has no masks(.|\n)*masks=True"
    ):
        tfyolo.training_model("", plain, cfg=MICRO_SEG)


def test_labels_without_polygons_are_refused(shapes):
    with pytest.raises(TfyoloError, match="none of the labels in `train` is a polygon"):
        tfyolo.TrainingData(shapes, image_size=64, masks=True)


def test_targets_without_masks_are_refused(data):
    model = fresh(data)
    with pytest.raises(TfyoloError, match="a dict with `labels` and `masks`"):
        model.losses_of(tf.zeros((1, 64, 64, 3), tf.uint8), tf.zeros((1, 16, 5)))


def test_jit_compile_is_refused(data):
    model = tfyolo.training_model("", data, cfg=MICRO_SEG, autoanchor=False)
    with pytest.raises(TfyoloError, match="jit_compile does not support segmentation models"):
        model.compile("SGD", jit_compile=True)
