"""Sources of images: files, folders, globs, lists, videos, webcams and streams."""

from __future__ import annotations

import glob
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from tfyolo.assets import SOURCES
from tfyolo.data.images.read import (
    IMAGE_SUFFIXES,
    UNSUPPORTED_SUFFIXES,
    VIDEO_SUFFIXES,
    decode_image,
    read_image,
)
from tfyolo.errors import TfyoloError
from tfyolo.inference.frames import Frame, Frames, Video
from tfyolo.inference.video_end import ends_early
from tfyolo.inputs import LIST, VIDEO, check_input, read_input
from tfyolo.text import closest

MAX_WEBCAM = 99
"""OpenCV takes hundreds as the number of a driver."""
STREAM_SCHEMES = ("rtsp://", "rtmp://", "http://", "https://", "tcp://", "udp://")
MAX_DOWNLOAD_BYTES = 256 * 1024 * 1024
_FIRST_SOURCES = 1000
"""A list of which so many sources cannot be opened was written on another machine."""


def open_sources(sources: Sequence[str], vid_stride: int = 1) -> Frames:
    """Open sources, and check them before any slow work.

    Args:
        sources: images, folders, globs, .txt lists, videos, webcam indices (`0`), stream URLs or shipped
            names (`bccd-mini`).
        vid_stride: use every n-th frame of videos and streams.

    Raises:
        TfyoloError: a source does not exist, cannot be opened, or contains no images.

    Example:
        >>> open_sources(["bccd-mini"]).total
        24
    """
    parts = [part for source in sources for part in _open(str(source), vid_stride, listed=False)]
    totals = [part.total for part in parts]
    return Frames(
        lambda: (frame for part in parts for frame in part),
        None if None in totals else sum(t or 0 for t in totals),
        tuple(note for part in parts for note in part.notes),
    )


def _open(source: str, vid_stride: int, listed: bool) -> list[Frames]:
    """Yield the parts of one source, in order."""
    try:
        return _parts(source, vid_stride, listed)
    except (OSError, ValueError, ArithmeticError) as error:  # no permission, a long name, a senseless address
        reason = getattr(error, "strerror", None) or error
        raise TfyoloError(
            f"cannot be opened: {reason}", path=_public(source), fix="check --source"
        ) from error


def _parts(source: str, vid_stride: int, listed: bool) -> list[Frames]:
    if not source.strip():
        raise TfyoloError("--source is empty", fix="pass an image, folder, video or stream")
    path = Path(source)
    if source in SOURCES and not path.exists():
        path = SOURCES[source]
    suffix = path.suffix.lower()
    if re.fullmatch(r"[+-]?\d+", source) and not path.exists():
        return [_webcam(source, vid_stride)]
    if source == "screen" and not path.exists():
        raise TfyoloError("screen capture is not supported", path=source, fix="record a video, and pass it")
    if source.lower().startswith(STREAM_SCHEMES):
        return [_remote(source, vid_stride)]
    if path.is_dir():
        return _files(sorted(path.iterdir()), source, vid_stride)
    if any(character in source for character in "*?[") and not path.exists():
        found = sorted(Path(p) for p in glob.glob(source, recursive=True))  # noqa: PTH207 - takes absolute patterns
        return _files(found, source, vid_stride)
    if not path.exists():
        near = closest(source, SOURCES)
        fix = f"did you mean `{near}`?" if near else "check --source"
        raise TfyoloError("no such image, folder, video or list", path=source, fix=fix)
    if suffix == ".txt" and not listed:
        return _list(path, vid_stride)
    if suffix in VIDEO_SUFFIXES:
        check_input(path, VIDEO)
        return [_video(str(path), path.name, vid_stride)]
    # Anything else is treated as an image; unreadable ones are reported.
    return [Frames(lambda: iter([_image(path)]), 1)]


