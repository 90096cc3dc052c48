"""What all runtimes have in common: who may use a session when, and what of a graph's outputs is believed."""

import gc
import importlib
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tfyolo.errors import BadOutputError, TfyoloError
from tfyolo.export.registry import FORMATS
from tfyolo.export.runtime import base
from tfyolo.export.runtime.base import Runtime, Sharing
from tfyolo.inference.classification import ClassificationPredictor
from tfyolo.inference.detection import DetectionPredictor
from tfyolo.inference.nms import NmsOptions
from tfyolo.models import Contract, load_spec
from tfyolo.models.outputs import DETECTIONS

HW = (64, 96)
IMAGE = np.zeros((*HW, 3), np.uint8)
GRIDS = [(8, 12), (4, 6), (2, 3)]
ROWS = 3 * sum(height * width for height, width in GRIDS)


def contract(task="detect"):
    names = ["ant", "bee", "cat"]
    return Contract.of(load_spec("yolov5n" if task == "detect" else "yolov5n-cls", num_classes=3), names, HW)


class Fake(Runtime):
    """Gives what it was made with; counts sessions, and the most calls that one of them had at a time."""

    input_hw = HW

    def __init__(self, outputs=None, task="detect"):
        self.contract, self.given = contract(task), outputs
        self.sessions, self.most = 0, 0
        self.together = threading.Barrier(2)

    def _open(self):
        self.sessions += 1
        return {"calls": 0}

    def _run(self, session, images, confidence):
        session["calls"] += 1
        self.most = max(self.most, session["calls"])
        # Long enough that others would come in if they could.
        try:
            self.together.wait(0.02)
        except threading.BrokenBarrierError:
            self.together.reset()
        session["calls"] -= 1
        return self.given


class Each(Fake):
    sharing = Sharing.EACH


class Safe(Fake):
    sharing = Sharing.SAFE


def detections(boxes=((0.25, 0.25, 0.5, 0.5),), classes=(1,), scores=(0.75,), count=None):
    """Outputs of a graph with NMS inside."""
    arrays = [np.asarray(values, np.float32)[None] for values in (boxes, classes, scores)]
    number = np.array([len(classes) if count is None else count], np.float32)
    return dict(zip(DETECTIONS, (*arrays, number), strict=True))


def candidates(rows=((0.25, 0.25, 0.5, 0.5, 0.75, 0.1, 0.1),)):
    """Outputs of a graph without."""
    array = np.asarray(rows, np.float32)[None]
    return {"boxes": array[..., :4], "scores": array[..., 4:]}


def heads(value=-9.0):
    """Raw heads that see nothing."""
    parts = {"box": 12, "objectness": 3, "classes": 9}
    return {
        f"{part}_{i}": np.full((1, *grid, channels), value, np.float32)
        for i, grid in enumerate(GRIDS)
        for part, channels in parts.items()
    }


def many_calls(runtime, threads=8, calls=3):
    def work(_):
        for _ in range(calls):
            runtime(IMAGE[None], 0.25)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


def test_a_runtime_that_says_nothing_of_threads_runs_one_call_at_a_time():
    runtime = Fake(detections())
    many_calls(runtime)
    assert (runtime.sessions, runtime.most) == (1, 1)


def test_sessions_of_their_own_are_used_by_one_call_at_a_time_and_are_bounded(monkeypatch):
    monkeypatch.setattr(base, "MAX_SESSIONS", 3)
    runtime = Each(detections())
    many_calls(runtime)
    assert 2 <= runtime.sessions <= 3
    assert runtime.most == 1


def test_a_safe_session_is_shared():
    runtime = Safe(detections())
    many_calls(runtime)
    assert runtime.sessions == 1
    assert runtime.most > 1


def test_a_session_that_cannot_be_made_is_asked_for_again(monkeypatch):
    runtime, made = Each(detections()), []

    def fail():
        made.append(1)
        raise OSError("no memory")

    monkeypatch.setattr(base, "MAX_SESSIONS", 1)
    monkeypatch.setattr(runtime, "_open", fail)
    for _ in range(3):  # none waits for a session that nobody has
        with pytest.raises(BadOutputError, match="no memory"):
            runtime(IMAGE[None], 0.25)
    assert len(made) == 3


@pytest.mark.parametrize("name", ["__call__", "outputs"])
def test_a_runtime_cannot_go_past_the_sessions(name):
    with pytest.raises(TypeError, match="unguarded"):
        type("Hasty", (Fake,), {name: lambda self, images, confidence: []})


@pytest.mark.parametrize("entry", FORMATS, ids=lambda entry: entry.name)
def test_every_format_has_such_a_runtime(entry):
    module, _, name = entry.runtime.partition(":")
    found = getattr(importlib.import_module(module), name)
    kind = found if isinstance(found, type) else importlib.import_module(module).KerasRuntime
    assert issubclass(kind, Runtime)
    assert kind.__call__ is Runtime.__call__


