"""A disk without room, for every library alike: the system refuses files of more than a few bytes.

A limit of the process (RLIMIT_FSIZE) needs no privileges and no file system, and C++ libraries meet it, too.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

WORDS = "cannot be written: File too large\n  fix: the file system or `ulimit -f` limits the size of a file"


@contextlib.contextmanager
def limited(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def no_room_for_outputs(monkeypatch, size: int = 100) -> Iterator[None]:
    """From the moment an output is begun no file may grow; intermediate files before that may."""
    from tfyolo import files

    real = files._make_temporary
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def make(parent):
        folder = real(parent)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        return folder

    with monkeypatch.context() as patch:
        patch.setattr(files, "_make_temporary", make)
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
