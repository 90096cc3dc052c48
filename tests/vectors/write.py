"""Writes *.json beside it: what the Python library computes, for the tests of both demos to compare with.

    python -m tests.vectors.write

Each file is a list of cases. Coordinates are multiples of a quarter pixel and scores of 1/256, so that they
are the same numbers in float32 and in JavaScript's float64. tests/inference/test_vectors.py keeps them true.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tests.vectors.camera import upright_cases, view_cases, yuv_cases
from tests.vectors.classify import crop_cases, top_cases
from tests.vectors.masks import mask_cases
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.export.runtime.decode import decode, join_parts
from tfyolo.export.runtime.predictions import Candidates, Detections
from tfyolo.inference.drawing.annotate import place_labels
from tfyolo.inference.drawing.palette import class_color, text_color
from tfyolo.inference.nms import NmsOptions, non_max_suppression, refine

FOLDER = Path(__file__).parent

Case = dict[str, Any]


def _named_as_in_demos(options: NmsOptions) -> dict[str, Any]:
    """Return options of NMS with the keys that the vectors have in TypeScript and Kotlin, too."""
    names = {"class_ids": "classes", "iou_threshold": "iou"}
    return {names.get(name, name): value for name, value in asdict(options).items()}


def letterbox_cases() -> list[Case]:
    """Where an image lies in the input, and boxes of the input taken back to the image."""
    shapes = {
        "landscape": ((480, 640), (320, 320)),
        "portrait": ((640, 427), (320, 320)),
        "odd padding below": ((101, 200), (200, 200)),
        "odd padding right": ((200, 101), (200, 200)),
        "wide": ((90, 1600), (320, 320)),
        "tall": ((1600, 90), (320, 320)),
        "one pixel": ((1, 1), (32, 32)),
        "a line that would vanish": ((1, 500), (64, 64)),
        "enlarged": ((30, 50), (320, 320)),
        "input not square": ((720, 1280), (256, 416)),
        "input not square, odd padding": ((333, 250), (192, 320)),
        "2.5 rounds to 2": ((5, 10), (5, 5)),
        "3.5 rounds to 4": ((7, 10), (5, 5)),
        "equal": ((64, 96), (64, 96)),
    }
    rng = np.random.default_rng(1)
    cases = []
    for name, (image_size, target_hw) in shapes.items():
        fit = Letterbox.fit(image_size, target_hw)
        size = np.array(target_hw[::-1] * 2)
        # Some reach beyond the input, as decoded boxes do.
        boxes = np.round(rng.uniform(-0.1, 1.1, (3, 4)) * size * 4) / 4
        boxes = np.sort(boxes.reshape(3, 2, 2), 1).reshape(3, 4)
        boxes = np.concatenate([boxes, [[0, 0, *target_hw[::-1]]]])
        cases.append(
            {
                "name": name,
                "image_hw": image_size,
                "target_hw": target_hw,
                "resized_hw": fit.resized_hw,
                "ratio": fit.ratio,
                "pad_xy": fit.pad_xy,
                "left": round(fit.pad_xy[0] - 0.1),
                "top": round(fit.pad_xy[1] - 0.1),
                "boxes_in": boxes.tolist(),
                "boxes_out": _rounded(fit.to_image(boxes), 4),
            }
        )
    return cases


def resize_cases() -> list[Case]:
    """Pixels before and after, RGB rows one after the other, bilinear."""
    shapes = [
        ((7, 5), (16, 16)),
        ((20, 12), (8, 8)),
        ((33, 17), (24, 16)),
        ((16, 16), (8, 8)),  # OpenCV averages where it halves exactly
        ((48, 36), (16, 16)),
        ((9, 12), (9, 12)),
    ]
    rng = np.random.default_rng(2)
    cases = []
    for image_size, target_hw in shapes:
        image = rng.integers(0, 256, (*image_size, 3), np.uint8)
        out = Letterbox.fit(image_size, target_hw).apply(image)
        cases.append(
            {
                "image_hw": image_size,
                "target_hw": target_hw,
                "pixels_in": image.ravel().tolist(),
                "pixels_out": out.ravel().tolist(),
            }
        )
    return cases


def decode_cases() -> list[Case]:
    """Raw heads and the boxes in them; parts are (height, width, anchors, values) laid out flat."""
    rng = np.random.default_rng(3)
    square = ((4, 5, 8, 10, 13, 9), (12, 20, 24, 16, 20, 33), (40, 30, 36, 50, 60, 58))
    wide = ((10, 13, 16, 30), (33, 23, 61, 45))
    return [
        _decode_case(rng, square, (8, 16, 32), (64, 64), 2, 0.25),
        _decode_case(rng, wide, (16, 32), (64, 96), 1, 0.0),
    ]


def _decode_case(
    rng: np.random.Generator,
    anchors_px: tuple[tuple[int, ...], ...],
    strides: tuple[int, ...],
    image_size: tuple[int, int],
    classes: int,
    confidence: float,
) -> Case:
    heads, joined = [], []
    for row, stride in zip(anchors_px, strides, strict=True):
        height, width, anchors = image_size[0] // stride, image_size[1] // stride, len(row) // 2
        spreads = ((4, 1.0, 0.0), (1, 2.5, -2.0), (classes, 2.0, 0.0))
        # Rounded before they are decoded: the file holds the very numbers that were.
        parts = [
            np.round(rng.normal(middle, spread, (height, width, anchors * values)), 4).astype(np.float32)
            for values, spread, middle in spreads
        ]
        joined.append(join_parts(parts))
        names = ("box", "objectness", "classes")
        flat = {name: _rounded(part.ravel(), 4) for name, part in zip(names, parts, strict=True)}
        heads.append({"height": height, "width": width, **flat})
    found = decode(joined, anchors_px, strides, confidence)
    return {
        "anchors_px": anchors_px,
        "strides": strides,
        "image_hw": image_size,
        "heads": heads,
        "confidence": confidence,
        "boxes_xyxy_px": _rounded(found.boxes_xyxy_px, 6),
        "scores": _rounded(found.scores, 6),
    }


def nms_cases() -> list[Case]:
    """Candidates, options and what suppression keeps."""
    cells = _crowd(np.random.default_rng(4), 40, 3)
    same = Candidates(
        np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10], [31, 0, 41, 10], [60, 0, 70, 10]]),
        np.float32([[0.5, 0.25], [0.5, 0.25], [0.25, 0.75], [0.75, 0.25], [0.5, 0.5]]),
    )
    touching = Candidates(
        np.float32([[0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20], [10, 10, 20, 20], [0, 0, 20, 20]]),
        np.float32([[0.75], [0.75], [0.625], [0.5], [0.4375]]),
    )
    half = Candidates(
        np.float32([[0, 0, 12, 8], [0, 0, 12, 4], [4, 0, 16, 8], [0, 0, 12, 4.25]]),
        np.float32([[0.875], [0.75], [0.625], [0.5]]),
    )
    flat = Candidates(
        np.float32([[5, 5, 5, 5], [5, 5, 5, 5], [0, 4, 20, 4], [0, 0, 20, 20], [5, 5, 5, 15]]),
        np.float32([[0.875], [0.75], [0.625], [0.5], [0.3125]]),
    )
    quarter = Candidates(np.float32([[0, 0, 8, 8], [20, 0, 28, 8]]), np.float32([[0.25, 0], [0, 0.25390625]]))
    none = Candidates(np.zeros((0, 4), np.float32), np.zeros((0, 2), np.float32))
    wanted = {
        "empty": (none, NmsOptions()),
        "nothing confident": (cells, NmsOptions(confidence=0.999)),
        "default": (cells, NmsOptions()),
        "low thresholds": (cells, NmsOptions(confidence=0.05, iou_threshold=0.2)),
        "agnostic": (cells, NmsOptions(confidence=0.1, agnostic=True)),
        "classes": (cells, NmsOptions(confidence=0.1, class_ids=[0, 2])),
        "no classes": (cells, NmsOptions(class_ids=[])),
        "multi label": (cells, NmsOptions(confidence=0.3, iou_threshold=0.6, multi_label=True)),
        "multi label, agnostic": (cells, NmsOptions(confidence=0.3, multi_label=True, agnostic=True)),
        "at most 5": (cells, NmsOptions(confidence=0.05, max_detections=5)),
        "ties": (same, NmsOptions()),
        "ties, agnostic": (same, NmsOptions(agnostic=True)),
        "touching": (touching, NmsOptions()),
        "overlap of exactly the threshold stays": (half, NmsOptions(iou_threshold=0.5)),
        "zero area": (flat, NmsOptions()),
        "score of exactly the threshold goes": (quarter, NmsOptions()),
    }
    return [
        {
            "name": name,
            "boxes_xyxy_px": candidates.boxes_xyxy_px.tolist(),
            "scores": candidates.scores.tolist(),
            "options": _named_as_in_demos(options),
            "kept": _kept(non_max_suppression(candidates, options)),
        }
        for name, (candidates, options) in wanted.items()
    ]


def refine_cases() -> list[Case]:
    """Detections of a graph with suppression inside, stricter options, and what they leave."""
    crowd = _crowd(np.random.default_rng(5), 40, 3)
    found = non_max_suppression(crowd, NmsOptions(confidence=0.1, iou_threshold=0.7, max_detections=20))
    none = found[:0]
    wanted = {
        "empty": (none, NmsOptions()),
        "looser changes nothing": (found, NmsOptions(confidence=0.0, iou_threshold=1.0)),
        "stricter": (found, NmsOptions(confidence=0.6, iou_threshold=0.2)),
        "classes": (found, NmsOptions(class_ids=[1], max_detections=3)),
        "agnostic": (found, NmsOptions(iou_threshold=0.3, agnostic=True)),
    }
    return [
        {
            "name": name,
            **_kept(detections),
            "options": _named_as_in_demos(options),
            "kept": _kept(refine(detections, options)),
        }
        for name, (detections, options) in wanted.items()
    ]


def _crowd(rng: np.random.Generator, count: int, classes: int) -> Candidates:
    """Boxes that overlap, some of them much."""
    groups = rng.integers(2, 10, (8, 2)) * 8
    middle = groups[rng.integers(0, 8, count)] + rng.integers(-12, 12, (count, 2)) / 4
    half = rng.integers(24, 48, (count, 2)) / 4
    boxes = np.concatenate([middle - half, middle + half], 1)
    scores = rng.integers(0, 256, (count, classes)) / 256
    return Candidates(boxes.astype(np.float32), scores.astype(np.float32))


def palette_cases() -> list[Case]:
    """Colors of classes, and of text on them."""
    colors = [class_color(index) for index in range(100)]
    texts = [text_color(color) for color in colors]
    return [{"colors": [_hex(color) for color in colors], "texts": [_hex(color) for color in texts]}]


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def label_cases() -> list[Case]:
    """Places of labels; all numbers are whole, which every language rounds alike."""
    rng = np.random.default_rng(7)
    low = rng.integers(-10, 150, (30, 2))
    crowd = np.concatenate([low, low + rng.integers(5, 60, (30, 2))], 1)
    sets = {
        "none": np.zeros((0, 4), int),
        "room above": np.array([[20, 60, 80, 90]]),
        "at the upper border": np.array([[20, 3, 80, 90]]),
        "whole image": np.array([[0, 0, 200, 160]] * 3),
        "equal boxes in a corner": np.array([[150, 0, 200, 40]] * 4),
        "beyond every border": np.array([[-30, -20, 260, 190], [190, 150, 260, 190], [-40, -40, -5, -5]]),
        "crowd": crowd,
        "too many to be spread": np.tile(crowd, (4, 1)),
    }
    cases = []
    for name, boxes in sets.items():
        widths = rng.integers(20, 90, len(boxes)).tolist()
        widths[:1] = [300 if name == "beyond every border" else 40][: len(boxes)]
        places = place_labels(boxes.astype(float), widths, 12, (200, 160), spread=len(boxes) <= 100)
        cases.append(
            {
                "name": name,
                "boxes_xyxy_px": boxes.tolist(),
                "widths": widths,
                "height": 12,
                "image_wh": [200, 160],
                "places": [list(place) for place in places],
            }
        )
    return cases


def _kept(found: Detections) -> Case:
    return {
        "boxes_xyxy_px": found.boxes_xyxy_px.tolist(),
        "scores": found.scores.tolist(),
        "classes": found.class_ids.tolist(),
    }


def _rounded(values: np.ndarray, decimals: int) -> Any:
    """As lists; + 0 makes -0 a 0."""
    return (np.round(values.astype(np.float64), decimals) + 0).tolist()


FILES: dict[str, Callable[[], list[Case]]] = {
    "letterbox": letterbox_cases,
    "resize": resize_cases,
    "decode": decode_cases,
    "nms": nms_cases,
    "refine": refine_cases,
    "yuv": yuv_cases,
    "upright": upright_cases,
    "view": view_cases,
    "palette": palette_cases,
    "labels": label_cases,
    "crop": crop_cases,
    "top": top_cases,
    "masks": mask_cases,
}
"""Each is written as NAME.json."""


def text_of(cases: Iterable[Case]) -> str:
    """JSON with a line for each case."""
    return "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n"


def main() -> None:
    """Write all files."""
    for name, cases in FILES.items():
        (FOLDER / f"{name}.json").write_text(text_of(cases()), "utf-8")


if __name__ == "__main__":
    main()
