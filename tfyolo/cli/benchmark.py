"""`tfyolo benchmark`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.errors import TfyoloError, refuse_given

if TYPE_CHECKING:
    import numpy as np

    from tfyolo.benchmark.files import Bench
    from tfyolo.benchmark.rows import Row
    from tfyolo.data.classification.folders import FolderDataset
    from tfyolo.data.detection.scan import Dataset

EXAMPLES = (
    "tfyolo benchmark --weights yolov5n.pt --include tflite --img 640   # export, and time both in one run",
    "tfyolo benchmark --weights best.keras --include all --data fruit.yaml --csv all.csv --chart all.png",
    "tfyolo benchmark --weights best.keras --include tflite tflite:int8 tfjs:float16 --data fruit.yaml",
    "tfyolo benchmark --weights a.tflite b.tflite --source bus.jpg --threads 1",
    "tfyolo benchmark --weights best.keras --include tflite:int8 --data fruit.yaml --hard-fail 0.4"
    "   # in continuous integration",
)
NOTES = ("exit code 1: some files could not be exported or run; they are listed with the reason",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    from tfyolo.export.registry import PRECISIONS, exportable

    add = options.group(parser, "data")
    add(
        "--data",
        metavar="YAML",
        help="dataset YAML, or a classifier's folder: measures mAP (or top-1), and calibrates int8 files",
    )
    add("--task", choices=("train", "val", "test"), default="val", help="split that mAP is measured on")
    add(
        "--source",
        metavar="IMAGE",
        help="image for timing (default: the first image of --data, or noise of 640x480 pixels)",
    )
    options.add_weights(parser, several=True)
    add = options.group(parser, "model")
    add(
        "--include",
        nargs="+",
        default=[],
        metavar="FORMAT",
        help="export the first of --weights to these formats and measure them too: "
        f"{', '.join(entry.name for entry in exportable())}, or all; FORMAT:PRECISION selects one of "
        f"{', '.join(PRECISIONS)}",
    )
    for precision, flag in PRECISIONS.items():
        if flag:
            add(
                flag,
                dest="precisions",
                action="append_const",
                const=precision,
                default=[],
                help=f"export formats of --include without a precision as {precision}",
            )
    options.add_calibration(parser, data=False)
    add = options.group(parser, "output")
    add("--csv", type=Path, metavar="FILE", help="write the results as CSV")
    add("--json", type=Path, metavar="FILE", help="write the results as JSON")
    add("--chart", type=Path, metavar="FILE", help="draw latency and mAP as a chart: .png or .svg")
    add(
        "--hard-fail",
        nargs="?",
        const=True,
        default=False,
        type=types.fraction,
        metavar="MIN",
        help="print failures to stderr; with a number, exit with code 1 if an mAP50-95 is lower",
    )
    add = options.group(parser, "hardware")
    add(
        "--threads",
        type=types.positive,
        metavar="N",
        help="number of CPU threads (default: measure with one, and with all cores)",
    )
    add(
        "--rounds",
        type=types.positive,
        default=5,
        metavar="N",
        help="rounds that each file is timed in",
    )
    add("--runs", type=types.positive, default=10, metavar="N", help="timed inferences per file and round")


def run(arguments: argparse.Namespace) -> int:
    """Export what is asked for, measure all, print a table, write what is asked for."""
    import os
    import sys

    from tfyolo.benchmark.chart import check_chart, save_chart
    from tfyolo.benchmark.files import Bench, add_exports
    from tfyolo.benchmark.rows import failures, save_csv, save_json
    from tfyolo.benchmark.variants import find_variants, without_images
    from tfyolo.cli.progress import progress_bar
    from tfyolo.data.classification.folders import read_folders
    from tfyolo.data.detection.scan import read_dataset
    from tfyolo.export.runtime.cpu import cores
    from tfyolo.files import check_file_target, scratch
    from tfyolo.quantization.export_jobs import ExportJobs
    from tfyolo.quantization.export_options import ExportCalibrationOptions
    from tfyolo.text import printable
    from tfyolo.weights.hub import fetch_weights

    variants = find_variants(arguments.include, arguments.precisions)  # refuses before TensorFlow is loaded
    floor = None if isinstance(arguments.hard_fail, bool) else arguments.hard_fail
    if floor is not None and not arguments.data:
        raise TfyoloError(
            "--hard-fail with a floor needs --data to measure mAP on", fix="pass the dataset's YAML"
        )
    if arguments.chart:
        check_chart(arguments.chart)
    for file in filter(None, (arguments.csv, arguments.json, arguments.chart)):  # not after an hour
        check_file_target(file)
    dataset: Dataset | FolderDataset | None = None
    if arguments.data:
        is_folder = Path(arguments.data).is_dir()
        dataset = read_folders(arguments.data) if is_folder else read_dataset(arguments.data)
    paths = [fetch_weights(name) for name in arguments.weights]
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # this process is not the only one on the GPU
    threads = [arguments.threads] if arguments.threads else sorted({1, cores()})
    image_size = options.image_size(arguments.img)
    notes: list[str] = []
    with scratch() as folder, progress_bar() as progress:
        pixels = _pixels(arguments, dataset, progress)
        with Bench(pixels, threads, arguments.data, arguments.task, progress) as bench:
            for name, path in zip(_names(paths), paths, strict=True):
                bench.add(name, path, image_size)
            if variants:
                how = ExportCalibrationOptions(
                    arguments.data, arguments.calibration, arguments.ranges, arguments.keep_float
                )
                jobs = ExportJobs(paths[0], image_size, how, dataset, progress)
                if jobs.quantized:
                    reason = f"{paths[0]} is quantized already, with ranges of its own"
                    refuse_given(arguments.given, (), reason)
                variants, blind = without_images(variants, dataset is not None, jobs.quantized)
                left_out = [(variant, "its ranges are measured on --data") for variant in blind]
                left_out += add_exports(bench, jobs, variants, paths[0].stem, folder, progress)
                notes += [f"left out: {variant}, because {reason}" for variant, reason in left_out]
            bench.time(arguments.rounds, arguments.runs)
    notes += [f"left out: {name}, because {reason}" for name, reason in bench.left_out]
    _print(bench, notes, exported=bool(variants))
    title = paths[0].stem + (f" on {Path(arguments.data).name}" if dataset else "")
    written = [
        arguments.csv and save_csv(bench.rows, threads, arguments.csv),
        arguments.json and save_json(bench.rows, threads, arguments.json),
        arguments.chart and save_chart(bench.rows, threads, arguments.chart, title),
    ]
    for file in filter(None, written):
        print(f"written: {file}")
    failed = failures(bench.rows, floor)
    if arguments.hard_fail:
        for sentence in failed:
            print(printable(f"failed: {sentence}"), file=sys.stderr)
    return 1 if failed else 0


def _names(paths: Sequence[Path]) -> list[str]:
    """What rows are called: file names, or paths where two files have the same name."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _pixels(
    arguments: argparse.Namespace, dataset: Dataset | FolderDataset | None, progress: Any
) -> np.ndarray:
    """The image that is timed on."""
    import numpy as np

    from tfyolo.data.classification.folders import FolderDataset, scan_folders
    from tfyolo.data.detection.scan import scan_split
    from tfyolo.data.images.read import read_image, read_sample_image

    if arguments.source:
        return read_image(arguments.source)
    if dataset is not None:

        def log(done: int, total: int) -> None:
            progress("checking images", done, total)

        if isinstance(dataset, FolderDataset):
            scan = scan_folders(dataset, arguments.task, progress=log)
        else:
            scan = scan_split(dataset, arguments.task, progress=log)
        for sample in scan.samples:
            try:
                return read_sample_image(sample)
            except TfyoloError:  # the scan has read headers only
                continue
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


