"""The search for float parts within a budget."""

import itertools
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.quantization.conftest import IMAGE_HW
from tests.small import confident, letterboxed
from tfyolo.api.checks import as_budget
from tfyolo.errors import TfyoloError
from tfyolo.models.network import Network
from tfyolo.progress import no_progress
from tfyolo.quantization.budget import costs
from tfyolo.quantization.budget.calibrate import calibrate_within_budget
from tfyolo.quantization.budget.costs import (
    LatencyCost,
    MultiplyAddCost,
    UnmeasurableError,
    ratio_of_latencies,
)
from tfyolo.quantization.budget.options import FloatBudget
from tfyolo.quantization.budget.parts import Part, modules_of, multiply_adds
from tfyolo.quantization.budget.report import save_report, table_of
from tfyolo.quantization.budget.search import FloatSearch, Trial, _Search, comparison, search
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.export_options import check_budget
from tfyolo.quantization.mixed import MixedPrecision


@pytest.fixture(scope="module")
def calibrated():
    """A calibrated network with every kind of module, its contract and its images."""
    detector, images = confident(4, IMAGE_HW), letterboxed(IMAGE_HW)
    exact = Network.of(detector.model, detector.contract.spec)
    return MixedPrecision(exact, *calibrate(exact, images)), detector.contract, images


@pytest.fixture(scope="module")
def found(calibrated):
    """The search in this network with one range a hundred times too wide."""
    mixed, contract, images = calibrated
    low, high = mixed.spec.ranges["model.8.cv2.conv"]
    ranges = {**mixed.spec.ranges, "model.8.cv2.conv": (100 * low, 100 * high)}
    spoilt = replace(mixed, spec=mixed.spec.model_copy(update={"ranges": ranges}))
    measure = comparison(mixed.exact, contract, images, 2)
    budget = FloatBudget(0.15, "multiply-adds", images=2)
    return search(spoilt, measure, MultiplyAddCost(spoilt, IMAGE_HW), budget)


def test_the_search_finds_the_layer_whose_range_was_spoilt(found):
    first = found.path[1].kept
    assert len(first) == 1
    assert first[0] in ("model.8", "model.8.cv2")
    assert found.loss(found.path[1]) < 0.8
    assert any("model.8.cv2".startswith(name) for name in found.kept)


def test_the_search_stays_within_its_budget_and_gains_with_every_step(found):
    losses = [found.loss(trial) for trial in found.path]
    assert losses[0] == pytest.approx(1)
    assert all(np.diff(losses) < 0)
    assert all(np.diff([trial.cost for trial in found.path]) > 0)
    assert found.path[-1].cost <= 0.15
    assert all(trial.fidelity is not None for trial in found.path)
    # Parts inside kept parts are not kept twice.
    for name in found.kept:
        assert not [other for other in found.kept if other.startswith(f"{name}.")]


def test_parts_are_modules_blocks_and_layers(cells_int8):
    modules = {part.name: part for part in modules_of(cells_int8.network)}
    assert "model.22" not in modules  # a concatenation
    heads = modules["model.24"]
    assert [part.name for part in heads.children] == ["model.24.m.0", "model.24.m.1", "model.24.m.2"]
    assert [part.name for part in heads.children[0].children] == [
        f"model.24.m.0.{part}" for part in ("box", "objectness", "classes")
    ]
    block = modules["model.23"]
    assert {part.name for part in block.children} >= {"model.23.cv1", "model.23.cv2", "model.23.cv3"}
    assert block.layers == frozenset().union(*(part.layers for part in block.children))
    assert block.within(("model.23",))
    assert not block.within(("model.2",))
    assert block.added_to(("model.23.cv1", "model.2")) == ("model.2", "model.23")