def _webcam(source: str, vid_stride: int) -> Frames:
    index = int(source) if len(source) <= 9 else MAX_WEBCAM + 1
    if not 0 <= index <= MAX_WEBCAM:
        raise TfyoloError("no such webcam", path=source[:20], fix="webcams are numbered from 0")
    return _stream(index, f"webcam {index}", vid_stride)


def _remote(url: str, vid_stride: int) -> Frames:
    """Download an image or video, or open a live stream."""
    parts = urlsplit(url)
    _ = parts.port  # raises where it is none
    suffix = PurePosixPath(parts.path).suffix.lower()
    if parts.scheme.startswith("http") and suffix in IMAGE_SUFFIXES:
        return Frames(lambda: iter([_download(url)]), 1)
    if parts.scheme.startswith("http") and suffix in VIDEO_SUFFIXES:
        return _video(url, PurePosixPath(parts.path).name, vid_stride)
    return _stream(url, _public(url), vid_stride)


def _public(address: str) -> str:
    """Return a URL without user name and password, for messages and file names."""
    return re.sub(r"(?<=://)[^/?#]*@", "", address)


def _files(paths: Sequence[Path], source: str, vid_stride: int) -> list[Frames]:
    """Yield the parts of a folder or glob; unreadable files are problems, other files are notes."""
    parts: list[Frames] = []
    known, others = 0, Counter[str]()
    for path in paths:
        suffix = path.suffix.lower()
        if path.name.startswith(".") or path.is_dir():
            continue
        if suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
            known += 1
            parts += _one_of_many(str(path), str(path), vid_stride)
        elif suffix in UNSUPPORTED_SUFFIXES:
            problem = f"unsupported file type {suffix}; convert it to .jpg or .mp4"
            parts.append(_problem(Frame(path.name, str(path), None, problem=problem)))
        else:
            others[suffix or "without extension"] += 1
    if not known:
        found = ", ".join(sorted({Path(p).suffix.lower() for p in paths} & UNSUPPORTED_SUFFIXES))
        raise TfyoloError(
            "contains no images or videos" + (f" of a supported type, but {found}" if found else ""),
            path=source,
            fix=f"supported image types: {', '.join(sorted(IMAGE_SUFFIXES))}",
        )
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items())[:5])
        parts.append(Frames(lambda: iter(()), 0, (f"note: other files in {source} are ignored: {kinds}",)))
    return parts


class _Problem(Frames):
    """The frame of a source that cannot be opened."""


def _problem(frame: Frame) -> Frames:
    return _Problem(lambda: iter([frame]), 1)


def _one_of_many(source: str, place: str, vid_stride: int) -> list[Frames]:
    """Yield the parts of one of several sources; its problems are reported in order."""
    try:
        return _open(source, vid_stride, listed=True)
    except TfyoloError as error:
        problem = error.message if source == place else f"{source}: {error.message}"
        return [_problem(Frame(Path(source).name, place, None, problem=problem))]


def _list(path: Path, vid_stride: int) -> list[Frames]:
    """Read a list with one source per line; paths are relative to the file, or to the current folder."""
    parts: list[Frames] = []
    readable = False
    text = read_input(path, LIST).decode("utf-8-sig", "replace")
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            beside = path.parent / line[:4000]  # a longer one is no path, and asking for it would raise
            source = str(beside) if os.path.exists(beside) else line  # noqa: PTH110 - never raises
            found = _one_of_many(source, f"{path}:{number}", vid_stride)
            parts += found
            readable = readable or not isinstance(found[0], _Problem)
            if len(parts) == _FIRST_SOURCES and not readable:
                raise TfyoloError(
                    f"none of the first {_FIRST_SOURCES} sources can be opened, such as {source}",
                    path=path,
                    fix="write paths of this machine, relative to the list or to the current folder",
                )
    if not parts:
        raise TfyoloError("does not list any images", path=path)
    return parts


