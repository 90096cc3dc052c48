"""What a Keras user does with a `keras.Model` works with a training model."""

import csv
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfyolo
from tests.training.conftest import MICRO
from tfyolo.errors import TfyoloError
from tfyolo.inference.load import load_predictor
from tfyolo.models.build import call_heads

NAMES = ["loss", "box_loss", "obj_loss", "cls_loss", "precision", "recall", "map50", "map50_95"]


@pytest.fixture(scope="module")
def data(shapes):
    return tfyolo.TrainingData(shapes, image_size=32, batch_size=12, cache="ram")


def compiled(data, optimizer="SGD", **options):
    keras.utils.set_random_seed(1)
    model = tfyolo.training_model("", data, cfg=MICRO, autoanchor=False)
    model.compile(optimizer, run_eagerly=True, **options)
    return model


@pytest.fixture(scope="module")
def shared(data):
    """A compiled model for tests that do not look at its weights."""
    return compiled(data)


def fit(model, data, **options):
    return model.fit(data, verbose=0, **options)


def kernels(model):
    return {v.path: v.numpy() for v in model.network.trainable_variables}


def moved(before, model):
    return {path for path, value in kernels(model).items() if not np.array_equal(before[path], value)}


def test_fit_knows_epochs_steps_and_batch_size(data):
    model = compiled(data)
    fit(model, data, epochs=2)
    assert float(model.counters["step"]) == 2 * data.steps == 4
    schedule = model.schedule
    assert (schedule.epochs, schedule.steps_per_epoch, schedule.batch) == (2, 2, 12)
    fit(model, data, epochs=3)
    assert model.schedule.epochs == 3
    assert float(model.counters["step"]) == 6


def test_an_endless_stream_ends_without_steps_per_epoch(shared, data):
    assert len(shared.fit(data.stream(), epochs=1, verbose=0).history["loss"]) == 1
    assert float(shared.counters["step"]) == data.steps


def test_a_finite_stream_and_arrays_have_their_own_length(shared, data):
    stream = data.stream().take(1)
    shared.fit(stream, epochs=2, verbose=0)
    assert float(shared.counters["step"]) == 2
    images, labels = (part.numpy() for part in next(iter(stream)))
    shared.fit(images, labels, batch_size=5, epochs=1, verbose=0)
    assert shared.schedule.batch == 5
    assert float(shared.counters["step"]) == 3


def test_train_on_batch_takes_images_and_labels(data):
    model = compiled(data, epochs=1, steps_per_epoch=2, batch_size=12)
    before = kernels(model)
    images, labels = (part.numpy() for part in next(iter(data.stream())))
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["box_loss"] + logs["obj_loss"] + logs["cls_loss"], rel=1e-5)
    assert moved(before, model)
    with pytest.raises(TfyoloError, match="sample weights are not supported"):
        model.train_on_batch(images, labels, sample_weight=np.ones(len(images)))
    with pytest.raises(TfyoloError, match="a batch has no labels"):
        model.train_on_batch(images)
    with pytest.raises(TfyoloError, match=r"length of the training is unknown(.|\n)*steps_per_epoch"):
        compiled(data).train_on_batch(images, labels)
    # Keras' optimizers have a learning rate of their own.
    assert np.isfinite(compiled(data, keras.optimizers.Adam(0.01)).train_on_batch(images, labels)[0])


def test_a_stream_of_unknown_length_needs_steps(data):
    model = compiled(data)
    model.data = None
    with pytest.raises(TfyoloError, match="pass steps_per_epoch to fit"):
        model.fit(data.stream(), verbose=0)
    model.fit(data.stream(), steps_per_epoch=1, verbose=0)
    assert float(model.counters["step"]) == 1


@pytest.mark.parametrize("optimizer", ["sgd", "AdamW", "rmsprop"])
def test_optimizers_by_name(data, optimizer):
    model = compiled(data, optimizer)
    before = kernels(model)
    fit(model, data)
    assert moved(before, model)
    with pytest.raises(TfyoloError, match="unknown optimizer `nadamax`"):
        compiled(data, "nadamax")


