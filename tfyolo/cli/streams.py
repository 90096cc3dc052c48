"""Standard streams that cannot fail a command: closed, full, or without UTF-8."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

from tfyolo.text import printable


def prepare_streams() -> None:
    """Make stdout and stderr accept all output.

    - A closed descriptor is opened on the null device: otherwise the next opened file would get its number,
    and
      libraries would print into that file.
    - Characters that the encoding of the terminal lacks are escaped.
    - A failed write to stdout is stored for `finish_streams`, and the command continues to write its files.
    Failed writes
      to stderr are ignored.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
    sys.stdout = _tolerant(1, sys.stdout)
    sys.stderr = _tolerant(2, sys.stderr)


def finish_streams(code: int) -> int:
    """Flush stdout, and return the exit code: 2 if a write has failed.

    A closed pipe, such as that of `head`, is not an error.
    """
    sys.stdout.flush()
    raw = getattr(sys.stdout.buffer, "raw", None)
    error = raw.error if isinstance(raw, _Tolerant) else None
    if error is None or isinstance(error, BrokenPipeError):
        return code
    print(printable(f"error: standard output: {error.strerror}"), file=sys.stderr)
    return code or 2


class _Tolerant(io.RawIOBase):
    """Writes to a descriptor, and stores the first error instead of raising it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = None

    def write(self, data: object) -> int | None:
        """Write bytes; after an error they are dropped."""
        view = memoryview(data)  # type: ignore[arg-type]
        if self.error is None:
            try:
                return os.write(self.descriptor, view)
            except BlockingIOError:
                return None
            except OSError as error:
                self.error = error
        return view.nbytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)


def _tolerant(descriptor: int, stream: TextIO | None) -> io.TextIOWrapper:
    """Return a tolerant text stream that replaces `stream`, which is None if the descriptor was closed."""
    if stream is not None:
        stream.flush()
    if os.name == "nt" and isinstance(stream, io.TextIOWrapper):  # consoles there are no plain descriptors
        stream.reconfigure(errors="backslashreplace")
        return stream
    raw = _Tolerant(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=descriptor == 2 or raw.isatty(),
    )
