"""Batches of every kind that `fit` takes train alike, and those that the loss would misread are refused."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

import tfyolo
from tests.data.classification.class_folders import class_folders
from tests.training.conftest import MICRO
from tfyolo.data.detection.class_map import ClassMap
from tfyolo.errors import TfyoloError
from tfyolo.training.classification.data import training_classifier
from tfyolo.training.fit.batches import (
    checked_boxes,
    checked_classes,
    checked_images,
    refusals,
    unit_images,
)

TINY_CLASSIFIER = str(Path(__file__).parents[1] / "tiny-cls.yaml")


@pytest.fixture(scope="module")
def data(shapes):
    return tfyolo.TrainingData(shapes, image_size=32, batch_size=12, cache="ram")


@pytest.fixture(scope="module")
def batch(data):
    return [part.numpy() for part in next(iter(data.stream()))]


@pytest.fixture(scope="module")
def model(data):
    """A compiled detector whose step is a graph, as users have it; it never learns."""
    keras.utils.set_random_seed(1)
    model = tfyolo.training_model("", data, cfg=MICRO, autoanchor=False)
    model.compile(keras.optimizers.SGD(0.0))
    return model


def loss_of(model, images, labels):
    # Statistics of batch normalization do not count in training.
    return model.fit(images, labels, batch_size=len(images), verbose=0).history["loss"][0]


def test_images_of_every_type_give_the_same_loss(model, batch):
    images, labels = batch
    wanted = loss_of(model, images, labels)
    assert loss_of(model, np.float32(images) / 255, labels) == pytest.approx(wanted, rel=1e-5)
    assert loss_of(model, np.int32(images), labels) == pytest.approx(wanted, rel=1e-6)
    assert loss_of(model, 0 * images, labels) != pytest.approx(wanted, rel=1e-3)
    stream = tf.data.Dataset.from_tensors((images, labels))
    stream = stream.map(lambda images, labels: (tf.cast(images, tf.float16) / 255, labels))
    assert model.fit(stream, verbose=0).history["loss"][0] == pytest.approx(wanted, rel=1e-2)


def test_validation_takes_the_same_images(model, batch):
    images, labels = batch
    wanted = model.evaluate(images, labels, return_dict=True)
    assert model.evaluate(np.float32(images) / 255, labels, return_dict=True) == wanted


def beyond(labels, column, value):
    labels = labels.copy()
    labels[0, 0, 0], labels[0, 0, column] = 0, value
    return labels


@pytest.mark.parametrize("how", ["fit", "train_on_batch", "eager", "evaluate"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (np.float32(x), y), r"float images must have values in 0\.\.1, not 255"),
        (lambda x, y: (np.float32(x) / 127.5 - 1, y), r"float images must have values in 0\.\.1, not -1"),
        (lambda x, y: (np.int32(x) + 200, y), r"integer images must have values in 0\.\.255, not"),
        (lambda x, y: (x, beyond(y, 1, 16)), "boxes must be fractions of the image.* not 16"),
        (lambda x, y: (x, beyond(y, 3, np.nan)), "boxes must be fractions of the image.* not nan"),
        (lambda x, y: (x, beyond(y, 0, 3)), "the class id 3, but the model does not"),
        (lambda x, y: (x, y[..., :4]), r"labels must have the shape .*, boxes, 5\), not \(.*4\)"),
        (
            lambda x, y: (x[..., :1], y),
            r"images must have the shape .*, width, 3\), not \(.*1\)",
        ),
    ],
)
def test_what_the_loss_would_misread_is_refused(model, batch, how, change, message):
    images, labels = change(*batch)
    if how == "eager":
        model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    calls = {
        "evaluate": lambda: model.evaluate(images, labels),
        "train_on_batch": lambda: model.train_on_batch(images, labels),
    }
    with pytest.raises(TfyoloError, match=message):
        calls.get(how, lambda: model.fit(images, labels, verbose=0))()
    if how == "eager":
        model.compile(keras.optimizers.SGD(0.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x, y: (x[..., :1], y),
            r"images must have the shape .*, width, 3\), not \(.*1\)",
        ),
        (lambda x, y: (x, y[..., :4]), r"labels must have the shape .*, boxes, 5\), not \(.*4\)"),
    ],
)
def test_wrong_shapes_are_refused_after_right_ones(model, batch, change, message):
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(*batch, verbose=0)  # the step is traced; the next batches make its shapes unknown
    with pytest.raises(TfyoloError, match=message):
        model.fit(*change(*batch), verbose=0)
    assert model.fit(*batch, verbose=0).history["loss"][0] > 0


def test_class_columns_are_counted_in_the_graph():
    labels = tf.function(lambda y: checked_classes(y, 3), input_signature=[tf.TensorSpec((None, None))])
    np.testing.assert_array_equal(labels(np.eye(3, dtype=np.float32)), np.eye(3))
    with pytest.raises(TfyoloError, match="a column per class of the model, not 1"), refusals():
        labels(np.ones((2, 1), np.float32))


def test_batches_at_the_limits_are_right():
    checked_images(np.float32([[[[-0.05, 0.5, 1.05]]]]))  # a cubic filter overshoots
    checked_boxes(np.float32([[[2, 0, 1, 1, 1.005], [-1, 9, 9, 9, 9]]]), 3)
    checked_boxes(np.zeros((2, 0, 5), np.float32), 3)
    assert unit_images(np.uint8([[[[0, 51, 255]]]])).numpy().ravel().tolist() == pytest.approx([0, 0.2, 1])


def test_a_pipeline_need_not_know_its_shapes(model, batch):
    images, labels = batch

    def load(index):
        pair = tf.py_function(lambda i: (images[int(i)], labels[int(i)]), [index], (tf.uint8, tf.float32))
        return tf.ensure_shape(pair[0], (None, None, None)), pair[1]

    stream = tf.data.Dataset.range(len(images)).map(load).batch(len(images))
    assert stream.element_spec[1].shape.rank is None
    found = model.fit(stream, verbose=0).history["loss"][0]
    assert found == pytest.approx(loss_of(model, images, labels), rel=1e-6)


def test_xla_takes_checked_batches():
    @tf.function(jit_compile=True)
    def count(images, labels):
        return tf.reduce_sum(checked_images(images)) + tf.reduce_sum(checked_boxes(labels, 3))

    assert float(count(tf.ones((1, 2, 2, 3)), tf.zeros((1, 1, 5)))) == 12


def test_classes_of_a_classifier_are_probabilities_or_ids():
    wanted = np.float32([[0, 0, 1], [1, 0, 0]])
    for labels in (wanted, np.array([2, 0]), np.array([[2], [0]])):
        np.testing.assert_array_equal(checked_classes(labels, 3), wanted)
    for labels in (wanted[:, :2], np.float32([2, 0])):
        with pytest.raises(TfyoloError, match=r"labels must be \(batch, 3\) with one probability per class"):
            checked_classes(labels, 3)
    with pytest.raises(TfyoloError, match="class id 3"):
        checked_classes(np.array([3]), 3)


@pytest.fixture(scope="module")
def permuted(shapes, tmp_path_factory):
    """The same data set with its classes in another order."""
    fields = yaml.safe_load(shapes.read_text())
    names = list(fields["names"].values() if isinstance(fields["names"], dict) else fields["names"])
    folder = tmp_path_factory.mktemp("permuted")
    order = [1, 2, 0]
    for split in ("train", "val"):
        for path in (shapes.parent / "labels" / split).glob("*.txt"):
            rows = [line.split() for line in path.read_text().splitlines()]
            lines = [" ".join([str(order.index(int(row[0]))), *row[1:]]) for row in rows]
            target = folder / "labels" / split / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("\n".join(lines) + "\n")
    (folder / "images").symlink_to(shapes.parent / "images")
    file = folder / "permuted.yaml"
    file.write_text(yaml.safe_dump({**fields, "path": str(folder), "names": [names[i] for i in order]}))
    return file


def test_classes_of_other_data_are_matched_by_name(model, data, permuted):
    other = tfyolo.TrainingData(permuted, image_size=32, batch_size=12, cache="ram")
    assert other.names != data.names
    assert set(other.names) == set(data.names)
    model.epochs_fitted = 0
    wanted = model.fit(data, verbose=0).history
    model.epochs_fitted = 0
    assert model.fit(other, verbose=0).history["cls_loss"] == pytest.approx(wanted["cls_loss"], rel=1e-5)


def test_classes_that_the_model_does_not_have_are_refused(model, shapes, tmp_path):
    fields = yaml.safe_load(shapes.read_text())
    file = tmp_path / "other.yaml"
    file.write_text(yaml.safe_dump({**fields, "path": str(shapes.parent), "names": ["a", "b", "c"]}))
    other = tfyolo.TrainingData(file, image_size=32, batch_size=12)
    with pytest.raises(TfyoloError, match="`a`, `b`, `c` are not classes of the model"):
        model.fit(other, verbose=0)


def test_masks_and_padding_stay_as_they_are_where_classes_are_matched(model):
    labels = np.float32([[[0, 0.1, 0.2, 0.3, 0.4], [2, 0.5, 0.5, 0.5, 0.5], [-1, 0, 0, 0, 0]]])
    targets = {"labels": labels, "masks": np.ones((1, 4, 4))}
    found = model.to_own_classes(targets, ClassMap((2, 0, 1), 3))
    assert found["masks"] is targets["masks"]
    np.testing.assert_array_equal(found["labels"][0, :, 0], [2, 1, -1])
    np.testing.assert_array_equal(found["labels"][..., 1:], labels[..., 1:])


class Means(keras.callbacks.Callback):
    """Mean pixel of each batch that a model is trained on."""

    def set_model(self, model):
        super().set_model(model)
        self.seen = []
        step = type(model).train_step.__get__(model)

        def watched(batch):
            self.seen.append(float(tf.reduce_mean(tf.cast(batch[0], tf.float32))))
            return step(batch)

        model.train_step = watched


def test_each_call_of_fit_goes_on_with_the_data(data, tmp_path):
    def new():
        keras.utils.set_random_seed(1)
        model = tfyolo.training_model("", data, cfg=MICRO, autoanchor=False)
        model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        return model

    def fit(model, **options):
        means = Means()
        model.fit(data, verbose=0, callbacks=[*options.pop("callbacks", []), means], **options)
        return means.seen

    model = new()
    whole = fit(model, epochs=4)
    steps = data.steps
    assert len(set(whole)) == 4 * steps
    assert fit(new(), epochs=4, initial_epoch=2) == whole[2 * steps :]
    model = new()
    assert fit(model) + fit(model) + fit(model, epochs=2) == whole

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(new(), epochs=4, callbacks=[backup, Kill()])
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    assert fit(new(), epochs=4, callbacks=[backup]) == whole[3 * steps :]


def test_a_classifier_takes_bytes_and_class_ids(tmp_path):
    data = tfyolo.ClassificationData(
        class_folders(tmp_path, train=8, val=4, test=2), image_size=32, batch_size=8
    )
    keras.utils.set_random_seed(1)
    model = training_classifier(data, TINY_CLASSIFIER)
    model.compile(keras.optimizers.SGD(0.0))
    images, labels = (part.numpy() for part in next(iter(data.stream())))
    pixels = np.uint8(np.rint(255 * images.clip(0, 1)))
    wanted = loss_of(model, np.float32(pixels) / 255, labels)
    assert loss_of(model, pixels, labels.argmax(1)) == pytest.approx(wanted, rel=1e-4)
    with pytest.raises(TfyoloError, match=r"float images must have values in 0\.\.1"):
        model.fit(np.float32(pixels), labels, verbose=0)
    exact = model.evaluate(np.float32(pixels) / 255, labels, return_dict=True)
    assert model.evaluate(pixels, labels.argmax(1), return_dict=True) == pytest.approx(exact, rel=1e-4)