def test_multiply_adds_are_those_of_the_summary(cells_int8):
    from tfyolo.models.build import count_model

    counts = multiply_adds(cells_int8.network, IMAGE_HW)
    ops, _ = count_model(cells_int8.contract.spec, IMAGE_HW)
    convolutions = sum(counts.values())
    whole = sum(cost.multiply_adds for cost in ops.costs.values()) if hasattr(ops, "costs") else None
    assert whole is None or convolutions <= whole < 1.1 * convolutions
    shares = MultiplyAddCost(MixedPrecision(cells_int8.exact, cells_int8.network, cells_int8.spec), IMAGE_HW)
    assert shares.estimate(("model.24",)) == pytest.approx(
        sum(n for name, n in counts.items() if name.startswith("model.24.")) / convolutions
    )
    assert shares.measure(tuple(counts)) == pytest.approx(1)


def test_latency_is_measured_in_litert(calibrated):
    mixed, contract, _ = calibrated
    cost = LatencyCost(mixed, contract, IMAGE_HW)
    assert cost.estimate(()) == 0
    assert cost.estimate(("model.12",)) <= cost.estimate(("model.8", "model.12"))
    assert -0.9 < cost.measure(("model.12",)) < 9


def test_ratio_of_latencies_is_of_the_two_functions(monkeypatch):
    now = 0.0

    def lasts(*seconds):
        durations = itertools.cycle(seconds)

        def run():
            nonlocal now
            now += next(durations)

        return run

    monkeypatch.setattr(costs, "perf_counter", lambda: now)
    # Two runs in three are interrupted: the lower quartile does not show it.
    assert ratio_of_latencies(lasts(0.006, 0.5, 0.3), lasts(0.002, 0.1)) == pytest.approx(3)


def test_calibration_within_a_budget_reports_and_keeps_the_choice(tmp_path):
    detector, hw = confident(4, (64, 64), "micro.yaml"), (64, 64)
    exact = Network.of(detector.model, detector.contract.spec)
    budget = FloatBudget(0.4, "multiply-adds", images=2)
    head = exact.heads[0][0]
    reports = []
    _, spec = calibrate_within_budget(
        exact,
        detector.contract,
        letterboxed(hw),
        CalibrationOptions(budget=budget, keep_float=(head,)),
        searched=reports.append,
    )
    (report,) = reports
    assert spec.keep_float[0] == head
    assert report.kept
    assert set(report.kept) <= set(spec.keep_float)
    assert "float parts within 40 % of multiply-adds" in spec.method
    lines = []
    chart, file = save_report(report, tmp_path / "best", lines.append)
    assert chart.stat().st_size > 10_000
    assert json.loads(file.read_text())["budget"]["share"] == 0.4
    assert lines[-1] == f"chart: {chart}"
    table = table_of(report)
    assert table[0] == ["added in float", "multiply-adds in float", "score error", "box error", "fidelity"]
    assert table[1][:2] == ["nothing", "+0.0 %"]
    assert table[-1][0].startswith("calibrated again")


@dataclass
class Near:
    """What the search reads of a `Fidelity`: each part in float takes its gain from an error of 1."""

    error: float
    fidelity: float = 0.9

    def errors(self):
        return (self.error,)


@dataclass
class Price:
    """Costs of 0.1 for each part; no file can hold `b` in float."""

    def estimate(self, kept):
        return 0.1 * len(kept)

    def measure(self, kept):
        if "b" in kept:
            raise UnmeasurableError("no such kernel")
        return self.estimate(kept)


def test_a_part_that_no_file_can_hold_stays_in_int8_and_is_reported(tmp_path):
    gains = {"a": 0.1, "b": 0.5, "c": 0.2, "d": 0.0}
    parts = tuple(Part(name, frozenset([name]), ()) for name in gains)
    result = _Search(
        parts,
        lambda kept, errors_only: Near(1 - sum(gains[name] for name in kept)),
        Price(),
        FloatBudget(0.3, "multiply-adds"),
        no_progress,
    ).run()
    assert result.kept == ("c", "a")
    (failed,) = (trial for trial in result.trials if trial.problem)
    assert (failed.kept, failed.problem, failed.chosen) == (("b",), "no such kernel", False)
    lines = []
    save_report(result, tmp_path / "best", lines.append)
    assert lines[-2] == "left in int8, since no file can hold it in float: b: no such kernel"


