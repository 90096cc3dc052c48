"""Arguments and callbacks of `fit`: each works as Keras documents it, or is refused with the remedy."""

import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.conftest import MICRO
from tfyolo.anchors import auto_anchors
from tfyolo.errors import TfyoloError
from tfyolo.inference.load import load_predictor
from tfyolo.training.callbacks import learning_rates
from tfyolo.training.detection.data import TrainingData, training_model
from tfyolo.training.detection.hyps import Hyps
from tfyolo.training.fit.checks import REFUSED
from tfyolo.training.loop import run_epochs

BATCH = 24  # an epoch is one step
FLAT = Hyps(lrf=1.0, warmup_epochs=0.0)


@pytest.fixture(scope="module")
def data(shapes):
    return TrainingData(shapes, image_size=64, batch=BATCH, cache="ram")


@pytest.fixture(scope="module")
def shared(data):
    """A compiled model for tests that leave its weights alone."""
    return compiled(data)


def fresh(data, **options):
    keras.utils.set_random_seed(1)
    return training_model("", data, cfg=MICRO, autoanchor=False, **options)


def compiled(data, epochs=2, hyps=FLAT, **options):
    model = fresh(data)
    model.compile(
        epochs=epochs,
        steps_per_epoch=data.steps,
        batch_size=BATCH,
        hyps=hyps,
        nominal_batch=BATCH,
        run_eagerly=True,
        **options,
    )
    return model


@cache
def stream_of(data):
    """Building a stream takes longer than a step."""
    return data.stream()


def fit(model, data, epochs=1, **options):
    return model.fit(stream_of(data), epochs=epochs, verbose=0, **options)


def moved(model, before):
    """Paths of the network's weights that are no longer as they were."""
    pairs = zip(model.network.weights, before, strict=True)
    return {weight.path for weight, old in pairs if not np.array_equal(weight.numpy(), old)}


def statistics(paths):
    return {path for path in paths if "moving" in path}


@pytest.mark.parametrize("name", REFUSED)
def test_arguments_without_effect_are_refused(shared, data, name):
    with pytest.raises(TfyoloError, match=f"fit does not support `{name}`"):
        fit(shared, data, **{name: 2})


def test_weights_of_images_are_refused_as_an_array(shared, data):
    with pytest.raises(TfyoloError, match="fit does not support `sample_weight`"):
        fit(shared, data, sample_weight=np.ones(8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps_per_epoch": 2}, "has 2 batches, but compile was given steps_per_epoch=1"),
        ({"epochs": 3}, "epochs=2, and fit would reach epoch 3"),
        ({"batch_size": BATCH}, "does not support batch_size for a tf.data.Dataset"),
        ({"callbacks": [keras.callbacks.SwapEMAWeights()]}, "keeps its own EMA"),
    ],
)
def test_what_contradicts_compile_is_refused(shared, data, options, message):
    with pytest.raises(TfyoloError, match=message):
        fit(shared, data, **{"epochs": 1, **options})


def test_streams_that_do_not_fit_are_refused(shared, data):
    stream = stream_of(data)
    with pytest.raises(TfyoloError, match="has 2 batches"):
        shared.fit(tf.data.Dataset.from_tensors(next(iter(stream))).repeat(2), epochs=1, verbose=0)
    with pytest.raises(TfyoloError, match="without sample weights"):
        shared.fit(stream.map(lambda x, y: (x, y, 1.0)), epochs=1, verbose=0)
    with pytest.raises(TfyoloError, match="batches of 24 images, not 4"):
        shared.fit(data, batch_size=4, verbose=0)
    with pytest.raises(TfyoloError, match="call `compile` before"):
        fit(fresh(data), data)


def test_a_stream_without_end_has_the_epochs_that_compile_was_told(data):
    model = compiled(data, epochs=3)
    history = fit(model, data).history
    assert {"loss", "box_loss"} <= history.keys()
    assert float(model.counters["step"]) == data.steps
    with pytest.raises(TfyoloError, match="of which 1 are done, and fit would reach epoch 4"):
        fit(model, data, epochs=3)
    fit(model, data, epochs=3, initial_epoch=2)
    assert float(model.counters["step"]) == 3 * data.steps


@pytest.mark.parametrize("hyps", [FLAT, Hyps(), Hyps(lrf=0.5, warmup_epochs=0.0)])
def test_a_learning_rate_scheduler_replaces_the_schedule(data, hyps):
    model = compiled(data, hyps=hyps)
    before = model.network.get_weights()
    fit(model, data, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)])
    assert statistics(moved(model, before)) == moved(model, before)
    rates = learning_rates(model)
    fit(
        model,
        data,
        epochs=2,
        initial_epoch=1,
        callbacks=[keras.callbacks.LearningRateScheduler(lambda _: 0.25)],
    )
    assert rates == (0.0, 0.0, 0.0)
    assert learning_rates(model) == (0.25, 0.25, 0.25)


