"""Label files of hostile size: work and memory end where more of them tells nothing new."""

from __future__ import annotations

import pytest

from tfyolo.data.detection import label_rows, yolo_labels
from tfyolo.data.detection.yolo_labels import read_labels


@pytest.mark.parametrize("row", ["0 5 5 5 5", "0 nan 0 0 0", "0 a b c d", "0 1", "0 0.5 0.5 0 0"])
def test_a_file_of_mistakes_is_read_until_it_is_known_to_be_one(tmp_path, row):
    path = tmp_path / "a.txt"
    path.write_text(f"{row}\n" * 20_000)
    found = read_labels(path, 3)
    assert len(found.problems) == label_rows.MAX_PROBLEMS + 1
    assert found.problems[0].severity == "error"
    assert found.problems[-1].message == "1 more problems in this file"


def test_warnings_are_counted_and_boxes_kept(tmp_path):
    path = tmp_path / "a.txt"
    rows = [f"0 0.5 0.5 0.{i:03} 0.1" for i in range(100, 900)]
    path.write_text("\n".join(rows + rows[:700]))
    found = read_labels(path, 3)
    assert len(found.classes) == 800
    assert not any(problem.severity == "error" for problem in found.problems)
    assert found.problems[-1].message == f"{700 - label_rows.MAX_PROBLEMS} more problems in this file"


def test_an_error_after_many_warnings_is_kept(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0 0.5 0.5 0.5 0.5\n" * 1000 + "0 5 5 5 5\n")
    found = read_labels(path, 3)
    assert [problem.line for problem in found.problems if problem.severity == "error"] == [1001]


def test_rows_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(yolo_labels, "MAX_ROWS", 10)
    path = tmp_path / "a.txt"
    path.write_text("\n".join(f"0 0.5 0.5 0.{i} 0.1" for i in range(10, 40)))
    found = read_labels(path, 3)
    assert len(found.classes) == 10
    assert "more than 10 rows" in found.problems[-1].message
    assert found.problems[-1].severity == "error"
