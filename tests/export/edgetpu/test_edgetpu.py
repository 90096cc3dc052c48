"""The Edge TPU format: rules, report, and what is done with and without Coral's compiler."""

import json
import stat
import sys
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.export.edgetpu import runtime
from tfyolo.export.edgetpu import writer as edgetpu
from tfyolo.export.edgetpu.operations import TABLE, Operation, Tensor, refusal, unreadable
from tfyolo.export.edgetpu.report import CONVOLUTIONS, FOLLOWS, check
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.export.tflite.flatbuffer import read, write
from tfyolo.export.tflite.writer import convert
from tfyolo.models.network import Network
from tfyolo.models.tasks import TASKS
from tfyolo.quantization.calibration import CalibrationOptions, calibrate


def int8(*shape: int) -> Tensor:
    return Tensor("INT8", shape)


def constant(*values: int, type: str = "INT32") -> Tensor:
    return Tensor(type, (len(values),), values=np.array(values))


IMAGE, WEIGHTS = int8(1, 4, 4, 8), constant(1, 2, type="INT8")


def op(name: str, inputs=(IMAGE,), output=IMAGE, version: int = 1, **options):
    return Operation(name, version, tuple(inputs), (output,), SimpleNamespace(**options))


TAKEN = {
    "silu, sigmoid": op("LOGISTIC", version=2),
    "silu, product": op("MUL", (IMAGE, IMAGE), version=2),
    "convolution": op("CONV_2D", (IMAGE, WEIGHTS, constant(0)), version=3),
    "convolution without bias": op("CONV_2D", (IMAGE, WEIGHTS, None), version=3),
    "dilated": op("CONV_2D", (IMAGE, WEIGHTS), version=3, dilationWFactor=2, dilationHFactor=2),
    "join": op("CONCATENATION", (IMAGE, IMAGE, IMAGE), int8(1, 4, 4, 24), 2),
    "join of zeros": op("CONCATENATION", (IMAGE, constant(0, 0, type="INT8")), version=2),
    "resize": op("RESIZE_NEAREST_NEIGHBOR", (IMAGE, constant(8, 8)), int8(1, 8, 8, 8), 2),
    "pad": op("PAD", (IMAGE, constant(0, 0, 1, 1, 1, 1, 0, 0)), int8(1, 6, 6, 8), 2),
    "softmax": op("SOFTMAX", (int8(1, 1000),), int8(1, 1000), 2),
    "mean over places": op("MEAN", (IMAGE, constant(1, 2)), int8(1, 8), 2),
    "mean over 8 channels": op("MEAN", (IMAGE, constant(3)), int8(1, 4, 4), 2),
    "rows": op("RESHAPE", (IMAGE, constant(48, 4)), int8(48, 4)),
    "bytes": op("QUANTIZE", (Tensor("UINT8", (1, 4, 4, 8)),)),
    "slice": op("STRIDED_SLICE", (int8(9, 4), constant(0), constant(1), constant(1, 1)), int8(9), 3),
    "transpose": op("TRANSPOSE", (IMAGE, constant(0, 2, 1, 3)), version=2),
}


@pytest.mark.parametrize("case", TAKEN)
def test_operation_is_taken(case):
    assert refusal(TAKEN[case]) is None


