"""The stream of a classifier's training batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.data.classification.class_folders import class_folders
from tfyolo.data.augment.random_stream import RandomStream
from tfyolo.data.classification.augment import (
    BatchAugmenter,
    ClassificationAugmentationOptions,
    ImageAugmenter,
    QuickRandAugment,
    StepSeeds,
    crop_window,
)
from tfyolo.data.classification.folders import read_folders, scan_folders
from tfyolo.data.classification.pipeline import ClassificationPipeline, ClassificationPipelineOptions
from tfyolo.data.images.center_crop import center_crop
from tfyolo.data.images.read import read_image
from tfyolo.errors import TfyoloError

STILL = {"scale": 1.0, "ratio": 1.0, "hflip": 0.0, "jitter": 0.0}
"""Settings that vary nothing."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    root = class_folders(tmp_path_factory.mktemp("colors"), (40, 52), train=4)
    return scan_folders(read_folders(root), "train").samples


def batches(samples, augmentation, first=0, epochs=1, **options):
    pipeline = ClassificationPipeline(
        samples, 3, augmentation, ClassificationPipelineOptions(**{"image_size": 32, "batch": 8, **options})
    )
    return [(x.numpy(), y.numpy()) for x, y in pipeline.stream(first, epochs)]


def assert_equal(a, b):
    assert len(a) == len(b)
    for (x, y), (u, v) in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


def test_an_epoch_has_full_batches_of_every_image(samples):
    epoch = batches(samples, ClassificationAugmentationOptions(**STILL))
    assert [x.shape for x, _ in epoch] == [(8, 32, 32, 3)] * 2  # 12 images, and 4 again
    labels = np.concatenate([y for _, y in epoch])
    assert labels.shape == (16, 3)
    assert (labels.max(1) == 1).all()
    assert (labels.sum(1) == 1).all()
    np.testing.assert_array_equal(labels[:12].sum(0), [4, 4, 4])
    images = np.concatenate([x for x, _ in epoch])
    assert images.dtype == np.float32
    brightest = images.mean((1, 2)).argmax(1)  # the color says the class
    np.testing.assert_array_equal(brightest, 2 - labels.argmax(1))


def test_without_augmentation_it_is_what_the_classifier_sees(samples):
    (images, labels), _ = batches(samples, None)
    np.testing.assert_array_equal(labels.argmax(1), [0, 0, 0, 0, 1, 1, 1, 1])
    for image, sample in zip(images, samples, strict=False):
        seen = center_crop(read_image(sample.image), (32, 32)) / 255
        assert np.abs(image - seen).mean() < 0.05  # two ways to shrink
        assert np.abs(image.mean((0, 1)) - seen.mean((0, 1))).max() < 0.005


@pytest.mark.parametrize("settings", [{}, {"randaugment": 1}, {"mixup": 0.5, "cutmix": 0.5}])
def test_an_epoch_depends_on_seed_and_number_only(samples, settings):
    augmentation = ClassificationAugmentationOptions(scale=0.5, vflip=0.5, **settings)
    both = batches(samples, augmentation, 0, 2, cache="none")
    assert_equal(both[2:], batches(samples, augmentation, 1, 1, cache="ram"))
    assert not np.array_equal(both[0][0], both[2][0])
    images = np.concatenate([x for x, _ in both])
    assert images.min() >= 0
    assert images.max() <= 1
    np.testing.assert_allclose(np.concatenate([y for _, y in both]).sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("settings", [{"hue": 0.2}, {"randaugment": 3}, {"mixup": 0.5, "cutmix": 0.5}])
def test_the_policy_of_training_does_not_change_images(samples, settings):
    augmentation = ClassificationAugmentationOptions(**settings)
    expected, before = batches(samples, augmentation), keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        found = batches(samples, augmentation)
    finally:
        keras.config.set_dtype_policy(before)
    assert_equal(found, expected)


def test_another_seed_gives_other_images(samples):
    first, second = (
        batches(samples, ClassificationAugmentationOptions(jitter=0), seed=seed)[0] for seed in (0, 1)
    )
    assert not np.array_equal(first[0], second[0])


def test_crops_have_the_area_and_proportions_asked_for():
    settings = ClassificationAugmentationOptions(scale=0.25, ratio=2.0)
    shape = tf.constant([120, 80, 3])
    run = tf.function(lambda number: tf.stack(crop_window(RandomStream(0, number), shape, settings)))
    windows = np.array([run(tf.constant(i, tf.int64)) for i in range(300)])
    top, left, height, width = windows.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 120).all()
    assert (left + width <= 80).all()
    area = height * width / (120 * 80)
    assert 0.23 < area.min() < 0.3
    assert area.max() > 0.8
    ratio = width / height
    assert 0.48 < ratio.min() < 0.6
    assert ratio.max() > 1.4
    assert top.max() > 60  # everywhere in the image
    assert left.max() > 35