def test_a_lower_rate_lowers_that_of_biases_in_the_warm_up(data):
    model = compiled(data, hyps=Hyps())
    before = model.network.get_weights()
    model.optimizer.learning_rate = 0.0
    fit(model, data)
    assert statistics(moved(model, before)) == moved(model, before)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    model = compiled(data, hyps=Hyps(lr0=0.01))
    fit(model, data, epochs=2, callbacks=[plateau])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.005)


def test_layers_frozen_before_compile_stay_with_their_statistics(data):
    model = fresh(data)
    for layer in model.network.layers:
        layer.trainable = not layer.name.startswith("model.0.")
    model.compile(
        epochs=1,
        steps_per_epoch=data.steps,
        batch_size=BATCH,
        hyps=FLAT,
        nominal_batch=BATCH,
        run_eagerly=True,
    )
    before = model.network.get_weights()
    fit(model, data)
    changed = moved(model, before)
    assert changed
    assert not any(path.startswith("model.0.") for path in changed)


def freeze(model):
    model.freeze(["model.0."])


def switch(model):
    model.network.get_layer("model.0.conv").trainable = False


@pytest.mark.parametrize("how", [freeze, switch])
@pytest.mark.parametrize("by", ["fit", "loop"])
def test_layers_frozen_after_compile_stay(data, how, by):
    model = compiled(data)
    how(model)
    before = model.network.get_weights()
    if by == "fit":
        fit(model, data)
    else:
        run_epochs(model, data.pipeline, 1)
    changed = moved(model, before)
    assert "model.0.conv/kernel" not in changed
    assert "model.1.conv/kernel" in changed


def test_batches_with_different_numbers_of_boxes_share_one_graph(data, monkeypatch):
    """Tracing a second shape of labels would take as long as the first."""
    traced = []

    class Source:
        steps_per_epoch = 3

        def stream(self, first_epoch=0, epochs=None):
            counts = tf.data.Dataset.from_tensor_slices([32, 64, 32])
            images = tf.zeros((BATCH, 64, 64, 3), tf.uint8)
            return counts.map(lambda count: (images, tf.fill((BATCH, count, 5), -1.0)))

    model = compiled(data)
    model.run_eagerly = False
    step = model.step
    monkeypatch.setattr(model, "step", lambda *batch: traced.append(batch) or step(*batch))
    run_epochs(model, Source(), 1)
    assert len(traced) == 1


def test_layers_that_a_callback_freezes_and_releases_follow_from_the_next_epoch(data):
    model, history = compiled(data, epochs=3), []

    def next_epoch(epoch, logs):
        history.append(model.network.get_layer("model.0.conv").kernel.numpy())
        model.network.get_layer("model.0.conv").trainable = epoch == 1

    fit(model, data, epochs=3, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=next_epoch)])
    np.testing.assert_array_equal(history[0], history[1])
    assert np.abs(history[2] - history[1]).max() > 0


def test_variables_that_stay_trainable_keep_their_momentum(data):
    model = compiled(data)
    fit(model, data)
    old = {v.path: model.optimizer.slots[i][0].numpy() for i, v in enumerate(model.trained)}
    switch(model)
    assert model.follow_trainable()
    assert not model.follow_trainable()
    assert float(model.optimizer.updates) == 1
    for index, variable in enumerate(model.trained):
        np.testing.assert_array_equal(model.optimizer.slots[index][0], old[variable.path])


def test_nothing_left_to_train_is_refused(data):
    model = fresh(data)
    model.network.trainable = False
    with pytest.raises(TfyoloError, match="all layers are frozen"):
        model.compile(epochs=1, steps_per_epoch=1, batch_size=BATCH)


def test_callbacks_see_what_validation_finds_wherever_it_stands(data, tmp_path):
    model, best = compiled(data), tmp_path / "best.keras"
    saving = keras.callbacks.ModelCheckpoint(best, monitor="fitness", mode="max", save_best_only=True)
    stopping = keras.callbacks.EarlyStopping("fitness", mode="max", patience=5, restore_best_weights=True)
    history = fit(model, data, callbacks=[saving, stopping, data.validation()]).history
    assert stopping.best == history["fitness"][0]
    np.testing.assert_array_equal(
        load_predictor(best).model.get_weights()[0], model.averaged.get_weights()[0]
    )
    with pytest.raises(TfyoloError, match="already exists"):
        model.save(best, overwrite=False)


