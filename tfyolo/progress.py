"""How long work reports: one type of progress callback and one of log callback for the whole library.

The library prints nothing but the address and the license of a file that it downloads. A caller who wants to
see more passes callbacks; the command line passes its progress bar and its console.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as `progress(label, done, total)` after each step of a piece of work named `label`."""
Log = Callable[[str], None]
"""Called with each sentence of the log; `print` is one."""


def no_progress(label: str, done: int, total: int) -> None:
    """Report nothing: the default of `progress` arguments.

    Args:
        label: name of the piece of work.
        done: number of completed steps.
        total: number of all steps.
    """


def no_log(message: str) -> None:
    """Report nothing: the default of `log` arguments."""
