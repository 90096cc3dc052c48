"""`--device`: GPUs are chosen by an environment variable, and indices that do not exist are refused."""

import os
import sys

import pytest

from tfyolo.cli.gpus import choose_devices
from tfyolo.cli.main import main
from tfyolo.errors import TfyoloError


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "unchanged")
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.mark.parametrize(
    ("files", "device", "visible"),
    [
        (["nvidia0", "nvidiactl"], "", "unchanged"),
        ([], "cpu", "-1"),
        (["nvidia0", "nvidia1"], "0,1", "0,1"),
        (["dxg"], "3", "3"),  # WSL does not say how many
    ],
)
def test_gpus_are_chosen(tmp_path, files, device, visible):
    for name in files:
        (tmp_path / name).touch()
    choose_devices(device, tmp_path)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


@pytest.mark.parametrize(
    ("files", "device", "has"),
    [(["nvidiactl"], "0", "no GPU"), (["nvidia0"], "1", "1 GPU"), (["nvidia0", "nvidia1"], "0,2", "2 GPUs")],
)
def test_a_gpu_that_does_not_exist_is_refused(tmp_path, files, device, has):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(TfyoloError) as caught:
        choose_devices(device, tmp_path)
    assert caught.value.message == f"--device {device}: this machine has {has}"


def test_a_command_says_so_before_any_work(capsys, monkeypatch):
    monkeypatch.setattr("tfyolo.cli.gpus._count_gpus", lambda drivers: 0)
    assert main(["detect", "--weights", "bccd-n", "--source", "x.jpg", "--device", "0"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "--device 0: this machine has no GPU\n" in printed.err
