"""Which epoch is the best, what is kept, and when a run stops."""

import math

import pytest

from tfyolo.training.callbacks import Checkpoints
from tfyolo.training.state import RunState


class Model:
    """Stands for a training model; remembers which epoch each file is of."""

    stop_training = False

    def __init__(self):
        self.epoch, self.files = -1, {}

    def save_averaged(self, path):
        path.write_text("")
        self.files[path.name] = self.epoch


def run(tmp_path, monkeypatch, fitness, **options):
    """Epochs with this fitness (None: not validated); the model and the number of epochs done."""
    monkeypatch.setattr("tfyolo.training.callbacks.save_state", lambda *a: None)
    model, checkpoints = Model(), Checkpoints(tmp_path, RunState(), **options)
    checkpoints.set_model(model)
    for epoch, value in enumerate(fitness):
        model.epoch = epoch
        checkpoints.on_epoch_end(epoch, {} if value is None else {"fitness": value})
        if model.stop_training:
            return model, epoch + 1
    return model, len(fitness)


@pytest.mark.parametrize(
    ("fitness", "best"),
    [
        ([None, None, None], 2),
        ([None, None, 0.3], 2),
        ([0.0, 0.0, 0.0], 2),
        ([0.0, 0.2, 0.1], 1),
        ([0.2, 0.2, 0.1], 1),
        ([0.1, math.nan, 0.2, math.nan], 2),
        ([math.nan, 0.0], 1),
    ],
)
def test_best_is_the_last_of_the_highest_and_without_validation_the_last(
    tmp_path, monkeypatch, fitness, best
):
    model, _ = run(tmp_path, monkeypatch, fitness)
    assert model.files == {"best.keras": best}


@pytest.mark.parametrize(
    ("fitness", "patience", "epochs"),
    [
        ([0.0] * 9, 2, 9),
        ([0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0], 2, 6),
        ([0.1] * 9, 2, 3),
        ([0.1] * 9, 0, 9),
        ([0.1] * 9, -1, 9),
    ],
)
def test_patience(tmp_path, monkeypatch, fitness, patience, epochs):
    assert run(tmp_path, monkeypatch, fitness, patience=patience)[1] == epochs


@pytest.mark.parametrize(("period", "kept"), [(-1, []), (0, []), (2, ["epoch2.keras", "epoch4.keras"])])
def test_save_period(tmp_path, monkeypatch, period, kept):
    model, _ = run(tmp_path, monkeypatch, [0.1] * 5, save_period=period)
    assert sorted(name for name in model.files if name.startswith("epoch")) == kept


def test_without_saving_every_epoch_both_files_are_written_at_the_end(tmp_path, monkeypatch):
    model, _ = run(tmp_path, monkeypatch, [0.3, 0.1], every_epoch=False)
    assert model.files == {}
    checkpoints = Checkpoints(tmp_path, RunState(), every_epoch=False)
    checkpoints.set_model(model)
    checkpoints.on_train_end()
    assert model.files == {"last.keras": 1, "best.keras": 1}
