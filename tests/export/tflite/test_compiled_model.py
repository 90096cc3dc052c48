"""LiteRT 2's CompiledModel gives what the Interpreter gives, for every kind of `.tflite` that we export."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import pytest

from tests.export.tflite.conftest import IMAGES
from tfyolo.export.registry import find_format
from tfyolo.export.runtime.base import pixels_of
from tfyolo.quiet import hidden_stderr

TFLITE = find_format("tflite")
CASES = [
    *[("detect", "float32", kind) for kind in TFLITE.nms],
    ("detect", "float16", "postprocess"),
    ("detect", "int8", "postprocess"),
    ("detect", "int8", "builtin"),
    ("detect", "int8", "tensor"),
    ("detect", "int8", "none"),
    ("detect", "int8", "raw"),
    ("detect", "dynamic", "postprocess"),
    ("detect", "int16x8", "postprocess"),
    ("segment", "float32", "builtin"),
    ("segment", "int8", "tensor"),
    ("segment", "int16x8", "builtin"),
    ("segment", "int8", "none"),
    ("classify", "float32", "none"),
    ("classify", "int8", "none"),
]


EXPORT = {"detect": "export_uneven", "segment": "export_masks", "classify": "export_loud"}


def interpreted(path: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs by name, of the Interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    with hidden_stderr():
        return Interpreter(str(path)).get_signature_runner()(images=image)


def compiled(path: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs by name, of a CompiledModel."""
    from ai_edge_litert.compiled_model import CompiledModel

    with hidden_stderr():  # it tells which accelerators it looked for
        model = CompiledModel.from_file(str(path))
        (signature,) = model.get_signature_list()
        inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
        inputs[0].write(image)
        model.run_by_index(0, inputs, outputs)
        details = model.get_output_tensor_details(signature)
        found = {}
        for name, buffer in zip(model.get_signature_list()[signature]["outputs"], outputs, strict=True):
            shape = details[name]["shape"]
            found[name] = buffer.read(prod(shape), np.dtype(details[name]["dtype"])).reshape(shape)
    return found


@pytest.mark.parametrize(("task", "precision", "nms"), CASES)
def test_outputs_equal_the_interpreters(request, task, precision, nms):
    path = request.getfixturevalue(EXPORT[task])(nms, precision)
    for image in IMAGES:
        pixels = pixels_of(image[None], precision == "int8")
        expected, found = interpreted(path, pixels), compiled(path, pixels)
        if "num_detections" in expected:
            assert expected["num_detections"][0] > 3
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values)