def test_a_block_is_kept_though_its_module_gains_nothing():
    gains = {
        "m.a": 0.2,
        "m.a.b": 0.1,
        "m": 0.0,
        "m.c": 0.0,
        "m.c.d": 0.2,
    }  # the errors of m.a and m.c cancel out
    blocks = tuple(
        Part(name, frozenset([name]), (Part(f"{name}.{inner}", frozenset([inner]), ()),))
        for name, inner in (("m.a", "b"), ("m.c", "d"))
    )
    result = _Search(
        (Part("m", frozenset(gains), blocks),),
        lambda kept, errors_only: Near(1 - sum(gains[name] for name in kept)),
        Price(),
        FloatBudget(0.3, "multiply-adds"),
        no_progress,
    ).run()
    assert result.kept == ("m.a",)
    tried = {name for trial in result.trials for name in trial.kept}
    assert tried == {"m", "m.a", "m.a.b", "m.c"}  # what is in a block is tried only if the block gains


@pytest.mark.parametrize(("ratio", "of"), [(1.02, "multiply-adds"), (2.8, "latency")])
def test_a_latency_that_limits_nothing_is_replaced_by_multiply_adds(
    calibrated, monkeypatch, tmp_path, ratio, of
):
    monkeypatch.setattr(costs, "ratio_of_latencies", lambda run, base: ratio)
    mixed, contract, _ = calibrated
    cost, budget, remark = costs.find_cost(FloatBudget(0.15), mixed, contract, IMAGE_HW)
    assert budget == FloatBudget(0.15, of)
    assert isinstance(cost, MultiplyAddCost if of == "multiply-adds" else LatencyCost)
    assert remark.startswith("on this CPU the whole network in float takes 2 % more") == (
        of == "multiply-adds"
    )
    trial = Trial((), 0.0, (1.0,), 0.9, chosen=True)
    lines = []
    save_report(FloatSearch(budget, (trial,), note=remark), tmp_path / "best", lines.append)
    assert (lines[0] == remark) == bool(remark)


@pytest.mark.parametrize(("error", "label"), [(0.5, ""), (0.7, " (no better: not used)")])
def test_the_report_says_whether_the_new_calibration_is_used(error, label):
    path = (Trial((), 0.0, (1.0,), 0.9, chosen=True), Trial(("a",), 0.1, (0.6,), 0.91, chosen=True))
    found = FloatSearch(FloatBudget(0.15), path, replace(path[-1], errors=(error,)))
    assert found.pays == (not label)
    assert table_of(found)[-1][0] == f"calibrated again, with these in float{label}"


def test_a_network_that_cannot_be_exported_at_all_is_an_error(calibrated, monkeypatch):
    def fails(*args):
        raise RuntimeError("converter failed")

    monkeypatch.setattr("tfyolo.quantization.budget.costs._litert", fails)
    mixed, contract, _ = calibrated
    with pytest.raises(RuntimeError, match="converter failed"):
        LatencyCost(mixed, contract, IMAGE_HW)


def test_options_of_a_budget_need_a_budget_and_formats_with_float_operators():
    assert as_budget(0.0, "latency", 32) is None
    for of, images in (("multiply-adds", 32), ("latency", 8)):
        with pytest.raises(TfyoloError, match="need float_budget"):
            as_budget(0.0, of, images)
    check_budget(None, ["edgetpu"])
    check_budget(FloatBudget(0.1), ["tflite", "onnx"])
    with pytest.raises(TfyoloError, match="edgetpu does not support --float-budget"):
        check_budget(FloatBudget(0.1), ["tflite", "edgetpu"])
