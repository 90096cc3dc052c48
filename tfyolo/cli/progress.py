"""Progress bars for `progress(label, done, total)` callbacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tfyolo.progress import Progress

if TYPE_CHECKING:
    from rich.progress import ProgressColumn


def bar_columns(width: int = 20) -> tuple[ProgressColumn, ...]:
    """Return the columns of a bar: label, bar, steps and remaining time, within 80 columns."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.description}")
    return text, BarColumn(width), MofNCompleteColumn(), TimeRemainingColumn()


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Context manager: a `progress` callback that shows one bar per label.

    Example:
        >>> with progress_bar() as progress:  # doctest: +SKIP
        ...     progress("checking labels", 3, 128)
    """
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console()
    # Without a terminal a bar would only print an empty line.
    with Progress(*bar_columns(), console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def show(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bar.add_task(label, total=total)
            bar.update(tasks[label], completed=done, total=total)

        yield show
