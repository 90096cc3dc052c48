"""What parts in float cost: latency in LiteRT, or multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.models.contract import Contract
from tfyolo.models.quantization import Placement
from tfyolo.quantization.budget.options import FloatBudget
from tfyolo.quantization.budget.parts import multiply_adds
from tfyolo.quantization.keras_model import quantized_model
from tfyolo.quantization.mixed import MixedPrecision
from tfyolo.quiet import hidden_stderr

_WARM_UP_RUNS = 3
_PAIRS = 61
"""Runs of two networks in turn."""
_MAX_SECONDS = 6.0
_MIN_PAIRS = 7


class UnmeasurableError(Exception):
    """The converter cannot write a file with these parts in float, or LiteRT cannot load it."""


class Cost(Protocol):
    """What keeping parts in float costs, relative to the network in which no more parts are kept."""

    def estimate(self, kept: Sequence[str]) -> float:
        """Return the expected cost of these parts in float, without a measurement."""

    def measure(self, kept: Sequence[str]) -> float:
        """Return the cost of these parts in float.

        Raises:
            UnmeasurableError: no file can hold them.
        """


class MultiplyAddCost:
    """Share of all multiply-adds that is in float.

    Args:
        mixed: the quantized network.
        image_size: input size (height, width) in pixels.
    """

    def __init__(self, mixed: MixedPrecision, image_size: tuple[int, int]) -> None:
        self._network, self._kept = mixed.network, mixed.spec.keep_float
        self._before = Placement.of(mixed.network, self._kept)
        self._each = multiply_adds(mixed.network, image_size)
        self._total = sum(self._each.values())

    def estimate(self, kept: Sequence[str]) -> float:
        """Return the share, from 0 to 1."""
        after = Placement.of(self._network, (*self._kept, *kept)).float_nodes - self._before.float_nodes
        return sum(count for name, count in self._each.items() if name in after) / self._total

    measure = estimate


class LatencyCost:
    """How much slower LiteRT runs the network on one thread: 0.1 is 10 %.

    The file has raw heads: decoding and NMS are the same for all variants. Its estimate assumes that every
    multiply-add costs the same.

    Args:
        mixed: the quantized network.
        contract: contract of the model.
        image_size: input size (height, width) in pixels.
    """

    def __init__(self, mixed: MixedPrecision, contract: Contract, image_size: tuple[int, int]) -> None:
        self._mixed, self._contract, self._image_size = mixed, contract, image_size
        self._shares = MultiplyAddCost(mixed, image_size)
        self._run_base = self._runner(())
        names = tuple({node.name for node in mixed.network.nodes})
        self.everything = max(ratio_of_latencies(self._runner(names), self._run_base) - 1, 0.0)
        """How much slower the whole network in float is."""

    def estimate(self, kept: Sequence[str]) -> float:
        """Return the expected increase of the latency."""
        return self.everything * self._shares.estimate(kept)

    def measure(self, kept: Sequence[str]) -> float:
        """Export, and time the file and the base in turn.

        Raises:
            UnmeasurableError: the file cannot be written or loaded.
        """
        try:
            run = self._runner(kept)
        except Exception as error:  # converter and runtime raise many kinds
            raise UnmeasurableError(" ".join(str(error).split())[:200] or type(error).__name__) from error
        return ratio_of_latencies(run, self._run_base) - 1

    def _runner(self, kept: Sequence[str]) -> Callable[[], None]:
        network, spec = self._mixed.keeping(kept)
        return _litert(quantized_model(network, spec, self._contract), self._image_size)


def ratio_of_latencies(run: Callable[[], None], base: Callable[[], None]) -> float:
    """Run two functions in turn; return the ratio of the lower quartiles of their times.

    Other programs only ever prolong a run: the quicker half of the runs varies least.
    """
    for _ in range(_WARM_UP_RUNS):
        run()
        base()
    times: list[tuple[float, float]] = []
    begin = perf_counter()
    while len(times) < _PAIRS and (len(times) < _MIN_PAIRS or perf_counter() - begin < _MAX_SECONDS):
        start = perf_counter()
        base()
        middle = perf_counter()
        run()
        times.append((perf_counter() - middle, middle - start))
    own, others = np.percentile(times, 25, axis=0)
    return float(own / others)


def _litert(quantized: tuple[Any, Contract], image_size: tuple[int, int]) -> Callable[[], None]:
    """Return a function that runs the int8 file of a quantized model in LiteRT on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    from tfyolo.export.tflite.flatbuffer import write
    from tfyolo.export.tflite.writer import convert

    options = ExportOptions(image_size=image_size, nms="raw", precision="int8")
    with hidden_stderr():
        content = write(convert(ExportJob(*quantized, options)))
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    pixels = np.random.default_rng(0).integers(0, 256, details["shape"], np.uint8)
    interpreter.set_tensor(details["index"], pixels)
    return interpreter.invoke


def find_cost(
    budget: FloatBudget, mixed: MixedPrecision, contract: Contract, image_size: tuple[int, int]
) -> tuple[Cost, FloatBudget, str]:
    """Return the cost that a budget is of.

    On a CPU that computes float about as fast as int8, as many without 8-bit dot products do, a budget of
    latency allows everything in float. There the same share limits multiply-adds.

    Args:
        budget: what parts in float may cost.
        mixed: the quantized network.
        contract: contract of the model.
        image_size: input size (height, width) in pixels.

    Returns:
        The cost, the budget that is in force, and a remark for the user if it is another one, else "".
    """
    remark = ""
    if budget.of == "latency":
        cost = LatencyCost(mixed, contract, image_size)
        if cost.everything > budget.share:
            return cost, budget, remark
        remark = (
            f"on this CPU the whole network in float takes {100 * cost.everything:.0f} % more latency than "
            f"in int8, so latency limits nothing: {100 * budget.share:.3g} % is of multiply-adds instead"
        )
    return MultiplyAddCost(mixed, image_size), replace(budget, of="multiply-adds"), remark
