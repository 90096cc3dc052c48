import json

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.anchors import anchor_metrics, auto_anchors, box_sizes_px, evolve_anchors
from tfyolo.data.detection.sample import Sample
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.models import load_spec

SPEC = load_spec("yolov5n")


def sample(sizes, hw=(100, 200)):
    boxes = np.concatenate([np.full((len(sizes), 2), 0.5), np.array(sizes).reshape(-1, 2)], 1)
    return Sample("a.jpg", hw, np.zeros(len(sizes), np.int64), boxes.astype(np.float32))


def test_metrics_of_a_case_by_hand():
    fit = anchor_metrics(np.array([[10.0, 20.0], [100.0, 10.0]]), np.array([[10.0, 10.0], [20.0, 40.0]]))
    # the first box: min(1, 1/2) and min(1/2, 1/2); the second: 1/10 and 1/5, under 1/4
    assert (fit.best_possible_recall, fit.anchors_over_threshold, fit.fitness) == (0.5, 1.0, 0.25)


def test_no_boxes():
    assert anchor_metrics(np.zeros((0, 2)), np.ones((3, 2))).fitness == 0
    decision = auto_anchors([sample(np.zeros((0, 2)))], SPEC.anchors_px, SPEC.strides, 640, force=True)
    assert not decision.replaced
    assert "too few" in decision.reason


def test_sizes_are_those_of_the_scaled_image():
    np.testing.assert_allclose(box_sizes_px([sample([[0.5, 0.5]])], 640), [[320, 160]])


def test_evolution_is_a_function_of_its_seed_and_ordered_by_area():
    sizes = np.random.default_rng(0).uniform(5, 200, (200, 2))
    first, again = (evolve_anchors(sizes, 6, generations=30) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (np.diff(first.prod(1)) >= 0).all()
    begin, end = (anchor_metrics(sizes, evolve_anchors(sizes, 6, generations=g)).fitness for g in (0, 30))
    assert end >= begin


def test_boxes_that_no_anchor_fits_get_new_ones_small_ones_at_small_strides():
    slim = [[w, w / 12] for w in np.linspace(0.05, 0.9, 60)]
    for anchors, strides in ((SPEC.anchors_px, SPEC.strides), (SPEC.anchors_px[::-1], SPEC.strides[::-1])):
        decision = auto_anchors([sample(slim, (640, 640))], anchors, strides, 640, generations=50)
        assert decision.replaced
        areas = [np.prod(np.reshape(row, (-1, 2)), 1).mean() for row in decision.anchors_px]
        assert np.argsort(areas).tolist() == np.argsort(strides).tolist()


@needs_shared
@pytest.mark.parametrize(("name", "replaced"), [("coco128_train", False), ("bccd_train", True)])
def test_reference_fitness_of_real_data(name, replaced, tmp_path):
    ref = json.loads((SHARED / "reference/autoanchor.json").read_text())[name]
    path = SHARED / "data/coco128/coco128.yaml"
    if name == "bccd_train":
        path = tmp_path / "bccd.yaml"
        lists = "train: ImageSets/Main/train.txt\nval: ImageSets/Main/val.txt\n"
        path.write_text(f"path: {SHARED / 'data/bccd'}\nformat: voc\n{lists}names: [Platelets, RBC, WBC]\n")
    samples = scan_split(read_dataset(path), "train").samples
    decision = auto_anchors(samples, SPEC.anchors_px, SPEC.strides, 640, force=True)
    assert decision.before.fitness == pytest.approx(ref["ga_fitness"], abs=1e-3)
    assert decision.before.best_possible_recall == pytest.approx(ref["bpr"], abs=1e-3)
    assert decision.replaced == replaced
    best = max(ref["ga_fitness"], ref["evolved_ga_fitness"])
    assert max(decision.before.fitness, decision.after.fitness) >= best - 1e-5
