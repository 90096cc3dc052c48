"""Official weights and real photographs: the figures that PyTorch YOLOv5 gives for them."""

import pytest
from tfyolo.export.nms import NmsSettings
from tfyolo.export.request import ExportRequest, export_model

from tests.shared import SHARED
from tfyolo.evaluation.validator import ValOptions, validate
from tfyolo.inference.load import load

COCO128 = SHARED / "data" / "coco128" / "coco128.yaml"


@pytest.mark.parametrize(("split", "map50", "map50_95"), [("train", 0.559, 0.364), ("val", 0.528, 0.343)])
def test_map_of_yolov5n_equals_pytorch(nano, split, map50, map50_95):
    # PyTorch's figures come from rectangular batches of eight, which decide how much each image is padded.
    metrics = validate(nano, COCO128, ValOptions(split=split, batch=8, plots=False))
    assert metrics.map50_95 == pytest.approx(map50_95, abs=0.003)
    assert metrics.map50 == pytest.approx(map50, abs=0.003)


def test_map_of_exported_tflite(nano, tmp_path):
    settings = NmsSettings(confidence=0.001, iou=0.6)
    request = ExportRequest(nano.model, nano.contract, (640, 640), "postprocess", settings)
    path = export_model(request, ["tflite"], tmp_path / "yolov5n")["tflite"]
    metrics = validate(load(path), COCO128, ValOptions(plots=False))
    assert metrics.map50_95 >= 0.325