def test_a_checkpoint_that_fails_leaves_no_file(shared, data, tmp_path, monkeypatch):
    def fail(self, path):
        path.write_bytes(b"half")
        raise RuntimeError

    monkeypatch.setattr(type(shared.averaged), "save", fail)
    with pytest.raises(RuntimeError):
        shared.save(tmp_path / "x.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("by", ["fit", "loop"])
def test_training_ends_on_a_loss_that_is_no_number(data, by):
    model, end = compiled(data), keras.callbacks.TerminateOnNaN()
    model.network.get_layer("model.2.m.0").bias.assign(np.full(24, np.nan, np.float32))
    if by == "fit":
        fit(model, data, epochs=2, callbacks=[end])
    else:
        run_epochs(model, data.pipeline, 2, callbacks=[end])
    assert float(model.counters["step"]) == 1


def test_a_backup_restores_all_that_a_run_needs(data, tmp_path):
    class StopError(Exception):
        pass

    def stop(epoch, logs=None):
        if epoch == 1:
            raise StopError

    backup = str(tmp_path / "backup")
    begun = compiled(data)
    with pytest.raises(StopError):
        fit(
            begun,
            data,
            epochs=2,
            callbacks=[
                keras.callbacks.BackupAndRestore(backup),
                keras.callbacks.LambdaCallback(on_epoch_begin=stop),
            ],
        )
    again = compiled(data)
    state = {}

    def look(epoch, logs=None):
        state[epoch] = [
            variable.numpy()
            for variable in (*again.network.weights, *again.averaged.weights, *again.optimizer.variables)
        ] + [float(again.counters["step"])]

    fit(
        again,
        data,
        epochs=2,
        callbacks=[
            keras.callbacks.BackupAndRestore(backup),
            keras.callbacks.LambdaCallback(on_epoch_begin=look),
        ],
    )
    assert list(state) == [1]
    wanted = (*begun.network.weights, *begun.averaged.weights, *begun.optimizer.variables)
    for found, variable in zip(state[1], wanted, strict=False):
        np.testing.assert_array_equal(found, variable.numpy())
    assert state[1][-1] == data.steps
    with pytest.raises(TfyoloError, match="only in fit"):
        run_epochs(again, data.pipeline, 1, callbacks=[keras.callbacks.BackupAndRestore(backup)])


def test_keras_own_precision_holds(data):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = fresh(data)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.network(tf.zeros((1, 64, 64, 3)))[0].dtype == tf.bfloat16
    assert model.averaged(tf.zeros((1, 64, 64, 3)))[0].dtype == tf.float32
    keras.config.set_dtype_policy("float16")
    try:
        with pytest.raises(TfyoloError, match="unknown training precision `float16`"):
            fresh(data)
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_model_for_fit_gets_anchors_that_fit(data, tmp_path):
    said, cfg = [], tmp_path / "large.yaml"
    text = Path(MICRO).read_text()
    cfg.write_text(re.sub(r"  - \[\d+, \d+, .*\d\]\n", "  - [300, 300, 310, 300, 300, 310]\n", text, count=3))
    keras.utils.set_random_seed(1)
    kept = training_model("", data, cfg=str(cfg), autoanchor=False).contract.anchors_px
    assert np.array(kept).min() == 300
    model = training_model("", data, cfg=str(cfg), log=said.append)
    wanted = auto_anchors(data.samples, kept, model.contract.strides, 64)
    assert wanted.replaced
    assert model.contract.anchors_px == wanted.anchors_px
    assert np.array(wanted.anchors_px).max() < 64
    assert said == ["weights: random", wanted.reason]


def test_the_measured_batch_size_is_that_of_all_gpus(monkeypatch):
    from tfyolo.training.detection import autobatch

    monkeypatch.setattr(autobatch.tf.config, "list_physical_devices", lambda kind: ["GPU:0", "GPU:1"])
    monkeypatch.setattr(autobatch, "_measure_peak", lambda model, batch_size, side: 100 + 10 * batch_size)
    monkeypatch.setattr(autobatch, "_memory_limit", lambda: 375)
    assert autobatch.measure_batch_size(None, 64) == 20
    monkeypatch.setattr(
        autobatch.tf.distribute, "get_strategy", lambda: SimpleNamespace(num_replicas_in_sync=2)
    )
    assert autobatch.measure_batch_size(None, 64) == 40
