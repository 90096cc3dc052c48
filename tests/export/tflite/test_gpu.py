"""Which operators of a `.tflite` LiteRT's GPU delegate takes."""

import numpy as np
import pytest

from tfyolo.export.tflite.gpu import not_on_gpu
from tfyolo.export.tflite.vetting.graph import Graph, Operator, Tensor


def tensor(shape, dtype="float32", constant=False):
    none = np.zeros(0, np.float32)
    return Tensor(0, "", dtype, shape, memoryview(b"0") if constant else None, none, none, 0)


def constant(shape, dtype="int32"):
    return tensor(shape, dtype, constant=True)


def left(name, inputs, output=None, options=None, custom=None):
    """What a graph of one operator leaves to the CPU."""
    outputs = (output or inputs[0],)
    operator = Operator(0, name, tuple(inputs), outputs, "", options or {}, custom)
    return not_on_gpu(Graph((), (operator,), {}, {}, True))


IMAGE, FLAT = tensor((1, 8, 8, 4)), tensor((1000, 4))
SLICE = [constant((4,))] * 3
TAKEN = {
    "a convolution": ("CONV_2D", [IMAGE, constant((4, 3, 3, 4), "float32")]),
    "a slice": ("STRIDED_SLICE", [IMAGE, *SLICE]),
    "padding": ("PAD", [IMAGE, constant((4, 2))]),
    "rows of a table": ("GATHER", [FLAT, tensor((100,), "int32")]),
    "a choice": ("SELECT_V2", [tensor((1000, 4), "bool"), FLAT, FLAT]),
    "a choice with a scalar": ("SELECT_V2", [tensor((1000, 4), "bool"), FLAT, constant((), "float32")]),
    "shapes of one rank": ("ADD", [IMAGE, tensor((1, 1, 1, 4))]),
    "channels of another rank": ("MUL", [IMAGE, constant((4,), "float32")]),
    "whole numbers as floats": ("CAST", [tensor((10,), "int32")], tensor((10,))),
    "truth as floats": ("CAST", [tensor((10,), "bool")], tensor((10,))),
    "a mean over constant axes": ("MEAN", [IMAGE, constant((2,))]),
    "8-bit numbers as floats": ("DEQUANTIZE", [tensor((1, 8, 8, 4), "int8")]),
}
LEFT = {
    "suppression": ("NON_MAX_SUPPRESSION_V5", [FLAT]),
    "the best class": ("ARG_MAX", [FLAT, constant(())]),
    "a slice of a matrix": ("STRIDED_SLICE", [FLAT, *SLICE]),
    "a slice without its axis": ("STRIDED_SLICE", [IMAGE, *SLICE], None, {"shrink_axis_mask": 8}),
    "padding of a matrix": ("PAD", [FLAT, constant((2, 2))]),
    "a table of indices": ("GATHER", [FLAT, tensor((10, 2), "int32")]),
    "a choice that is broadcast": ("SELECT_V2", [tensor((1000, 1), "bool"), tensor((1000, 1)), FLAT], FLAT),
    "shapes that do not fit": ("ADD", [IMAGE, tensor((5,))]),
    "bytes as floats": ("CAST", [tensor((10,), "uint8")], tensor((10,))),
    "a mean over computed axes": ("MEAN", [IMAGE, tensor((2,), "int32")]),
    "16-bit numbers as floats": ("DEQUANTIZE", [tensor((1, 8, 8, 4), "int16")]),
    "a custom operator": ("CONV_2D", [IMAGE], None, None, b""),
}


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
def test_taken(case):
    assert left(*case) == {}


@pytest.mark.parametrize("case", LEFT.values(), ids=LEFT)
def test_left_to_the_cpu(case):
    assert left(*case) == {case[0]: 1}


def test_an_operator_of_a_damaged_file_is_not_supported():
    assert left("GATHER", [FLAT]) == {"GATHER": 1}
