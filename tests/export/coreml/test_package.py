"""Damaged and untrusted Core ML packages are refused with an error that names the package."""

import json
import shutil
from pathlib import Path

import pytest

from tests.shared import needs_shared
from tfyolo.errors import TfyoloError
from tfyolo.export.coreml.entry import MANIFEST_FILE, MODEL_FILE
from tfyolo.export.coreml.runtime import inspect
from tfyolo.inference.load import load_predictor


def manifest(folder: Path) -> Path:
    return folder / MANIFEST_FILE


def specification(folder: Path) -> Path:
    return folder / MODEL_FILE


def with_model_path(path: str):
    """Return a function that sets the path of the model in the manifest."""

    def damage(folder):
        previous = json.loads(manifest(folder).read_text())
        root = previous["rootModelIdentifier"]
        entries = {root: {**previous["itemInfoEntries"][root], "path": path}}
        manifest(folder).write_text(json.dumps({**previous, "itemInfoEntries": entries}))

    return damage


def truncate_weights(folder):
    file = next(folder.rglob("weight.bin"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def replace_weights_by_link(folder):
    file = next(folder.rglob("weight.bin"))
    file.rename(folder.parent / "weight.bin")
    file.symlink_to(folder.parent / "weight.bin")


OUTSIDE = "refers to a file outside the folder"
DAMAGES = {
    "no manifest": (lambda f: manifest(f).unlink(), "contains no Manifest.json"),
    "noise": (lambda f: manifest(f).write_bytes(b"\xff\x00"), r"Manifest.json: is damaged"),
    "a list": (lambda f: manifest(f).write_text("[1]"), r"Manifest.json: is damaged"),
    "no root": (lambda f: manifest(f).write_text('{"itemInfoEntries": {}}'), "is damaged"),
    "long": (lambda f: manifest(f).write_bytes(b" " * (1 << 21)), "at most 1,048,576 are allowed"),
    "above": (with_model_path("../../weight.bin"), "listed in its manifest is missing"),
    "elsewhere": (with_model_path("/etc/passwd"), f"{OUTSIDE}: 'passwd'"),
    "no name": (with_model_path("a\0b"), "listed in its manifest is missing"),
    "no model": (lambda f: specification(f).unlink(), "listed in its manifest is missing"),
    "half a model": (lambda f: specification(f).write_bytes(specification(f).read_bytes()[:999]), "be read"),
    "empty model": (lambda f: specification(f).write_bytes(b""), "contains no tfyolo metadata"),
    "no weights": (
        lambda f: shutil.rmtree(specification(f).parent / "weights"),
        "listed in its manifest is missing",
    ),
    "half the weights": (truncate_weights, "its weights are missing or truncated"),
    "linked weights": (replace_weights_by_link, f"{OUTSIDE}: 'weight.bin'"),
}


@needs_shared
@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_package_is_refused(package_copy, on_mac, damage, message):
    folder, _ = package_copy
    damage(folder)
    for read in (load_predictor, inspect):
        with pytest.raises(TfyoloError, match=message) as caught:
            read(folder)
        assert "copy.mlpackage" in str(caught.value)


@needs_shared
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.description.metadata.userDefined.clear(), "contains no tfyolo metadata"),
        (lambda m: m.description.metadata.userDefined.update(tfyolo="{"), "its tfyolo.json is invalid"),
        (lambda m: setattr(m.description.input[0].type.imageType, "width", 64), r"its input is \(128, 64\)"),
        (lambda m: setattr(m.description.input[0], "name", "image"), "its input is None"),
        (lambda m: setattr(m.description.output[0], "name", "extra"), "its outputs are extra"),
        (
            lambda m: m.pipeline.models[1].customModel.SetInParent(),
            "unsupported model type: mlProgram, customModel",
        ),
        (lambda m: m.linkedModel.linkedModelFile.SetInParent(), "unsupported model type: linkedModel"),
    ],
)
def test_untrusted_model_is_refused(package_copy, on_mac, edit, message):
    folder, change = package_copy
    change(edit)
    with pytest.raises(TfyoloError, match=message):
        load_predictor(folder)


@needs_shared
@pytest.mark.parametrize("location", ["attribute", "list", "argument"])
def test_weights_outside_the_package_are_refused(package_copy, location):
    folder, change = package_copy

    def edit(model):
        (function,) = model.pipeline.models[0].mlProgram.functions.values()
        (block,) = function.block_specializations.values()
        if location == "argument":
            value = block.operations.add(type="add").inputs["x"].arguments.add().value
        else:
            value = block.operations.add(type="const").attributes["val"]
        if location == "list":
            value = value.immediateValue.list.values.add()
        value.blobFileValue.fileName = "@model_path/../../../secret"

    (folder.parent / "secret").write_bytes(b"x")
    change(edit)
    with pytest.raises(TfyoloError, match=f"{OUTSIDE}: 'secret'"):
        inspect(folder)