FIVE = int8(1, 3, 4, 4, 85)
REFUSED = {
    "half-pixel resize": (
        op("RESIZE_NEAREST_NEIGHBOR", (IMAGE, constant(8, 8)), version=3),
        "version 3 not supported, 2 at most: half-pixel",
    ),
    "transpose of five": (op("TRANSPOSE", (FIVE, constant(0, 1, 3, 2, 4)), FIVE, 2), "1x3x4x4x85"),
    "five, all but three one": (op("RESHAPE", (IMAGE,), int8(1, 1, 4, 4, 8)), "five or more dimensions"),
    "batch": (op("LOGISTIC", (int8(2, 4, 4, 8),), version=2), "a batch larger than one (2x4x4x8)"),
    "open size": (op("LOGISTIC", (replace(IMAGE, fixed=False),), version=2), "not fixed"),
    "float": (op("MUL", (Tensor("FLOAT32", (4,)),)), "floating-point"),
    "indices": (op("ARG_MAX", (int8(4, 9),), Tensor("INT32", (4,))), "not an operation"),
    "int32": (op("ADD", (IMAGE, Tensor("INT32", (1,)))), "int32 where"),
    "no scale": (op("MUL", (replace(IMAGE, quantized=False),)), "without a scale"),
    "hard swish": (op("HARD_SWISH"), "not an operation"),
    "leaky relu": (op("LEAKY_RELU"), "not an operation"),
    "gather": (op("GATHER", (IMAGE, constant(1))), "not an operation"),
    "computed weights": (op("CONV_2D", (IMAGE, IMAGE), version=3), "input 1 is not a constant"),
    "computed bias": (op("CONV_2D", (IMAGE, WEIGHTS, IMAGE), version=3), "input 2 is not a constant"),
    "new convolution": (op("CONV_2D", (IMAGE, WEIGHTS), version=6), "version 6 not supported, 5"),
    "uneven dilation": (op("DEPTHWISE_CONV_2D", (IMAGE, WEIGHTS), dilationHFactor=2), "1 across, 2 down"),
    "pool": (op("MAX_POOL_2D", version=2, fusedActivationFunction=1), "fused activation"),
    "join with activation": (op("CONCATENATION", fusedActivationFunction=1), "fused activation"),
    "join of ones": (op("CONCATENATION", (IMAGE, constant(1, type="INT8"))), "block of zeros"),
    "join of three": (op("CONCATENATION", (IMAGE, IMAGE, constant(0, type="INT8"))), "block of zeros"),
    "padded batch": (op("PAD", (IMAGE, constant(0, 1, 0, 0, 0, 0, 0, 0)), version=2), "pads the batch"),
    "long softmax": (op("SOFTMAX", (int8(16_001),), int8(16_001)), "16001 elements, 16000 at most"),
    "flat softmax": (op("SOFTMAX", (int8(4, 9),), int8(4, 9)), "more than one dimension"),
    "mean over 6 channels": (op("MEAN", (int8(1, 4, 4, 6), constant(-1)), version=2), "multiple of 4"),
    "mean over the batch": (op("MEAN", (IMAGE, constant(0)), version=2), "reduces the batch"),
    "sum over the batch": (op("SUM", (IMAGE, constant(-4))), "reduces the batch"),
    "packed": (op("PACK", (int8(4, 4, 8),), axis=0), "packs along the batch"),
    "split": (op("SPLIT", (constant(0), IMAGE)), "splits the batch"),
    "steps": (op("STRIDED_SLICE", (IMAGE, constant(0), constant(9), constant(2)), version=3), "strides [2]"),
    "new axis": (
        op("STRIDED_SLICE", (IMAGE, constant(0), constant(9), constant(1)), version=3, newAxisMask=1),
        "new axis",
    ),
    "fully connected": (
        op("FULLY_CONNECTED", (int8(2, 8), WEIGHTS), int8(2, 4), 4),
        "more than one dimension",
    ),
    "shuffled weights": (
        op("FULLY_CONNECTED", (int8(1, 8), WEIGHTS), int8(1, 4), 4, weightsFormat=1),
        "default format",
    ),
    "prelu": (op("PRELU", (IMAGE, replace(int8(4, 1, 8), values=np.ones(8)))), "within a channel"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_operation_is_refused(case):
    operation, reason = REFUSED[case]
    assert reason in refusal(operation)


def test_table_names_are_tensorflow_lites():
    from tensorflow.lite.python import schema_py_generated as schema

    assert set(TABLE) <= set(vars(schema.BuiltinOperator))


def test_what_the_compilers_interpreter_cannot_read():
    assert unreadable("TILE", 3)
    assert unreadable("CONV_2D", 6)
    assert unreadable("GELU", 1, 150)
    assert not unreadable("TILE", 2)
    assert not unreadable("MUL", 7, 18)


@pytest.fixture(scope="module")
def request_of(tiny):
    """A function from a kind of NMS to a request for the integer network."""
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    network = Network.of(tiny.model, tiny.contract.spec)
    _, ranges = calibrate(network, images, CalibrationOptions(ranges="minmax", reconstruct=False))
    contract = tiny.contract.model_copy(update={"quantization": ranges})
    return lambda nms: ExportJob(
        tiny.model, contract, ExportOptions(image_size=(64, 64), nms=nms, precision="int8")
    )


@pytest.fixture(scope="module")
def heads(request_of) -> bytes:
    """The bare integer model, cut at the heads."""
    return write(convert(request_of("raw")))


def test_whole_network_maps(heads):
    report = check(heads)
    names = {line.name for line in report.lines}
    assert {"QUANTIZE", "CONV_2D", "LOGISTIC", "MUL", "PAD", "MAX_POOL_2D", "CONCATENATION"} <= names
    assert ("RESIZE_NEAREST_NEIGHBOR", 2) in {(line.name, line.version) for line in report.lines}
    assert not report.refused
    assert report.mapped == len(report.lines)
    assert report.summary() == f"Edge TPU: all {len(report.lines)} operations will run on it."


def test_decoding_runs_on_the_cpu(request_of):
    report = check(convert(request_of("none")))
    first = next(index for index, line in enumerate(report.lines) if line.name == "DEQUANTIZE")
    assert all(line.maps for line in report.lines[:first])
    assert all(line.maps for line in report.lines if line.name in CONVOLUTIONS)
    assert all(line.maps == (line.type == "INT8") for line in report.lines)
    assert "including all 22 convolutions" in report.summary()
    assert "works on floating-point numbers" in report.summary()


def test_refused_operation_sends_what_needs_it_to_the_cpu():
    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 4))])
    def graph(images):
        def rounded(x):
            return tf.quantization.fake_quant_with_min_max_args(x, -4, 4)

        images = rounded(images)
        # tf.image.resize takes half-pixel centers.
        large = rounded(tf.image.resize(images, (16, 16), "nearest"))
        return rounded(large * large), rounded(images * images)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()], graph)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    report = check(converter.convert())
    places = {(line.name, line.shape[1]): line for line in report.lines}
    assert "version 3 not supported" in places["RESIZE_NEAREST_NEIGHBOR", 16].reason
    assert places["MUL", 16].reason == FOLLOWS
    assert places["MUL", 8].maps
    text = report.text("title")
    assert text.startswith("title\n")
    assert FOLLOWS in text
    assert "for the sake of precision" in text
    assert "1 (MUL): cpu" in report.summary()


