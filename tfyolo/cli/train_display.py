"""What `tfyolo train` shows: a bar with losses, speed and memory, and a row for each epoch done."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tfyolo.cli.console import console
from tfyolo.memory import peak_memory_gib
from tfyolo.text import printable

_LOSSES = ("box_loss", "obj_loss", "cls_loss")
_FIGURES = ("metrics/precision", "metrics/recall", "metrics/mAP_0.5", "metrics/mAP_0.5:0.95")


class Display:
    """A live display; `callback()` is to be given to training.

    Args:
        epochs: of the run.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs, self.out = epochs, console()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=self.out, transient=True)
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def tell(self, text: str) -> None:
        """Print a sentence above the bars."""
        self.out.print(printable(text), markup=False, soft_wrap=True)

    def bar(self, label: str, done: int, total: int) -> None:
        """Move the bar of this name; it goes when all is done."""
        if label not in self.tasks:
            self.tasks[label] = self.progress.add_task(label, total=total)
        self.progress.update(self.tasks[label], completed=done, total=total)
        if done >= total:
            self.progress.remove_task(self.tasks.pop(label))

    def callback(self) -> Any:
        """The Keras callback that follows training."""
        import keras

        display = self

        class Follow(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                self.start, self.images = perf_counter(), 0

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                self.images += self.model.schedule.batch
                self.speed = self.images / (perf_counter() - self.start)
                label = f"epoch {self._epoch()}/{display.epochs}"
                if label not in display.tasks:
                    display.tasks[label] = display.progress.add_task(label, total=self.params["steps"])
                losses = " ".join(f"{name[:3]} {logs[name]:.4f}" for name in _LOSSES)
                text = f"{label}  {losses}  {self.speed:.1f} img/s  {memory_gib():.1f} GiB"
                display.progress.update(display.tasks[label], completed=batch + 1, description=text)
                if batch + 1 >= self.params["steps"]:
                    display.progress.remove_task(display.tasks.pop(label))

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                losses = "  ".join(f"{name[:3]} {logs[name]:.4f}" for name in _LOSSES)
                speed = f"{self.speed:.1f} img/s  {memory_gib():.1f} GiB"
                text = f"epoch {epoch + 1}/{display.epochs}  {losses}  {speed}"
                if _FIGURES[0] in logs:
                    titles = ("P", "R", "mAP50", "mAP50-95")
                    shown = zip(titles, _FIGURES, strict=True)
                    text += "  | " + "  ".join(f"{title} {logs[name]:.3f}" for title, name in shown)
                display.tell(text)

            def _epoch(self) -> int:
                return (
                    int((self.model.counters["step"].numpy() - 1) // self.model.schedule.steps_per_epoch) + 1
                )

        return Follow()


def memory_gib() -> float:
    """Of the GPU where there is one, else the most this process has used."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 2**30
    return peak_memory_gib()
