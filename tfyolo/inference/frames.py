"""What a source yields: images, and frames of videos and streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Video:
    """The video that a frame belongs to."""

    name: str
    fps: float
    frames: int | None
    """Number of frames that will come, as its header says; None for a live stream."""


@dataclass(frozen=True)
class Frame:
    """One image of a source; `image` is uint8 (height, width, 3) RGB, or None with a `problem`."""

    name: str
    """File name, for results."""
    path: str
    """As the user would name it."""
    image: np.ndarray | None
    video: Video | None = None
    index: int = 0
    """Position of the frame in its video, from 0, whatever the stride."""
    problem: str = ""

    @property
    def number(self) -> int:
        """Number of the frame in its video, from 1."""
        return self.index + 1


@dataclass(frozen=True)
class Frames:
    """All frames of the sources, and their number (None for live streams)."""

    iterate: Callable[[], Iterator[Frame]]
    total: int | None
    notes: tuple[str, ...] = ()
    """What a user should know of files that are left out, in sentences."""

    def __iter__(self) -> Iterator[Frame]:
        return self.iterate()