def test_a_keras_optimizer_uses_its_own_learning_rate(data):
    before = kernels(compiled(data))
    model = compiled(data, keras.optimizers.Adam(0.01))
    averaged = [w.numpy() for w in model.averaged.weights]
    fit(model, data)
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert int(model.optimizer.iterations) == data.steps
    change = np.concatenate([np.ravel(value - before[path]) for path, value in kernels(model).items()])
    assert 0.005 < np.abs(change).max() < 0.03  # Adam's steps are as long as its rate
    assert any((new.numpy() != old).any() for new, old in zip(model.averaged.weights, averaged, strict=True))
    still = compiled(data, keras.optimizers.SGD(0.0))
    fit(still, data)
    assert not moved(before, still)


def test_a_keras_optimizer_follows_trainable(data):
    model = compiled(data, keras.optimizers.SGD(0.1))
    layer = model.network.get_layer("model.0.conv")
    layer.trainable = False
    first = layer.kernel.numpy()
    fit(model, data)
    np.testing.assert_array_equal(layer.kernel.numpy(), first)
    layer.trainable = True
    fit(model, data)
    assert np.abs(layer.kernel.numpy() - first).max() > 0


def test_arguments_of_compile_that_have_no_meaning_are_refused(shared):
    with pytest.raises(TfyoloError, match="compile does not support `loss`: the model has YOLOv5's loss"):
        shared.compile("SGD", loss="mse")
    with pytest.raises(TfyoloError, match="`steps_per_execution`: each call of the step trains on one batch"):
        shared.compile("SGD", steps_per_execution=2)


def test_methods_of_keras_that_cannot_work_name_what_does(shared, data, tmp_path):
    images, labels = (part.numpy() for part in next(iter(data.stream())))
    shared.save(tmp_path / "whole.keras")
    shared.save_weights(tmp_path / "some.weights.h5")
    shared.load_weights(tmp_path / "some.weights.h5")
    for call, remedy in (
        (lambda: shared.test_on_batch(images, labels), "call `evaluate`"),
        (lambda: shared.compute_loss(images, labels), "losses_of"),
        (lambda: shared.load_weights(tmp_path / "whole.keras"), "begin with a whole model"),
        (lambda: keras.saving.save_model(shared, tmp_path / "other.keras"), r"save it with `model\.save"),
    ):
        with pytest.raises(TfyoloError, match=remedy):
            call()


def test_old_names_of_arguments_warn(shapes, data):
    with pytest.warns(DeprecationWarning, match="use `batch_size`"):
        tfyolo.TrainingData(shapes, image_size=32, batch=4)
    with pytest.warns(DeprecationWarning, match="use `batch_size`"):
        compiled(data, epochs=1, steps_per_epoch=1, batch=4)


@pytest.mark.parametrize("kind", ["data", "path", "batches"])
def test_validation_data_gives_map(shared, data, shapes, kind):
    batches = data.stream().take(1)
    given = {"data": data, "path": str(shapes), "batches": batches}[kind]
    history = fit(shared, data, epochs=2, validation_data=given, validation_freq=2).history
    assert {f"val_{name}" for name in NAMES} <= history.keys()
    assert len(history["val_map50_95"]) == 1
    assert history["val_loss"][0] == pytest.approx(sum(history[f"val_{name}"][0] for name in NAMES[1:4]))


def test_evaluate_returns_losses_and_map(shared, data, shapes):
    by_name = shared.evaluate(data, return_dict=True)
    assert list(by_name) == NAMES
    assert shared.evaluate(return_dict=True) == shared.evaluate(str(shapes), return_dict=True) == by_name
    assert shared.evaluate(data) == list(by_name.values())


