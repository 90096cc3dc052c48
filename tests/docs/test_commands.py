"""The commands of the documents run on a small network, on few images of 64 pixels and for one epoch.

A subset always runs in which every command, flag, format and kind of model still occurs. The other commands
differ from it only in names of files and in combinations of flags; `make test-slow` runs them.
"""

import shutil

import pytest

import tfyolo
from docs.tools.blocks import ROOT, fill_workspace
from tests.docs.pages import COMMANDS
from tests.pairs import cover
from tfyolo.cli.main import main


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """The files that documents name; the detector is a network of three layers."""
    folder = tmp_path_factory.mktemp("commands")
    model = folder / "model.keras"
    tfyolo.create(MICRO, names=("Platelets", "RBC", "WBC")).save(model)
    fill_workspace(folder, model, TINY_CLASSIFIER, images=8)
    return folder


MICRO, TINY_CLASSIFIER = ROOT / "tests/micro.yaml", ROOT / "tests/tiny-cls.yaml"
SMALLER = {
    "bccd-n": "best.keras",
    "yolov5n.pt": "best.keras",
    "yolov5s": MICRO,
    "yolov5n-cls": TINY_CLASSIFIER,
}
QUICK = ("convert-dataset", "detect", "inspect", "summary")
"""Commands that take a fraction of a second, so that all of them always run."""
KINDS = ("--weights", "--source", "--include", "--snippet", "--to")
"""Flags whose values change what a command does."""
PRECISIONS = ("--half", "--int8", "--calibrator")


def on_small_models(words):
    """Arguments of a command, with the models of the workspace."""
    return [str(SMALLER.get(word, word)) for word in words[1:]]


def smaller(words):
    """Arguments of a command, so that it takes seconds."""
    words = on_small_models(words)
    small, few = ["--img", "64"], ["--calibration", "4"]
    budget = ["--budget-images", "4"] if "--float-budget" in words else []
    match words[0]:
        case "autoanchor":
            return [*words, "--gen", "50"]
        case "benchmark":
            return [*words, *small, "--rounds", "1", "--runs", "2"]
        case "export":
            return [*words, "--output", "made", *([*small, *few, *budget] if "--data" in words else [])]
        case "profile":
            return [*words, "--repeats", "1"]
        case "quant-debug":
            return [*words, *small, *few, "--images", "4", "--worst", "1"]
        case "quantize":
            return [*words, "--output", "made.keras", "--steps", "2", *few, *budget]
        case "train":
            return [*words, "--epochs", "1", *small, *([*few] if "--qat" in words else ["--noplots"])]
        case "val":
            return [*words, *small]
        case "classify" if words[1] == "train":
            return [*words, "--epochs", "1"]
    return words


def parts(words):
    """What a command shows: its name with each flag, and the values of flags that change what it does."""
    name, *words = on_small_models(words)
    if name == "classify":
        name = f"{name} {words.pop(0)}"
    found, flag = {(name,)}, ""
    precision = tuple(word for word in words if word in PRECISIONS)
    for word in words:
        if word.startswith("--"):
            flag = word
            found.add((name, flag))
        elif flag in KINDS:
            found.add((name, flag, word, *(precision if flag == "--include" else ())))
    return found


RUN = [
    words
    for words, (where, needs) in COMMANDS.items()
    if not needs and not where.startswith("README") and "--resume" not in words
]
ALWAYS = {*cover(RUN, parts), *(words for words in RUN if words[1] in QUICK)}


@pytest.mark.parametrize(
    "words",
    [pytest.param(words, marks=() if words in ALWAYS else pytest.mark.slow) for words in RUN],
    ids=lambda words: " ".join(words)[:80],
)
def test_commands_run(words, workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    if words[1] == "crops":
        shutil.rmtree("cells", ignore_errors=True)
    assert main(smaller(words)) == 0


def test_every_flag_of_the_commands_always_runs():
    def flags(commands):
        return {(words[1], word) for words in commands for word in words if word.startswith("--")}

    assert flags(ALWAYS) == flags(RUN)
    assert 20 < len(ALWAYS) < len(RUN)
