"""Display of `tfyolo classify train`: a progress bar, and a table with a row per epoch, in 80 columns."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from tfyolo.cli.train_display import Columns, Display

_COLUMNS: Columns = {
    "loss": ("loss", 9, 4),
    "accuracy": ("accuracy", 10, 3),
    "val loss": ("val/loss", 10, 4),
    "top-1": ("metrics/accuracy_top1", 9, 4),
    "top-5": ("metrics/accuracy_top5", 9, 4),
}


class ClassifyDisplay(Display):
    """A live display; pass `callback()` to training.

    Args:
        epochs: number of epochs of the run.
    """

    columns: Columns = _COLUMNS

    def callback(self) -> Any:
        """Return the Keras callback that updates the display."""
        import keras

        display = self

        class Follow(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                self.start, self.label = perf_counter(), f"epoch {epoch + 1}/{display.epochs}"

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                images = (batch + 1) * self.model.schedule.batch
                self.speed = images / (perf_counter() - self.start)
                display.bar(self.label, batch + 1, self.params["steps"])

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                display.row(epoch + 1, logs, self.speed)

        return Follow()
