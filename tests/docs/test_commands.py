"""The commands of the documents run on a small network, at 64 pixels and for one epoch."""

import shutil

import pytest

import tfyolo
from docs.tools.blocks import ROOT, fill_workspace
from tests.docs.pages import COMMANDS
from tfyolo.cli.main import main


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """The files that documents name; the detector is a network of three layers."""
    folder = tmp_path_factory.mktemp("commands")
    model = folder / "model.keras"
    tfyolo.create(ROOT / "tests/micro.yaml", names=("Platelets", "RBC", "WBC")).save(model)
    fill_workspace(folder, model)
    return folder


def smaller(words):
    """Arguments of a command, so that it takes seconds."""
    words = ["best.keras" if word in ("bccd-n", "yolov5n.pt") else word for word in words[1:]]
    small, few = ["--img", "64"], ["--calibration", "8"]
    match words[0]:
        case "train":
            return [*words, "--epochs", "1", *small, "--noplots"]
        case "export":
            return [*words, "--output", "made", *([*small, *few] if "--data" in words else [])]
        case "quantize":
            return [*words, "--output", "made.keras", "--steps", "2", *few]
        case "quant-debug":
            return [*words, *small]
        case "classify" if words[1] == "train":
            return [*words, "--epochs", "1"]
    return words


@pytest.mark.parametrize(
    "words",
    [
        words
        for words, (where, needs) in COMMANDS.items()
        if not needs and not where.startswith("README") and "--resume" not in words
    ],
    ids=lambda words: " ".join(words)[:80],
)
def test_commands_run(words, workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    if words[1] == "crops":
        shutil.rmtree("cells", ignore_errors=True)
    assert main(smaller(words)) == 0
