"""Conversion of uint8 kernels to int8 for processors with VNNI."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.shared import needs_shared
from tests.small import IMAGES, confident, letterboxed
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.onnx import runtime
from tfyolo.export.onnx.signed_kernels import signed_kernels
from tfyolo.export.options import ExportOptions
from tfyolo.export.runtime import cpu
from tfyolo.inference.load import load_predictor
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.model import calibrate_model

HW = (64, 64)


def constants(content):
    """Return dequantized constants by name: int64 minus their zero points, the data type, the zero points."""
    graph = onnx.load_model_from_string(content).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    values = {name: numpy_helper.to_array(tensor).astype(np.int64) for name, tensor in tensors.items()}
    found = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in tensors:
            kernel, zero = values[node.input[0]], values[node.input[2]]
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            shape = [1] * kernel.ndim
            if zero.size > 1:
                shape[axis] = -1
            kind, zeros = tensors[node.input[0]].data_type, set(zero.ravel().tolist())
            found[node.input[0]] = (kernel - zero.reshape(shape), kind, zeros)
    return found


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    detector = confident(3, HW)
    model, contract = calibrate_model(
        detector.model, detector.contract, letterboxed(HW), CalibrationOptions(reconstruct=False)
    )
    request = ExportJob(
        model,
        contract,
        ExportOptions(image_size=HW, nms="none", precision="int8"),
        calibration_images=letterboxed(HW),
    )
    return detector, request, tmp_path_factory.mktemp("onnx")


@needs_shared
@pytest.mark.parametrize("calibrator", ["tfyolo", "runtime"])
def test_signed_kernels_represent_the_same_values(quantized, calibrator):
    detector, request, folder = quantized
    if calibrator == "runtime":
        request = replace(request, model=detector.model, contract=detector.contract).with_options(
            calibrator=calibrator
        )
    path = export_model(request, ["onnx"], folder / calibrator)["onnx"]
    before = path.read_bytes()
    wanted, found = constants(before), constants(signed_kernels(before))
    kernels = [name for name, (values, _, _) in wanted.items() if values.ndim == 4]
    assert len(kernels) > 20
    for name, (values, _, _) in wanted.items():
        np.testing.assert_array_equal(found[name][0], values)
    assert {wanted[name][1] for name in kernels} == {TensorProto.UINT8}
    # ONNX Runtime 1.23, the last one for Python 3.10, chooses 127 itself; such kernels stay as they are.
    is_middle = calibrator == "tfyolo" or not onnxruntime.__version__.startswith("1.23.")
    assert set().union(*(wanted[name][2] for name in kernels)) == {128 if is_middle else 127}
    signed = TensorProto.INT8 if is_middle else TensorProto.UINT8
    assert {found[name][1] for name in kernels} == {signed}
    assert signed_kernels(signed_kernels(before)) == signed_kernels(before)


@needs_shared
def test_conversion_on_processors_with_vnni_only(quantized, monkeypatch):
    _, request, folder = quantized
    path = export_model(request, ["onnx"], folder / "chosen")["onnx"]
    calls = []
    monkeypatch.setattr(runtime, "signed_kernels", lambda content: calls.append(1) or signed_kernels(content))
    results = []
    for vnni in (False, True):
        monkeypatch.setattr(runtime, "has_vnni", lambda vnni=vnni: vnni)
        results.append(load_predictor(path)(IMAGES, confidence=0.25))
        assert len(calls) == vnni
    if cpu.has_vnni() or not cpu.is_x86():  # int8 kernels saturate on others
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(b.scores, a.scores, atol=0.02)
            assert len(a) > 0


def small_model(uses):
    """Return a model with uint8 constants and nodes given as (operator, inputs)."""
    tensors = {
        "kernel": np.arange(8, dtype=np.uint8),
        "middle": np.full((), 128, np.uint8),
        "zero": np.zeros((), np.uint8),
        "scale": np.full((), 0.5, np.float32),
        "other": np.arange(8, dtype=np.uint8)[::-1].copy(),
    }
    nodes = [helper.make_node(kind, inputs, [f"y{i}"]) for i, (kind, inputs) in enumerate(uses)]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [8])
    outputs = [helper.make_empty_tensor_value_info(f"y{i}") for i in range(len(uses))]
    constants = [numpy_helper.from_array(value, name) for name, value in tensors.items()]
    return helper.make_model(helper.make_graph(nodes, "g", [x], outputs, constants))


def types(model):
    changed = onnx.load_model_from_string(signed_kernels(model.SerializeToString()))
    return {tensor.name: tensor.data_type for tensor in changed.graph.initializer}


def test_kernels_with_other_readers_are_not_converted():
    plain = ("DequantizeLinear", ["kernel", "scale", "middle"])
    assert types(small_model([plain]))["kernel"] == TensorProto.INT8
    for other in (
        ("QuantizeLinear", ["x", "scale", "middle"]),
        ("Identity", ["kernel"]),
        ("DequantizeLinear", ["kernel", "scale", "zero"]),
    ):
        assert types(small_model([plain, other]))["kernel"] == TensorProto.UINT8
    # A kernel that shares its zero point with such a kernel is not converted either.
    second = ("DequantizeLinear", ["other", "scale", "middle"])
    found = types(small_model([plain, second, ("Identity", ["kernel"])]))
    assert {found[name] for name in ("kernel", "other", "middle")} == {TensorProto.UINT8}
    found = types(small_model([plain, second]))
    assert {found[name] for name in ("kernel", "other", "middle")} == {TensorProto.INT8}


def test_external_data_is_not_converted():
    model = small_model([("DequantizeLinear", ["kernel", "scale", "middle"])])
    (kernel,) = (tensor for tensor in model.graph.initializer if tensor.name == "kernel")
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value="/etc/hostname")
    assert types(model)["kernel"] == TensorProto.UINT8


def test_damaged_files_are_returned_unchanged():
    assert signed_kernels(b"DequantizeLinear") == b"DequantizeLinear"
    assert signed_kernels(b"nothing") == b"nothing"


@pytest.mark.parametrize(
    ("machine", "flags", "vnni"),
    [
        ("x86_64", "flags : avx2 avx512_vnni", True),
        ("AMD64", "flags : avx2 avx_vnni", True),
        ("x86_64", "flags : avx2", False),
        ("aarch64", "Features : asimddp", False),
        ("x86_64", None, False),
    ],
)
def test_has_vnni_reads_cpu_flags(machine, flags, vnni, monkeypatch, tmp_path):
    monkeypatch.setattr(cpu.platform, "machine", lambda: machine)
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(flags)
    monkeypatch.setattr(cpu, "CPUINFO", cpuinfo)
    assert cpu.has_vnni.__wrapped__() is vnni
