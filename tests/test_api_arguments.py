"""Arguments of the Python API: what Keras and NumPy users pass is taken, and what is wrong is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfyolo
from tests.training.conftest import MICRO
from tfyolo.assets import MINI_DATA, SAMPLE_IMAGE
from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.files import run_folder
from tfyolo.inference.detection import read_pixels
from tfyolo.training.fit.batches import checked_classes
from tfyolo.training.fit.checks import listed_callbacks


@pytest.fixture(scope="module")
def detector():
    return tfyolo.load("bccd-n", image_size=160)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_policy_of_training_does_not_change_inference(detector, policy):
    (expected,) = detector(SAMPLE_IMAGE)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        (found,) = tfyolo.load("bccd-n", image_size=160)(SAMPLE_IMAGE)
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_array_equal(found.boxes_xyxy_px, expected.boxes_xyxy_px)


@pytest.mark.parametrize("class_ids", [{1}, 1, np.int64(1), np.array([1]), (1,)], ids=repr)
def test_class_ids_of_any_kind(detector, class_ids):
    (found,) = detector(SAMPLE_IMAGE, confidence=np.float32(0.25), class_ids=class_ids)
    assert {name for name, count in found.counts().items() if count} == {"RBC"}


@pytest.mark.parametrize(
    "arguments",
    [{"confidence": 25}, {"confidence": "0.5"}, {"iou_threshold": -1}, {"max_detections": 0}],
    ids=str,
)
def test_thresholds_of_predict_are_checked(detector, arguments):
    (name,) = arguments
    with pytest.raises(TfyoloError, match=f"{name} must be "):
        detector(SAMPLE_IMAGE, **arguments)


@pytest.mark.parametrize("image_size", [(0, 64), -1, True, 64.0, (64, 64, 3), "64"], ids=repr)
@pytest.mark.parametrize("function", [tfyolo.load, tfyolo.create, tfyolo.backbone])
def test_image_sizes_are_checked(function, image_size):
    with pytest.raises(TfyoloError, match="image_size must be one number from 1 to 16384"):
        function("bccd-n" if function is not tfyolo.create else "yolov5n", image_size=image_size)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tfyolo.TrainingData("bccd-mini", image_size=33), "use image_size=32"),
        (
            lambda: tfyolo.training_model("", tfyolo.TrainingData("bccd-mini", image_size=64)),
            'pass cfg="yolov5n"',
        ),
    ],
)
def test_training_names_arguments_not_flags(make, message):
    with pytest.raises(TfyoloError, match=message) as caught:
        make()
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model: ValOptions(confidence=5.0), "confidence must be between 0 and 1, not 5.0"),
        (lambda model: ValOptions(batch_size=np.int64(4)), r"np.int64\(4\)\n  fix: convert it with int\(\)"),
        (
            lambda model: model.evaluate("bccd-mini", confidence=np.float32(0.2)),
            r"confidence must be .*\n  fix: convert it with float\(\)",
        ),
        (lambda model: tfyolo.load("bccd-n", threads=-3), "threads must be a whole number of at least 1"),
        (lambda model: tfyolo.load("bccd-n", threads=1.5), "threads must be a whole number of at least 1"),
        (
            lambda model: model.quantize("bccd-mini", steps=1, learning_rate=-1.0),
            "learning_rate must be above 0, not -1.0",
        ),
    ],
)
def test_numbers_out_of_range_are_refused(detector, make, message):
    with pytest.raises(TfyoloError, match=message):
        make(detector)


def test_functions_that_commands_call_too_name_arguments(tmp_path):
    options = tfyolo.TrainOptions(MINI_DATA, weights="", cfg="", plots=False)
    with pytest.raises(TfyoloError, match='nor weights were given\n  fix: pass cfg="yolov5n"'):
        tfyolo.train(options, tmp_path)
    assert tfyolo.train is tfyolo.train


def test_an_error_without_its_file_gets_it_whatever_its_class():
    error = MissingExtraError("onnx", "onnx")
    error.rewrite(path="best.onnx")
    assert str(error) == "best.onnx: onnx is not installed\n  fix: pip install 'tfyolo[onnx]'"


def test_a_worker_that_writes_no_files_ends_its_training(tmp_path, monkeypatch):
    from tfyolo.training import train as module

    detector = tfyolo.create(MICRO, image_size=64)
    folder = tmp_path / "exp"
    others = module.TrainResult(folder, folder / "weights/best.keras", folder / "weights/last.keras", None)
    monkeypatch.setattr(module, "train", lambda *args, **kwargs: others)
    result = detector.fit("bccd-mini", epochs=1, project=tmp_path)
    assert result.metrics is None
    assert result.history == {}


def test_a_transformer_is_not_trained_with_quantization():
    with pytest.raises(TfyoloError, match=r"attention layers cannot be trained with quantization\n.*steps=0"):
        tfyolo.create("yolov5s-transformer", 3, image_size=64).quantize("bccd-mini", steps=1, calibration=1)


def test_image_sizes_of_numpy():
    assert tfyolo.load("bccd-n", image_size=np.int64(64)).image_size == (64, 64)
    assert tfyolo.load("bccd-n", image_size=np.array([64, 96])).image_size == (64, 96)


@pytest.mark.parametrize("names", ["cat", ["a", "a"], [""], {1: "a"}, [1, 2]], ids=repr)
def test_class_names_are_checked(names):
    with pytest.raises(TfyoloError, match="names must be a list of different class names"):
        tfyolo.create("yolov5n", names=names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": (64, 96)}, "training images are square"),
        ({"nominal_batch": 0}, "nominal_batch must be a whole number of at least 1"),
        ({"save_period": "a"}, "save_period must be"),
        ({"freeze": "x"}, "freeze must be"),
        ({"seed": "x"}, "seed must be"),
        ({"hyp": {"lr0": 0.1}}, "hyp must be a name or a YAML file"),
        ({"noval": True}, "write `val=False`"),
        ({"callbacks": 7}, "callbacks must be Keras callbacks"),
    ],
    ids=str,
)
def test_fit_refuses_before_it_makes_a_folder(detector, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TfyoloError) as caught:
        detector.fit("bccd-mini", epochs=1, **{"image_size": 64, **arguments})
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_callbacks_as_keras_takes_them():
    one = keras.callbacks.TerminateOnNaN()
    for given in (one, [one], (one,), keras.callbacks.CallbackList([one])):
        assert one in listed_callbacks(given)
    assert listed_callbacks(None) == []


def test_hyperparameters_of_compile_are_checked():
    data = tfyolo.TrainingData("bccd-mini", image_size=64, batch_size=8)
    with pytest.raises(TfyoloError, match="hyps must be Hyps, not 'scratch-low'"):
        tfyolo.training_model("bccd-n", data).compile("SGD", hyps="scratch-low")


def test_gray_images_of_pillow_keep_their_brightness():
    values = np.linspace(0, 65535, 48).astype(np.uint16).reshape(6, 8)
    expected = (values >> 8)[..., None].repeat(3, 2).astype(int)
    sixteen = Image.fromarray(values)
    for image in (sixteen, sixteen.convert("I"), Image.fromarray((values / 65535).astype(np.float32))):
        assert np.abs(read_pixels(image)[0] - expected).max() <= 1, image.mode
    assert read_pixels(Image.new("I", (4, 4), 7))[0].max() == 7


def test_names_of_an_empty_table_are_text(detector):
    (found,) = detector(SAMPLE_IMAGE, confidence=1.0)
    assert found.to_pandas()["name"].str.upper().tolist() == []


def test_a_run_in_a_folder_of_runs_is_numbered(tmp_path):
    folders = [run_folder(tmp_path, "a/b") for _ in range(2)]
    assert [path.relative_to(tmp_path).as_posix() for path in folders] == ["a/b", "a/b2"]
    with pytest.raises(TfyoloError, match="is not the name of a folder"):
        run_folder(tmp_path, "..")


def test_class_ids_of_two_shapes_in_one_function():
    ids = np.arange(8) % 3
    check = tf.function(lambda labels: checked_classes(labels, 3), reduce_retracing=True)
    for labels in (ids[:, None], ids, ids[:5], ids[:6, None]):
        np.testing.assert_array_equal(check(tf.constant(labels)), np.eye(3)[labels.reshape(-1)])
