"""Writes TensorRT engines, built from the ONNX graph for the NVIDIA GPU of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.export.job import ExportJob
from tfyolo.export.onnx.graph import summarize
from tfyolo.export.onnx.writer import build_model
from tfyolo.export.tensorrt.entry import CONTRACT_KEY, LENGTH_BYTES
from tfyolo.files import atomic
from tfyolo.models.contract import Contract
from tfyolo.models.outputs import BOXES, DETECTIONS

WORKSPACE_BYTES = 4 << 30
"""Memory that the builder may use to compare kernels."""


def export(job: ExportJob, path: Path) -> None:
    """Write an `.engine` file, which runs on this GPU model and with this version of TensorRT only.

    Args:
        job: model and export options.
        path: the file to write.

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
    except TypeError as error:  # its factory returns nullptr without a GPU
        raise TfyoloError(
            "TensorRT needs an NVIDIA GPU to build engines, but this machine has none",
            fix="export on a machine with an NVIDIA GPU",
        ) from error
    # Strongly typed: the precision of each layer is that of the ONNX graph. TensorRT 11 has no other mode.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph.SerializeToString()):
        raise TfyoloError(f"TensorRT cannot read the graph: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise TfyoloError("TensorRT could not build the engine", fix="see TensorRT's messages above")
    with atomic(path) as temporary:
        temporary.write_bytes(engine_file(bytes(engine), engine_contract(job, graph)))


def import_tensorrt() -> Any:
    """Return the module `tensorrt`.

    Raises:
        MissingExtraError: it, or one of the shared libraries that it loads, is not installed.
    """
    try:
        import tensorrt
    except ImportError as error:
        raise MissingExtraError("tensorrt", "tensorrt") from error
    return tensorrt


def engine_contract(job: ExportJob, graph: Any) -> Contract:
    """Return the contract with output shapes and operators, which an engine reveals on its GPU only.

    Args:
        job: model and export options.
        graph: ONNX ModelProto that the engine is built from.
    """
    return job.exported_contract("engine", **summarize(graph))


def engine_file(engine: bytes, contract: Contract) -> bytes:
    """Return the content of an `.engine` file.

    Args:
        engine: serialized by TensorRT.
        contract: stored as JSON in front of the engine.

    Example:
        >>> from tfyolo.models import load_spec
        >>> contract = Contract.of(load_spec("yolov5n", num_classes=2), ("ant", "bee"), (320, 320))
        >>> engine_file(b"engine", contract).endswith(b"engine")
        True
    """
    text = json.dumps({CONTRACT_KEY: json.loads(contract.to_json())}).encode()
    return len(text).to_bytes(LENGTH_BYTES, "little", signed=True) + text + engine


def build_graph(job: ExportJob) -> Any:
    """Return the ONNX ModelProto that TensorRT parses; with float16, decoding stays float32.

    With `nms="efficient"`, TensorRT's EfficientNMS plugin follows the decoded boxes.
    """
    if job.options.nms != "efficient":
        return build_model(job)
    return _with_efficient_nms(build_model(job.with_options(nms="none")), job)


def _with_efficient_nms(graph: Any, job: ExportJob) -> Any:
    """Append EfficientNMS_TRT to a graph with `boxes` and `scores`; outputs have the names of the contract.

    Args:
        graph: ModelProto; modified.
        job: NMS thresholds and the number of classes.

    Returns:
        `graph`.

    Source: TensorRT's plugin/efficientNMSPlugin/README.md.
    """
    from onnx import TensorProto, helper, numpy_helper

    options, rows = job.options.nms_options, job.options.nms_options.max_detections
    boxes, scores = BOXES
    detection_boxes, detection_classes, detection_scores, num_detections = DETECTIONS
    if options.best_class_only:
        scores = _keep_best_class(graph, scores, len(job.contract.names))
    plugin = helper.make_node(
        "EfficientNMS_TRT",
        [boxes, scores],
        ["counted", detection_boxes, detection_scores, "labeled"],
        name="suppress",
        domain="",
        plugin_version="1",
        background_class=-1,
        max_output_boxes=rows,
        score_threshold=options.confidence,
        iou_threshold=options.iou_threshold,
        score_activation=0,
        box_coding=0,
        class_agnostic=int(options.agnostic),
    )
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    to_float = TensorProto.FLOAT
    graph.graph.node.extend(
        [
            plugin,
            helper.make_node("Reshape", ["counted", "one"], ["count"], name="count"),
            helper.make_node("Cast", ["count"], [num_detections], name="number", to=to_float),
            helper.make_node("Cast", ["labeled"], [detection_classes], name="label", to=to_float),
        ]
    )
    shapes = {
        detection_boxes: (1, rows, 4),
        detection_classes: (1, rows),
        detection_scores: (1, rows),
        num_detections: (1,),
    }
    del graph.graph.output[:]
    for name, shape in shapes.items():
        graph.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return graph


def _keep_best_class(graph: Any, scores: str, num_classes: int) -> str:
    """Set all scores of a box but its highest one to 0: EfficientNMS would return a box once per class.

    Args:
        graph: ModelProto; modified.
        scores: name of the tensor (1, boxes, classes).
        num_classes: number of classes.

    Returns:
        Name of the new tensor, of the same shape.
    """
    from onnx import helper, numpy_helper

    constants: dict[str, np.ndarray] = {
        "classes": np.array(num_classes, np.int64),
        "off_on": np.array([0, 1], np.float32),
    }
    graph.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.graph.node.extend(
        [
            helper.make_node("ArgMax", [scores], ["best"], name="best", axis=2, keepdims=0),
            helper.make_node("OneHot", ["best", "classes", "off_on"], ["is_best"], name="is_best", axis=-1),
            helper.make_node("Mul", [scores, "is_best"], ["best_scores"], name="best_scores"),
        ]
    )
    return "best_scores"
