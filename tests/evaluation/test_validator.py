"""Validation end to end, on data small enough to know the answer."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfyolo.data.detection.scan import Sample
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.batches import load_batches, plan_batches
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.evaluation.validator import validate
from tfyolo.export.runtime.predictions import Candidates
from tfyolo.inference.detection import DetectionPredictor
from tfyolo.models import Contract, load_spec

NAMES = ("dark", "light")


class SquareFinder:
    """A runtime that knows the truth: it finds the one black or white square in a gray image."""

    def __init__(self, fixed=None, max_batch=4, score=0.9):
        spec = load_spec("yolov5n", num_classes=2)
        self.contract = Contract.of(spec, NAMES, fixed or (128, 128))
        self.input_hw, self.max_batch, self.score, self.shapes = fixed, max_batch, score, []

    def __call__(self, images, confidence):
        self.shapes.append(images.shape)
        return [self._find(image[..., 0].astype(int)) for image in images]

    def _find(self, image):
        boxes, scores = [], []
        for index, mask in enumerate((image < 40, image > 220)):
            y, x = np.nonzero(mask)
            if len(x):
                boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
                scores.append(np.eye(2)[index] * self.score)
        return Candidates(np.float32(boxes).reshape(-1, 4), np.float32(scores).reshape(-1, 2))


SIZES_WH = [(128, 96), (128, 96), (96, 160), (96, 160), (120, 120), (64, 64), (128, 64)]


def background(path, hw) -> Sample:
    return Sample(Path(path), hw, np.zeros(0, int), np.zeros((0, 4)))


@pytest.fixture
def data(tmp_path) -> Path:
    """Six images of 128 x 96 to 96 x 160 with a black or white square each, and one background."""
    for kind in ("images", "labels"):
        (tmp_path / kind / "val").mkdir(parents=True)
    for number, (width, height) in enumerate(
        [(128, 96), (128, 96), (96, 160), (96, 160), (120, 120), (64, 64), (128, 64)]
    ):
        image = np.full((height, width, 3), 128, np.uint8)
        x, y, size, light = 8 + 3 * number, 10 + 2 * number, 24, number % 2
        if number < 6:
            image[y : y + size, x : x + size] = 255 * light
            label = (
                f"{light} {(x + size / 2) / width} {(y + size / 2) / height} {size / width} {size / height}\n"
            )
            (tmp_path / "labels" / "val" / f"{number}.txt").write_text(label)
        Image.fromarray(image).save(tmp_path / "images" / "val" / f"{number}.png")
    path = tmp_path / "squares.yaml"
    path.write_text("path: .\ntrain: images/val\nval: images/val\nnames: [dark, light]\n")
    return path


@pytest.mark.parametrize("fixed", [None, (128, 128), (96, 160)], ids=str)
@pytest.mark.parametrize("rect", [True, False])
def test_a_detector_that_knows_the_truth_is_perfect(data, fixed, rect):
    metrics = validate(
        DetectionPredictor(SquareFinder(fixed)), data, ValOptions(rect=rect, batch_size=3, plots=False)
    )
    assert metrics.map50 == pytest.approx(0.995, abs=1e-3)  # what 101-point interpolation makes of 1
    assert metrics.result.mean_recall == pytest.approx(1)
    assert metrics.map50_95 > 0.85  # a square's edge moves by a pixel when it is scaled
    assert metrics.result.labels.tolist() == [3, 3]


def test_a_detector_that_finds_nothing_scores_zero(data):
    metrics = validate(DetectionPredictor(SquareFinder(score=0.0)), data, ValOptions(plots=False))
    assert (metrics.map50, metrics.map50_95, metrics.result.mean_recall) == (0, 0, 0)


def test_confused_classes_score_zero_unless_classes_count_as_one(data):
    data.write_text(data.read_text().replace("[dark, light]", "[light, dark]"))
    finder = SquareFinder()
    # Labels say 0 for dark squares, and `names` says that 0 is light.
    assert validate(DetectionPredictor(finder), data, ValOptions(plots=False)).map50 == 0
    single = validate(DetectionPredictor(finder), data, ValOptions(plots=False, single_cls=True))
    assert single.map50 == pytest.approx(0.995, abs=1e-3)
    assert single.names == ("object",)


def test_run_folder_holds_metrics_plots_and_predictions(data, tmp_path):
    folder = tmp_path / "run"
    seen = []
    options = ValOptions(save_json=True, batch_size=2)
    metrics = validate(
        DetectionPredictor(SquareFinder()), data, options, folder, lambda *step: seen.append(step)
    )
    written = {path.name for path in folder.iterdir()}
    assert written == {
        "metrics.json",
        "predictions.json",
        "PR_curve.png",
        "F1_curve.png",
        "P_curve.png",
        "R_curve.png",
        "confusion_matrix.png",
        "val_batch0_labels.jpg",
        "val_batch0_pred.jpg",
    }
    saved = json.loads((folder / "metrics.json").read_text())
    assert saved["map50"] == pytest.approx(metrics.map50, abs=1e-5)
    assert set(saved["per_class"]) == {"dark", "light"}
    assert saved["per_class"]["dark"]["labels"] == 3
    assert set(saved["speed_ms"]) == {"preprocess", "inference", "nms"}
    assert saved["images"] == {
        "used": 7,
        "with_labels": 6,
        "without_label_file": 1,
        "with_empty_label_file": 0,
        "corrupt": 0,
    }
    assert saved["settings"]["iou_threshold"] == 0.6
    assert metrics.coco["ap50"] == pytest.approx(1)
    predictions = json.loads((folder / "predictions.json").read_text())
    assert len(predictions) == 6
    assert seen[-1] == ("validating", 7, 7)


def test_batches_are_rectangular_by_proportion(data):
    samples = [
        Sample(Path("x"), hw, np.zeros(0, int), np.zeros((0, 4))) for hw in [(96, 128), (160, 96), (64, 128)]
    ]
    plans = plan_batches(samples, (128, 128), 2, 32, rect=True)
    # Two wide images, the taller of which sets the height; then a tall one: half a cell more, rounded up.
    assert [plan.input_hw for plan in plans] == [(128, 160), (160, 96)]
    # Height and width count both: the wide images fit into 64 x 128 by their height.
    low = plan_batches(samples, (64, 128), 2, 32, rect=True)
    assert [plan.input_hw for plan in low] == [(96, 160), (96, 64)]
    square = plan_batches(samples, (128, 128), 2, 32, rect=False)
    assert [plan.input_hw for plan in square] == [(128, 128), (128, 128)]
    assert [len(plan.samples) for plan in square] == [2, 1]


def test_runtime_of_fixed_size_gets_single_squares(data):
    finder = SquareFinder((128, 128), max_batch=1)
    validate(DetectionPredictor(finder), data, ValOptions(plots=False))
    assert set(finder.shapes) == {(1, 128, 128, 3)}


@pytest.mark.parametrize("names", ["[a, b, c]", "[light, cat]", "[dark, light, cat]"])
def test_classes_that_the_model_lacks_are_refused(data, names):
    data.write_text(data.read_text().replace("[dark, light]", names))
    with pytest.raises(TfyoloError, match=r"squares\.yaml: .*of the model; .*the model has: dark, light"):
        validate(DetectionPredictor(SquareFinder()), data)


def exchange(data):
    """Number the classes of the labels the other way round, under their names."""
    data.write_text(data.read_text().replace("[dark, light]", "[light, dark]"))
    for path in (data.parent / "labels/val").iterdir():
        label = path.read_text()
        path.write_text(f"{1 - int(label[0])}{label[1:]}")


def test_classes_in_another_order_are_matched_by_name(data, tmp_path):
    before = validate(DetectionPredictor(SquareFinder()), data, ValOptions(plots=False)).to_dict()
    exchange(data)
    options = ValOptions(plots=False, save_json=True)
    metrics = validate(DetectionPredictor(SquareFinder()), data, options, tmp_path / "run")
    after = metrics.to_dict()
    assert (after["map50"], after["map50_95"]) == (before["map50"], before["map50_95"])
    assert after["per_class"] == {name: before["per_class"][name] for name in ("light", "dark")}
    assert metrics.coco["ap50"] == pytest.approx(1)
    assert "matched to the model's by name" in after["notes"][0]


def test_a_data_set_may_have_a_part_of_the_models_classes(data):
    exchange(data)
    data.write_text(data.read_text().replace("[light, dark]", "[light]"))
    for path in (data.parent / "labels/val").iterdir():
        label = path.read_text()
        path.write_text(label if label[0] == "0" else "")
    metrics = validate(DetectionPredictor(SquareFinder()), data, ValOptions(plots=False))
    assert metrics.map50 == pytest.approx(0.995, abs=1e-3)
    assert metrics.names == ("light",)
    assert metrics.result.labels.tolist() == [3]


def test_a_model_without_names_is_measured_by_numbers(data):
    finder = SquareFinder()
    finder.contract = finder.contract.model_copy(update={"names": ("class0", "class1")})
    metrics = validate(DetectionPredictor(finder), data, ValOptions(plots=False))
    assert metrics.map50 == pytest.approx(0.995, abs=1e-3)
    assert metrics.names == ("dark", "light")
    assert "matched by their numbers" in metrics.notes[0]


def test_two_classes_of_one_name_keep_a_row_each(data):
    metrics = validate(DetectionPredictor(SquareFinder()), data, ValOptions(plots=False))
    rows = replace(metrics, names=("car", "car")).to_dict()["per_class"]
    assert list(rows) == ["car", "car (2)"]


def test_unusable_images_are_left_out_and_named(data):
    images = data.parent / "images" / "val"
    (images / "0.png").write_bytes(b"")
    (data.parent / "labels" / "val" / "1.txt").write_text("1 0.5 0.5 nan 0.1\n")
    metrics = validate(DetectionPredictor(SquareFinder()), data, ValOptions(plots=False))
    assert metrics.scan.corrupt == 2
    assert metrics.result.labels.sum() == 4
    assert any("0.png" in problem for problem in metrics.problems)
    assert any("1.txt:1" in problem for problem in metrics.problems)


def test_output_that_is_no_box_is_reported(data, monkeypatch):
    whole = SquareFinder._find

    def damaged(self, image):
        found = whole(self, image)
        return replace(found, problem="1 of 2 boxes are left out: 1 that are not numbers")

    monkeypatch.setattr(SquareFinder, "_find", damaged)
    (problem,) = validate(DetectionPredictor(SquareFinder()), data, ValOptions(plots=False)).problems
    assert problem.startswith("the model's output for 7 images has rows that are not boxes; first ")
    assert problem.endswith(".png: 1 of 2 boxes are left out: 1 that are not numbers")


def test_image_that_breaks_while_decoding_is_reported(data):
    samples = [background(data.parent / "images/val" / name, (96, 128)) for name in ("0.png", "missing.png")]
    plans = plan_batches(samples, (128, 128), 4, 32, rect=False)
    (batch,) = load_batches(plans, (128, 128))
    assert [sample.image.name for sample in batch.samples] == ["0.png"]
    assert batch.images.shape == (1, 128, 128, 3)
    assert "missing.png" in batch.problems[0]


def test_nothing_usable_is_one_sentence(data):
    for path in (data.parent / "images" / "val").iterdir():
        path.write_bytes(b"")
    with pytest.raises(TfyoloError, match=r"squares\.yaml"):
        validate(DetectionPredictor(SquareFinder()), data)