def test_outputs_are_copied_out_of_the_memory_of_a_session():
    memory = detections()
    runtime = Fake({name: values[:] for name, values in memory.items()})
    found = runtime.outputs(IMAGE[None])
    for values in memory.values():
        values[:] = -1
    assert all((values >= 0).all() for values in found.values())


def test_what_a_library_raises_becomes_one_sentence(monkeypatch):
    runtime = Fake(detections())
    monkeypatch.setattr(runtime, "_run", lambda *_: 1 / 0)
    with pytest.raises(BadOutputError, match="cannot run on this image: division by zero"):
        runtime(IMAGE[None], 0.25)


def test_a_runtime_is_gone_with_its_last_reference(tiny):
    runtime = tiny.runtime.__class__(tiny.model, tiny.contract)
    runtime(np.zeros((1, 64, 64, 3), np.uint8), 0.25)
    gone = weakref.ref(runtime)
    gc.disable()
    try:
        del runtime
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({}, "its outputs are nothing"),
        ({"boxes": np.zeros((1, 1, 4))}, "its outputs are boxes"),
        ({**detections(), "more": np.zeros(1)}, "its outputs are detection_boxes, .*more"),
        ({"probabilities": np.zeros((1, 3), np.float32)}, "its outputs are probabilities"),
        ({**candidates(), "scores": np.zeros((1, 1, 500))}, r"`scores` is float64 \(1, 1, 500\)"),
        ({**candidates(), "scores": np.zeros((1, 2, 3))}, r"`scores` is float64 \(1, 2, 3\)"),
        ({**candidates(), "boxes": np.zeros((1, 1, 5))}, "`boxes` is"),
        ({**candidates(), "boxes": np.float32(3)}, r"`boxes` is float32 \(\)"),
        ({**candidates(), "boxes": np.zeros(4)}, "`boxes` is"),
        ({**candidates(), "boxes": np.array([[["a"] * 4]])}, "`boxes` is <U1"),
        ({**candidates(), "scores": np.zeros((1, 1, 3), complex)}, "`scores` is complex128"),
        ({**candidates(), "scores": np.full((1, 1, 3), None)}, "`scores` is object"),
        (candidates(np.zeros((ROWS + 1, 7))), "`boxes` is float32 .1, 379, 4"),
        ({**detections(), "detection_boxes": np.zeros((1, 2, 4))}, "`detection_boxes` is"),
        ({**detections(), "detection_classes": np.zeros((1, 1, 1))}, "`detection_classes` is"),
        ({**detections(), "detection_scores": np.zeros(())}, "is float"),
        ({**detections(), "num_detections": np.zeros((1, 2))}, "`num_detections` is"),
        (detections(count=2), "2.0 detections in 1 rows"),
        (detections(count=1e9), "1000000000.0 detections in 1 rows"),
        (detections(count=-3), "-3.0 detections in 1 rows"),
        (detections(count=0.5), "0.5 detections in 1 rows"),
        (detections(count=np.nan), "nan detections in 1 rows"),
        (detections(count=np.inf), "inf detections in 1 rows"),
        ({**heads(), "box_1": np.zeros((1, 4, 6, 13), np.float32)}, "`box_1` is"),
        ({**heads(), "classes_2": np.zeros((1, 2, 3, 12), np.float32)}, "`classes_2` is"),
        ({name: values for name, values in heads().items() if name != "box_0"}, "its outputs are box_1"),
        ({"detec\x1b[2J\n": np.zeros(1)}, r"its outputs are detec\\x1b\[2J\\n, which"),
        ({f"head_{i}": np.zeros((1, *grid, 25)) for i, grid in enumerate(GRIDS)}, "`head_0` is"),
    ],
)
@pytest.mark.parametrize("augment", [False, True])
def test_outputs_that_are_not_what_the_contract_says_are_refused(outputs, words, augment):
    runtime = Fake(outputs)
    runtime.path = "x.onnx"
    with pytest.raises(TfyoloError, match=f"x.onnx: .*{words}"):
        DetectionPredictor(runtime)(IMAGE, augment=augment)


