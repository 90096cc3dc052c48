"""The step that the loop and Keras' `fit` share."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.conftest import MICRO
from tfyolo.inference.load import load_predictor
from tfyolo.training.detection.data import TrainingData, training_model
from tfyolo.training.detection.hyps import Hyps
from tfyolo.training.detection.validation import METRICS
from tfyolo.training.loop import run_epochs
from tfyolo.training.optimization.ema import DECAY, RAMP, ExponentialMovingAverage


@pytest.fixture(scope="module")
def data(shapes):
    return TrainingData(shapes, image_size=64, batch=8, cache="ram")


def fresh(data, **options):
    keras.utils.set_random_seed(1)
    model = training_model("", data, cfg=MICRO)
    model.compile(epochs=2, steps_per_epoch=data.steps, batch_size=8, **options)
    return model


class Losses(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epochs, self.ends = [], 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(dict(logs))

    def on_train_end(self, logs=None):
        self.ends += 1


def test_fit_and_the_loop_train_alike(data, tmp_path):
    by_fit, by_loop = Losses(), Losses()
    validation = data.validation()
    first = fresh(data)
    first.fit(data.stream(), epochs=2, steps_per_epoch=data.steps, callbacks=[validation, by_fit], verbose=0)
    second = fresh(data)
    run_epochs(second, data.pipeline, 2, callbacks=[by_loop])
    for one, other in zip(by_fit.epochs, by_loop.epochs, strict=True):
        assert one["box_loss"] == pytest.approx(other["box_loss"], rel=1e-3)
        assert one["obj_loss"] == pytest.approx(other["obj_loss"], rel=1e-3)
        assert one["cls_loss"] == pytest.approx(other["cls_loss"], rel=1e-3)
    for a, b in zip(first.averaged.get_weights(), second.averaged.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3)
    assert by_loop.ends == 1
    assert {*METRICS, "fitness", "val/box_loss"} <= by_fit.epochs[0].keys()
    saved = first.save_averaged(tmp_path / "shapes.keras")
    assert load_predictor(saved).names == data.names


def test_a_step_lowers_the_loss_of_its_own_batch(data):
    model = fresh(data, optimizer="AdamW", hyps=Hyps(lr0=0.05, warmup_epochs=0.0), nominal_batch=8)
    images, labels = next(iter(data.stream()))
    step = tf.function(model.step, autograph=False)
    totals = [
        sum(float(v) for k, v in step(images, labels).items() if k != "gradient_norm") for _ in range(40)
    ]
    assert totals[-1] < 0.9 * totals[0]


def test_frozen_layers_keep_their_weights_and_move_their_statistics(data):
    keras.utils.set_random_seed(1)
    model = training_model("", data, cfg=MICRO)
    frozen = model.freeze(["model.0."])
    model.compile(epochs=2, steps_per_epoch=3, batch_size=8)
    before = {v.path: v.numpy() for v in model.network.weights}
    step = tf.function(model.step, autograph=False)
    for _ in range(2):
        step(*next(iter(data.stream())))
    moved = {v.path for v in model.network.weights if not np.array_equal(before[v.path], v.numpy())}
    assert frozen
    assert not moved & set(frozen)
    assert any("model.0.bn" in path and "moving" in path for path in moved)
    assert any("model.1." in path and "kernel" in path for path in moved)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains(data, precision):
    from tfyolo.training.detection.initialization import build_training_model, plan_initial_weights

    keras.utils.set_random_seed(1)
    model = build_training_model(plan_initial_weights("", MICRO, data.names, 64), 64, precision)
    model.compile(epochs=1, steps_per_epoch=3, batch_size=8, hyps=Hyps(warmup_epochs=0.0), nominal_batch=8)
    step = tf.function(model.step, autograph=False)
    before = model.averaged.get_weights()
    for images, labels in data.stream().take(2):
        losses = step(images, labels)
    assert all(np.isfinite(float(value)) for value in losses.values())
    assert model.averaged.dtype == "float32"
    assert any((a != b).any() for a, b in zip(before, model.averaged.get_weights(), strict=True))


def test_the_loss_scale_halves_after_an_overflow_and_doubles_after_sound_steps(data):
    from tfyolo.training.detection.initialization import build_training_model, plan_initial_weights

    model = build_training_model(plan_initial_weights("", MICRO, data.names, 64), 64, "mixed_float16")
    model.compile(epochs=1, steps_per_epoch=3, batch_size=8)
    model.counters["loss_scale"].assign(1024.0)
    assert float(model._next_scale(tf.constant(np.inf))["loss_scale"]) == 512
    model.counters["sound_steps"].assign(1999.0)
    assert float(model._next_scale(tf.constant(1.0))["loss_scale"]) == 2048


def test_an_overflow_changes_nothing_with_an_optimizer_of_keras(data):
    from tfyolo.training.detection.initialization import build_training_model, plan_initial_weights

    model = build_training_model(plan_initial_weights("", MICRO, data.names, 64), 64, "mixed_float16")
    model.compile(keras.optimizers.Adam(0.01, weight_decay=0.01), epochs=1, steps_per_epoch=3, batch_size=8)
    sound = [tf.ones(weight.shape) for weight in model.trained]
    overflow = [tf.fill(sound[0].shape, np.inf), *sound[1:]]
    update = tf.function(lambda gradients: model._update(gradients, tf.constant(0.0)), autograph=False)

    def state():
        weights = (*model.network.weights, *model.averaged.weights, *model.optimizer.variables)
        return [np.array(weight) for weight in weights]

    first = state()
    assert np.isfinite(update(sound))
    before = state()
    assert any((a != b).any() for a, b in zip(first, before, strict=True))
    assert not np.isfinite(update(overflow))
    for old, new in zip(before, state(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_the_average_follows_with_yolov5s_ramp():
    average, weight = keras.Variable(np.float32(0.0)), keras.Variable(np.float32(1.0))
    ExponentialMovingAverage([average], [weight]).update(tf.constant(500.0), tf.constant(1.0))
    assert float(average.numpy()) == pytest.approx(1 - DECAY * (1 - np.exp(-500 / RAMP)), rel=1e-5)
    before = float(average.numpy())
    ExponentialMovingAverage([average], [weight]).update(tf.constant(501.0), tf.constant(0.0))
    assert float(average.numpy()) == before
