"""What `detect` writes: annotated pictures and videos, labels, crops, a table."""

from __future__ import annotations

import csv
import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.files import atomic
from tfyolo.inference.results import Result
from tfyolo.inference.sources import Frame, Video


@dataclass(frozen=True)
class Outputs:
    """Which files are wanted, and where."""

    folder: Path
    pictures: bool = True
    txt: bool = False
    txt_confidence: bool = False
    crops: bool = False
    csv: bool = False
    labels: bool = True
    confidences: bool = True
    thickness: int | None = None


@dataclass
class Writer:
    """Writes the results of a run; a context manager, since videos and the table stay open."""

    outputs: Outputs
    _stack: ExitStack = field(default_factory=ExitStack)
    _video: Video | None = None
    _video_size: tuple[int, int] = (0, 0)
    _sink: Any = None
    _rows: Any = None
    _taken: set[str] = field(default_factory=set)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *failure: Any) -> None:
        # An interrupted film is still a film: what was written so far is kept.
        self._close_video()
        self._stack.__exit__(*failure)

    def write(self, frame: Frame, result: Result) -> None:
        """Write what was asked for about one frame."""
        name = self._unique(frame)
        stem = Path(name).stem + (f"_{frame.index}" if frame.video else "")
        if self.outputs.txt:
            self._write_txt(stem, result)
        if self.outputs.crops:
            self._write_crops(stem, result)
        if self.outputs.csv:
            self._write_csv(name if not frame.video else f"{name}#{frame.index}", result)
        if self.outputs.pictures:
            picture = result.plot(
                labels=self.outputs.labels,
                confidences=self.outputs.confidences,
                thickness=self.outputs.thickness,
            )
            if frame.video:
                self._write_frame(frame.video, name, picture)
            else:
                _save_picture(picture, self.outputs.folder / name)

    def _unique(self, frame: Frame) -> str:
        """A file name for results; pictures of one name from two folders do not overwrite each other."""
        if frame.video:
            return Path(frame.name).with_suffix(".mp4").name
        name, number = frame.name, 2
        # JPEG for kinds that cannot be written or would not be looked at.
        if Path(name).suffix.lower() not in (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"):
            name = f"{Path(name).stem}.jpg"
        path = Path(name)
        while name in self._taken:
            name, number = f"{path.stem}_{number}{path.suffix}", number + 1
        self._taken.add(name)
        return name

    def _write_txt(self, stem: str, result: Result) -> None:
        columns = [result.classes[:, None].astype(object), result.boxes_xywh_norm]
        if self.outputs.txt_confidence:
            columns.append(result.scores[:, None])
        rows = np.concatenate(columns, 1) if len(result) else []
        text = "".join(" ".join(f"{value:g}" for value in row) + "\n" for row in rows)
        path = self.outputs.folder / "labels" / f"{stem}.txt"
        with atomic(path) as temporary:
            temporary.write_text(text)

    def _write_crops(self, stem: str, result: Result) -> None:
        height, width = result.image.shape[:2]
        for number, (box, index) in enumerate(zip(result.boxes_xyxy_px, result.classes, strict=True)):
            # YOLOv5's margin: 2 % and 10 pixels.
            centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * 1.02 + 5
            x1, y1 = np.maximum(centre - half, 0).astype(int)
            x2, y2 = np.minimum(centre + half, [width, height]).astype(int)
            folder = self.outputs.folder / "crops" / _safe(result.names[index])
            suffix = f"_{number + 1}" if number else ""
            _save_picture(result.image[y1:y2, x1:x2], folder / f"{stem}{suffix}.jpg")

    def _write_csv(self, name: str, result: Result) -> None:
        if self._rows is None:
            path = self._stack.enter_context(atomic(self.outputs.folder / "predictions.csv"))
            file = self._stack.enter_context(path.open("w", newline="", encoding="utf-8"))
            self._rows = csv.writer(file)
            self._rows.writerow(["Image Name", "Prediction", "Confidence", "xmin", "ymin", "xmax", "ymax"])
        for box, score, index in zip(result.boxes_xyxy_px, result.scores, result.classes, strict=True):
            self._rows.writerow([name, result.names[index], f"{score:.4f}", *(f"{v:.1f}" for v in box)])

    def _write_frame(self, video: Video, name: str, picture: np.ndarray) -> None:
        size = (picture.shape[1], picture.shape[0])
        if self._video is not video:
            self._close_video()
            import supervision as sv

            self._video, self._video_size = video, size
            info = sv.VideoInfo(width=size[0], height=size[1], fps=max(round(video.fps), 1))
            self._sink = sv.VideoSink(str(self.outputs.folder / name), info)
            self._sink.__enter__()
        if size != self._video_size:  # a camera that turned
            import cv2

            picture = cv2.resize(picture, self._video_size)
        self._sink.write_frame(np.ascontiguousarray(picture[..., ::-1]))

    def _close_video(self) -> None:
        if self._sink is not None:
            self._sink.__exit__(None, None, None)
        self._video = self._sink = None


def _save_picture(picture: np.ndarray, path: Path) -> None:
    from PIL import Image

    with atomic(path) as temporary:
        Image.fromarray(picture).save(temporary, quality=95)


def _safe(name: str) -> str:
    """A class name as a folder name: names come with model files and must not lead elsewhere."""
    return re.sub(r"[^\w .-]", "_", name).strip(". ")[:100] or "unnamed"
