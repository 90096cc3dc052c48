"""Reading `.pt` files: every kind of checkpoint gives its network, every other file one sentence."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tests.weights.pickles import Call, Checkpoint, Name, Raw, archive, module, pickled, tensor
from tfyolo.errors import TfyoloError
from tfyolo.weights.torch_file import Module, OpaqueObject, read_checkpoint

ARCH = SHARED / "reference" / "arch"

# name: arrays in the state dict, their numbers in all, modules, activation, batch-norm's epsilon
NETWORKS = {
    "yolov3-spp-v7.0": (265, 157494, 204, "LeakyReLU", 1e-3),
    "yolov3-tiny-v7.0": (71, 140453, 59, "LeakyReLU", 1e-3),
    "yolov5-p2-v7.0": (423, 463065, 328, "SiLU", 1e-3),
    "yolov5n-cls-v7.0": (194, 402215, 149, "LeakyReLU", 1e-3),
    "yolov5n-seg-v7.0": (367, 494687, 284, "LeakyReLU", 1e-3),
    "yolov5n-v7.0": (349, 453052, 270, "SiLU", 1e-3),
    "yolov5n6-v7.0": (459, 790543, 355, "SiLU", 1e-3),
    "yolov5s-LeakyReLU-v7.0": (349, 453052, 270, "LeakyReLU", 1e-3),
    "yolov5s-ghost-v7.0": (529, 252756, 453, "SiLU", 1e-3),
    "yolov5s-transformer-v7.0": (348, 452858, 271, "SiLU", 1e-3),
    "yolov5s-v1.0": (530, 468816, 282, "LeakyReLU", 1e-4),
    "yolov5s-v2.0": (370, 468656, 283, "LeakyReLU", 1e-3),
    "yolov5s-v5.0": (362, 455760, 283, "SiLU", 1e-3),
    "yolov5s-v6.0": (349, 453052, 270, "SiLU", 1e-3),
}


def refused(path) -> TfyoloError:
    with pytest.raises(TfyoloError) as caught:
        read_checkpoint(path).model.tensors()
    assert caught.value.path == path
    assert caught.value.fix
    return caught.value


def written(path, content: object, storages=None, **kwargs):
    path.write_bytes(archive(pickled(content), storages, **kwargs))
    return path


@needs_shared
def test_every_network_of_the_references_is_named_here():
    assert set(NETWORKS) == {path.stem for path in ARCH.glob("*.pt")}


@needs_shared
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    count, numbers, modules, activation, epsilon = NETWORKS[name]
    model = read_checkpoint(ARCH / f"{name}.pt").model
    arrays = model.tensors()
    assert (len(arrays), sum(a.size for a in arrays.values())) == (count, numbers)
    assert len(list(model.walk())) == modules
    assert {a.dtype for a in arrays.values()} <= {np.dtype("float32"), np.dtype("int64"), np.dtype("float64")}
    assert all(np.isfinite(a).all() for a in arrays.values())
    kinds = {m.class_name for _, m in model.walk()}
    assert f"torch.nn.modules.activation.{activation}" in kinds
    norms = [m for _, m in model.walk() if m.class_name.endswith("BatchNorm2d")]
    assert norms[0].attributes["eps"] == epsilon  # the head of a classifier, put in later, has PyTorch's 1e-5
    for where, m in model.walk():
        if m.class_name == "torch.nn.modules.conv.Conv2d":
            a = m.attributes
            shape = (a["out_channels"], a["in_channels"] // a["groups"], *a["kernel_size"])
            assert arrays[f"{where}.weight"].shape == shape


@needs_shared
@pytest.mark.parametrize(
    ("name", "strides"),
    [("yolov5s-v1.0", [32, 16, 8]), ("yolov5s-v6.0", [8, 16, 32]), ("yolov5n6-v7.0", [8, 16, 32, 64])],
)
def test_strides_and_anchors(name, strides):
    model = read_checkpoint(ARCH / f"{name}.pt").model
    detect = list(model.children["model"].children.values())[-1]
    assert detect.class_name == "models.yolo.Detect"
    np.testing.assert_array_equal(detect.attributes["stride"], np.float32(strides))
    config = model.attributes.get("yaml") or model.attributes["md"]  # v1.0 calls it md
    pixels = detect.tensors()["anchors"] * detect.attributes["stride"][:, None, None]
    np.testing.assert_allclose(pixels.reshape(len(strides), -1), config["anchors"])


@needs_shared
def test_official_weights():
    checkpoint = read_checkpoint(SHARED / "weights" / "yolov5n.pt")
    model, arrays = checkpoint.model, checkpoint.model.tensors()
    assert checkpoint.source == "model"
    assert checkpoint.extra["date"] == "2022-02-08T18:24:20.515893"
    assert model.class_name == "models.yolo.Model"
    assert model.attributes["yaml"]["nc"] == 80
    assert model.attributes["names"][0] == "person"
    assert arrays["model.0.conv.weight"].shape == (16, 3, 6, 6)
    assert arrays["model.0.bn.running_var"].dtype == np.float32
    trained = [a for n, a in arrays.items() if n.endswith(("weight", "bias"))]
    assert sum(a.size for a in trained) == 1872157  # reference/params_v7.0.json
    own = read_checkpoint(SHARED / "weights" / "bccd_yolov5n_320.pt").model
    assert own.attributes["names"] == {0: "Platelets", 1: "RBC", 2: "WBC"}


def getattr_of(*args: object) -> dict:
    """A network with an attribute that is `getattr(*args)`."""
    call = Call(Name("__builtin__", "getattr"), args)
    return {"model": module("models.yolo.SegmentationModel", detect=call)}


def test_the_method_that_a_segmentation_head_keeps_is_not_read(tmp_path):
    path = written(tmp_path / "x.pt", getattr_of(Name("models.yolo", "Detect"), "forward"))
    attributes = read_checkpoint(path).model.attributes
    assert attributes["detect"] == OpaqueObject("models.yolo.Detect.forward")


@pytest.mark.parametrize(
    "args",
    [
        (),
        (Name("models.yolo", "Detect"),),
        (Name("models.yolo", "Detect"), "forward", None),
        (Name("models.yolo", "Detect"), "__globals__"),
        (Name("torch", "Size"), "forward"),
        ("models.yolo.Detect", "forward"),
        (Call(Name("models.yolo", "Detect")), "forward"),
        (Name("__builtin__", "getattr"), "forward"),
    ],
    ids=str,
)
def test_other_attributes_are_refused(tmp_path, args):
    error = refused(written(tmp_path / "x.pt", getattr_of(*args)))
    assert "refers to __builtin__.getattr, which YOLOv5 needs only for one method" in error.message


def test_reads_what_it_holds(tmp_path):
    made = Checkpoint(
        more={"x/byteorder": "little", "x/version": "3\n"},
    )
    path = made.write(tmp_path / "x.pt")
    model = read_checkpoint(path).model
    assert model.attributes == {"training": False, "yaml": {"nc": 2}}
    assert [name for name, _ in model.walk()] == ["", "conv"]
    assert repr(model) == "Module('models.yolo.Model', children=['conv'])"
    array = model.tensors()["conv.weight"]
    np.testing.assert_array_equal(array, made.weight)
    array += 1  # one's own, not a view of the file
    np.testing.assert_array_equal(model.tensors()["conv.weight"], made.weight)
    assert list(model.children["conv"].tensors()) == ["weight"]
    assert Module("torch.nn.modules.linear.Identity").tensors() == {}


@pytest.mark.parametrize(
    ("kind", "stored", "read"),
    [
        ("Half", np.float16([[1.5, -2]]), np.float32([[1.5, -2]])),
        ("BFloat16", np.uint16([[0x3FC0, 0xC000]]), np.float32([[1.5, -2]])),
        ("Float", np.float32([[1.5, -2]]), np.float32([[1.5, -2]])),
        ("Double", np.float64([[1.5, -2]]), np.float64([[1.5, -2]])),
        ("Long", np.int64([[1, -2]]), np.int64([[1, -2]])),
        ("Bool", np.uint8([[1, 7, 0]]), np.array([[True, True, False]])),
        ("Byte", np.uint8([[1, 255]]), np.uint8([[1, 255]])),
    ],
)
def test_dtypes(tmp_path, kind, stored, read):
    array = read_checkpoint(Checkpoint(stored, kind).write(tmp_path / "x.pt")).model.tensors()["conv.weight"]
    assert array.dtype == read.dtype
    np.testing.assert_array_equal(array, read)


def test_a_number_of_two_bytes(tmp_path):
    """A tensor without dimensions stays an array through each conversion."""
    for kind, stored in (("BFloat16", b"\xc0\x3f"), ("Half", b"\x00\x3e"), ("Bool", b"\x01\x00")):
        model = module("models.yolo.Model", buffers={"n": tensor("0", 1, (), (), kind=kind)})
        path = written(tmp_path / "x.pt", {"model": model}, {"0": stored})
        array = read_checkpoint(path).model.tensors()["n"]
        assert isinstance(array, np.ndarray)
        assert array == (1 if kind == "Bool" else 1.5)


def test_big_endian_file(tmp_path):
    made = Checkpoint(np.arange(4, dtype=">f4").reshape(2, 2), more={"x/byteorder": "big"})
    array = read_checkpoint(made.write(tmp_path / "x.pt")).model.tensors()["conv.weight"]
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, [[0, 1], [2, 3]])


def test_views_of_one_storage(tmp_path):
    """Offsets, transposed strides, expanded and empty tensors, buffers that are not persistent."""
    buffers = {
        "transposed": tensor("0", 6, (2, 3), (1, 2)),
        "part": tensor("0", 6, (2,), (1,), offset=4),
        "expanded": tensor("0", 6, (2, 2), (0, 1)),
        "empty": tensor("0", 6, (0, 5), (5, 1)),
        "scalar": tensor("0", 6, (), (), offset=3),
        "grid": tensor("0", 6, (6,), (1,)),
    }
    unsaved = Call(Name("__builtin__", "set"), (["grid"],))
    model = module("models.yolo.Model", buffers=buffers, _non_persistent_buffers_set=unsaved)
    path = written(tmp_path / "x.pt", {"model": model}, {"0": np.arange(6, dtype=np.float32).tobytes()})
    arrays = read_checkpoint(path).model.tensors()
    assert list(arrays) == ["transposed", "part", "expanded", "empty", "scalar"]
    np.testing.assert_array_equal(arrays["transposed"], [[0, 2, 4], [1, 3, 5]])
    assert arrays["transposed"].flags.c_contiguous
    np.testing.assert_array_equal(arrays["part"], [4, 5])
    np.testing.assert_array_equal(arrays["expanded"], [[0, 1], [0, 1]])
    assert arrays["empty"].shape == (0, 5)
    assert arrays["scalar"] == 3


def test_average_wins_over_model_and_plain_entries_are_kept(tmp_path):
    dtype = Call(Name("numpy", "dtype"), ("f8", False, True), (3, "<", None, None, None, -1, -1, 0))
    raw = Call(Name("_codecs", "encode"), (struct.pack("<d", 0.625).decode("latin-1"), "latin1"))
    array = Call(Name("numpy.core.multiarray", "_reconstruct"), (Name("numpy", "ndarray"), (0,), b"b"))
    array.state = (1, (1,), dtype, False, raw)
    entries = {
        "epoch": 299,
        "best_fitness": Call(Name("numpy.core.multiarray", "scalar"), (dtype, raw)),
        "fitness": array,
        "wandb_id": None,
        "date": "2022-01-01",
        "model": module("models.yolo.Model", which="model"),
        "ema": module("models.yolo.Model", which="ema"),
        "optimizer": {"state": {}},
        "opt": Call(Name("argparse", "Namespace"), (), {"lr": 0.1}, new=True),
    }
    checkpoint = read_checkpoint(written(tmp_path / "x.pt", entries))
    assert checkpoint.source == "ema"
    assert checkpoint.model.attributes["which"] == "ema"
    plain = {"epoch": 299, "best_fitness": 0.625, "fitness": 0.625, "wandb_id": None, "date": "2022-01-01"}
    assert checkpoint.extra == plain
    entries["ema"] = None
    assert read_checkpoint(written(tmp_path / "y.pt", entries)).source == "model"
    entries["ema"] = (module("models.yolo.Model", which="ema"), 12)  # early 2021
    assert read_checkpoint(written(tmp_path / "z.pt", entries)).model.attributes["which"] == "ema"


def test_attributes(tmp_path):
    attributes = {
        "stride": tensor("0", 6, (3,), (1,)),
        "device": Call(Name("torch", "device"), ("cpu",)),
        "size": Call(Name("torch", "Size"), ((1, 2),)),
        "folder": Call(Name("pathlib", "PosixPath"), ("runs", "train")),
        "names": {0: "cat"},
        "_hidden": 1,
    }
    path = written(
        tmp_path / "x.pt",
        {"model": module("models.yolo.Model", **attributes)},
        {"0": np.float32([8, 16, 32, 0, 0, 0]).tobytes()},
    )
    found = read_checkpoint(path).model.attributes
    np.testing.assert_array_equal(found.pop("stride"), [8, 16, 32])
    assert found == {
        "training": False,
        "device": OpaqueObject("torch.device"),
        "size": (1, 2),
        "folder": OpaqueObject("pathlib.PosixPath"),
        "names": {0: "cat"},
    }


def test_shared_modules_come_at_every_place(tmp_path):
    """Two names for one module, as memoized by pickle: BINPUT 7, BINGET 7."""
    act = Raw(pickled(module("torch.nn.modules.activation.SiLU"))[2:-1] + b"q\x07")
    path = written(
        tmp_path / "x.pt", {"model": module("models.yolo.Model", children={"a": act, "b": Raw(b"h\x07")})}
    )
    model = read_checkpoint(path).model
    assert [name for name, _ in model.walk()] == ["", "a", "b"]
    assert model.children["a"] is model.children["b"]


MODEL = {"model": module("models.yolo.Model")}
SENTENCES = {
    "empty": (b"", "is empty"),
    "text": (b"hello", "is not a PyTorch checkpoint"),
    "web page": (b"<!DOCTYPE html>", "is a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    "legacy": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "is damaged"),
    "truncated": (archive(pickled(MODEL))[:-30], "is truncated or damaged"),
    "other zip": (archive(b"", root="x/y"), "a zip archive, but not a PyTorch checkpoint"),
    "torchscript": (archive(pickled(1), more={"x/constants.pkl": b""}), "TorchScript"),
    "state dict": (
        archive(pickled({"a.weight": tensor("0", 1, (1,), (1,))}), {"0": b"1234"}),
        "only weights",
    ),
    "other": (archive(pickled({"a": 1})), "contains no YOLOv5 model"),
    "ultralytics": (archive(pickled(Name("ultralytics.nn.tasks", "DetectionModel"))), "ultralytics package"),
    "system": (
        archive(pickled(Call(Name("os", "system"), ("id",)))),
        "its pickle refers to os.system, which",
    ),
    "pickle": (archive(b"\x80\x02}"), "is damaged"),
    "deflated": (archive(pickled(MODEL), compression=8), "compressed"),
    "byte order": (archive(pickled(MODEL), more={"x/byteorder": "middle"}), "byte order"),
    "two": (archive(pickled(MODEL), more={"y/data.pkl": b""}), "two checkpoints"),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_sentences(tmp_path, name):
    content, sentence = SENTENCES[name]
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    assert sentence in refused(path).message


def test_sentences_of_places(tmp_path):
    assert refused(tmp_path / "none.pt").message == "does not exist"
    assert refused(tmp_path).message == "is a folder, not a file"
    os.mkfifo(tmp_path / "pipe.pt")
    assert refused(tmp_path / "pipe.pt").message.endswith("not a file")


def test_a_file_that_changes_between_reading_and_tensors(tmp_path):
    path = Checkpoint().write(tmp_path / "x.pt")
    model = read_checkpoint(path).model
    path.write_bytes(archive(pickled(MODEL), {"0": b"1234"}))
    with pytest.raises(TfyoloError, match="damaged"):
        model.tensors()
    path.unlink()
    with pytest.raises(TfyoloError, match="does not exist"):
        model.tensors()


def test_a_wrong_checksum_is_noticed(tmp_path):
    path = Checkpoint(np.full((2, 3), 7, np.float32)).write(tmp_path / "x.pt")
    content = path.read_bytes()
    path.write_bytes(content.replace(np.float32(7).tobytes() * 6, np.float32(8).tobytes() * 6))
    assert "damaged" in refused(path).message
