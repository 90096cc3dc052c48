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

_COST = {"latency": "more latency", "multiply-adds": "multiply-adds in float"}
_ERRORS = ("score error", "box error", "mask error")
"""Names of `Fidelity.errors`, in order; a classifier has the first one, a detector the first two."""


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
    if search.note:
        log(search.note)
    rows = table_of(search)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for first, *figures in rows:
        aligned = [text.rjust(width) for text, width in zip(figures, widths[1:], strict=True)]
        log("  ".join([first.ljust(widths[0]), *aligned]).rstrip())
    for trial in search.trials:
        if trial.problem:
            log(f"left in int8, since no file can hold it in float: {trial.kept[-1]}: {trial.problem}")
    log(f"chart: {chart}")
    return chart, file


def table_of(search: FloatSearch) -> list[list[str]]:
    """Return the table: headings, one row per choice that the search continued from, the new calibration.

    Returns:
        Rows of texts: added parts, cost, errors, fidelity.
    """
    errors = _ERRORS[: len(search.path[0].errors)]
    rows = [["added in float", _COST[search.budget.of], *errors, "fidelity"]]
    before: tuple[str, ...] = ()
    for trial in search.path:
        added = " ".join(name for name in trial.kept if name not in before) or "nothing"
        rows.append([added, *_figures(trial)])
        before = trial.kept
    if search.recalibrated is not None:
        label = "calibrated again, with these in float" + ("" if search.pays else " (no better: not used)")
        rows.append([label, *_figures(search.recalibrated)])
    return rows


def _figures(trial: Trial) -> list[str]:
    errors = (f"{error:.5f}" for error in trial.errors)
    return [f"{100 * trial.cost:+.1f} %", *errors, "" if trial.fidelity is None else f"{trial.fidelity:.3f}"]


def save_pareto_chart(search: FloatSearch, path: Path) -> Path:
    """Plot cost against the loss that the search lowers and against fidelity, for all choices.

    Args:
        search: result of a search.
        path: path of the image; its suffix selects the format.

    Returns:
        The path.
    """
    figure, (left, right) = new_figure(11, 4.5, columns=2)
    style = {"color": PALETTE[0], "marker": "o", "markersize": 4, "label": "chosen, one after another"}
    last_style = {"s": 90, "marker": "*", "color": PALETTE[1], "zorder": 3}
    last_style["label"] = "calibrated again" if search.pays else "calibrated again, not used"
    others = [trial for trial in search.trials if not trial.chosen]
    costs = [100 * trial.cost for trial in search.path]
    left.scatter(
        [100 * trial.cost for trial in others],
        [search.loss(trial) for trial in others],
        s=14,
        color=MUTED,
        label="also tried",
    )
    left.plot(costs, [search.loss(trial) for trial in search.path], **style)
    right.plot(costs, [trial.fidelity for trial in search.path], **style)
    if (last := search.recalibrated) is not None:
        left.scatter([100 * last.cost], [search.loss(last)], **last_style)
        right.scatter([100 * last.cost], [last.fidelity], **last_style)
    for axes, name in ((left, "error relative to int8"), (right, "fidelity")):
        axes.axvline(100 * search.budget.share, color=INK, linewidth=0.8, linestyle="--", label="budget")
        axes.set_xlabel(f"{_COST[search.budget.of]} (%)")
        axes.set_xlim(-1, 130 * search.budget.share + 1)
        axes.grid(color=GRID, linewidth=0.8)
        title(axes, name)
    left.legend(frameon=False, loc="lower left", fontsize=9)
    return save_figure(figure, path)
