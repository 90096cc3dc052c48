"""`.keras` files: equal to the bit after a round trip; damaged and hostile ones end in one sentence."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tf_keras

import tfyolo.models.layers  # noqa: F401 - registers NearestUpsample
from tests.full_disk import limited
from tfyolo.errors import TfyoloError
from tfyolo.export.keras.inspection import inspect_keras
from tfyolo.models import Contract, build_model, load_spec
from tfyolo.weights import load_model, read_model_contract
from tfyolo.weights.keras_file import load_keras, save_keras

IMAGES = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small model whose normalisation is not fresh, its contract and its file."""
    spec = load_spec("yolov3-tiny", num_classes=2, width=0.05, image_size=64)
    model = build_model(spec)
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.1, 0.9, w.shape) for w in model.weights])
    contract = Contract.of(spec, ["cat", "dog"])
    return model, contract, save_keras(model, contract, tmp_path_factory.mktemp("keras") / "a.keras")


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    return Path(shutil.copy(saved[2], tmp_path / "copy.keras"))


def rewritten(path: Path, **entries: bytes | str | None) -> Path:
    """The file with entries replaced, added, or (None) left out."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content |= entries
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)
    return path


def refused(path: Path) -> str:
    with pytest.raises(TfyoloError) as caught:
        load_keras(path)
    assert caught.value.path == path
    return caught.value.message


@pytest.mark.parametrize("read", [load_keras, inspect_keras])
def test_without_room_for_a_copy_of_the_weights_the_temporary_folder_is_named(saved, read):
    with limited(1000), pytest.raises(TfyoloError) as error:
        read(saved[2])
    assert str(error.value.path).startswith(f"{tempfile.gettempdir()}/tfyolo-")
    assert error.value.message == "cannot be written: File too large"
    assert error.value.fix == "set TMPDIR to a folder with more space"


def test_weights_are_equal_to_the_bit(saved):
    found, _ = load_keras(saved[2])
    for before, after in zip(saved[0].get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_contract_is_equal(saved):
    assert load_keras(saved[2])[1] == saved[1]


def test_contract_without_building(saved):
    assert read_model_contract(saved[2]) == saved[1]


def test_an_ending_in_capitals_is_the_same_ending(saved, tmp_path):
    path = tmp_path / "A.KERAS"
    path.write_bytes(saved[2].read_bytes())
    assert read_model_contract(path) == saved[1]
    before, after = saved[0].get_weights(), load_keras(path)[0].get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_keras_itself_reads_the_file(saved):
    found = keras.saving.load_model(saved[2])
    for before, after in zip(saved[0](IMAGES), found(IMAGES), strict=True):
        np.testing.assert_array_equal(before, after)


def test_tf_keras_gets_the_same_weights(saved):
    twin, _ = load_model(saved[2], tf_keras)
    for before, after in zip(saved[0](IMAGES), twin(IMAGES), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-4)


def test_saving_twice_replaces_the_file(saved, copy):
    save_keras(saved[0], saved[1], copy)
    assert load_keras(copy)[1] == saved[1]


def test_a_save_that_is_killed_leaves_the_old_file(saved, copy, monkeypatch):
    before = copy.read_bytes()

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipFile, "writestr", killed)
    with pytest.raises(KeyboardInterrupt):
        save_keras(saved[0], saved[1], copy)
    assert copy.read_bytes() == before


def test_a_save_that_is_killed_leaves_nothing_else(saved, copy, monkeypatch):
    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(saved[0], "save", killed)
    with pytest.raises(KeyboardInterrupt):
        save_keras(saved[0], saved[1], copy)
    assert list(copy.parent.iterdir()) == [copy]


@pytest.mark.parametrize("name", ["a.h5", "a", "a.pt"])
def test_other_suffixes(saved, tmp_path, name):
    with pytest.raises(TfyoloError, match=r"must end in \.keras"):
        save_keras(saved[0], saved[1], tmp_path / name)


def test_a_missing_file(tmp_path):
    assert "does not exist" in refused(tmp_path / "none.keras")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive(tmp_path, content):
    path = tmp_path / "a.keras"
    path.write_bytes(content)
    assert refused(path) == "is damaged or not a tfyolo model"


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_file(copy, part):
    data = copy.read_bytes()
    copy.write_bytes(data[: int(len(data) * part)])
    assert refused(copy) == "is damaged or not a tfyolo model"


def test_flipped_bytes_in_the_weights(copy):
    data = bytearray(copy.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 100] = bytes(100)
    copy.write_bytes(data)
    assert "its weights cannot be read" in refused(copy)


def test_a_file_of_keras_alone(copy):
    assert "contains no tfyolo.json" in refused(rewritten(copy, **{"tfyolo.json": None}))


def test_a_file_without_weights(copy):
    assert "contains 0 bytes of weights, but the network" in refused(
        rewritten(copy, **{"model.weights.h5": None})
    )


def test_weights_that_are_not_hdf5(copy):
    assert "contains 4 bytes of weights" in refused(rewritten(copy, **{"model.weights.h5": b"text"}))
    noise = bytes(300_000)
    assert "its weights cannot be read" in refused(rewritten(copy, **{"model.weights.h5": noise}))


def test_a_contract_of_another_network(saved, copy):
    other = Contract.of(load_spec("yolov5-p34", num_classes=2, width=0.02, depth=0.1), ["cat", "dog"])
    assert "its weights cannot be read" in refused(rewritten(copy, **{"tfyolo.json": other.to_json()}))


def test_a_contract_whose_network_is_wider(saved, copy):
    other = Contract.of(load_spec("yolov3-tiny", num_classes=2, width=0.1), ["cat", "dog"])
    assert "its weights cannot be read" in refused(rewritten(copy, **{"tfyolo.json": other.to_json()}))


@pytest.mark.parametrize("text", ["", "{}", "[", "null"])
def test_a_damaged_contract(copy, text):
    assert "its tfyolo.json is invalid" in refused(rewritten(copy, **{"tfyolo.json": text}))


def test_a_contract_whose_names_do_not_fit(saved, copy):
    text = json.dumps({**json.loads(saved[1].to_json()), "names": ["cat"]})
    assert "its tfyolo.json is invalid: 1 names" in refused(rewritten(copy, **{"tfyolo.json": text}))


def test_a_contract_of_absurd_size(copy):
    rewritten(copy, **{"tfyolo.json": None})
    with zipfile.ZipFile(copy, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tfyolo.json", bytes(20_000_000))
    assert "its tfyolo.json has 20000000 bytes" in refused(copy)


def test_weights_that_unpack_to_absurd_size(copy, tmp_path):
    rewritten(copy, **{"model.weights.h5": None})
    with zipfile.ZipFile(copy, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("model.weights.h5", bytes(80_000_000))
    assert "unpacks to" in refused(copy)
    with pytest.raises(TfyoloError, match="its network cannot be read"):
        inspect_keras(copy)


def test_an_archive_that_unpacks_to_absurd_size(copy):
    with zipfile.ZipFile(copy, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("assets/bomb", bytes(80_000_000))
    assert "unpacks to" in refused(copy)


def _huge(weights):
    weights.create_dataset("huge", (2**28, 4), "f4", chunks=(2**16, 4))  # of no bytes in the file


def _external(weights):
    weights.create_dataset("external", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def _linked(weights):
    weights["linked"] = h5py.ExternalLink("/etc/passwd", "/x")


def _endless(weights):
    weights["endless"] = weights["/"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_huge, "its weights are larger than its network"),
        (_external, "stored elsewhere"),
        (_linked, "stored elsewhere"),
        (_endless, "its weights are larger than its network"),
    ],
)
def test_weights_elsewhere_or_without_end(copy, change, message):
    with zipfile.ZipFile(copy) as archive:
        data = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(data, "r+") as weights:
        change(weights)
    rewritten(copy, **{"model.weights.h5": data.getvalue()})
    assert message in refused(copy)


def test_names_that_leave_the_folder_write_nothing(copy, tmp_path):
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr("assets/../../../../../../../../../.." + str(tmp_path / "escaped"), b"x")
    with contextlib.suppress(TfyoloError):
        load_keras(copy)
    assert not (tmp_path / "escaped").exists()


def test_code_in_the_configuration_is_not_run(copy, tmp_path):
    config = {"module": "builtins", "class_name": "exec", "config": f"open({str(tmp_path / 'ran')!r}, 'w')"}
    load_keras(rewritten(copy, **{"config.json": json.dumps(config)}))
    assert not (tmp_path / "ran").exists()
