"""Detect objects in images with OpenVINO, without tfyolo.

python detect.py best_openvino_model image.jpg --device CPU
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import openvino


def letterbox(image: np.ndarray, side_y: int, side_x: int) -> tuple[np.ndarray, float, list[float]]:
    """Resize and pad an image; return it, the ratio, and the padding at the top and at the left."""
    ratio = min(side_y / image.shape[0], side_x / image.shape[1])
    height, width = (max(round(side * ratio), 1) for side in image.shape[:2])
    top, left = (side_y - height) // 2, (side_x - width) // 2
    padded = np.full((side_y, side_x, 3), 114, np.uint8)
    padded[top : top + height, left : left + width] = cv2.resize(image, (width, height))
    return padded, ratio, [(side_y - height) / 2, (side_x - width) / 2]


def main(argv: list[str] | None = None) -> None:
    """Print the detections of each image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of `tfyolo export --include openvino`")
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--device", default="CPU", help="CPU, GPU, NPU or AUTO (default: CPU)")
    arguments = parser.parse_args(argv)
    names = json.loads((arguments.model / "tfyolo.json").read_text())["names"]
    core = openvino.Core()
    options = {"PERFORMANCE_HINT": "LATENCY"}
    if arguments.device == "CPU":
        options["INFERENCE_PRECISION_HINT"] = "f32"  # CPUs with bfloat16 use it otherwise, and lose boxes
    compiled = core.compile_model(arguments.model / "model.xml", arguments.device, options)
    _, side_y, side_x, _ = compiled.input("images").shape
    integer = compiled.input("images").element_type == openvino.Type.u8
    for path in arguments.images:
        image = cv2.imread(str(path))[..., ::-1]  # RGB
        padded, ratio, padding = letterbox(image, side_y, side_x)
        images = padded[None] if integer else padded[None] / np.float32(255)
        start = time.perf_counter()
        results = compiled({"images": images})
        milliseconds = 1000 * (time.perf_counter() - start)
        count = int(results["num_detections"][0])
        print(f"{path}: {count} detections, {milliseconds:.1f} ms")
        parts = (results[f"detection_{part}"][0][:count] for part in ("boxes", "classes", "scores"))
        boxes, classes, scores = parts
        boxes = ((boxes * ([side_y, side_x] * 2) - padding * 2) / ratio).clip(0, image.shape[:2] * 2)
        for (ymin, xmin, ymax, xmax), class_id, score in zip(boxes, classes, scores, strict=True):
            print(f"{names[int(class_id)]} {score:.3f}: {xmin:.1f}, {ymin:.1f}, {xmax:.1f}, {ymax:.1f}")


if __name__ == "__main__":
    main()
