"""Whether an integer `.tflite` finds what its raw heads say: kinds of NMS beside raw heads decoded by NumPy.

    python benchmarks/int8_decoding.py --weights yolov5n.pt --data coco128.yaml --img 320 640
    python benchmarks/int8_decoding.py --weights yolov5n.pt --data coco128.yaml --img 320 --random 5

With `--random` the prediction layers are random, with ranges that differ from feature map to feature map.
Ends with exit code 1 if a score differs by more than 0.001, a corner by more than 0.05 pixels, or suppression
keeps or drops a box that it should not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.data.detection.scan import read_dataset
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.inference.boxes import iou_matrix
from tfyolo.inference.load import load_runtime
from tfyolo.models.network import Network, Weights
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.calibration_images import dataset_images
from tfyolo.quantization.model import quantized_model
from tfyolo.quiet import hidden_stderr
from tfyolo.weights import load_model

# All anchors are candidates, as in NumPy: random heads have more than a thousand of high objectness.
SETTINGS = GraphNmsOptions(confidence=0.25, iou_threshold=0.45, max_detections=300, candidates=25_200)
SCORE, BOX_PX = 1e-3, 0.05
TIE, IOU_SLACK = 1e-6, 1e-3
"""Rounding of float32: scores this close are equal, an IoU this close to the threshold is on either side."""


def main() -> int:
    """Calibrate, export, compare."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True, help="dataset YAML: images to calibrate on and to compare")
    parser.add_argument("--img", type=int, nargs="+", default=[320])
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--random", type=int, default=0, metavar="N", help="networks with random heads")
    parser.add_argument("--kinds", nargs="+", default=["none", "postprocess", "builtin"])
    arguments = parser.parse_args()
    model, contract = load_model(arguments.weights)
    failed = False
    for size in arguments.img:
        images = dataset_images(read_dataset(arguments.data), "train", (size, size), arguments.images)
        for seed in range(arguments.random) if arguments.random else [None]:
            network = Network.of(model, contract.spec)
            if seed is not None:
                network = with_random_heads(network, seed)
            # Any ranges will do: the plainest are the quickest to find.
            quick = CalibrationOptions(ranges="minmax", reconstruct=False)
            rounded, spec = calibrate(network, images, quick)
            request = ExportJob(
                *quantized_model(rounded, spec, contract),
                ExportOptions(image_size=(size, size), nms="raw", nms_options=SETTINGS, precision="int8"),
            )
            failed |= not compare(request, images, arguments.kinds, f"{size} px, heads {seed}")
    return int(failed)


def with_random_heads(network: Network, seed: int) -> Network:
    """Prediction layers drawn anew, each feature map with a spread of its own."""
    random, nodes = np.random.default_rng(seed), {node.name: node for node in network.nodes}
    changed = {}
    for parts, spread in zip(network.heads, random.permutation([0.3, 1.0, 3.0]), strict=True):
        for name in parts:
            kernel, bias = network.weights[nodes[name].layer]
            noise = random.normal(0, spread * np.abs(kernel).mean(), kernel.shape)
            changed[nodes[name].layer] = Weights(np.float32(noise), np.float32(bias * spread))
    return network.with_weights(changed)


def compare(request: ExportJob, images: np.ndarray, kinds: list[str], title: str) -> bool:
    """Print the largest differences of each kind; whether all are small."""
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        runtimes = {}
        for kind in ["raw", *kinds]:
            with hidden_stderr():
                path = export_model(request.with_options(nms=kind), ["tflite"], Path(folder) / kind)["tflite"]
            runtimes[kind] = load_runtime(path)
        expected = [runtimes["raw"](image[None], 0.0)[0] for image in images]
        for kind in kinds:
            found = [runtimes[kind](image[None], 0.0)[0] for image in images]
            pairs = zip(found, expected, strict=True)
            rows = [all_boxes(*pair) if kind == "none" else detections(*pair) for pair in pairs]
            score, box, wrong, count = (np.array(x) for x in zip(*rows, strict=True))
            fine &= bool(score.max() <= SCORE and box.max() <= BOX_PX and not wrong.sum())
            print(
                f"{title}, {kind}: {count.sum()} boxes, {wrong.sum()} wrong, "
                f"score within {score.max():.1e}, corners within {box.max():.1e} px",
                flush=True,
            )
    return fine


def all_boxes(found: Any, expected: Any) -> tuple[float, float, int, int]:
    """Largest difference of scores and of corners, no wrong decision, number of boxes."""
    score = np.abs(found.scores - expected.scores).max()
    box = np.abs(found.boxes_xyxy_px - expected.boxes_xyxy_px).max()
    return float(score), float(box), 0, len(found.scores)


def detections(found: Any, candidates: Any) -> tuple[float, float, int, int]:
    """The same after suppression, of each box and the nearest candidate, and the number of wrong decisions.

    Integer heads often give equal scores, and of two boxes of one score either may suppress the other. A
    decision is therefore wrong if two boxes of a class are kept that overlap, if a box below the confidence
    threshold is kept, or if a candidate is dropped that no kept box of its class with at least its score
    overlaps.
    """
    class_ids, scores = candidates.scores.argmax(1), candidates.scores.max(1)
    far = np.abs(found.boxes_xyxy_px[:, None] - candidates.boxes_xyxy_px[None]).max(-1)
    far[np.abs(found.scores[:, None] - scores[None]) > SCORE] = np.inf
    far[found.class_ids[:, None] != class_ids[None]] = np.inf
    nearest = far.argmin(1) if len(found) else np.zeros(0, int)
    score = np.abs(found.scores - scores[nearest]).max(initial=0)

    lowest = found.scores.min() if len(found) == SETTINGS.max_detections else SETTINGS.confidence
    dropped = scores > lowest + TIE
    dropped[nearest] = False
    overlap = iou_matrix(candidates.boxes_xyxy_px, candidates.boxes_xyxy_px[nearest])
    overlap *= class_ids[:, None] == class_ids[nearest][None]
    better = scores[nearest][None] >= scores[dropped][:, None] - TIE
    unexplained = ~((overlap[dropped] > SETTINGS.iou_threshold - IOU_SLACK) & better).any(1)
    both_kept = np.triu(overlap[nearest] > SETTINGS.iou_threshold + IOU_SLACK, 1)
    too_low = found.scores <= SETTINGS.confidence - TIE
    wrong = int(unexplained.sum() + both_kept.sum() + too_low.sum())
    return float(score), float(far.min(1, initial=np.inf).max(initial=0)), wrong, len(found)


if __name__ == "__main__":
    sys.exit(main())