def test_batches_are_evaluated_like_a_dataset(data, shapes):
    """The same images, as files and as batches, have the same mAP."""
    from tfyolo.data.detection.scan import read_dataset, scan_split
    from tfyolo.evaluation.batches import load_batches, plan_batches
    from tfyolo.evaluation.detection_metrics import ValOptions
    from tfyolo.training.detection.batch_validation import BatchValidation
    from tfyolo.training.detection.validation import Validation, batch_labels

    keras.utils.set_random_seed(3)
    model = tfyolo.training_model("", data, cfg=MICRO, autoanchor=False)
    model.compile("AdamW", run_eagerly=True)
    dataset = read_dataset(shapes)
    plans = plan_batches(scan_split(dataset, "val").samples, (64, 64), 4, 32, False)
    batches = [(batch.images, batch_labels(batch)) for batch in load_batches(plans, (64, 64))]
    model.image_size = 64
    found = []
    for callback in (
        BatchValidation(batches),
        Validation(dataset, options=ValOptions(rect=False, batch_size=4)),
    ):
        callback.set_model(model)
        found.append(callback.validate())
    assert found[0] == pytest.approx(found[1], abs=1e-5)


@pytest.fixture(scope="module")
def seventy(data):
    """More images than are validated at once."""
    images, labels = next(iter(data.stream()))
    repeats = [7, 1, 1, 1], [7, 1, 1]
    return tuple(np.tile(part, times)[:70] for part, times in zip((images, labels), repeats, strict=True))


def test_arrays_of_any_length_are_validated(shared, seventy):
    images, labels = seventy
    expected = shared.evaluate(images, labels, batch_size=10, return_dict=True)
    whole = shared.evaluate(images, labels, batch_size=70, return_dict=True)
    history = shared.fit(images[:2], labels[:2], validation_data=seventy, verbose=0).history
    assert whole == pytest.approx(expected, rel=0.05)
    assert {f"val_{name}" for name in whole} <= history.keys()


class Indexed(keras.utils.PyDataset):
    """Seven batches."""

    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return 7

    def __getitem__(self, index):
        part = slice(10 * index, 10 * index + 10)
        return self.images[part], self.labels[part]


def test_batches_of_any_kind_are_validated_up_to_their_end_or_steps(shared, data, seventy):
    images, labels = seventy
    expected = shared.evaluate(images[:20], labels[:20], batch_size=10)
    assert shared.evaluate(Indexed(images, labels), steps=2) == expected
    assert shared.evaluate(((images[:10], labels[:10]) for _ in iter(int, 1)), steps=1)
    assert shared.evaluate(Indexed(images, labels)) == shared.evaluate(images, labels, batch_size=10)
    assert shared.evaluate(data.stream(), steps=1)
    with pytest.raises(TfyoloError, match="have no end"):
        shared.evaluate(data.stream())
    with pytest.raises(TfyoloError, match="have no end"):
        fit(shared, data, validation_data=data.stream())


def test_fit_has_the_defaults_of_keras(data):
    defaults = {name: arg.default for name, arg in inspect.signature(keras.Model.fit).parameters.items()}
    own = inspect.signature(type(compiled(data)).fit).parameters
    assert {name: arg.default for name, arg in own.items()} == defaults


def test_early_stopping_checkpoints_and_csv_see_validation_metrics(data, tmp_path):
    model = compiled(data, keras.optimizers.SGD(0.0))
    stop = keras.callbacks.EarlyStopping(monitor="val_map50_95", mode="max", patience=1)
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor="val_map50_95", mode="max", save_best_only=True
    )
    table = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = fit(model, data, epochs=5, validation_data=data, callbacks=[stop, best, table])
    assert len(history.epoch) < 5
    assert load_predictor(tmp_path / "best.keras").names == data.names
    with (tmp_path / "log.csv").open() as file:
        assert "val_map50_95" in next(csv.reader(file))


def test_reduce_on_plateau_lowers_the_rate(data):
    model = compiled(data)
    plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=1e6)
    before = float(model.optimizer.learning_rate)
    fit(model, data, epochs=2, validation_data=data, callbacks=[plateau])
    assert float(model.optimizer.learning_rate) == pytest.approx(before / 2)


def test_keras_tensorboard_writes_events(shared, data, tmp_path):
    fit(shared, data, validation_data=data, callbacks=[keras.callbacks.TensorBoard(tmp_path)])
    assert list(tmp_path.rglob("*tfevents*"))


