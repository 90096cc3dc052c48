"""Prints the likely next command, ready to paste into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

from tfyolo.text import printable


def print_next(*words: str | Path | int, note: str = "") -> None:
    """Print a command line, each word quoted where a shell needs it.

    Args:
        words: the command and its arguments.
        note: comment after the command.

    Example:
        >>> print_next("tfyolo", "val", "--data", Path("my data.yaml"), note="on the validation split")
        next: tfyolo val --data 'my data.yaml'    # on the validation split
    """
    line = " ".join(shlex.quote(str(word)) for word in words)
    print(printable(f"next: {line}" + (f"    # {note}" if note else "")))
