"""Training quality of segmentation models beside PyTorch YOLOv5: `make bench-segment DATA=coco128-seg.yaml`.

yolov5n-seg is trained from a detector's weights for 60 epochs at 320 pixels, batch 16, with the default
hyperparameters and seed 0, and the last epoch is measured on the training images. There are two starts:
`copied`, that of `tfyolo segment train`, also copies the channels of boxes, objectness and classes of the
detector's head; `new` gives the head random values, as YOLOv5 does. The exit code is 1 if `copied` stays
below PyTorch's figures.

    python benchmarks/segment_training.py --data coco128-seg.yaml --weights yolov5n.pt --start new
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from rich.console import Console
from rich.table import Table

import tfyolo
from tfyolo.data.detection.dataset_yaml import read_dataset
from tfyolo.evaluation.detection_metrics import Metrics, ValOptions
from tfyolo.models import build_model
from tfyolo.training.detection.initialization import plan_initial_weights
from tfyolo.weights.keras_file import save_keras

STARTS = ("copied", "new")
PYTORCH = (0.116, 0.070, 0.093, 0.047)
"""Box mAP50 and mAP50-95, mask mAP50 and mAP50-95 of PyTorch YOLOv5 v7.0 after 60 epochs from yolov5n.pt, on
coco128's training images with polygons: 320, rectangular batches of 8, confidence 0.001, IoU 0.6."""


def with_new_head(weights: str, data: Path, side: int, seed: int, path: Path) -> Path:
    """Write yolov5n-seg with the layers of a detector and a random head.

    Args:
        weights: the detector.
        data: dataset whose classes the model has.
        side: image size in pixels.
        seed: seed of the random values.
        path: file to write.
    """
    keras.utils.set_random_seed(seed)
    initial = plan_initial_weights(weights, "", read_dataset(data).names, side, task="segment")
    network = build_model(initial.contract.spec)
    pairs = zip(initial.arrays(network), network.get_weights(), strict=True)
    network.set_weights([array.value if array.copied == 1 else own for array, own in pairs])
    return save_keras(network, initial.contract, path)


def train_and_measure(options: argparse.Namespace, start: str) -> Metrics:
    """Train from one of `STARTS`, and measure the last epoch on the training images."""
    folder = options.project / start
    weights = options.weights
    if start == "new":
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "initial.keras"
        weights = str(with_new_head(weights, options.data, options.img, options.seed, path))
    run = tfyolo.SegmentOptions(
        options.data,
        weights=weights,
        epochs=options.epochs,
        image_size=options.img,
        seed=options.seed,
        val=False,
        plots=False,
    )
    last = tfyolo.train(run, folder, log=print).last
    model = tfyolo.load(last, image_size=options.img)
    return tfyolo.validate(model, options.data, ValOptions(split="train", batch_size=8, plots=False))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, and print a table beside PyTorch's figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="YAML", help="coco128 with polygons")
    parser.add_argument("--weights", default="yolov5n", metavar="FILE", help="the detector to start from")
    parser.add_argument("--start", nargs="+", choices=STARTS, default=STARTS)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--img", type=int, default=320)
    parser.add_argument("--project", type=Path, default=Path("build/bench-segment"))
    options = parser.parse_args(arguments)
    table = Table(title=f"yolov5n-seg, {options.epochs} epochs at {options.img}, on its training images")
    for heading in ("start", "box mAP50", "box mAP50-95", "mask mAP50", "mask mAP50-95"):
        table.add_column(heading, justify="left" if heading == "start" else "right")
    table.add_row("PyTorch YOLOv5 v7.0", *(f"{value:.3f}" for value in PYTORCH))
    reached = True
    for start in options.start:
        metrics = train_and_measure(options, start)
        masks = metrics.mask_result
        assert masks is not None
        found = (metrics.map50, metrics.map50_95, masks.map50, masks.map50_95)
        table.add_row(f"head {start}", *(f"{value:.3f}" for value in found))
        if start == "copied":
            reached = found[1] >= PYTORCH[1] and found[3] >= PYTORCH[3]
    Console(width=110).print(table)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