@pytest.fixture
def export(request_of, heads, tmp_path, monkeypatch):
    """Exports the heads, converted once; returns the path and the messages."""
    monkeypatch.setattr(edgetpu, "convert", lambda request: read(heads))

    def run():
        told: list[str] = []
        path = tmp_path / "best_edgetpu.tflite"
        edgetpu.export(replace(request_of("raw"), log=told.append), path)
        return path, told

    return run


def compiler(folder, monkeypatch, body: str) -> None:
    """Put a Python script called edgetpu_compiler on PATH; its `source` and `target` are paths."""
    script = folder / "bin" / edgetpu.COMPILER
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nimport pathlib, sys, time\n"
        "assert sys.argv[1:3] == ['-s', '-o'] and len(sys.argv) == 5\n"
        "source = pathlib.Path(sys.argv[4])\n"
        "target = pathlib.Path(sys.argv[3]) / f'{source.stem}_edgetpu.tflite'\n" + body
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(script.parent))


def contract_of(path) -> dict:
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["labels.txt", "tfyolo.json"]
        return json.loads(archive.read("tfyolo.json"))


def test_without_the_compiler(export, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    path, told = export()
    assert contract_of(path)["export"]["compiled"] is False
    assert "Edge TPU: all" in told[0]
    assert "edgetpu-compiler" in told[1]
    assert f"edgetpu_compiler -s -o {tmp_path} {path}" in told[1]
    assert "CONV_2D" in (tmp_path / "best_edgetpu_report.txt").read_text()
    images = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), np.uint8)
    assert len(runtime.EdgeTpuRuntime(path, 1)(images, 0.0)) == 1


MARKED = "target.write_bytes(source.read_bytes() + b'edgetpu-custom-op')\nprint('CONV_2D 22 Mapped')\n"
ZIPPED = MARKED + (
    "import zipfile\nwith zipfile.ZipFile(target, 'a') as f: f.writestr('tfyolo.json', 'old')\n"
)


