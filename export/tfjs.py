"""TF.js: a folder with a graph model, for browsers and Node."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfyolo.export import saved_model
from tfyolo.export.graph import make_module
from tfyolo.export.nodes import NoRounding, run_network
from tfyolo.export.registry import find_format
from tfyolo.export.request import ExportRequest
from tfyolo.export.tfjs_weights import StoredKernels, store

from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.files import atomic_folder, scratch
from tfyolo.models.contract import FILE_NAME
from tfyolo.models.network import IMAGES, Network

MODEL_FILE = "model.json"


def export(request: ExportRequest, path: Path) -> None:
    """Write a folder with `model.json`, shards of weights and `tfyolo.json`.

    Images are float32 in 0..1 in every precision: TF.js computes in float32, int8 is how weights are stored.
    `userDefinedMetadata` of model.json holds the contract under `tfyolo` and the class names under `names`.

    Raises:
        MissingExtraError: tensorflowjs is not installed.
        TfyoloError: the network holds an operation that TF.js lacks.
    """
    converter = _converter()
    network = _convertible(request.network)
    stored = StoredKernels.of(network, request.precision, request.contract.quantization)
    module = make_module(
        lambda images: run_network(stored.network, images, NoRounding()),
        request.contract,
        request.image_hw,
        "builtin_v4" if request.nms == "builtin" else request.nms,
        request.settings,
    )
    contract = request.exported_contract("tfjs").to_json()
    with scratch() as folder, _silent():
        source, converted = folder / "saved_model", folder / "web_model"
        saved_model.save(module, source)
        converter.convert_tf_saved_model(str(source), str(converted), use_structured_outputs_names=True)
        file = converted / MODEL_FILE
        model = json.loads(file.read_text("utf-8"))
        _name_outputs(model)
        model["userDefinedMetadata"] |= {"tfyolo": json.loads(contract), "names": request.contract.names}
        store(model, converted, stored)
        file.write_text(json.dumps(model), "utf-8")
        (converted / FILE_NAME).write_text(contract, "utf-8")
        with atomic_folder(path, find_format("tfjs").owned) as temporary:
            shutil.copytree(converted, temporary, dirs_exist_ok=True)


def _converter() -> Any:
    """The module of tensorflowjs that reads SavedModels; it imports decision forests and jax, in 2 s."""
    # Decision forests greet whoever imports them, and want IPython for it where stdout is no terminal.
    os.environ.setdefault("TFDF_DISABLE_WELCOME_MESSAGE", "1")
    try:
        with _silent():
            return importlib.import_module("tensorflowjs.converters.tf_saved_model_conversion_v2")
    except ImportError as error:
        raise MissingExtraError(error.name or "tensorflowjs", "tfjs") from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the converter's prints and the warnings of what it imports."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _convertible(network: Network) -> Network:
    """The network in a form that tensorflowjs does not break.

    It takes an addition right after a convolution, one without bias, for its bias, whatever is added; but it
    looks at the first operand only, so that convolutions go last.
    """
    kinds = {node.name: node.kind for node in network.nodes}
    channels = {IMAGES: 3, **{node.name: node.channels for node in network.nodes}}
    nodes = []
    for node in network.nodes:
        if node.kind == "conv" and node.arguments["groups"] not in (1, channels[node.inputs[0]]):
            raise TfyoloError(f"TF.js has no convolution in groups, which {node.name} is")
        if node.kind == "add":
            node = replace(
                node, inputs=tuple(sorted(node.inputs, key=lambda name: kinds.get(name) == "conv"))
            )
        nodes.append(node)
    return replace(network, nodes=tuple(nodes))


def _name_outputs(model: dict[str, Any]) -> None:
    """Give outputs their names in `signature`.

    The converter finds names by shape, and leaves `Identity_1:0` where two outputs have the same one. Their
    order is that of `structuredOutputKeys`, by which TF.js names what `predict` and `predictAsync` return.
    """
    tensors = {tensor["name"]: tensor for tensor in model["signature"]["outputs"].values()}
    names = model["userDefinedMetadata"]["structuredOutputKeys"]
    model["signature"]["outputs"] = {
        name: tensors[f"Identity_{i}:0" if i else "Identity:0"] for i, name in enumerate(names)
    }
