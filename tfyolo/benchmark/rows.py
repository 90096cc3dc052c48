"""The rows of a benchmark: figures of one file each, and the CSV and JSON of all."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.benchmark.latency import Latency
from tfyolo.files import atomic


@dataclass
class BenchmarkRow:
    """What was measured of one file.

    Attributes:
        name: of the file.
        path: the file or folder that is timed.
        megabytes: its size.
        format: of the registry, or `keras`; empty where it did not load.
        precision: of the numbers in it.
        map50_95: mean average precision over IoU 0.5 to 0.95; None where it was not measured.
        map50: the same at IoU 0.5.
        top1: of a classifier, share of images whose most probable class is the true one.
        top5: of a classifier, share of images whose true class is among the five most probable.
        load_seconds: from opening the file to its first boxes, with its libraries already imported.
        latencies: by number of threads.
        limits: what NMS in the file leaves out, where that lowers its mAP.
        error: why there are no figures.
    """

    name: str
    path: Path
    megabytes: float | None = None
    format: str = ""
    precision: str = ""
    map50_95: float | None = None
    map50: float | None = None
    top1: float | None = None
    top5: float | None = None
    load_seconds: float | None = None
    latencies: dict[int, Latency] = field(default_factory=dict)
    limits: str = ""
    error: str = ""

    @property
    def score(self) -> float | None:
        """What it is judged by: mAP50-95, or top-1 of a classifier."""
        return self.map50_95 if self.top1 is None else self.top1

    @property
    def latency_ms(self) -> float | None:
        """Median latency in milliseconds with the smallest number of threads; None if it was not timed."""
        return self.latencies[min(self.latencies)].median_ms if self.latencies else None

    def difference(self, first: BenchmarkRow) -> float | None:
        """Score over that of `first`."""
        if self.score is None or first.score is None:
            return None
        return self.score - first.score

    def ratio(self, first: BenchmarkRow, threads: int) -> float | None:
        """How many times as fast as `first`, by medians."""
        if threads not in self.latencies or threads not in first.latencies:
            return None
        return first.latencies[threads].median_ms / self.latencies[threads].median_ms

    def fail(self, reason: str) -> None:
        """Say why it has no figures, and drop those it has."""
        self.error, self.latencies, self.load_seconds = reason, {}, None
        self.map50 = self.map50_95 = self.top1 = self.top5 = None


def reference(rows: Sequence[BenchmarkRow]) -> BenchmarkRow:
    """What the others are compared with: the first that Keras runs, or else the first."""
    return next((row for row in rows if row.format == "keras" and not row.error), rows[0])


def ranking_metric(rows: Sequence[BenchmarkRow]) -> str:
    """What `BenchmarkRow.score` is called."""
    return "top-1" if any(row.top1 is not None for row in rows) else "mAP50-95"


def failures(rows: Sequence[BenchmarkRow], floor: float | None = None) -> list[str]:
    """Sentences on files that could not be measured, or score less than `floor`.

    Args:
        rows: of a benchmark.
        floor: lowest mAP50-95 (or top-1) that will do.
    """
    messages = []
    for row in rows:
        if row.error:
            messages.append(f"{row.name}: {row.error}")
        elif floor is not None and row.score is not None and row.score < floor:
            messages.append(
                f"{row.name}: {ranking_metric([row])} is {row.score:.5g}, below the floor of {floor:g}"
            )
    return messages


def to_dicts(rows: Sequence[BenchmarkRow], threads: Sequence[int]) -> list[dict[str, Any]]:
    """Plain values, with the same keys in every row; None where there is no figure."""
    plain: list[dict[str, Any]] = []
    first = reference(rows) if rows else None
    for row in rows:
        assert first is not None  # noqa: S101 - there are rows
        any_latency = next(iter(row.latencies.values()), None)
        values = {
            "file": row.name,
            "format": row.format,
            "precision": row.precision,
            "runs_in": any_latency.runtime if any_latency else None,
            "input": "x".join(map(str, any_latency.image_size)) if any_latency else None,
            "megabytes": _rounded(row.megabytes, 3),
            "load_seconds": _rounded(row.load_seconds, 3),
            **_scores(row, ranking_metric(rows)),
            "difference": _rounded(row.difference(first), 5),
        }
        for count in threads:
            latency, key = row.latencies.get(count), f"threads_{count}"
            values[f"{key}_median_ms"] = _rounded(latency.median_ms if latency else None, 3)
            values[f"{key}_p90_ms"] = _rounded(latency.p90_ms if latency else None, 3)
            inference = float(np.median(latency.inference_ms)) if latency else None
            values[f"{key}_inference_median_ms"] = _rounded(inference, 3)
            values[f"{key}_ratio"] = _rounded(row.ratio(first, count), 3)
        plain.append({**values, "error": row.error or None})
    return plain


def _scores(row: BenchmarkRow, kind: str) -> dict[str, Any]:
    if kind == "top-1":
        return {"top1": _rounded(row.top1, 5), "top5": _rounded(row.top5, 5)}
    return {"map50_95": _rounded(row.map50_95, 5), "map50": _rounded(row.map50, 5)}


def save_csv(rows: Sequence[BenchmarkRow], threads: Sequence[int], path: Path) -> Path:
    """Write the figures as CSV with a line of headings; a figure that is not there is empty."""
    plain = to_dicts(rows, threads)
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(plain[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
    return path


def save_json(rows: Sequence[BenchmarkRow], threads: Sequence[int], path: Path) -> Path:
    """Write the figures as a JSON list of objects."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(to_dicts(rows, threads), indent=1) + "\n", "utf-8")
    return path


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits) + 0.0  # which makes -0.0 plain
