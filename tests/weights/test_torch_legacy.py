"""Checkpoints of other packages and of PyTorch before 1.6: the same network. Hostile ones: one sentence."""

from __future__ import annotations

import pickletools
import random
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tests.weights.hostile import BASE, one_tensor, pickles, with_raw
from tests.weights.pickles import (
    LEGACY,
    Call,
    Name,
    Persistent,
    Raw,
    archive,
    legacy,
    legacy_of,
    module,
    pickled,
    tensor,
    text,
    with_six,
)
from tests.weights.test_fuzz import folder, sweep  # noqa: F401 - a fixture
from tfyolo.errors import TfyoloError
from tfyolo.weights.checkpoint import checkpoint_contract
from tfyolo.weights.torch_file import read_checkpoint

ARCH = SHARED / "reference" / "arch"


def same(path, original):
    """Both files hold the same network."""
    found, expected = read_checkpoint(path), read_checkpoint(original)
    assert checkpoint_contract(found) == checkpoint_contract(expected)
    assert [(name, part.class_name) for name, part in found.model.walk()] == [
        (name, part.class_name) for name, part in expected.model.walk()
    ]
    arrays = found.model.tensors()
    for name, array in expected.model.tensors().items():
        np.testing.assert_array_equal(arrays.pop(name), array)
    assert not arrays


@needs_shared
@pytest.mark.parametrize("name", ["yolov5s-v1.0", "yolov5s-v5.0", "yolov5n-cls-v7.0"])
def test_networks_of_the_older_format(tmp_path, name):
    path = tmp_path / f"{name}.pt"
    path.write_bytes(legacy_of((ARCH / path.name).read_bytes()))
    same(path, ARCH / path.name)


@needs_shared
@pytest.mark.parametrize("package", [b"yolov5.", b"src.detectors.yolov5_7.", b"vendor."])
@pytest.mark.parametrize("older", [False, True])
def test_modules_inside_a_package(tmp_path, package, older):
    """PyPI's `yolov5` saves `yolov5.models.yolo.DetectionModel`."""
    with zipfile.ZipFile(BASE) as file:
        root = file.namelist()[0].partition("/")[0]
        data = file.read(f"{root}/data.pkl")
        others = {name: file.read(name) for name in file.namelist() if not name.endswith("data.pkl")}
    assert data.count(b"cmodels.") > 3
    content = archive(data.replace(b"cmodels.", b"c" + package + b"models."), root=root, more=others)
    path = tmp_path / BASE.name
    path.write_bytes(legacy_of(content) if older else content)
    same(path, BASE)


@pytest.mark.parametrize(
    "name",
    [
        "ultralytics.models.yolo.Model",
        "os.models.yolo",
        "a.b.c.d.models.yolo.Model",
        "yolov5.models.segment.Model",
        "yolov5.utils.general.check",
        "a..models.yolo.Model",
        "a-b.models.yolo.Model",
        "é.models.yolo.Model",
    ],
)
def test_other_modules_stay_refused(tmp_path, name):
    parent, _, last = name.rpartition(".")
    path = tmp_path / "x.pt"
    path.write_bytes(archive(pickled({"model": Call(Name(parent, last), (), {}, new=True)})))
    with pytest.raises(
        TfyoloError, match=r"refused: (its pickle refers to|it is a model of the ultralytics)"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "around",
    [
        ("torch.nn.parallel.data_parallel.DataParallel", "module"),
        ("torch.nn.parallel.distributed.DistributedDataParallel", "module"),
        ("models.common.AutoShape", "model"),
        ("models.common.autoShape", "model"),
        ("models.common.DetectMultiBackend", "model"),
    ],
)
@pytest.mark.parametrize("entry", ["model", "ema", None])
def test_a_network_inside_what_runs_it(tmp_path, around, entry):
    name, part = around
    inner = module("models.yolo.Model", buffers={"a": tensor("0", 4, (4,), (1,))}, names=["x"])
    outer = module("models.common.AutoShape", children={"model": module(name, children={part: inner})})
    path = tmp_path / "x.pt"
    content = outer if entry is None else {"epoch": 3, entry: outer}
    path.write_bytes(archive(pickled(content), {"0": np.arange(4, dtype=np.float32).tobytes()}))
    model = read_checkpoint(path).model
    assert (model.class_name, model.attributes["names"]) == ("models.yolo.Model", ["x"])
    np.testing.assert_array_equal(model.tensors()["a"], np.arange(4))