def test_a_crop_that_fits_nowhere_is_the_middle():
    settings = ClassificationAugmentationOptions(scale=0.9, ratio=4 / 3)
    window = crop_window(RandomStream(0, tf.constant(0)), tf.constant([300, 30, 3]), settings)
    assert [int(v) for v in window] == [130, 0, 40, 30]


@pytest.mark.parametrize(("setting", "axis"), [("hflip", 1), ("vflip", 0)])
def test_flips(setting, axis):
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    augment = ImageAugmenter(ClassificationAugmentationOptions(**{**STILL, setting: 1.0}), 16, 0)
    expected = np.flip(image.numpy(), axis) / np.float32(255)
    np.testing.assert_allclose(augment(image, tf.constant(3, tf.int64)), expected, atol=1e-6)


def test_color_jitter_is_as_strong_as_it_says():
    gray = tf.fill((16, 16, 3), tf.constant(128, tf.uint8))
    augment = ImageAugmenter(ClassificationAugmentationOptions(**{**STILL, "jitter": 0.4}), 16, 0)
    run = tf.function(lambda element: augment(gray, element))
    means = [float(tf.reduce_mean(run(tf.constant(i, tf.int64)))) for i in range(60)]
    assert 0.29 < min(means) < 0.38  # half of the range's 0.4 from the middle, at most
    assert 0.62 < max(means) < 0.71


def test_randaugment_is_that_of_keras():
    layer = QuickRandAugment(value_range=(0, 1), num_ops=2, factor=0.3, seed=0)
    image = tf.constant(np.random.default_rng(0).random((1, 24, 24, 3)), tf.float32)
    seeds = StepSeeds()
    layer.generator = seeds
    layer.build(image.shape)
    for key in range(12):
        with seeds.of(tf.constant([0, key])):
            drawn = layer.get_random_transformation(image)
        ours = layer.transform_images(image, drawn)
        theirs = keras.layers.RandAugment.transform_images(layer, image, drawn)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_mixup_blends_images_as_it_blends_labels():
    labels = np.eye(6, dtype=np.float32)
    images = np.broadcast_to(np.linspace(0, 1, 6, dtype=np.float32)[:, None, None, None], (6, 4, 4, 3))
    augment = BatchAugmenter(ClassificationAugmentationOptions(mixup=1.0), 0)
    mixed, shares = augment(tf.constant(images), tf.constant(labels), tf.constant(2, tf.int64))
    assert ((shares.numpy() > 0.001).sum(1) <= 2).all()
    assert (shares.numpy().max(1) < 0.999).any()
    np.testing.assert_allclose(mixed.numpy()[:, 0, 0, 0], shares.numpy() @ np.linspace(0, 1, 6), atol=1e-5)


def test_cutmix_exchanges_patches_as_large_as_the_labels_say():
    labels = np.eye(6, dtype=np.float32)
    images = np.broadcast_to(np.arange(6, dtype=np.float32)[:, None, None, None] / 5, (6, 32, 32, 3))
    augment = BatchAugmenter(ClassificationAugmentationOptions(cutmix=1.0), 0)
    mixed, shares = augment(tf.constant(images), tf.constant(labels), tf.constant(1, tf.int64))
    values = np.round(mixed.numpy()[..., 0] * 5).astype(int).reshape(6, -1)
    areas = np.stack([np.bincount(row, minlength=6) for row in values]) / 1024
    assert (areas.max(1) < 1).any()
    np.testing.assert_allclose(areas, shares.numpy(), atol=0.1)  # whole pixels of small patches


@pytest.mark.parametrize("setting", ["mixup", "cutmix"])
def test_batches_are_mixed_as_often_as_asked(setting):
    labels, images = tf.eye(6), tf.random.stateless_uniform((6, 8, 8, 3), (0, 0))
    augment = BatchAugmenter(ClassificationAugmentationOptions(**{setting: 0.5}), 0)
    run = tf.function(lambda batch: augment(images, labels, batch)[1])
    mixed = [bool(tf.reduce_any(run(tf.constant(i, tf.int64)) != labels)) for i in range(60)]
    assert 20 <= sum(mixed) <= 40


def test_fit_of_any_keras_model_takes_the_stream(samples):
    keras.utils.set_random_seed(0)
    pipeline = ClassificationPipeline(
        samples, 3, ClassificationAugmentationOptions(**STILL), ClassificationPipelineOptions(32, 4)
    )
    model = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(0.3), "categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        pipeline.stream(), epochs=12, steps_per_epoch=pipeline.steps_per_epoch, shuffle=False, verbose=0
    )
    assert history.history["accuracy"][-1] == 1.0


def test_what_cannot_be_trained_on_is_refused(samples):
    with pytest.raises(TfyoloError, match="no images"):
        ClassificationPipeline([], 3, None)
    with pytest.raises(TfyoloError, match="unknown cache `tape`"):
        ClassificationPipeline(samples, 3, None, ClassificationPipelineOptions(cache="tape"))
