"""Detect objects in images on a Coral Edge TPU, or on the CPU if the file is not compiled.

python detect.py best_edgetpu.tflite image.jpg
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate

LIBRARIES = {"linux": "libedgetpu.so.1", "darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"}
"""File name of Coral's runtime by `sys.platform`."""


def open_model(path: Path) -> tuple[Interpreter, dict]:
    """Return an interpreter, on the Edge TPU if the file is compiled, and the metadata of tfyolo."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:  # a .tflite file of tfyolo ends in a zip archive
        contract = json.loads(archive.read("tfyolo.json"))
    delegates = []
    if b"edgetpu-custom-op" in content:  # the operator that replaces all compiled ones
        delegates = [load_delegate(LIBRARIES[sys.platform])]
    else:
        print(f"{path} is not compiled for the Edge TPU: running on the CPU", file=sys.stderr)
    interpreter = Interpreter(model_content=content, experimental_delegates=delegates, num_threads=4)
    interpreter.allocate_tensors()
    return interpreter, contract


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
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    arguments = parser.parse_args(argv)
    interpreter, contract = open_model(arguments.model)
    (input_details,) = interpreter.get_input_details()
    _, side_y, side_x, _ = input_details["shape"]
    for path in arguments.images:
        image = cv2.imread(str(path))[..., ::-1]  # RGB
        padded, ratio, padding = letterbox(image, side_y, side_x)
        start = time.perf_counter()
        interpreter.set_tensor(input_details["index"], padded[None])
        interpreter.invoke()
        milliseconds = 1000 * (time.perf_counter() - start)
        # The compiler drops the names of outputs; the metadata has them in the order of the file.
        tensors = [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]
        outputs = dict(zip(contract["export"]["outputs"], tensors, strict=True))
        count = int(outputs["num_detections"][0])
        print(f"{path}: {count} detections, {milliseconds:.1f} ms")
        parts = (outputs[f"detection_{part}"][0][:count] for part in ("boxes", "classes", "scores"))
        boxes, classes, scores = parts
        boxes = ((boxes * ([side_y, side_x] * 2) - padding * 2) / ratio).clip(0, image.shape[:2] * 2)
        for (ymin, xmin, ymax, xmax), class_id, score in zip(boxes, classes, scores, strict=True):
            name = contract["names"][int(class_id)]
            print(f"{name} {score:.3f}: {xmin:.1f}, {ymin:.1f}, {xmax:.1f}, {ymax:.1f}")


if __name__ == "__main__":
    main()