def state_dict(prefix=""):
    rng = np.random.default_rng(0)
    shapes = {"w": (2, 3), "half": (4,), "count": ()}
    return OrderedDict((prefix + name, rng.normal(size=shape)) for name, shape in shapes.items())


@pytest.mark.parametrize("prefix", ["", "module."])
def test_what_pytorch_itself_writes(tmp_path, prefix):
    torch = pytest.importorskip("torch")
    tensors = OrderedDict((name, torch.from_numpy(np.asarray(x))) for name, x in state_dict(prefix).items())
    tensors[f"{prefix}half"] = tensors[f"{prefix}half"].half()
    whole = torch.arange(12.0).reshape(3, 4)
    tensors[f"{prefix}view"] = whole.T[1:3]
    tensors[f"{prefix}same"] = whole
    tensors[f"{prefix}bf16"] = torch.tensor([1.5, -2]).bfloat16()
    tensors[f"{prefix}flags"] = torch.tensor([True, False])
    path = tmp_path / "x.pt"
    content = {"model": tensors, "yaml": {"nc": 2}, "epoch": 7}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    assert path.read_bytes().startswith(LEGACY)
    checkpoint = read_checkpoint(path)
    assert (checkpoint.source, checkpoint.extra) == ("state_dict", {"epoch": 7})
    found = checkpoint.model.tensors()
    assert {f"{prefix}{name}" for name in found} == set(tensors)
    for name, array in found.items():
        expected = tensors[prefix + name]
        expected = expected.float() if expected.dtype in (torch.float16, torch.bfloat16) else expected
        np.testing.assert_array_equal(array, expected.numpy())


STORAGE = ("storage", Name("torch", "FloatStorage"), "0", "cpu", 4, None)
DATA = with_six(pickled(one_tensor()))
FOUR = {"0": (4, b"\0" * 16)}


def refers(*identity):
    """A checkpoint that refers to something outside its pickle."""
    return pickled({**one_tensor(), "other": Persistent(identity)})


HOSTILE = {
    "cut in the magic": LEGACY[:-1],
    "only the magic": LEGACY,
    "another version": legacy(DATA, FOUR, version=pickled(1002)),
    "no version": legacy(DATA, FOUR, version=pickled({})),
    "code as version": legacy(DATA, FOUR, version=pickled(Call(Name("os", "system"), ("id",)))),
    "code as machine": legacy(DATA, FOUR, machine=pickled(Call(Name("os", "system"), ("id",)))),
    "code as keys": legacy(DATA, FOUR, keys=pickled(Call(Name("os", "system"), ("id",)))),
    "keys no list": legacy(DATA, FOUR, keys=pickled({"0": 1})),
    "no keys": legacy(DATA, FOUR, keys=pickled([])),
    "keys twice": legacy(DATA, FOUR, keys=pickled(["0", "0"])),
    "more keys": legacy(DATA, FOUR, keys=pickled(["0", "1"])),
    "another key": legacy(DATA, FOUR, keys=pickled(["1"])),
    "keys of keys": legacy(DATA, FOUR, keys=pickled([["0"]])),
    "no storage": legacy(DATA, {}, keys=pickled(["0"])),
    "storage cut": legacy(DATA, {"0": (4, b"\0" * 15)}),
    "storage of less": legacy(DATA, {"0": (3, b"\0" * 12)}),
    "storage of more": legacy(DATA, {"0": (5, b"\0" * 20)}),
    "storage of minus one": legacy(DATA, {"0": (-1, b"\0" * 16)}),
    "storage of 2**62": legacy(DATA, {"0": (2**62, b"\0" * 16)}),
    "five parts": legacy(refers(*STORAGE[:5]), FOUR),
    "seven parts": legacy(refers(*STORAGE, None), FOUR),
    "a view": legacy(refers(*STORAGE[:5], ("0", 0, 4)), FOUR),
    "two lengths": legacy(with_six(refers(*STORAGE[:4], 3)), FOUR),
    "two kinds": legacy(refers("storage", Name("torch", "IntStorage"), *STORAGE[2:]), FOUR),
    "claims 2**40": legacy(refers(*STORAGE[:2], "1", "cpu", 2**40, None), FOUR),
    "claims -1": legacy(refers(*STORAGE[:2], "1", "cpu", -1, None), FOUR),
    "claims True": legacy(refers(*STORAGE[:2], "1", "cpu", True, None), FOUR),
    "claims text": legacy(refers(*STORAGE[:2], "1", "cpu", "4", None), FOUR),
    "key a number": legacy(refers(*STORAGE[:2], 1, "cpu", 4, None), FOUR),
    "module no class": legacy(refers("module", Name("torch", "FloatStorage"), "a.py", "code"), FOUR),
    "module of code": legacy(refers("module", Name("os", "system"), "a.py", "code"), FOUR),
    "module of text": legacy(refers("module", "models.yolo.Model", "a.py", "code"), FOUR),
    "module of nothing": legacy(refers("module"), FOUR),
    "nothing": legacy(refers(), FOUR),
    "no tuple": legacy(pickled(with_raw(text("storage") + b"Q")), FOUR),
    "endless": legacy(b"\x80\x02" + b"]" * 2_000_000, FOUR),
    "17 MiB": legacy(b"\x80\x02B" + struct.pack("<I", 17 * 2**20) + bytes(17 * 2**20) + b".", FOUR),
    "17 MiB of a magic": LEGACY + b"\x80\x02]" + b"N" * (17 * 2**20),
    "a zip inside": legacy(archive(pickled(one_tensor()), {"0": b"\0" * 16}), FOUR),
}


