"""TensorRT: an engine that is built from the ONNX graph, for the NVIDIA GPU that it is built on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.export.job import ExportJob
from tfyolo.export.onnx.graph import outline
from tfyolo.export.onnx.writer import convert
from tfyolo.files import atomic
from tfyolo.models.contract import Contract

WORKSPACE_BYTES = 4 << 30
"""What the builder may use to try kernels."""
CONTRACT_BYTES = 4
"""An engine file begins with the length of its contract, as Ultralytics' newer files do, then it as JSON."""


def export(job: ExportJob, path: Path) -> None:
    """Write an `.engine` file. It runs on this kind of GPU and with this version of TensorRT only.

    Raises:
        MissingExtraError: tensorrt is not installed.
        TfyoloError: there is no NVIDIA GPU, or TensorRT cannot build the graph.
    """
    trt = import_tensorrt()
    graph = build_graph(job)
    logger = trt.Logger(trt.Logger.ERROR)
    trt.init_libnvinfer_plugins(logger, "")
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # its factory returns nothing
        raise TfyoloError(
            "TensorRT builds engines on an NVIDIA GPU only, and there is none", fix="run it where one is"
        ) from error
    # Types are the graph's own; TensorRT 11 knows no other way.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph.SerializeToString()):
        raise TfyoloError(f"TensorRT cannot read the graph: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise TfyoloError("TensorRT could not build the engine", fix="see what it printed above")
    with atomic(path) as temporary:
        temporary.write_bytes(with_contract(bytes(engine), engine_contract(job, graph)))


def import_tensorrt() -> Any:
    """The library.

    Raises:
        MissingExtraError: it is not installed, or its own libraries are missing.
    """
    try:
        import tensorrt
    except ImportError as error:
        raise MissingExtraError("tensorrt", "tensorrt") from error
    return tensorrt


def engine_contract(job: ExportJob, graph: Any) -> Contract:
    """The contract, with what an engine tells on its GPU only: outputs and operations."""
    return job.exported_contract("engine", **outline(graph))


def with_contract(engine: bytes, contract: Contract) -> bytes:
    """A file's bytes."""
    text = json.dumps({"tfyolo": json.loads(contract.to_json())}).encode()
    return len(text).to_bytes(CONTRACT_BYTES, "little", signed=True) + text + engine


def build_graph(job: ExportJob) -> Any:
    """The ONNX graph that TensorRT reads; with float16 the network is, and decoding is not.

    With `nms="efficient"` the boxes and scores go through TensorRT's EfficientNMS plugin.
    """
    kind = "none" if job.options.nms == "efficient" else job.options.nms
    graph = convert(job.with_options(nms=kind))
    return _suppressed(graph, job) if job.options.nms == "efficient" else graph


def _suppressed(graph: Any, job: ExportJob) -> Any:
    """The graph with EfficientNMS_TRT at its end, its outputs named as the contract wants them."""
    from onnx import TensorProto, helper, numpy_helper

    settings, rows = job.options.nms_options, job.options.nms_options.max_detections
    scores = "scores"
    if not settings.multi_label or settings.agnostic:
        scores = _best_class(graph, len(job.contract.names))
    plugin = helper.make_node(
        "EfficientNMS_TRT",
        ["boxes", scores],
        ["counted", "detection_boxes", "detection_scores", "labeled"],
        name="suppress",
        domain="",
        plugin_version="1",
        background_class=-1,
        max_output_boxes=rows,
        score_threshold=settings.confidence,
        iou_threshold=settings.iou,
        score_activation=0,
        box_coding=0,
        class_agnostic=int(settings.agnostic),
    )
    flat = numpy_helper.from_array(np.array([1], np.int64), "one")
    graph.graph.initializer.append(flat)
    graph.graph.node.extend(
        [
            plugin,
            helper.make_node("Reshape", ["counted", "one"], ["count"], name="count"),
            helper.make_node("Cast", ["count"], ["num_detections"], name="number", to=TensorProto.FLOAT),
            helper.make_node("Cast", ["labeled"], ["detection_classes"], name="label", to=TensorProto.FLOAT),
        ]
    )
    shapes = {
        "detection_boxes": (1, rows, 4),
        "detection_classes": (1, rows),
        "detection_scores": (1, rows),
        "num_detections": (1,),
    }
    del graph.graph.output[:]
    for name, shape in shapes.items():
        graph.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return graph


def _best_class(graph: Any, classes: int) -> str:
    """Scores but for those that are not their box's highest, which become 0: the plugin takes all for boxes.

    Returns:
        Name of the tensor.
    """
    from onnx import helper, numpy_helper

    constants: dict[str, np.ndarray] = {
        "classes": np.array(classes, np.int64),
        "off_on": np.array([0, 1], np.float32),
    }
    graph.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.graph.node.extend(
        [
            helper.make_node("ArgMax", ["scores"], ["best"], name="best", axis=2, keepdims=0),
            helper.make_node("OneHot", ["best", "classes", "off_on"], ["is_best"], name="is_best", axis=-1),
            helper.make_node("Mul", ["scores", "is_best"], ["best_scores"], name="best_scores"),
        ]
    )
    return "best_scores"
