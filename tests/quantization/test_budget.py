"""The search for float parts within a budget."""

import json

import numpy as np
import pytest

from tests.quantization.conftest import IMAGE_HW, cell_images
from tfyolo.models.quantization import QuantizationSpec
from tfyolo.quantization.budget.calibrate import calibrate_within_budget
from tfyolo.quantization.budget.costs import LatencyCost, MultiplyAddCost, ratio_of_latencies
from tfyolo.quantization.budget.options import FloatBudget
from tfyolo.quantization.budget.parts import modules_of, multiply_adds
from tfyolo.quantization.budget.report import save_report, table_of
from tfyolo.quantization.budget.search import comparison, search
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.mixed import MixedPrecision


@pytest.fixture(scope="module")
def spoilt(cells_int8):
    """The calibrated network with one range a hundred times too wide."""
    ranges = dict(cells_int8.spec.ranges)
    owner = "model.13.cv2.conv"
    low, high = ranges[owner]
    ranges[owner] = (100 * low, 100 * high)
    spec = QuantizationSpec.model_validate({**cells_int8.spec.model_dump(), "ranges": ranges})
    return MixedPrecision(cells_int8.exact, cells_int8.network, spec)


@pytest.fixture(scope="module")
def found(spoilt, cells_int8):
    measure = comparison(cells_int8.exact, cells_int8.contract, cells_int8.images, 4)
    budget = FloatBudget(0.03, "multiply-adds", images=4)
    return search(spoilt, measure, MultiplyAddCost(spoilt, IMAGE_HW), budget)


def test_the_search_finds_the_layer_whose_range_was_spoilt(found):
    first = found.path[1].kept
    assert len(first) == 1
    assert first[0] in ("model.13", "model.13.cv2")
    assert found.loss(found.path[1]) < 0.8
    assert any("model.13.cv2".startswith(name) for name in found.kept)


def test_the_search_stays_within_its_budget_and_gains_with_every_step(found):
    losses = [found.loss(trial) for trial in found.path]
    assert losses[0] == pytest.approx(1)
    assert all(np.diff(losses) < 0)
    assert all(np.diff([trial.cost for trial in found.path]) > 0)
    assert found.path[-1].cost <= 0.03
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


def test_latency_is_measured_in_litert(cells_int8):
    mixed = MixedPrecision(cells_int8.exact, cells_int8.network, cells_int8.spec)
    cost = LatencyCost(mixed, cells_int8.contract, IMAGE_HW)
    assert cost.estimate(()) == 0
    assert cost.estimate(("model.24",)) <= cost.estimate(("model.23", "model.24"))
    assert -0.9 < cost.measure(("model.24",)) < 9


def test_ratio_of_latencies_is_of_the_two_functions():
    from time import perf_counter

    def spin(seconds):
        end = perf_counter() + seconds
        while perf_counter() < end:
            pass

    assert 1.5 < ratio_of_latencies(lambda: spin(0.006), lambda: spin(0.002)) < 6


def test_calibration_within_a_budget_reports_and_keeps_the_choice(cells_int8, tmp_path):
    budget = FloatBudget(0.01, "multiply-adds", images=3)
    reports = []
    _, spec = calibrate_within_budget(
        cells_int8.exact,
        cells_int8.contract,
        cell_images(4),
        CalibrationOptions(budget=budget, keep_float=("model.24.m.0.box",)),
        searched=reports.append,
    )
    (report,) = reports
    assert spec.keep_float[0] == "model.24.m.0.box"
    assert set(report.kept) <= set(spec.keep_float)
    assert "float parts within 1 % of multiply-adds" in spec.method
    lines = []
    chart, file = save_report(report, tmp_path / "best", lines.append)
    assert chart.stat().st_size > 10_000
    assert json.loads(file.read_text())["budget"]["share"] == 0.01
    assert lines[-1] == f"chart: {chart}"
    table = table_of(report)
    assert table[0] == ["added in float", "multiply-adds in float", "score error", "box error", "fidelity"]
    assert table[1][:2] == ["nothing", "+0.0 %"]
    assert table[-1][0].startswith("calibrated again")
