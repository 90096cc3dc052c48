"""Files state the limits that are in force, and flags without effect are reported."""

import pytest

from tfyolo.export.graph.limits import ineffective_options_note
from tfyolo.export.graph.nms import MIN_COMPARED
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.models import Contract, load_spec

ANCHORS = 6300
"""Of yolov5n at 320 pixels."""


def test_the_nms_of_core_ml_takes_all_boxes_and_one_class_each():
    options = GraphNmsOptions(multi_label=True, per_class=3, candidates=50)
    note = ineffective_options_note("pipeline", options, ANCHORS)
    assert note == "--nms pipeline: --candidates, --multi-label, --topk-per-class have no effect"
    assert stated("pipeline", candidates=50)["candidates"] == ANCHORS


def stated(nms: str, **settings: object) -> dict:
    """The notes of a file at 320 pixels."""
    contract = Contract.of(load_spec("yolov5n"))
    request = ExportJob(
        None, contract, ExportOptions(image_size=(320, 320), nms=nms, nms_options=GraphNmsOptions(**settings))
    )
    assert request.anchor_count == ANCHORS
    exported = request.exported_contract("onnx")
    assert exported.config["image_size"] == 320
    return exported.export


@pytest.mark.parametrize(
    ("nms", "settings", "candidates"),
    [
        ("builtin", {}, 1000),
        ("builtin", {"candidates": 9000}, ANCHORS),
        ("tensor", {}, MIN_COMPARED),
        ("tensor", {"candidates": ANCHORS}, MIN_COMPARED),
        ("tensor", {"candidates": 300}, 300),
        ("tensor", {"candidates": ANCHORS, "max_detections": 300}, 900),
        (
            "tensor",
            {"candidates": ANCHORS, "per_class": 5},
            ANCHORS,
        ),  # counted by class afterwards
        ("efficient", {}, ANCHORS),
    ],
)
def test_files_state_how_many_boxes_are_compared(nms, settings, candidates):
    assert stated(nms, **settings)["candidates"] == candidates


@pytest.mark.parametrize("nms", ["builtin", "tensor", "efficient"])
def test_files_state_whether_boxes_have_several_classes(nms):
    assert stated(nms, multi_label=True)["multi_label"]
    assert not stated(nms, multi_label=True, agnostic=True)["multi_label"]


def test_a_plugin_without_a_limit_per_class_states_none():
    assert stated("efficient", per_class=3)["per_class"] is None


@pytest.mark.parametrize(
    ("nms", "settings", "note"),
    [
        ("builtin", {"candidates": ANCHORS, "confidence": 0.1, "per_class": 3}, ""),
        ("builtin", {"candidates": 9000}, ""),
        ("tensor", {}, ""),
        (
            "tensor",
            {"candidates": ANCHORS},
            "--nms tensor compares the best 512 boxes with each other, not 6300",
        ),
        ("efficient", {"per_class": 3, "agnostic": True}, "--nms efficient: --topk-per-class has no effect"),
        ("builtin", {"multi_label": True}, ""),
        (
            "builtin",
            {"multi_label": True, "agnostic": True},
            "--multi-label has no effect with --agnostic-nms",
        ),
        (
            "tensor",
            {"candidates": ANCHORS, "multi_label": True, "agnostic": True},
            "--nms tensor compares the best 512 boxes with each other, not 6300; "
            "--multi-label has no effect with --agnostic-nms",
        ),
        ("none", {"multi_label": True}, "--nms none: --multi-label has no effect"),
        (
            "none",
            {"confidence": 0.1, "iou_threshold": 0.6},
            "--nms none: --conf-thres, --iou-thres have no effect",
        ),
    ],
)
def test_users_are_told(nms, settings, note):
    assert ineffective_options_note(nms, GraphNmsOptions(**settings), ANCHORS) == note
