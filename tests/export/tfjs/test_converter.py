"""TF.js folders have the operations and outputs of the official converter's, in fewer bytes."""

import json
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.readers import read_with
from tests.shared import SHARED
from tfyolo.data.images.read import read_image
from tfyolo.export.graph.nodes import run_network
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.graph.tasks import make_module
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.saved_model import writer as saved_model
from tfyolo.export.tfjs.runtime import TfjsRuntime
from tfyolo.inference.load import create_predictor, load_predictor

pytestmark = pytest.mark.slow

IMAGE = SHARED / "data" / "bccd" / "JPEGImages" / "BloodImage_00000.jpg"
SETTINGS = GraphNmsOptions(confidence=0.05)
TESTS = Path(__file__).parents[2]
MODELS = {
    "cells": (SHARED / "weights" / "bccd_yolov5n_320.pt", 320),
    "tiny": (TESTS / "tiny.yaml", 64),
    "tiny-cls": (TESTS / "tiny-cls.yaml", 32),
    "leaky": ("yolov5s-LeakyReLU", 64),
    "ghost": ("yolov5s-ghost", 64),
}
CASES = [("cells", "builtin"), ("cells", "tensor"), *((name, "none") for name in MODELS), ("tiny", "raw")]


def request_of(name, nms):
    source, size = MODELS[name]
    keras.utils.set_random_seed(0)
    detector = (
        load_predictor(source) if name == "cells" else create_predictor(source, image_size=(size, size))
    )
    for layer in detector.model.layers if name != "cells" else ():
        if isinstance(layer, keras.layers.BatchNormalization):
            # If the bias is zero, the converter mistakes the next addition for a bias.
            layer.beta.assign(keras.random.normal(layer.beta.shape))
    return ExportJob(
        detector.model,
        detector.contract,
        ExportOptions(image_size=(size, size), nms=nms, nms_options=SETTINGS),
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Our folder and the converter's for each case; the latter gets our metadata and output names."""
    ours, theirs, arguments = {}, {}, []
    for case in CASES:
        folder = tmp_path_factory.mktemp("-".join(case))
        request = request_of(*case)
        network = request.network
        module = make_module(
            lambda images, network=network: run_network(network, images),
            request.contract,
            request.image_size,
            case[1].replace("builtin", "builtin_v4"),
            SETTINGS,
        )
        saved_model.save(module, folder / "saved_model")
        arguments += [folder / "saved_model", folder / "theirs"]
        ours[case], theirs[case] = export_model(request, ["tfjs"], folder / "ours")["tfjs"], folder / "theirs"
    read_with("tfjs_converter", *arguments, python="3.11")
    for case in CASES:
        file = theirs[case] / "model.json"
        model, mine = json.loads(file.read_text()), json.loads((ours[case] / "model.json").read_text())
        # The converter matches output names by shape, which is ambiguous.
        names = model["userDefinedMetadata"]["structuredOutputKeys"]
        found = {tensor["name"]: tensor for tensor in model["signature"]["outputs"].values()}
        outputs = {name: found[f"Identity_{i}:0" if i else "Identity:0"] for i, name in enumerate(names)}
        model["signature"]["outputs"] = outputs
        model["userDefinedMetadata"] = mine["userDefinedMetadata"]
        file.write_text(json.dumps(model))
        (theirs[case] / "tfyolo.json").write_bytes((ours[case] / "tfyolo.json").read_bytes())
    return ours, theirs


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_same_operations_and_outputs(folders, case):
    ours, theirs = (part[case] for part in folders)
    counts, sizes, outputs = [], [], []
    for folder in (ours, theirs):
        nodes = json.loads((folder / "model.json").read_text())["modelTopology"]["node"]
        counts.append(Counter(node["op"] for node in nodes))
        sizes.append(sum(file.stat().st_size for file in folder.iterdir()))
        runtime = TfjsRuntime(folder)
        height, width = runtime.input_hw
        image = read_image(IMAGE)[None, :height, :width]
        outputs.append(runtime._run(runtime._open(), image, 0.0))
    assert counts[0] == counts[1]
    assert sizes[0] < sizes[1]
    assert list(outputs[0]) == list(outputs[1])
    for name, values in outputs[0].items():
        np.testing.assert_array_equal(values, outputs[1][name], err_msg=name)
    assert outputs[0].get("num_detections", 5) > 4
