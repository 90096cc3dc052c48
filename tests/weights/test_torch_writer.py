"""Checkpoints that tfyolo writes: bit-equal when read again, and PyTorch's own reader takes them."""

from __future__ import annotations

import json
import pickletools
import struct
import zipfile
from collections import OrderedDict
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared, require_shared
from tests.weights.pickles import Call, Name, archive, pickled, tensor
from tfyolo.errors import TfyoloError
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.pt.writer import build_checkpoint, export
from tfyolo.models.quantization import QuantizationSpec
from tfyolo.weights import load_model, read_model_contract, torch_writer
from tfyolo.weights.mapping import focus_kernel, phases_kernel
from tfyolo.weights.torch_file import read_checkpoint
from tfyolo.weights.torch_writer import save_torch

FOLDERS = (SHARED / "reference" / "arch", SHARED / "weights")
FILES = {path.stem: path for folder in FOLDERS for path in folder.glob("*.pt")}
NAMES = [
    "yolov5n",
    "bccd_yolov5n_320",
    "yolov5n-v7.0",
    "yolov5n6-v7.0",
    "yolov5-p2-v7.0",
    "yolov5s-ghost-v7.0",
    "yolov5s-transformer-v7.0",
    "yolov5s-LeakyReLU-v7.0",
    "yolov3-spp-v7.0",
    "yolov3-tiny-v7.0",
    "yolov5s-v1.0",
    "yolov5s-v2.0",
    "yolov5s-v5.0",
    "yolov5s-v6.0",
    "yolov5n-cls-v7.0",
    "yolov5n-seg-v7.0",
    "coco128_yolov5n_seg_320",
]
ALIKE = ("bccd_yolov5n_320", "yolov5n-v7.0", "yolov5s-v6.0", "yolov5n-seg-v7.0")
"""Files with the layers of another one of `NAMES`."""
CASES = [pytest.param(name, marks=pytest.mark.slow if name in ALIKE else ()) for name in NAMES]


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """A function: an official file, its network written as float32 and float16, the first read again."""
    require_shared()
    folder = tmp_path_factory.mktemp("pt")

    @cache
    def run(name: str) -> SimpleNamespace:
        model, contract = load_model(FILES[name])
        float32, float16 = folder / f"{name}.pt", folder / f"{name}-half.pt"
        for path, half in ((float32, False), (float16, True)):
            save_torch(build_checkpoint(model, contract, half), path)
        restored, contract_again = load_model(float32)
        equal = [a.tobytes() == b.tobytes() for a, b in zip(weights(model), weights(restored), strict=True)]
        official = read_checkpoint(FILES[name]).model.tensors()
        # What thop, a profiler, left in the checkpoint of v1.0, is not part of its network.
        official = {n: t for n, t in official.items() if not n.endswith(("total_ops", "total_params"))}
        return SimpleNamespace(
            model=restored,
            float32=float32,
            float16=float16,
            contracts=(contract, contract_again),
            equal=all(equal),
            official=official,
        )

    return run


def weights(model) -> list[np.ndarray]:
    return model.get_weights()