def _image(path: Path) -> Frame:
    try:
        return Frame(path.name, str(path), read_image(path))
    except TfyoloError as error:
        return Frame(path.name, str(path), None, problem=error.message)
    except (OSError, ValueError, MemoryError) as error:
        return Frame(path.name, str(path), None, problem=f"cannot be read: {error}")


def _download(url: str) -> Frame:
    import urllib.request
    from http.client import HTTPException

    name, shown = PurePosixPath(urlsplit(url).path).name, _public(url)
    try:
        with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - the scheme was checked
            data = response.read(MAX_DOWNLOAD_BYTES + 1)
        if len(data) > MAX_DOWNLOAD_BYTES:
            return Frame(name, shown, None, problem="is larger than 256 MiB")
        return Frame(name, shown, decode_image(data, shown))
    except TfyoloError as error:
        return Frame(name, shown, None, problem=error.message)
    except (OSError, HTTPException, ValueError, ArithmeticError) as error:
        return Frame(name, shown, None, problem=f"cannot be fetched: {error}")


def _capture(address: str | int) -> Any:
    import cv2

    # Our own error replaces messages that OpenCV and FFmpeg print.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(address)
    finally:
        logging.setLogLevel(level)
    if not capture.isOpened():
        hint = "check the camera" if isinstance(address, int) else "check the address or the file"
        raise TfyoloError("cannot be opened as a video", path=_public(str(address)), fix=hint)
    return capture


def _video(address: str, name: str, vid_stride: int) -> Frames:
    import cv2

    capture, shown = _capture(address), _public(address)
    count, fps = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    total = (count + vid_stride - 1) // vid_stride if count > 0 else None
    # A video with skipped frames keeps its duration.
    video = Video(name, (fps if 0 < fps < 1000 else 30.0) / vid_stride, total)

    def iterate() -> Iterator[Frame]:
        capture = _capture(address)
        try:
            index = 0
            while capture.grab():
                if index % vid_stride == 0:
                    ok, bgr = capture.retrieve()
                    if not ok:
                        yield Frame(name, shown, None, video, index, f"frame {index + 1} cannot be decoded")
                    else:
                        yield Frame(name, shown, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), video, index)
                index += 1
            if not index:
                yield Frame(name, shown, None, problem="holds no frames that can be decoded")
            elif ends_early(
                address, index, count, capture.get(cv2.CAP_PROP_POS_MSEC), 1e3 * count / (fps or 1)
            ):
                problem = f"ends after {index} frames, but its header says {count}"
                yield Frame(name, shown, None, video, index, problem)
        finally:
            capture.release()

    return Frames(iterate, total)


def _stream(address: str | int, label: str, vid_stride: int) -> Frames:
    """Open a live source: frames that arrive during processing are dropped, so results are never late."""
    import cv2

    capture = _capture(address)
    fps = capture.get(cv2.CAP_PROP_FPS)
    name = re.sub(r"\W", "_", label)[:60] + ".mp4"
    video = Video(name, (fps if 0 < fps <= 120 else 30.0) / vid_stride, None)

    def iterate() -> Iterator[Frame]:
        latest: list[Any] = [None, 0]
        fresh, ended = threading.Condition(), threading.Event()

        def read() -> None:
            index = 0
            try:
                while not ended.is_set() and capture.grab():
                    if index % vid_stride == 0:
                        ok, bgr = capture.retrieve()
                        if ok:
                            with fresh:
                                latest[:] = [bgr, index]
                                fresh.notify()
                    index += 1
            finally:  # whoever waits must not wait for ever
                ended.set()
                with fresh:
                    fresh.notify()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            while True:
                with fresh:
                    fresh.wait_for(lambda: latest[0] is not None or ended.is_set())
                    bgr, index = latest
                    latest[0] = None
                if bgr is None:
                    return
                yield Frame(name, label, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), video, index)
        finally:
            ended.set()
            reader.join(timeout=5)
            capture.release()

    return Frames(iterate, None)
