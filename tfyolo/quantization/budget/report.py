"""Report of a search for float parts: a table, a Pareto chart, and a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tfyolo.evaluation.plot_style import GRID, INK, MUTED, new_figure, save_figure, title
from tfyolo.files import atomic
from tfyolo.inference.drawing.palette import PALETTE
from tfyolo.progress import Log, no_log
from tfyolo.quantization.budget.search import FloatSearch, Trial

_COST = {"latency": "latency over int8", "multiply-adds": "multiply-adds in float"}


def rows_of(search: FloatSearch) -> list[tuple[str, ...]]:
    """Return the table: heading, one row per choice that the search went on from, and the new calibration.

    Returns:
        Tuples of five texts: added parts, cost, score error, fidelity, and parts in float.
    """
    rows = [("added in float", _COST[search.budget.of], "score error", "fidelity", "parts in float")]
    before: tuple[str, ...] = ()
    for trial in search.path:
        added = " ".join(name for name in trial.kept if name not in before) or "nothing"
        rows.append((added, *_figures(trial)))
        before = trial.kept
    if search.recalibrated is not None:
        rows.append(("calibrated anew for these parts", *_figures(search.recalibrated)))
    return rows


def _figures(trial: Trial) -> tuple[str, ...]:
    return (
        f"{100 * trial.cost:+.1f} %",
        f"{trial.score_error:.5f}",
        f"{trial.fidelity:.3f}",
        str(len(trial.kept)),
    )


def save_report(search: FloatSearch, stem: Path, log: Log = no_log) -> tuple[Path, Path]:
    """Write the chart and all choices, and log the table.

    Args:
        search: result of a search.
        stem: path without suffix; `-budget.png` and `-budget.json` are appended to it.
        log: called with each line of the table, and with the path of the chart.

    Returns:
        The paths of chart and JSON file.
    """
    chart = save_pareto_chart(search, stem.with_name(f"{stem.name}-budget.png"))
    file = stem.with_name(f"{stem.name}-budget.json")
    with atomic(file) as temporary:
        temporary.write_text(json.dumps(asdict(search), indent=1) + "\n")
    rows = rows_of(search)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *rest = (
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        log("  ".join([first, *rest]).rstrip())
    log(f"chart: {chart}")
    return chart, file


def save_pareto_chart(search: FloatSearch, path: Path) -> Path:
    """Plot cost against score error and fidelity, for all choices, with the path of the search.

    Args:
        search: result of a search.
        path: path of the image; its suffix selects the format.

    Returns:
        The path.
    """
    figure, both = new_figure(11, 4.5, columns=2)
    for axes, (field, name) in zip(
        both, (("score_error", "score error"), ("fidelity", "fidelity")), strict=True
    ):
        others = [trial for trial in search.trials if not trial.chosen]
        axes.scatter(
            [100 * trial.cost for trial in others],
            [getattr(trial, field) for trial in others],
            s=14,
            color=MUTED,
            alpha=0.5,
            label="also tried",
        )
        line = ([100 * trial.cost for trial in search.path], [getattr(trial, field) for trial in search.path])
        axes.plot(
            *line, color=PALETTE[0], marker="o", markersize=4, linewidth=1.5, label="chosen, one by one"
        )
        if (last := search.recalibrated) is not None:
            axes.scatter(
                [100 * last.cost],
                [getattr(last, field)],
                s=60,
                marker="*",
                color=PALETTE[1],
                label="calibrated anew",
            )
        axes.axvline(100 * search.budget.share, color=INK, linewidth=0.8, linestyle="--", label="budget")
        axes.set_xlabel(f"{_COST[search.budget.of]} (%)")
        axes.set_xlim(-1, 100 * search.budget.share * 1.3 + 1)
        axes.grid(color=GRID, linewidth=0.8)
        title(axes, f"{name}: {'lower' if field == 'score_error' else 'higher'} is better")
    both[1].legend(frameon=False, loc="lower right", fontsize=9)
    return save_figure(figure, path)
