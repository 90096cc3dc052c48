"""The exceptions for errors that a user can cause."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfyolo.text import printable

UNTRUSTED_FIX = "use files that you or people you trust have exported"
"""Remedy for a model file with something in it that exported models do not have."""


class TfyoloError(Exception):
    """A user error: the message names the problem, the file and the remedy.

    The command line prints it as one `error:` line, without a traceback, and exits with code 2.

    Args:
        message: describes the problem.
        path: path of the file, if any.
        line: line number in the file, from 1.
        fix: remedy, in the imperative.

    Example:
        >>> str(TfyoloError("unknown block `Cnv`", path="my.yaml", line=7, fix="write Conv"))
        'my.yaml:7: unknown block `Cnv`\\n  fix: write Conv'
    """

    def __init__(
        self, message: str, *, path: str | Path | None = None, line: int | None = None, fix: str | None = None
    ) -> None:
        message = printable(message, keep="\n")  # it may quote a file
        self.message, self.path, self.line, self.fix = message, path, line, fix
        super().__init__(self._text())

    def rewrite(self, **changes: Any) -> None:
        """Change parts of the error in place, which keeps its class and traceback.

        Args:
            changes: new values of `message`, `path`, `line` or `fix`.
        """
        for name, value in changes.items():
            setattr(self, name, value)
        self.args = (self._text(),)

    def _text(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        place = "" if self.path is None else f"{self.path}{line}: "
        return place + self.message + (f"\n  fix: {self.fix}" if self.fix else "")


class BadOutputError(TfyoloError):
    """The output of a model for one image is invalid; others can be valid."""


class MissingExtraError(TfyoloError):
    """A library of an optional extra is not installed."""

    def __init__(self, library: str, extra: str, *, plural: bool = False) -> None:
        verb = "are" if plural else "is"
        super().__init__(f"{library} {verb} not installed", fix=f"pip install 'tfyolo[{extra}]'")


def refuse_given(given: Sequence[str], used: Sequence[str], reason: str) -> None:
    """Refuse flags that would have no effect.

    Args:
        given: flags that the user passed.
        used: flags that have an effect here.
        reason: why the others have no effect.

    Raises:
        TfyoloError: some of `given` are not in `used`; the message names them.

    Example:
        >>> refuse_given(["--calibration"], ["--calibration", "--ranges"], "")
    """
    unused = [flag for flag in given if flag not in used]
    if unused:
        raise TfyoloError(f"{', '.join(unused)}: {reason}", fix=f"leave out {' '.join(unused)}")
