"""What `tfyolo classify train` shows: a bar with loss and speed, and a row for each epoch done."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from tfyolo.cli.train_display import Display, memory_gib

_FIGURES = {"top-1": "metrics/accuracy_top1", "top-5": "metrics/accuracy_top5", "val loss": "val/loss"}


class ClassifyDisplay(Display):
    """A live display; `callback()` is to be given to training.

    Args:
        epochs: of the run.
    """

    def callback(self) -> Any:
        """The Keras callback that follows training."""
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
                text = f"{self.label}  loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.3f}"
                text += f"  {self.speed:.1f} img/s  {memory_gib():.1f} GiB"
                shown = [f"{title} {logs[name]:.4f}" for title, name in _FIGURES.items() if name in logs]
                display.tell(text + ("  | " + "  ".join(shown) if shown else ""))

        return Follow()