def _print(bench: Bench, notes: Sequence[str], exported: bool) -> None:
    """The table and what is to be known about it."""
    from rich.markup import escape
    from rich.table import Table

    from tfyolo.benchmark.rows import ranking_metric, reference
    from tfyolo.cli.console import console
    from tfyolo.text import printable

    rows, judged = bench.rows, bench.data is not None
    sizes = sorted({latency.input_hw for row in rows for latency in row.latencies.values()})
    inputs = ", ".join("x".join(map(str, size)) for size in sizes)
    way = "image to class" if ranking_metric(rows) == "top-1" else "letterbox to boxes"
    table = Table(
        title=f"milliseconds an image of {inputs or '?'} pixels, batch 1, {way}",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
    )
    scored = (ranking_metric(rows), "difference") if judged else ()
    for heading in ("file", "runs in", "MB", "load s", *scored):
        table.add_column(heading, justify="left" if heading in ("file", "runs in") else "right", no_wrap=True)
    for count in bench.threads:
        over = "1 thread" if count == 1 else f"{count} threads"
        for heading in (f"{over}\nmedian", "\np90", "\nratio"):
            table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = [escape(printable(row.name)), *_cells(row, reference(rows), bench)]
        table.add_row(*cells)
    out = console()
    # In a narrow terminal lines break; figures would be cut off otherwise.
    out.width = max(out.width, out.measure(table, options=out.options.update(width=1000)).maximum)
    out.print(table)
    for row in rows:
        for note in filter(None, (row.error, row.limits and f"mAP is too low: {row.limits}")):
            out.print(f"{printable(row.name)}: {printable(note)}", markup=False, soft_wrap=True)
    if judged and exported and ranking_metric(rows) != "top-1":
        notes = [
            "mAP is that of a second export without suppression, which validation does itself; size, load "
            "time and latency are those of the files that `tfyolo export` writes.",
            *notes,
        ]
    for note in notes:
        out.print(note, markup=False, soft_wrap=True)


def _cells(row: Row, first: Row, bench: Bench) -> list[str]:
    """Figures of a row, empty where there are none."""

    def figure(value: float | None, form: str) -> str:
        return "" if value is None else format(round(value, 4) + 0.0, form)  # never -0.0

    latency = next(iter(row.latencies.values()), None)
    cells = ["failed" if row.error else latency.runtime if latency else "", figure(row.megabytes, ".1f")]
    cells.append(figure(row.load_seconds, ".2f"))
    if bench.data is not None:
        cells += [figure(row.score, ".4f"), figure(row.difference(first), "+.4f")]
    for count in bench.threads:
        if latency := row.latencies.get(count):
            ratio = row.ratio(first, count)
            cells += [f"{latency.median_ms:.1f}", f"{latency.p90_ms:.1f}"]
            cells.append("" if ratio is None else f"{ratio:.2f}x")
        else:
            cells += [""] * 3
    return cells
