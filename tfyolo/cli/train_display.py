"""Display of `tfyolo train`: a progress bar with losses, and a table with a row per epoch, in 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from types import TracebackType
from typing import Any

from rich.progress import Progress, TaskID

from tfyolo.cli.console import console
from tfyolo.cli.progress import bar_columns
from tfyolo.memory import peak_memory_gib
from tfyolo.text import printable

Columns = Mapping[str, tuple[str, int, int]]
"""By heading: the name in the logs, the width, and the number of decimals."""
_COLUMNS: Columns = {
    "box": ("box_loss", 8, 4),
    "obj": ("obj_loss", 8, 4),
    "cls": ("cls_loss", 8, 4),
    "P": ("metrics/precision", 7, 3),
    "R": ("metrics/recall", 7, 3),
    "mAP50": ("metrics/mAP_0.5", 7, 3),
    "mAP50-95": ("metrics/mAP_0.5:0.95", 10, 3),
}


class Display:
    """A live display; pass `callback()` to training.

    Args:
        epochs: number of epochs of the run.

    Attributes:
        columns: columns of the table.
        losses: losses beside the progress bar.
    """

    columns: Columns = _COLUMNS
    losses: tuple[str, ...] = ("box_loss", "obj_loss", "cls_loss")

    def __init__(self, epochs: int) -> None:
        self.epochs, self.out = epochs, console()
        # Without a terminal a bar would only print an empty line.
        self.progress = Progress(
            *bar_columns(10), console=self.out, transient=True, disable=not self.out.is_terminal
        )
        self.tasks: dict[str, TaskID] = {}
        self._has_header = False

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def log(self, text: str) -> None:
        """Print a sentence above the bars."""
        self.out.print(printable(text), markup=False, soft_wrap=True)

    def row(self, epoch: int, logs: Mapping[str, float], images_per_second: float) -> None:
        """Print the row of an epoch; headings are printed before the first row.

        Args:
            epoch: number of the epoch, from 1.
            logs: losses and metrics by name; missing ones are printed as `-`.
            images_per_second: training speed in this epoch.
        """
        if not self._has_header:
            headings = "".join(f"{name:>{width}}" for name, (_, width, _) in self.columns.items())
            self.log(f"{'epoch':<9}{headings}{'img/s':>8}{'GiB':>6}")
            self._has_header = True
        figures = "".join(
            f"{_figure(logs.get(name), decimals):>{width}}" for name, width, decimals in self.columns.values()
        )
        speed, memory = _figure(images_per_second, 1), _figure(memory_gib(), 1)
        self.log(f"{f'{epoch}/{self.epochs}':<9}{figures}{speed:>8}{memory:>6}")

    def bar(self, label: str, done: int, total: int, text: str = "") -> None:
        """Update the bar with this label; it disappears at the end.

        Args:
            label: label of the bar.
            done: number of completed steps.
            total: number of all steps.
            text: text shown in place of the label; the label by default.
        """
        if label not in self.tasks:
            self.tasks[label] = self.progress.add_task(label, total=total)
        self.progress.update(self.tasks[label], completed=done, total=total, description=text or label)
        if done >= total:
            self.progress.remove_task(self.tasks.pop(label))

    def callback(self) -> Any:
        """Return the Keras callback that updates the display."""
        import keras

        display = self

        class Follow(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                self.start, self.images = perf_counter(), 0

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                self.images += self.model.schedule.batch
                self.speed = self.images / (perf_counter() - self.start)
                label = f"epoch {self._epoch()}/{display.epochs}"
                losses = " ".join(f"{name[:3]} {logs[name]:.3f}" for name in display.losses)
                display.bar(label, batch + 1, self.params["steps"], f"{label} {losses}")

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                display.row(epoch + 1, logs, self.speed)

            def _epoch(self) -> int:
                return (
                    int((self.model.counters["step"].numpy() - 1) // self.model.schedule.steps_per_epoch) + 1
                )

        return Follow()


def _figure(value: float | None, decimals: int) -> str:
    """Format a number with fewer decimals if it is large; `-` for None.

    Example:
        >>> _figure(0.12345, 4), _figure(106.38, 1), _figure(98765.4, 4), _figure(None, 3)
        ('0.1235', '106.4', '98765', '-')
    """
    if value is None:
        return "-"
    text = f"{value:.{decimals}f}"
    return text if abs(value) < 100 else min(text, f"{value:.5g}", key=len)


def memory_gib() -> float | None:
    """Return the memory of the GPU, or else the peak memory of this process, in GiB; None if unknown."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 2**30
    return peak_memory_gib() or None