@pytest.mark.parametrize("body", [MARKED, ZIPPED], ids=["bare", "with an archive"])
def test_compiled(export, monkeypatch, tmp_path, body):
    compiler(tmp_path, monkeypatch, body)
    path, told = export()
    note = contract_of(path)["export"]
    assert note["compiled"] is True
    assert sorted(note["outputs"]) == sorted(
        f"{part}_{i}" for part in TASKS["detect"].parts for i in range(3)
    )
    assert len(told) == 1
    assert "Mapped" in (tmp_path / "best_edgetpu_report.txt").read_text()
    data = path.read_bytes()
    assert data.count(b"PK\x05\x06") == 1  # one archive's end
    assert edgetpu.without_archive(data).endswith(b"edgetpu-custom-op")


def test_compiler_that_maps_nothing(export, monkeypatch, tmp_path):
    compiler(tmp_path, monkeypatch, "target.write_bytes(source.read_bytes())\n")
    path, told = export()
    assert contract_of(path)["export"]["compiled"] is False
    assert "mapped no operation" in told[-1]


@pytest.mark.parametrize(
    ("log", "fix"),
    [
        ("Compilation failed due to large activation tensors in model.", "--img"),
        ("ERROR: Didn't find op for builtin opcode 'TILE' version '3'", "--nms raw"),
        ("Internal compiler error. Aborting!", "--nms raw"),
    ],
)
def test_compiler_fails(export, monkeypatch, tmp_path, log, fix):
    compiler(tmp_path, monkeypatch, f"print('Edge TPU Compiler version 16.0')\nsys.exit({log!r})\n")
    with pytest.raises(TfyoloError) as caught:
        export()
    assert log in str(caught.value)
    assert fix in str(caught.value)
    assert not (tmp_path / "best_edgetpu.tflite").exists()
    assert (tmp_path / "best_edgetpu_report.txt").exists()


def test_compiler_writes_nothing(export, monkeypatch, tmp_path):
    compiler(tmp_path, monkeypatch, "print('done')\n")
    with pytest.raises(TfyoloError, match="edgetpu_compiler failed"):
        export()


def test_compiler_takes_too_long(export, monkeypatch, tmp_path):
    # A child holds the pipe open, as the real compiler's does: to wait for it would exceed the timeout.
    compiler(tmp_path, monkeypatch, "import os\nos.fork()\ntime.sleep(10000)\n")
    monkeypatch.setattr(edgetpu, "COMPILE_SECONDS", 1)
    with pytest.raises(TfyoloError, match="did not finish within 1 s"):
        export()


@pytest.fixture
def compiled(export, monkeypatch, tmp_path):
    compiler(tmp_path, monkeypatch, MARKED)
    return export()[0]


def test_compiled_file_needs_the_library(compiled, monkeypatch):
    monkeypatch.setitem(runtime.LIBRARIES, sys.platform, "libabsent.so.1")
    with pytest.raises(TfyoloError, match=r"libabsent\.so\.1 is not installed"):
        runtime.EdgeTpuRuntime(compiled)


def test_compiled_file_needs_the_device(compiled, monkeypatch):
    import ai_edge_litert.interpreter as litert

    def refuse(library):
        raise ValueError(f"Failed to load delegate from {library}")

    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda library: None)
    monkeypatch.setattr(litert, "load_delegate", refuse)
    with pytest.raises(TfyoloError, match="finds no device"):
        runtime.EdgeTpuRuntime(compiled)


@pytest.mark.parametrize("signature", [True, False])
def test_compiled_file_runs_with_or_without_signature(compiled, monkeypatch, signature):
    from ai_edge_litert.interpreter import Interpreter

    images = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    expected = runtime.LiteRtRuntime(compiled, 1)(images, 0.0)
    monkeypatch.setattr(runtime, "load_delegate", lambda path: None)
    if not signature:
        monkeypatch.setattr(Interpreter, "get_signature_list", lambda self: {})
    predictions = runtime.EdgeTpuRuntime(compiled, 1)(images, 0.0)
    assert len(predictions[0].scores) > 50
    for found, reference in zip(predictions, expected, strict=True):
        np.testing.assert_array_equal(found.boxes_xyxy_px, reference.boxes_xyxy_px)
        np.testing.assert_array_equal(found.scores, reference.scores)