def test_backup_and_restore_continues_the_run(data, tmp_path):
    class StopError(Exception):
        pass

    def stop(epoch, logs=None):
        if epoch == 1:
            raise StopError

    backup, first = str(tmp_path / "backup"), compiled(data)
    hook = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
    with pytest.raises(StopError):
        fit(first, data, epochs=2, callbacks=[keras.callbacks.BackupAndRestore(backup), hook])
    second, steps = compiled(data), []
    look = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: steps.append((epoch, float(second.counters["step"])))
    )
    fit(second, data, epochs=2, callbacks=[keras.callbacks.BackupAndRestore(backup), look])
    assert steps == [(1, data.steps)]


def test_saved_model_is_the_same_detector_in_keras_and_tfyolo(shared, data, tmp_path):
    shared.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for head, other in zip(shared(images), call_heads(loaded, images), strict=True):
        np.testing.assert_allclose(head, other, atol=1e-5)
    assert load_predictor(tmp_path / "model.keras").names == data.names


def test_a_call_answers_with_the_ema_weights(data):
    model = compiled(data)
    fit(model, data)
    images = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    for head, other in zip(model(images), call_heads(model.averaged, images), strict=True):
        np.testing.assert_array_equal(head, other)
    assert any(
        not np.array_equal(head, other)
        for head, other in zip(model(images), model(images, training=True), strict=True)
    )


@pytest.mark.parametrize("kind", ["tf_saved_model", "litert"])
def test_keras_export_computes_the_same_heads(shared, tmp_path, kind):
    images = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    expected = [np.asarray(head) for head in shared(images)]
    if kind == "litert":
        pytest.importorskip("keras.src.export.litert", reason="this Keras has no LiteRT export")
        from ai_edge_litert.interpreter import Interpreter

        path = tmp_path / "model.tflite"
        shared.export(
            path, format="litert", verbose=False, input_signature=[keras.InputSpec("float32", (1, 64, 64, 3))]
        )
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
        interpreter.invoke()
        found = [interpreter.get_tensor(item["index"]) for item in interpreter.get_output_details()]
    else:
        shared.export(tmp_path / "saved", verbose=False)
        loaded = tf.saved_model.load(str(tmp_path / "saved"))
        found = [np.asarray(value) for value in tf.nest.flatten(loaded.serve(images))]
    order = {head.shape: head for head in found}
    for head in expected:
        np.testing.assert_allclose(order[head.shape], head, atol=1e-4)


def test_the_backbone_is_a_functional_model_of_three_feature_maps():
    backbone = tfyolo.backbone("yolov5n")
    features = backbone(np.zeros((1, 64, 96, 3), np.float32))
    assert [tuple(map(int, f.shape)) for f in features] == [(1, 8, 12, 64), (1, 4, 6, 128), (1, 2, 3, 256)]


def test_a_model_on_a_backbone_is_trained():
    backbone, inputs = tfyolo.backbone(MICRO), keras.Input((64, 64, 3))
    own = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(backbone(inputs)[-1]))
    own.compile("adam", "mse")
    before = backbone.get_weights()[0]
    images, wanted = np.ones((2, 64, 64, 3), np.float32), np.ones((2, *own.output_shape[1:]), np.float32)
    own.fit(images, wanted, epochs=1, verbose=0)
    assert own.count_params() == backbone.count_params()
    assert np.any(backbone.get_weights()[0] != before)


def test_neck_and_backbone_have_the_weights_of_a_model():
    model = tfyolo.load("bccd-n").model
    images = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    neck = tfyolo.backbone("bccd-n", neck=True)
    for index, (feature, head) in enumerate(zip(neck(images), model(images), strict=True)):
        np.testing.assert_allclose(model.get_layer(f"model.24.m.{index}")(feature), head, atol=1e-4)
    kernel = tfyolo.backbone("bccd-n").get_layer("model.0.conv").kernel
    np.testing.assert_array_equal(kernel, model.get_layer("model.0.conv").kernel)