def test_classes_come_with_their_source(tmp_path):
    """As PyTorch before 1.6 names them, once each."""
    path = tmp_path / "x.pt"
    named = Persistent(
        ("module", Name("models.yolo", "Model"), "/yolov5/models/yolo.py", "import os\n" * 999)
    )
    state = {"_buffers": {"a": Raw(with_six(pickled(tensor("0", 4, (4,), (1,))))[2:-1])}}
    path.write_bytes(legacy(pickled({"model": Call(named, (), state, new=True)}), FOUR))
    checkpoint = read_checkpoint(path)
    assert checkpoint.model.class_name == "models.yolo.Model"
    assert checkpoint.model.tensors()["a"].tolist() == [0, 0, 0, 0]


def test_hostile_files(folder):  # noqa: F811
    assert sweep(folder, iter([("honest", legacy(DATA, FOUR))])) == {"0 honest": "read"}
    results = sweep(folder, iter(HOSTILE.items()))
    assert [name for name, result in results.items() if result == "read"] == []


def test_hostile_pickles(folder):  # noqa: F811
    def six(data):
        try:
            return with_six(data)
        except Exception:  # what pickletools cannot follow stays as it is
            return data

    # Every fourth: opcodes and names are interpreted as those of newer files, whose test takes them all.
    chosen = list(pickles(folder / "canary"))[::4]
    # Written first: what the standard library imports for that is none of the reader's doing.
    files = [(name, legacy(six(data), FOUR)) for name, data in chosen]
    results = sweep(folder, iter(files))
    assert len(results) > 300
    assert [name for name, result in results.items() if result == "read"] == []


@needs_shared
def test_mutations(folder):  # noqa: F811
    content = legacy_of(BASE.read_bytes())
    rng = random.Random(0)
    end = content.index(b".", content.index(b"models.yolo")) + 40_000

    def files():
        for number in range(160):
            changed = bytearray(content)
            if number % 4 == 3:
                del changed[rng.randrange(len(changed)) :]
            else:
                for _ in range(1 + number % 3):
                    changed[rng.randrange(end if number % 4 else len(changed))] = rng.randrange(256)
            yield f"{number}", bytes(changed)

    results = sweep(folder, files())
    read = sum(result == "read" for result in results.values())
    assert 0 < read < len(results)


@needs_shared
def test_truncation_at_every_part(folder):  # noqa: F811
    content = legacy_of(BASE.read_bytes())
    results = sweep(folder, ((f"{n}", content[:n]) for n in range(0, len(content) - 1, 9973)))
    assert "read" not in results.values()


def test_the_tests_write_what_pytorch_writes():
    names = [code.name for code, _, _ in pickletools.genops(DATA)]
    assert names[names.index("BINPERSID") - 2 : names.index("BINPERSID")] == ["NONE", "TUPLE"]
