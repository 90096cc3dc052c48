"""Unique file names for results, on any file system."""

from __future__ import annotations

import os
import re
import unicodedata
from itertools import chain, count

MAX_BYTES = 180
"""Of a stem: file systems take 255 for a name, and numbers, endings and a temporary name are added."""


class Names:
    """Gives each source of a run a unique stem.

    An image with the stem `a` writes `a.jpg`, `labels/a.txt` and `crops/CLASS/a_1.jpg`, ...; a video writes
    `a.mp4` and per frame `labels/a_1.txt` and `crops/CLASS/a_1_1.jpg`, which must not collide with an image
    `a_1`. Names that differ only in case or in the encoding of accents are equal, because macOS and Windows
    ignore both.

    Example:
        >>> names = Names()
        >>> names.take("clip", video=True), names.take("Clip"), names.take("clip_7"), names.take("clip_x")
        ('clip', 'Clip-2', 'clip_7_2', 'clip_x')
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._videos: set[str] = set()
        self._numbered: set[str] = set()
        """The text before the number, for stems of images that end in one."""

    def take(self, stem: str, video: bool = False) -> str:
        """Return a free stem, similar to the given one."""
        stem = shortened(stem) or "unnamed"
        sign = "-" if not video and _key(stem) in self._videos else "_"  # `clip_2` is a frame of `clip`
        others = (f"{stem}{sign}{number}" for number in count(2))
        found = next(name for name in chain([stem], others) if self._is_free(_key(name), video))
        key = _key(found)
        self._taken.add(key)
        if video:
            self._videos.add(key)
        elif before := _before_number(key):
            self._numbered.add(before)
        return found

    def _is_free(self, key: str, video: bool) -> bool:
        if key in self._taken:
            return False
        return key not in self._numbered if video else _before_number(key) not in self._videos


def shortened(stem: str) -> str:
    """Truncate a stem to `MAX_BYTES`, at a character boundary."""
    while len(os.fsencode(stem)) > MAX_BYTES:
        stem = stem[: len(stem) - max((len(os.fsencode(stem)) - MAX_BYTES) // 4, 1)]
    return stem


def _before_number(key: str) -> str:
    """Return `a` for `a_7`; None for stems without a frame number."""
    found = re.fullmatch(r"(.+)_(0|[1-9][0-9]*)", key, re.DOTALL)
    return found.group(1) if found else ""


def _key(stem: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())


def folder_names(names: tuple[str, ...]) -> list[str]:
    """Return a folder name per class; class names of untrusted files must not be paths.

    Example:
        >>> folder_names(("cat", "Cat", "a/b", "", "con"))
        ['cat', 'Cat_2', 'a_b', 'unnamed', '_con']
    """
    taken, found = Names(), []
    for name in names:
        name = re.sub(r"[^\w .-]", "_", name)[:60].strip(". ") or "unnamed"
        if re.match(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name, re.IGNORECASE):  # reserved on Windows
            name = f"_{name}"
        found.append(taken.take(name))
    return found
