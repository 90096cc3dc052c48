"""What a source yields: images, and frames of videos and streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Video:
    """The video that a frame belongs to.

    Attributes:
        name: file name for results.
        fps: frames per second of the result, which keeps the duration if frames are skipped.
        frames: number of frames to process, by the header of the video; None if unknown, as for a stream.
    """

    name: str
    fps: float
    frames: int | None


@dataclass(frozen=True)
class Frame:
    """One image of a source.

    Attributes:
        name: file name for results.
        path: path, URL without password, or label of the source, for messages.
        image: uint8 (height, width, 3) RGB; None if it cannot be read.
        video: video that the frame belongs to; None for an image.
        index: position of the frame in its video, from 0, counting skipped frames.
        problem: reason why `image` is None; else empty.
    """

    name: str
    path: str
    image: np.ndarray | None
    video: Video | None = None
    index: int = 0
    problem: str = ""

    @property
    def number(self) -> int:
        """Number of the frame in its video, from 1."""
        return self.index + 1


@dataclass(frozen=True)
class Frames:
    """All frames of the sources.

    Attributes:
        iterate: returns an iterator over the frames.
        total: number of frames, by the headers of videos; None if unknown, as for live streams.
        notes: sentences for the log, about files that are left out.
    """

    iterate: Callable[[], Iterator[Frame]]
    total: int | None
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        return self.iterate()
