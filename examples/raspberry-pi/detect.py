"""Detect objects in an image, a video file or a camera with a `.tflite` file: no TensorFlow, no tfyolo.

python detect.py best.tflite video.mp4 --output detected.mp4
python detect.py best.tflite 0             # first USB camera
python detect.py best.tflite picamera      # camera module of the Raspberry Pi
"""

from __future__ import annotations

import argparse
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

Detection = tuple[str, float, np.ndarray]
"""Class name, score, and corners xmin, ymin, xmax, ymax in pixels of the image."""


class Detector:
    """A detector with NMS inside the file.

    Args:
        path: file of `tfyolo export --include tflite`.
        threads: number of CPU threads.
    """

    def __init__(self, path: Path, threads: int) -> None:
        with zipfile.ZipFile(path) as archive:  # a .tflite file of tfyolo ends in a zip archive
            self.names = json.loads(archive.read("tfyolo.json"))["names"]
        self._run = Interpreter(str(path), num_threads=threads).get_signature_runner()
        details = self._run.get_input_details()["images"]
        _, self.height, self.width, _ = details["shape"]
        self._integer = details["dtype"] == np.uint8

    def __call__(self, image: np.ndarray) -> list[Detection]:
        """Return the detections of an RGB image, highest score first."""
        ratio = min(self.height / image.shape[0], self.width / image.shape[1])
        height, width = (max(round(side * ratio), 1) for side in image.shape[:2])
        top, left = (self.height - height) // 2, (self.width - width) // 2
        images = np.full((1, self.height, self.width, 3), 114, np.uint8)
        images[0, top : top + height, left : left + width] = cv2.resize(image, (width, height))
        outputs = self._run(images=images if self._integer else images / np.float32(255))
        count = int(outputs["num_detections"][0])
        rows = (outputs[f"detection_{part}"][0][:count] for part in ("classes", "scores", "boxes"))
        padding = [(self.height - height) / 2, (self.width - width) / 2] * 2
        detections = []
        for class_id, score, box in zip(*rows, strict=True):  # box: ymin, xmin, ymax, xmax in 0..1
            corners = (box * ([self.height, self.width] * 2) - padding) / ratio
            ymin, xmin, ymax, xmax = corners.clip(0, image.shape[:2] * 2)
            detections.append((self.names[int(class_id)], float(score), np.array([xmin, ymin, xmax, ymax])))
        return detections


def frames(source: str) -> Iterator[np.ndarray]:
    """Yield RGB frames of a file, a camera number or `picamera`."""
    if source == "picamera":
        from picamera2 import Picamera2  # sudo apt install python3-picamera2

        camera = Picamera2()
        camera.configure(camera.create_video_configuration({"size": (640, 480), "format": "BGR888"}))
        camera.start()
        while True:
            yield camera.capture_array()  # picamera2 calls R, G, B in memory "BGR888"
    video = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not video.isOpened():
        raise SystemExit(f"error: {source} cannot be opened")
    while True:
        read, frame = video.read()
        if not read:
            return
        yield frame[..., ::-1]


def frame_rate(source: str) -> float:
    """Return the frames per second of a video file; 10 for a camera, which is as fast as detection."""
    if source == "picamera" or source.isdigit():
        return 10
    return cv2.VideoCapture(source).get(cv2.CAP_PROP_FPS) or 10


def draw(image: np.ndarray, detections: list[Detection]) -> np.ndarray:
    """Return a BGR copy of an RGB image with boxes and names."""
    canvas = image[..., ::-1].copy()
    for name, score, box in detections:
        xmin, ymin, xmax, ymax = box.round().astype(int).tolist()
        cv2.rectangle(canvas, (xmin, ymin), (xmax, ymax), (0, 160, 0), 2)
        place = (xmin, max(ymin - 5, 12))
        cv2.putText(canvas, f"{name} {score:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 160, 0), 1)
    return canvas


def main(argv: list[str] | None = None) -> None:
    """Print the detections of each frame, and the median time per frame at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("source")
    parser.add_argument("--threads", type=int, default=4, help="a Raspberry Pi has four cores (default: 4)")
    parser.add_argument("--output", type=Path, help="write a video with boxes, such as detected.mp4")
    arguments = parser.parse_args(argv)
    detector, writer, seconds = Detector(arguments.model, arguments.threads), None, []
    try:
        for number, image in enumerate(frames(arguments.source)):
            start = time.perf_counter()
            detections = detector(image)
            seconds.append(time.perf_counter() - start)
            print(f"frame {number}: {len(detections)} detections")
            for name, score, box in detections:
                print(f"{name} {score:.3f}: " + ", ".join(f"{side:.1f}" for side in box))
            if arguments.output:
                if writer is None:
                    fourcc, rate = cv2.VideoWriter.fourcc(*"mp4v"), frame_rate(arguments.source)
                    writer = cv2.VideoWriter(str(arguments.output), fourcc, rate, image.shape[1::-1])
                writer.write(draw(image, detections))
    except KeyboardInterrupt:  # Ctrl+C ends a camera
        pass
    finally:
        if writer is not None:
            writer.release()
    if seconds:
        print(f"{1000 * np.median(seconds):.1f} ms per frame (median of {len(seconds)})")


if __name__ == "__main__":
    main()
