"""Rows of a benchmark, one per file, and their CSV and JSON files."""

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
    """Results of one file.

    Attributes:
        name: name of the file.
        path: path of the timed file or folder.
        megabytes: size of the file or folder in 1e6 bytes.
        format: name of the format; empty if it could not be loaded.
        precision: precision of the file, such as `float32` or `int8`.
        task: task of the model, such as `detect`; empty if it could not be timed.
        map50_95: mAP over IoU 0.5 to 0.95; None if it was not measured.
        map50: the same at IoU 0.5.
        mask_map50_95: mAP of masks over IoU 0.5 to 0.95, of a segmentation model.
        mask_map50: the same at IoU 0.5.
        top1: top-1 accuracy of a classifier.
        top5: top-5 accuracy of a classifier.
        load_seconds: time from opening the file to its first boxes, with libraries already imported.
        latencies: latencies by number of threads.
        limits: thresholds of NMS inside the file that are stricter than those of mAP; empty if none are.
        error: reason why there are no results.

    Example:
        >>> row = BenchmarkRow("best.tflite", Path("best.tflite"), map50_95=0.5)
        >>> row.score, row.error
        (0.5, '')
    """

    name: str
    path: Path
    megabytes: float | None = None
    format: str = ""
    precision: str = ""
    task: str = ""
    map50_95: float | None = None
    map50: float | None = None
    mask_map50_95: float | None = None
    mask_map50: float | None = None
    top1: float | None = None
    top5: float | None = None
    load_seconds: float | None = None
    latencies: dict[int, Latency] = field(default_factory=dict)
    limits: str = ""
    error: str = ""

    @property
    def score(self) -> float | None:
        """mAP50-95 of boxes, or top-1 of a classifier."""
        return self.map50_95 if self.top1 is None else self.top1

    @property
    def latency_ms(self) -> float | None:
        """Median latency in milliseconds with the smallest number of threads; None if it was not timed."""
        return self.latencies[min(self.latencies)].median_ms if self.latencies else None

    def difference(self, first: BenchmarkRow) -> float | None:
        """Difference to the score of `first`."""
        if self.score is None or first.score is None:
            return None
        return self.score - first.score

    def mask_difference(self, first: BenchmarkRow) -> float | None:
        """Difference to the mask mAP50-95 of `first`."""
        if self.mask_map50_95 is None or first.mask_map50_95 is None:
            return None
        return self.mask_map50_95 - first.mask_map50_95

    def ratio(self, first: BenchmarkRow, threads: int) -> float | None:
        """Speed relative to `first`, by median latency."""
        if threads not in self.latencies or threads not in first.latencies:
            return None
        return first.latencies[threads].median_ms / self.latencies[threads].median_ms

    def fail(self, reason: str) -> None:
        """Set the reason of a failure, and drop all results."""
        self.error, self.latencies, self.load_seconds = reason, {}, None
        self.map50 = self.map50_95 = self.top1 = self.top5 = None
        self.mask_map50 = self.mask_map50_95 = None


def reference(rows: Sequence[BenchmarkRow]) -> BenchmarkRow:
    """Return the reference row: the first Keras model, or else the first row."""
    return next((row for row in rows if row.format == "keras" and not row.error), rows[0])


def ranking_metric(rows: Sequence[BenchmarkRow]) -> str:
    """Return the name of `BenchmarkRow.score`."""
    return "top-1" if any(row.top1 is not None for row in rows) else "mAP50-95"


def has_masks(rows: Sequence[BenchmarkRow]) -> bool:
    """Return whether the mAP of masks was measured."""
    return any(row.mask_map50_95 is not None for row in rows)


def failures(rows: Sequence[BenchmarkRow], floor: float | None = None) -> list[str]:
    """Return sentences about files that failed, or whose score is below `floor`.

    Args:
        rows: rows of a benchmark.
        floor: minimum mAP50-95 (or top-1).
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
    """Convert rows to plain values with equal keys; None for missing values."""
    plain: list[dict[str, Any]] = []
    first = reference(rows) if rows else None
    for row in rows:
        assert first is not None  # there are rows
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
            **(_mask_scores(row, first) if has_masks(rows) else {}),
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


def _mask_scores(row: BenchmarkRow, first: BenchmarkRow) -> dict[str, Any]:
    return {
        "mask_map50_95": _rounded(row.mask_map50_95, 5),
        "mask_map50": _rounded(row.mask_map50, 5),
        "mask_difference": _rounded(row.mask_difference(first), 5),
    }


def save_csv(rows: Sequence[BenchmarkRow], threads: Sequence[int], path: Path) -> Path:
    """Write the results as CSV with a header; missing values are empty.

    Args:
        rows: one row per model file; ratios and differences are relative to the first.
        threads: numbers of threads, each with its own columns of latencies.
        path: file to write.

    Returns:
        The path.

    Raises:
        TfyoloError: the file cannot be written.
    """
    plain = to_dicts(rows, threads)
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(plain[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
    return path


def save_json(rows: Sequence[BenchmarkRow], threads: Sequence[int], path: Path) -> Path:
    """Write the results as a JSON list of objects.

    Args:
        rows: one row per model file; ratios and differences are relative to the first.
        threads: numbers of threads, each with its own keys of latencies.
        path: file to write.

    Returns:
        The path.

    Raises:
        TfyoloError: the file cannot be written.
    """
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(to_dicts(rows, threads), indent=1) + "\n", "utf-8")
    return path


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits) + 0.0  # which makes -0.0 plain