GOOD = (0.25, 0.25, 0.5, 0.5)
WRONG = {
    "class -1": (GOOD, -1, 0.75, "1 of a class that the model does not have"),
    "class 79": (GOOD, 79, 0.75, "1 of a class that the model does not have"),
    "class 1.5": (GOOD, 1.5, 0.75, "1 of a class that the model does not have"),
    "class nan": (GOOD, np.nan, 0.75, "1 of a class that the model does not have"),
    "nan": ((np.nan, 0.25, 0.5, 0.5), 1, 0.75, "1 that are not numbers"),
    "inf": ((0.25, 0.25, np.inf, 0.5), 1, 0.75, "1 that are not numbers"),
    "huge": ((-1e30, -1e30, 1e30, 1e30), 1, 0.75, "1 far outside of the image"),
    "negative": ((0.5, 0.25, 0.25, 0.5), 1, 0.75, "1 of negative size"),
    "score 2": (GOOD, 1, 2.0, "1 with a score outside of 0 to 1"),
    "score -1": (GOOD, 1, -1.0, "1 with a score outside of 0 to 1"),
    "score nan": (GOOD, 1, np.nan, "1 with a score outside of 0 to 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_rows_that_are_no_boxes_are_left_out_and_told(name):
    box, index, score, words = WRONG[name]
    outputs = detections((GOOD, box, (0, 0, 1, 1)), (1, index, 2), (0.75, score, 0.5))
    result = DetectionPredictor(Fake(outputs))(IMAGE)[0]
    assert result.problem == f"1 of 3 boxes are left out: {words}"
    np.testing.assert_allclose(result.boxes_xyxy_px, [[24, 16, 48, 32], [0, 0, 96, 64]])
    assert result.counts() == {"bee": 1, "cat": 1}


@pytest.mark.parametrize("name", [name for name in WRONG if not name.startswith("class")])
def test_candidates_that_are_no_boxes_are_left_out_and_told(name):
    box, _, score, words = WRONG[name]
    outputs = candidates([(*GOOD, 0, 0.75, 0), (*box, 0, score, 0)])
    result = DetectionPredictor(Fake(outputs))(IMAGE)[0]
    assert result.problem == f"1 of 2 boxes are left out: {words}"
    np.testing.assert_allclose(result.boxes_xyxy_px, [[24, 16, 48, 32]])
    assert "1 of 2 boxes" in DetectionPredictor(Fake(outputs))(IMAGE, augment=True)[0].problem
    found, _ = DetectionPredictor(Fake(outputs)).detect_batch(IMAGE[None], NmsOptions())
    assert found[0].problem == result.problem


def test_what_is_right_is_left_alone():
    boxes = [GOOD, (-0.1, -0.1, 1.1, 1.1), (0.5, 0.5, 0.5, 0.5)]  # beyond the border; a line is a box, too
    result = DetectionPredictor(Fake(detections(boxes, (0, 1, 2), (1.0004, 0.5, 0.3))))(
        IMAGE, confidence=0.0
    )[0]
    assert (len(result), result.problem) == (3, "")
    assert result.scores[0] == 1
    rows_past_the_count = detections((GOOD, (np.nan,) * 4), (1, -7), (0.75, np.inf), count=1)
    result = DetectionPredictor(Fake(rows_past_the_count))(IMAGE)[0]
    assert (len(result), result.problem) == (1, "")
    empty = {**detections(), "detection_boxes": np.zeros((1, 0, 4)), "detection_scores": np.zeros((1, 0))}
    empty |= {"detection_classes": np.zeros((1, 0)), "num_detections": np.zeros(1)}
    assert len(DetectionPredictor(Fake(empty))(IMAGE)[0]) == 0
    assert len(DetectionPredictor(Fake(candidates(np.zeros((0, 7)))))(IMAGE)[0]) == 0


def test_raw_heads_with_logits_that_are_no_numbers():
    outputs = heads()
    outputs["objectness_0"][0, 0, :2, 1] = np.nan, 9
    outputs["classes_0"][0, 0, 1, 3:6] = np.nan
    outputs["objectness_1"][0, 1, 1, 0] = 9
    outputs["classes_1"][0, 1, 1, 2] = 9
    result = DetectionPredictor(Fake(outputs))(IMAGE)[0]
    assert result.counts() == {"cat": 1}
    assert (
        result.problem
        == "2 of 3 boxes are left out: 1 that are not numbers, 1 with a score outside of 0 to 1"
    )


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"probabilities": np.float32([[0.5, np.nan, 0.5]])}, "not numbers between 0 and 1"),
        ({"probabilities": np.float32([[0.5, 7, 0.5]])}, "not numbers between 0 and 1"),
        ({"logits": np.float32([[0.5, np.inf, 0.5]])}, "not numbers between 0 and 1"),
        ({"probabilities": np.float32([[0.5, 0.5]])}, r"`probabilities` is float32 \(1, 2\)"),
        (detections(), "its outputs are detection_boxes"),
    ],
)
def test_a_classifiers_outputs(outputs, words):
    with pytest.raises(TfyoloError, match=words):
        ClassificationPredictor(Fake(outputs, "classify"))(IMAGE)
