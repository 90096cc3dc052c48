"""Send images to a detector in TensorFlow Serving, over its REST API.

python client.py best_saved_model/tfyolo.json image.jpg
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import requests


def letterbox(image: np.ndarray, side_y: int, side_x: int) -> tuple[np.ndarray, float, list[float]]:
    """Resize and pad an image; return it, the ratio, and the padding at the top and at the left."""
    ratio = min(side_y / image.shape[0], side_x / image.shape[1])
    height, width = (max(round(side * ratio), 1) for side in image.shape[:2])
    top, left = (side_y - height) // 2, (side_x - width) // 2
    padded = np.full((side_y, side_x, 3), 114, np.uint8)
    padded[top : top + height, left : left + width] = cv2.resize(image, (width, height))
    return padded, ratio, [(side_y - height) / 2, (side_x - width) / 2]


def request_of(padded: np.ndarray, integer: bool) -> dict:
    """Return the body of a request in column format: one array per input of the signature."""
    images = padded[None] if integer else (padded[None] / 255).round(6)
    return {"signature_name": "serving_default", "inputs": {"images": images.tolist()}}


def main(argv: list[str] | None = None) -> None:
    """Print the detections of each image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("contract", type=Path, help="tfyolo.json in the SavedModel's folder: names and size")
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--url", default="http://localhost:8501/v1/models/detector")
    arguments = parser.parse_args(argv)
    contract = json.loads(arguments.contract.read_text())
    side_y, side_x = contract["image_size"]
    for path in arguments.images:
        image = cv2.imread(str(path))[..., ::-1]  # RGB
        padded, ratio, padding = letterbox(image, side_y, side_x)
        body = request_of(padded, contract["export"]["precision"] == "int8")
        response = requests.post(f"{arguments.url}:predict", json=body, timeout=60)
        answer = response.json()
        if "error" in answer:
            raise SystemExit(f"error: {answer['error']}")
        outputs = {name: np.array(values) for name, values in answer["outputs"].items()}
        count = int(outputs["num_detections"][0])
        print(f"{path}: {count} detections")
        parts = (outputs[f"detection_{part}"][0][:count] for part in ("boxes", "classes", "scores"))
        boxes, classes, scores = parts
        boxes = ((boxes * ([side_y, side_x] * 2) - padding * 2) / ratio).clip(0, image.shape[:2] * 2)
        for (ymin, xmin, ymax, xmax), class_id, score in zip(boxes, classes, scores, strict=True):
            name = contract["names"][int(class_id)]
            print(f"{name} {score:.3f}: {xmin:.1f}, {ymin:.1f}, {xmax:.1f}, {ymax:.1f}")


if __name__ == "__main__":
    main()
