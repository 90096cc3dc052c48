"""Writers of `detect`: annotated images and videos, labels, crops, a table."""

from __future__ import annotations

import csv
import errno
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from tfyolo.disk import probe
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic
from tfyolo.inference.frames import Frame, Video
from tfyolo.inference.names import Names, folder_names
from tfyolo.inference.results import Result, save_image


@dataclass(frozen=True)
class OutputOptions:
    """Files to write.

    Attributes:
        folder: folder of all files.
        images: write images and videos with the boxes drawn.
        txt: write `labels/NAME.txt`, with boxes, or with polygons of a segmentation model. An image without
            boxes gets an empty file: it was processed, is a background for training, and keeps no file of an
            earlier run. (YOLOv5 writes none.)
        txt_confidence: append the confidence to each row of these files.
        crops: write `crops/CLASS/NAME_1.jpg`, `NAME_2.jpg`, ..., best box first.
        csv: write `predictions.csv`, one row per box.
        labels: draw class names.
        confidences: draw confidences.
        thickness: line width in pixels; None chooses it from the image size.
    """

    folder: Path
    images: bool = True
    txt: bool = False
    txt_confidence: bool = False
    crops: bool = False
    csv: bool = False
    labels: bool = True
    confidences: bool = True
    thickness: int | None = None


@dataclass
class ResultWriter:
    """Writes the results of a run; a context manager, because videos and the table stay open."""

    outputs: OutputOptions
    _table: ExitStack = field(default_factory=ExitStack)
    _rows: Any = None
    _open_writer: ExitStack = field(default_factory=ExitStack)
    _sink: Any = None
    _video: Video | None = None
    _video_file: str = ""
    _video_size: tuple[int, int] = (0, 0)
    _frames: int = 0
    _stems: Names = field(default_factory=Names)
    _folders: list[str] = field(default_factory=list)

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(self, *failure: Any) -> None:
        # Interrupted videos and tables are kept.
        try:
            self._open_writer.close()
        finally:
            self._table.close()

    def write(self, frame: Frame, result: Result) -> str:
        """Write the files of one frame; returns their name.

        Raises:
            TfyoloError: a file cannot be written, or a box has no pixels to crop.
        """
        name = self._unique(frame)
        stem = Path(name).stem + (f"_{frame.number}" if frame.video else "")
        if self.outputs.txt:
            self._write_txt(stem, result)
        if self.outputs.crops:
            self._write_crops(stem, result)
        if self.outputs.csv:
            self._write_csv(name if not frame.video else f"{name}#{frame.number}", result)
        if self.outputs.images:
            image = result.plot(
                labels=self.outputs.labels,
                confidences=self.outputs.confidences,
                thickness=self.outputs.thickness,
            )
            if frame.video:
                self._write_frame(frame.video, image)
            else:
                save_image(image, self.outputs.folder / name)
        return name

    def _unique(self, frame: Frame) -> str:
        """Return a file name that no other source of the run has (`Names`)."""
        if frame.video and frame.video is self._video:
            return self._video_file
        path = Path(frame.name)
        # Use JPEG for formats that cannot be written or displayed.
        known = path.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
        suffix = ".mp4" if frame.video else path.suffix if known else ".jpg"
        stem = self._stems.take(path.stem, video=frame.video is not None)
        if frame.video:
            self._open_writer.close()
            self._video, self._video_file, self._sink = frame.video, stem + suffix, None
        return stem + suffix

    def _write_txt(self, stem: str, result: Result) -> None:
        lines = []
        for (class_id, values), score in zip(result.label_rows(), result.scores, strict=True):
            row = (class_id, *values, *([score] if self.outputs.txt_confidence else []))
            if len(values):
                lines.append(" ".join(f"{value:g}" for value in row) + "\n")
        text = "".join(lines)
        path = self.outputs.folder / "labels" / f"{stem}.txt"
        with atomic(path, durable=False) as temporary:
            temporary.write_text(text)

    def _write_crops(self, stem: str, result: Result) -> None:
        self._folders = self._folders or folder_names(result.names)
        for number, (crop, index) in enumerate(zip(result.crops(), result.class_ids, strict=True), 1):
            folder = self.outputs.folder / "crops" / self._folders[index]
            # Crops are numbered, so that the second box of x.jpg does not collide with x_2.jpg.
            save_image(crop, folder / f"{stem}_{number}.jpg")

    def _write_csv(self, name: str, result: Result) -> None:
        if self._rows is None:
            path = self._table.enter_context(atomic(self.outputs.folder / "predictions.csv"))
            file = self._table.enter_context(open_table(path))
            self._rows = csv.writer(file)
            self._rows.writerow(["Image Name", "Prediction", "Confidence", "xmin", "ymin", "xmax", "ymax"])
        for box, score, index in zip(result.boxes_xyxy_px, result.scores, result.class_ids, strict=True):
            self._rows.writerow([name, result.names[index], f"{score:.4f}", *(f"{v:.1f}" for v in box)])

    def _write_frame(self, video: Video, image: np.ndarray) -> None:
        size = (image.shape[1], image.shape[0])
        if self._sink is None:
            self._video_size = size
            self._open_video(self.outputs.folder / self._video_file, video.fps)
        if size != self._video_size:  # a camera that turned
            import cv2

            image = cv2.resize(image, self._video_size)
        self._sink.write(np.ascontiguousarray(image[..., ::-1]))
        self._frames += 1

    def _open_video(self, path: Path, fps: float) -> None:
        import cv2

        with ExitStack() as stack:
            temporary = stack.enter_context(atomic(path))
            self._frames = 0
            stack.callback(self._check_video, temporary)
            # MPEG-4 stores times in 16 bits, which always fit two decimals.
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._sink = cv2.VideoWriter(str(temporary), codec, max(round(fps, 2), 0.1), self._video_size)
            stack.callback(self._sink.release)
            if not self._sink.isOpened():
                width, height = self._video_size
                raise TfyoloError(
                    f"cannot write a video of {width}x{height} pixels", path=path, fix="pass --nosave"
                )
            self._open_writer = stack.pop_all()

    def _check_video(self, path: Path) -> None:
        """Count the frames of a finished video, because OpenCV does not report failed writes."""
        import cv2

        video = cv2.VideoCapture(str(path))
        found = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        video.release()
        if self._frames and found != self._frames:
            raise probe(path) or OSError(
                errno.EIO, f"only {found} of {self._frames} frames can be read back", str(path)
            )


def open_table(path: Path) -> TextIO:
    """A file for rows; names that are not UTF-8 are written with their odd bytes as `\\udcff`."""
    return path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
