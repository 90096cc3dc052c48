"""Runs a few mutated files per format; `make fuzz` runs thousands."""

from __future__ import annotations

import pytest

from tests.fuzz.campaign import run
from tests.fuzz.fuzzers import find_fuzzer
from tests.fuzz.models import exported

CASES = 24


@pytest.mark.parametrize(
    ("name", "format_name"),
    [
        ("onnx", "onnx"),
        # Importing TensorFlow in the worker takes longer than all cases.
        pytest.param("graph_def", "pb", marks=pytest.mark.slow),
        pytest.param("saved_model", "saved_model", marks=pytest.mark.slow),
    ],
)
def test_mutated_files_run_or_are_refused(tmp_path, name, format_name):
    bases = exported(format_name, ("none",), tmp_path)
    report = run(find_fuzzer(name), bases, 0, range(CASES))
    assert report.failures == []
    assert sum(report.counts.values()) == CASES
    assert report.counts["refused"] > CASES // 4
