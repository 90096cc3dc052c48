"""Detect objects in images with a TensorRT engine that trtexec built from an ONNX file with `--nms none`.

python detect.py best.engine image.jpg --names Platelets RBC WBC
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

Run = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Takes images (1, 3, height, width) float32 in 0..1; returns `boxes` (1, N, 4) and `scores` (1, N, C)."""


def open_engine(path: Path) -> tuple[Run, tuple[int, int]]:
    """Load an engine; return a function that runs it, and the height and width of its input."""
    import tensorrt
    import torch  # allocates the GPU buffers

    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    engine = tensorrt.Runtime(logger).deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise SystemExit(f"error: {path} was built for another GPU or another version of TensorRT")
    context, stream = engine.create_execution_context(), torch.cuda.Stream()
    tensors = {}
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        tensors[name] = torch.zeros(tuple(engine.get_tensor_shape(name)), dtype=torch.float32, device="cuda")
        context.set_tensor_address(name, tensors[name].data_ptr())
    images = tensors.pop("images")

    def run(values: np.ndarray) -> dict[str, np.ndarray]:
        with torch.cuda.stream(stream):
            images.copy_(torch.from_numpy(values))
            context.execute_async_v3(stream.cuda_stream)
            outputs = {name: tensor.to("cpu", non_blocking=True) for name, tensor in tensors.items()}
        stream.synchronize()
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    return run, tuple(images.shape[2:])


def detect(
    run: Run, size: tuple[int, int], image: np.ndarray, confidence: float, iou_threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Letterbox an RGB image, run the network and apply NMS per class.

    Returns:
        Corners (n, 4) ymin, xmin, ymax, xmax in pixels of the image; class IDs (n,); scores (n,).
    """
    ratio = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(round(side * ratio), 1) for side in image.shape[:2])
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    padded = np.full((*size, 3), 114, np.uint8)
    padded[top : top + height, left : left + width] = cv2.resize(image, (width, height))
    outputs = run(np.ascontiguousarray(padded.transpose(2, 0, 1)[None] / np.float32(255)))
    boxes, scores = outputs["boxes"][0], outputs["scores"][0]
    class_ids, scores = scores.argmax(1), scores.max(1)
    padding = [(size[0] - height) / 2, (size[1] - width) / 2] * 2
    boxes = (boxes * (list(size) * 2) - padding) / ratio
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    kept = cv2.dnn.NMSBoxesBatched(sides, scores, class_ids, confidence, iou_threshold)
    kept = np.array(kept, int)[:100]
    return boxes[kept].clip(0, image.shape[:2] * 2), class_ids[kept], scores[kept]


def main(argv: list[str] | None = None) -> None:
    """Print the detections of each image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--names", nargs="+", required=True, help="class names, in order")
    parser.add_argument("--conf-thres", type=float, default=0.25)
    parser.add_argument("--iou-thres", type=float, default=0.45)
    arguments = parser.parse_args(argv)
    run, size = open_engine(arguments.engine)
    for path in arguments.images:
        image = cv2.imread(str(path))[..., ::-1]  # RGB
        boxes, class_ids, scores = detect(run, size, image, arguments.conf_thres, arguments.iou_thres)
        print(f"{path}: {len(boxes)} detections")
        for (ymin, xmin, ymax, xmax), class_id, score in zip(boxes, class_ids, scores, strict=True):
            name = arguments.names[class_id]
            print(f"{name} {score:.3f}: {xmin:.1f}, {ymin:.1f}, {xmax:.1f}, {ymax:.1f}")


if __name__ == "__main__":
    main()