def described(tensors) -> dict:
    """Shape and type by name."""
    return {name: (tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in tensors.items()}


@needs_shared
def test_every_reference_is_named():
    assert set(NAMES) == set(FILES)


@needs_shared
@pytest.mark.parametrize("name", CASES)
def test_out_and_in_the_network_is_equal_to_the_bit(again, name):
    assert again(name).equal


@needs_shared
@pytest.mark.parametrize("name", CASES)
def test_out_and_in_the_contract_is_equal(again, name):
    before, after = again(name).contracts
    assert after == before


@needs_shared
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", CASES)
def test_tensors_are_those_of_the_official_file(again, name, precision):
    """Names, their order, shapes and every bit: official files hold halves, which lose nothing either way."""
    official = again(name).official
    written = read_checkpoint(getattr(again(name), precision)).model.tensors()
    assert list(written) == list(official)
    assert described(written) == described(official)
    trained = [n for n in official if not n.endswith("num_batches_tracked")]
    assert [n for n in trained if written[n].tobytes() != official[n].tobytes()] == []


@needs_shared
@pytest.mark.parametrize("name", CASES)
def test_pytorch_reads_it(again, name):
    import torch

    official = again(name).official
    loaded = torch.load(again(name).float32, weights_only=True)["model"]
    assert type(loaded) is OrderedDict
    assert described(loaded) == described(official)
    assert all(torch.equal(t, torch.from_numpy(official[n])) for n, t in loaded.items() if "num_b" not in n)


@needs_shared
def test_pytorch_reads_halves(again):
    import torch

    loaded = torch.load(again("yolov5n").float16, weights_only=True, mmap=True)["model"]
    types = {str(t.dtype) for n, t in loaded.items() if "num_batches" not in n}
    assert types == {"torch.float16"}
    assert loaded["model.0.bn.num_batches_tracked"].dtype == torch.int64


@needs_shared
def test_what_stands_beside_the_tensors(again):
    import torch

    content = torch.load(again("yolov5n").float32, weights_only=True)
    assert content["names"][79] == "toothbrush"
    assert content["strides"] == [8, 16, 32]
    assert content["anchors"][0] == [10, 13, 16, 30, 33, 23]
    assert (content["task"], content["epoch"], content["image_size"]) == ("detect", -1, [640, 640])
    assert json.loads(content["tfyolo"])["names"][0] == "person"
    expected = read_checkpoint(FILES["yolov5n"]).model.attributes["yaml"]
    assert {key: content["yaml"][key] for key in expected} == expected


@needs_shared
def test_a_half_file_is_half_as_large(again):
    sizes = [path.stat().st_size for path in (again("yolov5n").float32, again("yolov5n").float16)]
    assert 0.5 < sizes[1] / sizes[0] < 0.51


@needs_shared
@pytest.mark.parametrize("name", [case for case in CASES if "-cls" not in case.values[0]])
def test_without_the_contract_the_yaml_tells_all(again, name, tmp_path):
    contract = again(name).contracts[0]
    content = build_checkpoint(again(name).model, contract)
    del content["tfyolo"]
    found = read_model_contract(save_torch(content, tmp_path / "plain.pt"))
    assert (found.names, found.strides, found.anchors_px) == (
        contract.names,
        contract.strides,
        contract.anchors_px,
    )
    spec, expected = found.spec, contract.spec
    assert [(layer.block, layer.sources, layer.repeats, layer.arguments) for layer in spec.layers] == [
        (layer.block, layer.sources, layer.repeats, layer.arguments) for layer in expected.layers
    ]
    kept = ("activation", "csp_activation", "bn_epsilon", "num_classes")
    assert [getattr(spec, key) for key in kept] == [getattr(expected, key) for key in kept]


def test_our_own_configuration_becomes_yolov5s(tiny):
    """Left-out arguments, a section `neck` and blocks of PyTorch are written as YOLOv5 needs them."""
    config = build_checkpoint(tiny.model, tiny.contract)["yaml"]
    assert config["head"] == [
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 3], 1, "Concat", [1]],
        [-1, 1, "C3", [16, False]],
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 2], 1, "Concat", [1]],
        [-1, 1, "Conv", [16, 1, 1]],
        [[11, 8, 5], 1, "Detect", ["nc", "anchors"]],
    ]
    assert (config["nc"], config["depth_multiple"], config["activation"]) == (4, 1.0, "nn.SiLU()")


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_export(tiny, tmp_path, precision):
    """Through the table of formats; the image size asked for becomes the default, the ranges stay."""
    ranges = QuantizationSpec(ranges={"images": (0.0, 1.0)}, method="by hand")
    contract = tiny.contract.model_copy(update={"quantization": ranges})
    request = ExportJob(tiny.model, contract, ExportOptions(image_size=(96, 128), precision=precision))
    path = export_model(request, ["pt"], tmp_path / "new" / "tiny")["pt"]
    assert path == tmp_path / "new" / "tiny.pt"
    model, found = load_model(path)
    assert found == contract.resized((96, 128))
    for a, b in zip(weights(tiny.model), weights(model), strict=True):
        expected = a if precision == "float32" else a.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(b, expected)


