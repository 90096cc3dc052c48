"""Writes TF.js folders: graph models for browsers and Node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.json_format import MessageToDict

from tfyolo.errors import TfyoloError
from tfyolo.export.graph.nodes import NoQuantization, run_network
from tfyolo.export.graph.tasks import make_module
from tfyolo.export.job import ExportJob
from tfyolo.export.registry import find_format
from tfyolo.export.tfjs import graph as tfjs_graph
from tfyolo.export.tfjs.entry import CONTRACT_KEY, MODEL_FILE
from tfyolo.export.tfjs.weights import QuantizedKernels, write_weights
from tfyolo.files import atomic_folder
from tfyolo.models.contract import FILE_NAME
from tfyolo.models.network import Network
from tfyolo.models.nodes import IMAGES
from tfyolo.version import __version__


def export(job: ExportJob, path: Path) -> None:
    """Write a folder with `model.json`, shards of weights and `tfyolo.json`.

    Images are float32 in 0..1 in every precision: TF.js computes in float32, and int8 and float16 are storage
    formats of the weights. `userDefinedMetadata` of model.json contains the contract under `tfyolo` and the
    class names under `names`.

    Args:
        job: model and export options.
        path: the folder to write.

    Raises:
        TfyoloError: the network contains an operation that TF.js does not support.
    """
    _check_groups(job.network)
    spec = job.contract.quantization if job.options.precision == "int8" else None
    quantized = QuantizedKernels.of(job.network, spec)
    module = make_module(
        lambda images: run_network(quantized.network, images, NoQuantization()),
        job.contract,
        job.image_size,
        "builtin_v4" if job.options.nms == "builtin" else job.options.nms,
        job.options.nms_options,
    )
    graph = tfjs_graph.build(module, quantized.steps)
    float16_names = graph.kernels() if job.options.precision == "float16" else set()
    contract = job.exported_contract("tfjs").to_json()
    with atomic_folder(path, find_format("tfjs").owned) as temporary:
        manifest = write_weights(graph.constants, set(graph.steps), float16_names, temporary)
        model = _model_json(graph) | {"weightsManifest": manifest}
        model["userDefinedMetadata"] |= {CONTRACT_KEY: json.loads(contract), "names": job.contract.names}
        (temporary / MODEL_FILE).write_text(json.dumps(model), "utf-8")
        (temporary / FILE_NAME).write_text(contract, "utf-8")


def _model_json(graph: tfjs_graph.TfjsGraph) -> dict[str, Any]:
    """Return the content of model.json without weights and contract."""
    signature = MessageToDict(graph.signature)
    names = sorted(signature["outputs"])
    # In the order of `structuredOutputKeys`, by which TF.js names the results of `predict`.
    signature["outputs"] = {name: signature["outputs"][name] for name in names}
    return {
        "format": "graph-model",
        "generatedBy": tf.__version__,
        "convertedBy": f"tfyolo {__version__}",
        "signature": signature,
        "modelTopology": {
            "node": [MessageToDict(node) for node in graph.nodes],
            "versions": MessageToDict(graph.versions),
        },
        "userDefinedMetadata": {"structuredOutputKeys": names},
    }


def _check_groups(network: Network) -> None:
    """Refuse grouped convolutions: TF.js supports ordinary and depthwise ones only.

    Raises:
        TfyoloError: there is one; the message names it.
    """
    channels = {IMAGES: 3, **{node.name: node.channels for node in network.nodes}}
    for node in network.nodes:
        if node.kind == "conv" and node.arguments["groups"] not in (1, channels[node.inputs[0]]):
            raise TfyoloError(
                f"TF.js does not support grouped convolutions such as {node.name}",
                fix="choose another format",
            )
