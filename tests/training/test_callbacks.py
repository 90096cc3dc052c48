import pytest

from tfyolo.training import callbacks


def test_the_event_file_is_closed_at_the_end_of_training(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "learning_rates", lambda model: (0.0, 0.0, 0.0))
    board = callbacks.TensorBoard(tmp_path)
    board.on_epoch_end(0, {"loss": 1.0})
    board.on_train_end()
    with pytest.raises(RuntimeError, match="closed"), board.writer.as_default():
        pass
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1