def test_anchors_of_any_float32_return_to_the_bit(tiny, tmp_path):
    content = build_checkpoint(tiny.model, tiny.contract)
    grid = np.random.default_rng(0).uniform(0.1, 20, (3, 3, 2)).astype(np.float32)
    content["model"]["model.12.anchors"] = grid
    del content["tfyolo"]
    contract = read_model_contract(save_torch(content, tmp_path / "x.pt"))
    written = build_checkpoint(tiny.model, contract)["model"]["model.12.anchors"]
    assert written.tobytes() == grid.tobytes()


def test_what_float16_cannot_hold_stays_float32(tiny, tmp_path):
    from tfyolo.models import build_model

    model = build_model(tiny.contract.spec)
    model.get_layer("model.0.bn").moving_variance.assign(np.full(8, 1e6, np.float32))
    path = save_torch(build_checkpoint(model, tiny.contract, half=True), tmp_path / "x.pt")
    tensors = read_checkpoint(path).model.tensors()
    assert (tensors["model.0.bn.running_var"] == 1e6).all()


def test_an_interrupted_write_leaves_the_old_file(tiny, tmp_path, monkeypatch):
    path = tmp_path / "x.pt"
    request = ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=(64, 64)))
    export(request, path)
    before = path.read_bytes()

    store = torch_writer._store

    def fail(archive, offset: int, name: str, data: bytes) -> None:
        store(archive, offset, name, data)
        if name == "data/5":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch_writer, "_store", fail)
    with pytest.raises(TfyoloError, match=r"x\.pt: cannot be written: No space"):
        export(request, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.pt"]


def test_equal_content_gives_an_equal_file(tiny, tmp_path):
    paths = [
        save_torch(build_checkpoint(tiny.model, tiny.contract), tmp_path / name) for name in ("a.pt", "b.pt")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_archive_is_laid_out_as_pytorchs(tmp_path):
    """Stored entries by PyTorch's names, aligned to 64 bytes; the pickle names only parts of tensors."""
    arrays = OrderedDict(a=np.zeros((2, 3), np.float32), b=np.zeros((), np.int64), c=np.ones(5, np.float16))
    path = save_torch({"model": arrays}, tmp_path / "x.pt")
    content = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        entries = file.infolist()
        opcodes = list(pickletools.genops(file.read("archive/data.pkl")))
        assert file.read("archive/version") == b"3\n"
        assert file.read("archive/byteorder") == b"little"
    names = ["data.pkl", "byteorder", "data/0", "data/1", "data/2", "version"]
    assert [entry.filename for entry in entries] == [f"archive/{name}" for name in names]
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    for entry in entries:
        name, extra = struct.unpack_from("<HH", content, entry.header_offset + 26)
        assert (entry.header_offset + 30 + name + extra) % 64 == 0
    named = sorted(argument for opcode, argument, _ in opcodes if opcode.name == "GLOBAL")
    storages = [f"torch {kind}Storage" for kind in ("Float", "Half", "Long")]
    assert named == [
        "collections OrderedDict",
        "torch FloatStorage",
        *storages[1:],
        "torch._utils _rebuild_tensor_v2",
    ]


VALUES = {
    "none": None,
    "true": True,
    "false": False,
    "float": -0.1,
    "infinite": float("inf"),
    "text": "é\n",
    "numbers": [0, 255, 256, 65536, -1, 2**31 - 1, -(2**31), 2**31, -(2**31) - 1, 2**62, -(2**40)],
    "tuple": (1, (), ("a",)),
    "list": [[], [1, [2.5]]],
    "dict": {0: "a", "b": {}, 1000: None},
}


def test_plain_values(tmp_path):
    import torch

    path = save_torch({**VALUES, "ordered": OrderedDict(a=1)}, tmp_path / "x.pt")
    assert torch.load(path, weights_only=True) == {**VALUES, "ordered": {"a": 1}}


def test_arrays_of_every_kind(tmp_path):
    """Without dimensions or items, transposed, of the other byte order."""
    import torch

    arrays = {
        "scalar": np.array(1.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "transposed": np.float32([[1, 2, 3], [4, 5, 6]]).T,
        "part": np.arange(9, dtype=np.int64)[2::3],
        "big": np.arange(3, dtype=">f4"),
        "double": np.float64([0.1]),
        "bytes": np.uint8([1, 255]),
    }
    loaded = torch.load(save_torch(arrays, tmp_path / "x.pt"), weights_only=True)
    for name, array in arrays.items():
        assert tuple(loaded[name].shape) == array.shape
        np.testing.assert_array_equal(loaded[name].numpy(), array)


@pytest.mark.parametrize("value", [{1}, b"bytes", np.float32(1), np.zeros(1, np.complex64), object()])
def test_other_values_are_refused(tmp_path, value):
    with pytest.raises(TypeError, match="a checkpoint cannot contain"):
        save_torch({"a": value}, tmp_path / "x.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [2, 4, 6])
def test_a_focus_there_and_back(size):
    kernel = np.random.default_rng(0).normal(size=(5, 3, size, size)).astype(np.float32)
    np.testing.assert_array_equal(focus_kernel(phases_kernel(kernel)), kernel)


def refused(path) -> str:
    with pytest.raises(TfyoloError) as caught:
        load_model(path)
    assert caught.value.path == path
    return caught.value.message


def changed(tiny, path, **entries):
    return save_torch(build_checkpoint(tiny.model, tiny.contract) | entries, path)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"tfyolo": "{"}, "its tfyolo.json is invalid:  not JSON"),
        ({"tfyolo": "[" * 100_000}, "its tfyolo.json is invalid:  not JSON"),
        ({"tfyolo": "{}"}, "its tfyolo.json is invalid: names Field required"),
        ({"tfyolo": None, "yaml": {}}, "its configuration: the last layer must be Detect"),
        ({"tfyolo": None, "yaml": {"nc": 4, "backbone": [[-1, 1, "\x1b[", []]]}}, r"unknown block `\x1b[`"),
        ({"tfyolo": None, "names": {0: "a"}}, "1 class names, but"),
        ({"tfyolo": None, "yaml": None}, "contains only weights (a state dict)"),
        ({"model": OrderedDict()}, "contains 0 values, but the network of its configuration has"),
        ({"model": None}, "contains no YOLOv5 model"),
        ({"model": {"a": 1}}, "`a` in its state dict is not a tensor"),
        ({"model": {"a..b": np.zeros(3)}}, "it contains a tensor with an invalid name, `a..b`"),
        ({"model": {0: np.zeros(3)}}, "it contains a tensor with an invalid name, `0`"),
        ({"model": {"\x1b[2J": np.zeros(3)}}, r"it contains a tensor with an invalid name, `\x1b[2J`"),
        ({"model": {"model.0.conv.weight": np.zeros(10**6)}}, "model.0.conv: kernel is (1000000,)"),
    ],
)
def test_what_does_not_fit_is_named(tiny, tmp_path, entries, words):
    message = refused(changed(tiny, tmp_path / "x.pt", **entries))
    assert words in message
    assert message.isprintable()


