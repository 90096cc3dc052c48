"""A disk without room, for every library alike: the system refuses files of more than a few bytes.

A limit of the process (RLIMIT_FSIZE) needs no privileges and no file system, and C++ libraries meet it, too.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator

WORDS = "cannot be written: File too large\n  fix: the file system or `ulimit -f` limits the size of a file"


@contextlib.contextmanager
def limited(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    with _limit_restored() as hard:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        yield


@contextlib.contextmanager
def _limit_restored() -> Iterator[int]:
    """The hard limit. Python writes no bytecode meanwhile: it does not notice that a file is cut short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = bytecode


@contextlib.contextmanager
def no_room_for_outputs(monkeypatch, size: int = 100) -> Iterator[None]:
    """From the moment an output is begun no file may grow; intermediate files before that may."""
    from tfyolo import files

    real = files._make_temporary

    def make(parent):
        folder = real(parent)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        return folder

    with _limit_restored() as hard, monkeypatch.context() as patch:
        patch.setattr(files, "_make_temporary", make)
        yield
