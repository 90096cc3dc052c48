"""TensorRT: the ONNX graph that engines are built from, and errors on machines without a GPU."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from tests.shared import needs_shared
from tests.small import confident, letterboxed
from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.export.registry import find_format
from tfyolo.export.tensorrt.runtime import read_engine_file
from tfyolo.export.tensorrt.writer import build_graph, engine_contract, engine_file
from tfyolo.inference.load import load_predictor

HW = (64, 64)
pytestmark = needs_shared


@pytest.fixture(scope="module")
def small():
    """A network that detects objects in any image, and its export job."""
    detector = confident(4, HW)
    settings = GraphNmsOptions(confidence=0.25, iou_threshold=0.45, max_detections=100)
    return detector, ExportJob(
        detector.model, detector.contract, ExportOptions(image_size=HW, nms_options=settings)
    )


def test_graph_ends_with_efficient_nms(small):
    graph = build_graph(small[1].with_options(nms="efficient", precision="float16")).graph
    (plugin,) = (node for node in graph.node if node.op_type == "EfficientNMS_TRT")
    values = {a.name: a.i or a.f for a in plugin.attribute}
    assert values["max_output_boxes"] == 100
    assert values["score_threshold"] == pytest.approx(0.25)
    assert values["iou_threshold"] == pytest.approx(0.45)
    assert list(plugin.input) == ["boxes", "best_scores"]
    shapes = {x.name: [d.dim_value for d in x.type.tensor_type.shape.dim] for x in graph.output}
    assert shapes == {
        "detection_boxes": [1, 100, 4],
        "detection_classes": [1, 100],
        "detection_scores": [1, 100],
        "num_detections": [1],
    }
    # The precision is that of the graph: the builder has no flag for it.
    kernels = [x for x in graph.initializer if len(x.dims) == 4]
    assert {x.data_type for x in kernels} == {TensorProto.FLOAT16}


def test_box_has_one_class_unless_multi_label(small):
    """Compute the inputs of the plugin with ONNX Runtime."""
    import onnxruntime
    from onnx import helper

    request = small[1].with_options(nms="efficient")
    model = build_graph(request)
    cut = next(i for i, node in enumerate(model.graph.node) if node.op_type == "EfficientNMS_TRT")
    del model.graph.node[cut:]
    del model.graph.output[:]
    for name in ("scores", "best_scores"):
        model.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = letterboxed(HW)[:1].transpose(0, 3, 1, 2).astype(np.float32) / 255
    scores, best = session.run(None, {"images": images})
    np.testing.assert_array_equal(best.max(-1), scores.max(-1))
    assert ((best > 0).sum(-1) == 1).all()
    assert ((scores > 0).sum(-1) == 4).all()
    multi_label = build_graph(
        request.with_options(nms_options=replace(request.options.nms_options, multi_label=True))
    )
    (plugin,) = (node for node in multi_label.graph.node if node.op_type == "EfficientNMS_TRT")
    assert list(plugin.input) == ["boxes", "scores"]


FLAG = 1
"""Value of the flag for strongly typed networks."""


class FakeBuilder:
    """Emulates `tensorrt.Builder`; the engine is the ONNX graph itself."""

    def __init__(self, logger):
        self.config = SimpleNamespace(set_memory_pool_limit=lambda kind, size: None)

    def create_network(self, flags):
        return SimpleNamespace(flags=flags, graph=b"")

    def create_builder_config(self):
        return self.config

    def build_serialized_network(self, network, config):
        return network.graph if network.flags == 1 << FLAG else None


def fake_tensorrt(builder):
    def parser(network, logger):
        def parse(graph):
            network.graph = graph
            return True

        return SimpleNamespace(parse=parse)

    class Logger:
        ERROR = 1

        def __init__(self, level):
            pass

    return SimpleNamespace(
        Logger=Logger,
        Builder=builder,
        OnnxParser=parser,
        MemoryPoolType=SimpleNamespace(WORKSPACE=0),
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=FLAG),
        init_libnvinfer_plugins=lambda logger, namespace: True,
    )


@pytest.mark.parametrize(
    ("precision", "kind"), [("float32", TensorProto.FLOAT), ("float16", TensorProto.FLOAT16)]
)
def test_engine_has_the_precision_of_the_graph(small, tmp_path, monkeypatch, precision, kind):
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt(FakeBuilder))
    request = small[1].with_options(nms="efficient", precision=precision)
    path = tmp_path / "x.engine"
    find_format("engine").write(request, path)
    contract, engine = read_engine_file(path)
    assert contract.export["precision"] == precision
    graph = onnx.load_model_from_string(engine).graph
    assert {x.data_type for x in graph.initializer if len(x.dims) == 4} == {kind}


def test_error_of_the_builder_without_a_gpu(small, tmp_path, monkeypatch):
    def builder(logger):
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt(builder))
    with pytest.raises(TfyoloError, match="needs an NVIDIA GPU to build engines, but this machine has none"):
        find_format("engine").write(small[1].with_options(nms="efficient"), tmp_path / "x.engine")
    assert not list(tmp_path.iterdir())


def test_engine_file_is_described_without_a_gpu(small, tmp_path):
    request = small[1].with_options(nms="efficient")
    path = tmp_path / "x.engine"
    with pytest.raises(TfyoloError, match=r"tensorrt is not installed|NVIDIA GPU"):
        find_format("engine").write(request, path)
    assert not path.exists()
    path.write_bytes(engine_file(b"engine", engine_contract(request, build_graph(request))))
    found = find_format("engine").inspect(path)
    assert found.contract.names == small[0].names
    assert {x.name: x.shape for x in found.outputs}["detection_boxes"] == (1, 100, 4)
    assert found.operators["EfficientNMS_TRT"] == 1
    with pytest.raises((MissingExtraError, TfyoloError), match=r"not installed|NVIDIA GPU"):
        load_predictor(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TfyoloError, match=r"x\.engine: "):
        read_engine_file(path)


@pytest.mark.parametrize("module", ["tensorrt", "torch"])
def test_missing_library_is_named_before_the_file_is_read(tmp_path, monkeypatch, module):
    installed = {"tensorrt": fake_tensorrt(FakeBuilder), "torch": SimpleNamespace()}
    for name, library in installed.items():
        monkeypatch.setitem(sys.modules, name, None if name == module else library)
    path = tmp_path / "x.engine"
    path.write_bytes(b"never read")
    with pytest.raises(MissingExtraError, match=rf"^{module} is not installed\n  fix: pip install"):
        find_format("engine").open(path)
