"""The int8 figures of README and docs: calibration, float budgets and QAT, from the float model to the table.

    make figures-int8 WEIGHTS=yolov5n.pt DATA=coco128.yaml         # yolov5n at 640, on train and val
    python benchmarks/int8_figures.py --name bccd-silu --weights best.pt --data bccd.yaml --img 320 \
        --splits test

Every step writes a file into `build/int8-figures/NAME`, and a step whose file is there is not repeated, so an
interrupted run continues; with another model, dataset, size or number of images it needs another NAME. All
seeds are fixed; budgets are of latency measured on this machine, so another CPU may choose other parts.
`--write` puts the table into a Markdown file, between the comments `<!-- int8-figures NAME -->` and
`<!-- /int8-figures -->`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from int8_accuracy import print_results
from int8_measure import Job, MeasureOptions, Result, load_results, measure, save_results

from tfyolo.cli.progress import progress_bar
from tfyolo.export.runtime.cpu import CPUINFO
from tfyolo.files import atomic
from tfyolo.models.contract import Contract
from tfyolo.progress import Progress
from tfyolo.quantization.budget.options import FloatBudget
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.run import QuantizeOptions, quantize
from tfyolo.quantization.training.qat_options import QatOptions
from tfyolo.weights import load_model
from tfyolo.weights.hub import fetch_weights

_NOTE = (
    "In parentheses: 95 % intervals, over images and, for latency, over rounds. Measured in LiteRT on one "
    "thread of\n{cpu}."
)


@dataclass(frozen=True)
class Figures:
    """What is quantized and measured.

    Attributes:
        name: of the folder and of the table.
        weights: the float model.
        data: dataset YAML file.
        splits: splits that are measured, all together.
        image_size: side of the square input in pixels.
        calibration: number of training images for calibration.
        steps: number of QAT steps.
        budgets: float budgets, as shares of the latency.
        int16x8: measure int16x8 as well.
    """

    name: str
    weights: str
    data: str
    splits: tuple[str, ...]
    image_size: int
    calibration: int
    steps: int
    budgets: tuple[float, ...]
    int16x8: bool


def main() -> int:
    """Quantize, measure, print and write the table."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--splits", nargs="+", default=["train", "val"])
    parser.add_argument("--img", type=int, default=640)
    parser.add_argument("--calibration", type=int, default=128)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--budgets", type=float, nargs="+", default=[0, 0.15, 0.5])
    parser.add_argument("--int16x8", action="store_true")
    parser.add_argument("--name", default="yolov5n")
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    figures = Figures(
        arguments.name,
        arguments.weights,
        arguments.data,
        tuple(arguments.splits),
        arguments.img,
        arguments.calibration,
        arguments.steps,
        tuple(arguments.budgets),
        arguments.int16x8,
    )
    folder = Path("build/int8-figures") / figures.name
    _claim(folder, figures)
    with progress_bar() as progress:
        quantized = {}
        for budget in figures.budgets:
            quantized[budget] = _calibrated(figures, budget, folder, progress)
        for budget in figures.budgets if figures.steps else ():
            quantized[budget, "QAT"] = _trained(figures, quantized[budget], folder, progress)
        results = _measured(figures, list(quantized.values()), folder, progress)
    print_results(results, figures.splits)
    table = table_of(results)
    print(table)
    if arguments.write:
        write_table(arguments.write, figures.name, table)
    return 0


def _claim(folder: Path, figures: Figures) -> None:
    """Make the folder, or exit if it holds what was made of another model, dataset, size or number of images.

    Args:
        folder: of the results.
        figures: what is to be measured.
    """
    weights = hashlib.sha256(Path(fetch_weights(figures.weights)).read_bytes()).hexdigest()
    data, splits = str(Path(figures.data).resolve()), list(figures.splits)
    own = {"weights": weights, "data": data, "splits": splits}
    own |= {"image_size": figures.image_size, "calibration": figures.calibration}
    file = folder / "figures.json"
    if file.exists() and (other := json.loads(file.read_text())) != own:
        differ = ", ".join(name for name in own if other.get(name) != own[name])
        sys.exit(f"{folder} holds figures of other options ({differ}): pass another --name, or delete it")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(own, indent=1) + "\n")


def _calibrated(figures: Figures, budget: float, folder: Path, progress: Progress) -> Path:
    path = folder / f"calibrated-{100 * budget:.0f}.keras"
    calibrate = CalibrationOptions(budget=FloatBudget(budget) if budget else None)
    return _quantized(figures, path, progress, calibrate=calibrate, train=None)


