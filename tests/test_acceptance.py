"""Official weights and real photographs: the figures that PyTorch YOLOv5 gives for them."""

import json
import subprocess
import sys

import pytest

from tests.shared import SHARED
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.evaluation.validator import validate
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.inference.load import load_predictor

COCO128 = SHARED / "data" / "coco128" / "coco128.yaml"


@pytest.mark.parametrize(
    ("split", "map50", "map50_95"),
    [pytest.param("train", 0.559, 0.364, marks=pytest.mark.slow), ("val", 0.528, 0.343)],
)
def test_map_of_yolov5n_equals_pytorch(nano, split, map50, map50_95):
    # PyTorch's figures come from rectangular batches of eight, which decide how much each image is padded.
    metrics = validate(nano, COCO128, ValOptions(split=split, batch_size=8, plots=False))
    assert metrics.map50_95 == pytest.approx(map50_95, abs=0.003)
    assert metrics.map50 == pytest.approx(map50, abs=0.003)


def test_map_of_exported_tflite(nano, tmp_path):
    settings = GraphNmsOptions(confidence=0.001, iou_threshold=0.6)
    request = ExportJob(
        nano.model,
        nano.contract,
        ExportOptions(image_size=(640, 640), nms="postprocess", nms_options=settings),
    )
    path = export_model(request, ["tflite"], tmp_path / "yolov5n")["tflite"]
    metrics = validate(load_predictor(path), COCO128, ValOptions(plots=False))
    assert metrics.map50_95 >= 0.325


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_format_has_the_map_of_keras(tmp_path):
    """yolov5n at 640 on val2017, by one command, whose table is printed."""
    table = tmp_path / "table.json"
    words = ["--weights", SHARED / "weights/yolov5n.pt", "--include", "all:float32", "all:float16"]
    words += ["--data", COCO128, "--img", 640, "--rounds", 1, "--runs", 3, "--json", table]
    subprocess.run([sys.executable, "-m", "tfyolo", "benchmark", *map(str, words)], check=True)
    rows = [row for row in json.loads(table.read_text()) if row["format"] != "keras"]
    assert len(rows) >= 13
    for row in rows:
        within = {"float32": 0.002, "float16": 0.004}[row["precision"]]
        assert abs(row["difference"]) <= within, row["file"]
