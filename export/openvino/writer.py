"""OpenVINO: a folder with the intermediate representation, for Intel's processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.export.graph.module import CANDIDATES
from tfyolo.export.job import ExportJob
from tfyolo.export.onnx.writer import quiet
from tfyolo.export.registry import find_format
from tfyolo.export.saved_model import writer as saved_model
from tfyolo.files import atomic_folder, scratch
from tfyolo.models.contract import FILE_NAME
from tfyolo.quiet import import_openvino

MODEL_FILE = "model.xml"


def export(job: ExportJob, path: Path) -> None:
    """Write a folder with `model.xml`, `model.bin` and `tfyolo.json`.

    Images are (1, height, width, 3), as in TensorFlow. With int8 the ranges of the contract's quantization
    become FakeQuantize operations, which OpenVINO's plugins turn into integer kernels; with
    `calibrator="runtime"` NNCF measures ranges on the job's images.

    Raises:
        MissingExtraError: a library of the extra `openvino` is missing.
    """
    openvino = import_openvino()
    contract = job.exported_contract("openvino")
    with quiet():
        if job.options.precision == "int8" and job.options.calibrator == "runtime":
            model = _calibrated(convert(job.with_options(precision="float32")), job)
        else:
            model = convert(job)
        if job.options.precision == "int8":
            _store_integers(model)
    model.set_rt_info(contract.to_json(), ["model_info", "tfyolo"])
    with atomic_folder(path, find_format("openvino").owned) as temporary:
        openvino.save_model(
            model, str(temporary / MODEL_FILE), compress_to_fp16=job.options.precision == "float16"
        )
        (temporary / FILE_NAME).write_text(contract.to_json(), "utf-8")


def convert(job: ExportJob) -> Any:
    """The `openvino.Model` of the graph, its outputs named as the contract wants them."""
    openvino = import_openvino()
    module = job.module(uint8=job.options.precision == "int8")
    with scratch() as folder:
        saved_model.save(module, folder)
        model = openvino.convert_model(str(folder))
    # The frontend names outputs as SavedModel's signature does, among other names.
    names = set(module.detect.get_concrete_function().structured_outputs)
    for output in model.outputs:
        (name,) = names & set(output.get_names())
        output.get_tensor().set_names({name})
    model.inputs[0].get_tensor().set_names({"images"})
    _choose_quickly(model)
    return model


def _choose_quickly(model: Any) -> None:
    """Candidates in the order of anchors, not of their scores: suppression sorts by score itself.

    To keep equal scores in order, as TensorFlow does, OpenVINO sorts by exchanging neighbors: choosing
    1,000 of 6,300 anchors took four fifths of yolov5n's time at 320 pixels. Other choices need the order, and
    are of few.
    """
    from openvino import opset11

    for op in model.get_ops():
        if op.get_type_name() != "TopK" or not op.get_friendly_name().startswith(CANDIDATES):
            continue
        kind = op.get_attributes()
        chosen = opset11.topk(
            op.input_value(0), op.input_value(1), kind["axis"], kind["mode"], "index",
            index_element_type=kind["index_element_type"], stable=False,
        )  # fmt: skip
        for old, new in zip(op.outputs(), chosen.outputs(), strict=True):
            for reader in old.get_target_inputs():
                reader.replace_source_output(new)


def _store_integers(model: Any) -> None:
    """Kernels as 8-bit numbers: a fake-quantized constant becomes a constant and what scales it."""
    from openvino._offline_transformations import compress_quantize_weights_transformation

    compress_quantize_weights_transformation(model)


def _calibrated(model: Any, job: ExportJob) -> Any:
    """The float model with ranges that NNCF measures; what comes after the network stays in float."""
    import nncf

    dataset = nncf.Dataset(
        list(job.calibration_images), lambda image: image[None].astype(np.float32) / np.float32(255)
    )
    ignored = nncf.IgnoredScope(names=_after_network(model), validate=False)
    preset = nncf.QuantizationPreset.MIXED  # SiLU is not symmetric
    return nncf.quantize(
        model, dataset, preset=preset, subset_size=len(job.calibration_images), ignored_scope=ignored
    )


def _after_network(model: Any) -> list[str]:
    """Names of the operations that no convolution reads, directly or not."""
    todo = [op for op in model.get_ops() if op.get_type_name() in ("Convolution", "GroupConvolution")]
    network = set()
    while todo:
        op = todo.pop()
        if op.get_friendly_name() not in network:
            network.add(op.get_friendly_name())
            todo += [value.get_node() for value in op.input_values()]
    return [
        op.get_friendly_name()
        for op in model.get_ops()
        if op.get_friendly_name() not in network
        and op.get_type_name() not in ("Constant", "Parameter", "Result")
    ]