def test_a_configuration_larger_than_the_tensors_is_not_built(tiny, tmp_path):
    contract = json.loads(tiny.contract.to_json())
    contract["config"]["width"] = 40.0
    path = changed(tiny, tmp_path / "x.pt", tfyolo=json.dumps(contract))
    assert "values, but the network of its configuration has" in refused(path)


def test_a_weight_that_is_missing_or_too_many(tiny, tmp_path):
    tensors = build_checkpoint(tiny.model, tiny.contract)["model"]
    more = OrderedDict(tensors) | {"model.99.weight": np.zeros(1, np.float32)}
    assert "1 weights do not belong" in refused(changed(tiny, tmp_path / "x.pt", model=more))
    renamed = OrderedDict((name.replace("0.bn.bias", "0.bn.b"), t) for name, t in tensors.items())
    assert "weight model.0.bn.bias is missing" in refused(changed(tiny, tmp_path / "y.pt", model=renamed))


def test_a_state_dict_alone_is_still_refused(tmp_path):
    state = Call(Name("collections", "OrderedDict"), ([("a.weight", tensor("0", 1, (1,), (1,)))],))
    for number, content in enumerate((state, {"model": state}, {"state_dict": state, "epoch": 1})):
        path = tmp_path / f"{number}.pt"
        path.write_bytes(archive(pickled(content), {"0": b"1234"}))
        assert refused(path) == "contains only weights (a state dict), without the model's configuration"
