"""What int8 costs: mAP, and how near each integer file is to the float model, on all images of some splits.

    python benchmarks/int8_accuracy.py --float yolov5n.pt --weights a_int8.keras b_int8.keras \
        --data coco128.yaml --splits train val --img 640
    python benchmarks/int8_accuracy.py --float yolov5n.pt --weights a_int8.keras --data coco128.yaml \
        --formats tflite onnx openvino --own 128     # and what runtimes make of the float model themselves

Every integer `.tflite` is measured twice: with raw heads, which NumPy decodes, and with decoding and NMS
inside, as `tfyolo export --int8 --conf-thres 0.001 --iou-thres 0.6 --max-det 300 --multi-label` writes.
Other formats and the float model, which runs in LiteRT, are measured with raw heads. The score error is
that of all anchors, which a file with NMS inside does not show.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.cli.console import console
from tfyolo.cli.progress import progress_bar
from tfyolo.data.detection.scan import Sample, read_dataset, scan_split
from tfyolo.evaluation.accumulator import labels_xyxy_px
from tfyolo.evaluation.batches import load_batches, plan_batches
from tfyolo.evaluation.metrics import average_precision, match
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.runtime.predictions import Detections
from tfyolo.inference.load import load_runtime
from tfyolo.models.contract import Contract
from tfyolo.models.outputs import raw_outputs
from tfyolo.quantization.calibration_images import dataset_images
from tfyolo.quantization.fidelity import DetectorFidelity, Heads
from tfyolo.quiet import hidden_stderr
from tfyolo.weights import load_model

SETTINGS = GraphNmsOptions(confidence=0.001, iou_threshold=0.6, max_detections=300, multi_label=True)
"""Thresholds of validation, as the files with NMS inside carry them."""


@dataclass
class Measured:
    """Detections of one model against labels, by split, and against the float model."""

    contract: Contract
    rows: dict[str, list[tuple[np.ndarray, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.near = DetectorFidelity(self.contract)

    def add(self, split: str, sample: Sample, box: Any, found: Detections, exact: Detections) -> None:
        """Detections of one image, in pixels of the input: this model's and the float model's."""
        self.near.add_detections(exact, found)
        boxes, truth = box.to_image(found.boxes_xyxy_px), labels_xyxy_px(sample)
        correct = match(boxes, found.class_ids, truth, sample.classes)
        self.rows.setdefault(split, []).append((correct, found.scores, found.class_ids, sample.classes))

    def mean_ap(self, *splits: str) -> tuple[float, float]:
        """mAP50-95 and mAP50."""
        rows = [row for split in splits for row in self.rows[split]]
        result = average_precision(*map(np.concatenate, zip(*rows, strict=True)))
        return result.map50_95, result.map50


@dataclass(frozen=True)
class Job:
    """A file to be measured.

    Attributes:
        weights: float or quantized model.
        format: key of the registry.
        precision: of the file.
        own: whether the runtime's library measures ranges, in place of the model's own.
        nms: kind of NMS inside; `raw` has none, and NumPy decodes.
    """

    weights: str
    format: str
    precision: str
    own: bool = False
    nms: str = "raw"

    def __str__(self) -> str:
        how = "calibrated by the runtime" if self.own else self.precision
        what = "raw heads" if self.nms == "raw" else "NMS inside"
        return f"{Path(self.weights).name}, {self.format}, {how}, {what}"

    def open(self, hw: tuple[int, int], stem: Path, images: np.ndarray | None) -> Any:
        """Export and load."""
        model, contract = load_model(self.weights)
        calibrator = "runtime" if self.own else "tfyolo"
        request = ExportJob(
            model,
            contract,
            ExportOptions(
                image_size=hw,
                nms=self.nms,
                nms_options=SETTINGS,
                precision=self.precision,
                calibrator=calibrator,
            ),
            calibration_images=images,
        )
        with hidden_stderr():
            return load_runtime(export_model(request, [self.format], stem)[self.format])


def main() -> int:
    """Export, run, print a table."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--float", dest="exact", required=True)
    parser.add_argument("--weights", nargs="+", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--splits", nargs="+", default=["val"])
    parser.add_argument("--img", type=int, default=640)
    parser.add_argument("--formats", nargs="+", default=["tflite"], choices=("tflite", "onnx", "openvino"))
    parser.add_argument(
        "--own",
        type=int,
        default=0,
        metavar="N",
        help="calibrate ONNX and OpenVINO by themselves, too, on N images",
    )
    arguments = parser.parse_args()
    hw = (arguments.img, arguments.img)
    dataset = read_dataset(arguments.data)
    with tempfile.TemporaryDirectory() as folder, progress_bar() as progress:
        runtimes: dict[str, Any] = {}
        jobs = [Job(arguments.exact, "tflite", "float32")]
        for weights in arguments.weights:
            jobs += [Job(weights, name, "int8") for name in arguments.formats]
            if "tflite" in arguments.formats:
                jobs.append(Job(weights, "tflite", "int8", nms="auto"))
        images = None
        if arguments.own:
            jobs += [
                Job(arguments.exact, name, "int8", own=True) for name in arguments.formats if name != "tflite"
            ]
            images = dataset_images(dataset, "train", hw, arguments.own, progress)
        for number, job in enumerate(jobs):
            runtimes[str(job)] = job.open(hw, Path(folder) / str(number), images)
            progress("exporting", number + 1, len(jobs))
        measured = {name: Measured(runtime.contract) for name, runtime in runtimes.items()}
        for split in arguments.splits:
            samples = list(scan_split(dataset, split).samples)
            for done, (sample, box, image) in enumerate(_images(samples, hw)):
                exact_heads = _heads(next(iter(runtimes.values())), image)
                exact = next(iter(measured.values())).near.detect(exact_heads)
                for name, one in measured.items():
                    if one.contract.export["nms"] == "raw":
                        heads = _heads(runtimes[name], image)
                        one.near.add_scores(exact_heads, heads)
                        found = one.near.detect(heads)
                    else:
                        found = runtimes[name](image[None], SETTINGS.confidence)[0]
                    one.add(split, sample, box, found, exact)
                progress(f"measuring {split}", done + 1, len(samples))
    _print(measured, arguments.splits)
    return 0


def _images(samples: list[Sample], hw: tuple[int, int]) -> Iterator[tuple[Sample, Any, np.ndarray]]:
    for batch in load_batches(plan_batches(samples, hw, 1, 32, rect=False), hw):
        yield from zip(batch.samples, batch.letterboxes, batch.images, strict=True)


def _heads(runtime: Any, image: np.ndarray) -> Heads:
    outputs = runtime.outputs(image[None])
    return [tuple(outputs[name][0] for name in scale) for scale in raw_outputs(runtime.contract)]


def _print(measured: dict[str, Measured], splits: list[str]) -> None:
    from rich.table import Table

    table = Table(title=f"on {' and '.join(splits)}", title_style="bold")
    for heading in ("model", "mAP50-95", "over float", "mAP50", *splits, "fidelity", "score error"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    first = next(iter(measured.values())).mean_ap(*splits)[0]
    for name, one in measured.items():
        both, at_50 = one.mean_ap(*splits)
        table.add_row(
            name,
            f"{both:.4f}",
            f"{100 * (both - first):+.2f}",
            f"{at_50:.4f}",
            *(f"{one.mean_ap(split)[0]:.4f}" for split in splits),
            f"{one.near.fidelity:.3f}",
            f"{one.near.score_error:.5f}" if one.contract.export["nms"] == "raw" else "",
        )
    console().print(table)


if __name__ == "__main__":
    sys.exit(main())
