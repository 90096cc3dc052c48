"""The first lines of a run's log."""

import pytest

from tfyolo.training.describe import describe_warmup
from tfyolo.training.optimization.schedule import Schedule


@pytest.mark.parametrize(
    ("epochs", "steps_per_epoch", "warmup_epochs", "note"),
    [
        (2, 3, 3.0, "takes 33.3 epochs (100 steps), but the run has only 2"),
        (30, 5, 3.0, "takes 20.0 epochs (100 steps), of 30 in this run"),
        (5, 100, 3.0, "takes 3.0 epochs (300 steps), of 5 in this run"),
        (40, 5, 3.0, ""),  # exactly half of the run
        (2, 3, 0.0, ""),
    ],
)
def test_long_warmup_is_noted(epochs, steps_per_epoch, warmup_epochs, note):
    said = describe_warmup(Schedule(epochs, steps_per_epoch, batch=16, warmup_epochs=warmup_epochs))
    assert said == (f"note: the learning-rate warm-up {note}" if note else "")
