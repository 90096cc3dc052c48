"""The one family of errors that a user can cause."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class TfyoloError(Exception):
    """Something the user gave is wrong; the message says what, where and what to do.

    The command line prints it as one `error:` line, without a traceback, and exits with code 2.

    Args:
        message: what was wrong.
        path: the file it is about, when there is one.
        line: its line, counted from 1.
        fix: what to do, as an imperative sentence.

    Example:
        >>> str(TfyoloError("unknown block `Cnv`", path="my.yaml", line=7, fix="write Conv"))
        'my.yaml:7: unknown block `Cnv`\\n  fix: write Conv'
    """

    def __init__(
        self, message: str, *, path: str | Path | None = None, line: int | None = None, fix: str | None = None
    ) -> None:
        self.message, self.path, self.line, self.fix = message, path, line, fix
        place = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(place + message + (f"\n  fix: {fix}" if fix else ""))


class BadOutputError(TfyoloError):
    """A model's result for one image is unusable; others may be fine."""


class MissingExtraError(TfyoloError):
    """A library that comes with an optional extra is not installed."""

    def __init__(self, library: str, extra: str, *, plural: bool = False) -> None:
        verb = "are" if plural else "is"
        super().__init__(f"{library} {verb} not installed", fix=f"pip install 'tfyolo[{extra}]'")


def refuse_given(given: Sequence[str], used: Sequence[str], reason: str) -> None:
    """Refuse flags that would have no effect.

    Args:
        given: flags that the user gave.
        used: flags that have an effect here.
        reason: why the others have none.

    Raises:
        TfyoloError: some of `given` are not in `used`; it names them.

    Example:
        >>> refuse_given(["--calibration"], ["--calibration", "--ranges"], "")
    """
    unused = [flag for flag in given if flag not in used]
    if unused:
        raise TfyoloError(f"{', '.join(unused)}: {reason}", fix=f"leave out {' '.join(unused)}")
