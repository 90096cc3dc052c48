"""The table of `tfyolo benchmark`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfyolo.benchmark.rows import has_masks, ranking_metric, reference
from tfyolo.benchmark.run import BenchmarkResult
from tfyolo.text import printable

_STAGES = {"classify": "image to class", "segment": "letterbox to masks"}
"""What is timed, by task; of detectors it is letterbox to boxes."""


@dataclass(frozen=True)
class _Column:
    """A column of the table: its heading, and a cell per row."""

    heading: str
    cells: tuple[str, ...]
    left: bool = False

    @classmethod
    def of(cls, heading: str, values: Iterable[float | None], form: str) -> _Column:
        """Return a column of numbers; None is an empty cell."""
        # + 0.0 turns -0.0 into 0.0
        return cls(heading, tuple("" if v is None else format(round(v, 4) + 0.0, form) for v in values))


def print_table(result: BenchmarkResult, out: Console) -> None:
    """Print a row per file; on a console that is too narrow, mAP and latency are two tables.

    Args:
        result: of the benchmark.
        out: console to print on.
    """
    files, scores, latencies = _file_columns(result), _score_columns(result), _latency_columns(result)
    title = _title(result)
    if scores and _width([*files, *scores, *latencies], out) > out.width:
        _print_columns([*files, *scores], out)
        out.print()
        _print_columns([*files[:1], *latencies], out, title)
    else:
        _print_columns([*files, *scores, *latencies], out, title)


def _title(result: BenchmarkResult) -> str:
    sizes = sorted({latency.image_size for row in result.rows for latency in row.latencies.values()})
    inputs = ", ".join("x".join(map(str, size)) for size in sizes)
    tasks = {row.task for row in result.rows}
    stages = next((text for task, text in _STAGES.items() if task in tasks), "letterbox to boxes")
    return f"milliseconds per image of {inputs or '?'} pixels, batch 1, {stages}"


def _print_columns(columns: Sequence[_Column], out: Console, title: str = "") -> None:
    if title:
        out.print(title, style="bold", soft_wrap=True)
    # Numbers would be cut off in a narrow terminal, so the table keeps its width there and its lines break.
    out.print(_table(columns), width=max(out.width, _width(columns, out)))


def _width(columns: Sequence[_Column], out: Console) -> int:
    return out.measure(_table(columns), options=out.options.update(width=1000)).maximum


def _table(columns: Sequence[_Column]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column.heading, justify="left" if column.left else "right", no_wrap=True)
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


def _file_columns(result: BenchmarkResult) -> list[_Column]:
    """Return what is known of each file before it is measured, and how long it loads."""
    rows = result.rows
    runtimes = [next((latency.runtime for latency in row.latencies.values()), "") for row in rows]
    return [
        _Column("file", tuple(escape(printable(row.name)) for row in rows), left=True),
        _Column(
            "runs in",
            tuple("failed" if row.error else runtime for row, runtime in zip(rows, runtimes, strict=True)),
            left=True,
        ),
        _Column.of("MB", (row.megabytes for row in rows), ".1f"),
        _Column.of("load s", (row.load_seconds for row in rows), ".2f"),
    ]


def _score_columns(result: BenchmarkResult) -> list[_Column]:
    if not result.has_scores:
        return []
    rows, first = result.rows, reference(result.rows)
    metric = f"box\n{ranking_metric(rows)}" if has_masks(rows) else ranking_metric(rows)
    columns = [
        _Column.of(metric, (row.score for row in rows), ".4f"),
        _Column.of("change", (row.difference(first) for row in rows), "+.4f"),
    ]
    if has_masks(rows):
        columns += [
            _Column.of("mask\nmAP50-95", (row.mask_map50_95 for row in rows), ".4f"),
            _Column.of("change", (row.mask_difference(first) for row in rows), "+.4f"),
        ]
    return columns


def _latency_columns(result: BenchmarkResult) -> list[_Column]:
    rows, first = result.rows, reference(result.rows)
    columns = []
    for count in result.threads:
        over = "1 thread" if count == 1 else f"{count} threads"
        timed = [row.latencies.get(count) for row in rows]
        ratios = [row.ratio(first, count) for row in rows]
        columns += [
            _Column.of(f"{over}\nmedian", (one.median_ms if one else None for one in timed), ".1f"),
            _Column.of("\np90", (one.p90_ms if one else None for one in timed), ".1f"),
            _Column("\nspeedup", tuple("" if ratio is None else f"{ratio:.2f}x" for ratio in ratios)),
        ]
    return columns
