"""Tables of what validation measured, for detectors, segmentation models and classifiers."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.markup import escape
from rich.table import Table

from tfyolo.cli.console import console
from tfyolo.text import printable

if TYPE_CHECKING:
    from tfyolo.evaluation.classification import ClassificationMetrics
    from tfyolo.evaluation.detection_metrics import Metrics

MAX_CLASS_ROWS = 30
"""Number of classes up to which each has a row of its own without `--verbose`."""


def print_metrics(
    metrics: Metrics | ClassificationMetrics,
    folder: Path,
    *,
    verbose: bool = False,
    problems_printed: bool = False,
) -> None:
    """Print metrics of a detector, a segmentation model or a classifier.

    Args:
        metrics: result of `validate` or `validate_classifier`.
        folder: folder of the results, which the last line names.
        verbose: print a row per class even for more than `MAX_CLASS_ROWS` classes.
        problems_printed: the problems of the dataset have been printed before, as training does.
    """
    per_class = verbose or len(metrics.names) <= MAX_CLASS_ROWS
    if hasattr(metrics, "top1"):
        _print_classification(cast("ClassificationMetrics", metrics), per_class)
    else:
        _print_detection(cast("Metrics", metrics), per_class, problems_printed)
    speed = ", ".join(f"{value:.1f} ms {key}" for key, value in metrics.speed_ms.items())
    out = console()
    out.print(f"speed per image: {speed}")
    out.print(f"results are in {folder}", markup=False, soft_wrap=True)


def _print_detection(metrics: Metrics, per_class: bool, problems_printed: bool) -> None:
    out, result, scan = console(), metrics.result, metrics.scan
    for problem in metrics.problems[len(scan.problems) if problems_printed else 0 :]:
        out.print(printable(problem), markup=False)
    for note in metrics.notes:
        out.print(f"note: {note}", markup=False)
    out.print(scan.summary())
    results = {"": result} if metrics.mask_result is None else {"box ": result, "mask ": metrics.mask_result}
    figures = ("P", "R", "mAP50", "mAP50-95")
    table = _table("class", "labels", *(f"{kind}{name}" for kind in results for name in figures))

    def add_row(name: str, labels: int, values: Iterable[float]) -> None:
        table.add_row(escape(printable(name)), str(labels), *(f"{value:.3f}" for value in values))

    means = [(r.mean_precision, r.mean_recall, r.map50, r.map50_95) for r in results.values()]
    add_row("all", int(result.labels.sum()), chain(*means))
    if per_class:
        columns = [
            column for r in results.values() for column in (r.precision, r.recall, r.ap50, r.ap.mean(1))
        ]
        for index, count, *values in zip(result.class_ids, result.labels, *columns, strict=True):
            add_row(metrics.names[index], int(count), values)
    out.print(table)
    of_boxes = "COCO protocol" if metrics.mask_coco is None else "COCO protocol, boxes"
    for title, twelve in ((of_boxes, metrics.coco), ("COCO protocol, masks", metrics.mask_coco)):
        if twelve:
            text = ", ".join(f"{key} {value:.3f}" for key, value in twelve.items())
            out.print(f"{title}: {text}", soft_wrap=True)


def _print_classification(metrics: ClassificationMetrics, per_class: bool) -> None:
    from tfyolo.data.classification.folders import scan_summary

    out = console()
    for problem in metrics.problems:
        print(printable(problem, keep="\n"), file=sys.stderr)
    out.print(f"{metrics.settings['split']}: {scan_summary(metrics.scan, len(metrics.names))}")
    if per_class:
        table = _table("class", "images", "P", "R", "F1")
        columns = (metrics.images, metrics.precision, metrics.recall, metrics.f1)
        rows = zip(metrics.names, *columns, strict=True)
        for name, count, *values in rows:
            cells = ("-" if math.isnan(value) else f"{value:.3f}" for value in values)
            table.add_row(escape(printable(name)), str(count), *cells)
        out.print(table)
    out.print(
        f"top-1 {metrics.top1:.4f}, top-5 {metrics.top5:.4f}, mean per-class recall "
        f"{metrics.balanced:.4f}, loss {metrics.loss:.4f}"
    )


def _table(*headings: str) -> Table:
    """A table without borders, whose columns after the first are aligned right."""
    table = Table(*headings, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    return table
