"""TF.js: a folder with a graph model, for browsers and Node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.json_format import MessageToDict

from tfyolo.errors import TfyoloError
from tfyolo.export.graph.module import make_module
from tfyolo.export.graph.nodes import NoQuantization, run_network
from tfyolo.export.job import ExportJob
from tfyolo.export.registry import find_format
from tfyolo.export.tfjs import graph as tfjs_graph
from tfyolo.export.tfjs.weights import RoundedKernels, write_weights
from tfyolo.files import atomic_folder
from tfyolo.models.contract import FILE_NAME
from tfyolo.models.network import IMAGES, Network
from tfyolo.version import __version__

MODEL_FILE = "model.json"


def export(job: ExportJob, path: Path) -> None:
    """Write a folder with `model.json`, shards of weights and `tfyolo.json`.

    Images are float32 in 0..1 in every precision: TF.js computes in float32, int8 is how weights are stored.
    `userDefinedMetadata` of model.json holds the contract under `tfyolo` and the class names under `names`.

    Raises:
        TfyoloError: the network holds an operation that TF.js lacks.
    """
    _check_groups(job.network)
    spec = job.contract.quantization if job.options.precision == "int8" else None
    rounded = RoundedKernels.of(job.network, spec)
    module = make_module(
        lambda images: run_network(rounded.network, images, NoQuantization()),
        job.contract,
        job.image_size,
        "builtin_v4" if job.options.nms == "builtin" else job.options.nms,
        job.options.nms_options,
    )
    graph = tfjs_graph.build(module, rounded.steps)
    halved = graph.kernels() if job.options.precision == "float16" else set()
    contract = job.exported_contract("tfjs").to_json()
    with atomic_folder(path, find_format("tfjs").owned) as temporary:
        manifest = write_weights(graph.constants, set(graph.steps), halved, temporary)
        model = _description(graph) | {"weightsManifest": manifest}
        model["userDefinedMetadata"] |= {"tfyolo": json.loads(contract), "names": job.contract.names}
        (temporary / MODEL_FILE).write_text(json.dumps(model), "utf-8")
        (temporary / FILE_NAME).write_text(contract, "utf-8")


def _description(graph: tfjs_graph.TfjsGraph) -> dict[str, Any]:
    """model.json without weights and contract."""
    signature = MessageToDict(graph.signature)
    names = sorted(signature["outputs"])
    # In the order of `structuredOutputKeys`, by which TF.js names what `predict` and `predictAsync` return.
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
    """Refuse convolutions in groups: TF.js has plain and depthwise ones.

    Raises:
        TfyoloError: there is one.
    """
    channels = {IMAGES: 3, **{node.name: node.channels for node in network.nodes}}
    for node in network.nodes:
        if node.kind == "conv" and node.arguments["groups"] not in (1, channels[node.inputs[0]]):
            raise TfyoloError(f"TF.js has no convolution in groups, which {node.name} is")