def _trained(figures: Figures, calibrated: Path, folder: Path, progress: Progress) -> Path:
    path = folder / calibrated.name.replace("calibrated", f"qat{figures.steps}")
    how = QatOptions(steps=figures.steps)
    return _quantized(
        figures, path, progress, weights=str(calibrated), float_model=figures.weights, train=how
    )


def _quantized(figures: Figures, path: Path, progress: Progress, **options: object) -> Path:
    """Quantize unless that is done. A file without `.done` beside it is the calibrated model of a QAT run."""
    done = path.with_suffix(".done")
    if done.exists():
        return path
    start = perf_counter()
    how = {
        "data": Path(figures.data),
        "weights": figures.weights,
        "output": path,
        "image_size": (figures.image_size, figures.image_size),
        "calibration": figures.calibration,
        **options,
    }
    quantize(QuantizeOptions(**how), progress, print)
    minutes = (perf_counter() - start) / 60
    print(f"{path.name}: {minutes:.1f} minutes", flush=True)
    done.write_text(f"{minutes:.1f} minutes\n")
    return path


def _measured(figures: Figures, quantized: Sequence[Path], folder: Path, progress: Progress) -> list[Result]:
    jobs = [Job(str(file), nms=nms) for file in quantized for nms in ("raw", "auto")]
    if figures.int16x8:
        jobs += [Job(figures.weights, precision="int16x8", nms=nms) for nms in ("raw", "auto")]
    digest = hashlib.sha256(repr(jobs).encode()).hexdigest()[:8]
    path = folder / f"results-{digest}.json"
    if not path.exists():
        side = figures.image_size
        options = MeasureOptions(figures.weights, figures.data, figures.splits, (side, side))
        save_results(measure(jobs, options, progress), path)
    return load_results(path)


def table_of(results: Sequence[Result]) -> str:
    """Return the Markdown table of results, with a sentence on the machine.

    Args:
        results: from `measure`.
    """
    heading = "file", "mAP50-95", "points lost", "fidelity", "latency relative to float32", "MB"
    lines = [f"| {' | '.join(heading)} |", "|---|---|---|---|---|---|"]
    for result in results:
        name = f"{_name(result.job)}, {'raw heads' if result.job.is_raw else 'NMS inside'}"
        if result.error or result.map50_95 is None or result.fidelity is None:
            lines.append(f"| {name} | not written: {result.error} | | | | |")
            continue
        cells = (
            f"{result.map50_95.value:.4f}",
            f"{result.lost:.2f}" if result.lost else "",
            f"{result.fidelity:.3f}",
            f"{result.latency:.2f}" if result.latency else "",
            f"{result.megabytes:.1f}",
        )
        lines.append(f"| {' | '.join((name, *cells))} |")
    return "\n".join([*lines, "", _NOTE.format(cpu=cpu_name())])


def _name(job: Job) -> str:
    """Return what a file is, for a reader: `int8, QAT, +15 % latency`."""
    if job.precision != "int8":
        return job.precision
    contract: Contract = load_model(fetch_weights(job.weights))[1]
    stem = Path(job.weights).stem
    kind, budget = stem.split("-")
    parts = len(contract.quantization.keep_float) if contract.quantization else 0
    kept = f", float budget {budget} % ({parts} parts)" if budget != "0" else ""
    trained = f", QAT {kind.removeprefix('qat')} steps" if kind.startswith("qat") else ", calibrated"
    return f"int8{trained}{kept}"


def cpu_name() -> str:
    """Return the name of the CPU, and whether it has VNNI."""
    try:
        text = CPUINFO.read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", text)
    vnni = "with" if "vnni" in text else "without"
    return f"{found[1].strip() if found else platform.machine()} ({vnni} VNNI)"


def write_table(path: Path, name: str, table: str) -> None:
    """Replace the table between the comments of a Markdown file.

    Args:
        path: Markdown file with `<!-- int8-figures NAME -->` and `<!-- /int8-figures -->`.
        name: of the table.
        table: the new text between the comments.
    """
    start, end = f"<!-- int8-figures {name} -->", "<!-- /int8-figures -->"
    text = path.read_text("utf-8")
    if start not in text:
        sys.exit(f"{path}: has no comment {start}")
    head, rest = text.split(start, 1)
    tail = rest.split(end, 1)[1]
    with atomic(path) as temporary:
        temporary.write_text(f"{head}{start}\n{table}\n{end}{tail}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
