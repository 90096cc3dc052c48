"""The check of a TorchScript module against ONNX Runtime, before it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from tfyolo.errors import TfyoloError
from tfyolo.export.torchscript.writer import _check_outputs

IMAGES = np.linspace(-2, 2, 48, dtype=np.float32).reshape(1, 3, 4, 4)


def graph(operator):
    """Return a model with one operator."""
    images, output = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, IMAGES.shape) for name in ("images", "y")
    )
    nodes = [helper.make_node(operator, ["images"], ["y"])]
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(
        helper.make_graph(nodes, "g", [images], [output]), opset_imports=opset, ir_version=8
    )


@pytest.mark.parametrize("value", [2.0, np.nan, np.inf])
@pytest.mark.parametrize("operator", ["Identity", "Sqrt"])
def test_outputs_that_differ_or_are_not_finite_are_refused(operator, value):
    import torch

    with np.errstate(invalid="ignore"):
        expected = IMAGES if operator == "Identity" else np.sqrt(IMAGES)
    result = torch.from_numpy(expected.copy())
    if operator == "Identity":
        _check_outputs(graph(operator), result, IMAGES, Path("x.torchscript"))
    result[0, 0, 0, 0] = value
    with pytest.raises(TfyoloError, match=r"^x\.torchscript: PyTorch and .* different outputs") as caught:
        _check_outputs(graph(operator), (result,), IMAGES, Path("x.torchscript"))
    assert caught.value.fix
