"""`tfyolo benchmark`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli import quantization_arguments as quantization
from tfyolo.errors import TfyoloError

if TYPE_CHECKING:
    from tfyolo.benchmark.run import BenchmarkResult

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
    quantization.add_calibration(parser, data=False)
    add = options.group(parser, "output")
    add("--csv", type=Path, metavar="FILE", help="write the results as CSV")
    add("--json", type=Path, metavar="FILE", help="write the results as JSON")
    add(
        "--chart",
        type=Path,
        metavar="FILE",
        help="draw a chart of latency, accuracy and size: .png, .svg or .pdf",
    )
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
    """Export and measure, print the table, write files, and return the exit code."""
    from tfyolo.benchmark.chart import check_chart, save_chart
    from tfyolo.benchmark.rows import failures, save_csv, save_json
    from tfyolo.benchmark.run import BenchmarkOptions, run_benchmark
    from tfyolo.benchmark.variants import find_variants
    from tfyolo.cli.progress import progress_bar
    from tfyolo.files import check_file_target
    from tfyolo.text import printable

    find_variants(arguments.include, arguments.precisions)  # fails before anything is downloaded
    floor = None if isinstance(arguments.hard_fail, bool) else arguments.hard_fail
    if floor is not None and not arguments.data:
        raise TfyoloError(
            "--hard-fail with a floor needs --data to measure mAP on", fix="pass the dataset's YAML"
        )
    if arguments.chart:
        check_chart(arguments.chart)
    files = [file for file in (arguments.csv, arguments.json, arguments.chart) if file]
    for index, file in enumerate(files):  # fails before the work
        check_file_target(file, (*arguments.weights, arguments.data))
        if file.resolve() in [other.resolve() for other in files[:index]]:
            raise TfyoloError("is the target of two options", path=file, fix="give each a file of its own")
    benchmark_options = BenchmarkOptions(
        formats=arguments.include,
        precisions=arguments.precisions,
        data=arguments.data,
        split=arguments.task,
        source=arguments.source,
        image_size=options.image_size(arguments.img),
        threads=[arguments.threads] if arguments.threads else (),
        rounds=arguments.rounds,
        runs=arguments.runs,
        calibration=arguments.calibration,
        ranges=arguments.ranges,
        keep_float=arguments.keep_float,
        budget=quantization.float_budget(arguments),
        given=arguments.given,
    )
    with progress_bar() as progress:
        result = run_benchmark(arguments.weights, benchmark_options, progress)
    _print(result)
    rows, threads = result.rows, result.threads
    title = Path(arguments.weights[0]).stem + (
        f" on {Path(arguments.data).name}" if result.has_scores else ""
    )
    written = [
        arguments.csv and save_csv(rows, threads, arguments.csv),
        arguments.json and save_json(rows, threads, arguments.json),
        arguments.chart and save_chart(rows, threads, arguments.chart, title),
    ]
    for file in filter(None, written):
        print(f"written: {file}")
    failed = failures(rows, floor)
    if arguments.hard_fail:
        for sentence in failed:
            print(printable(f"failed: {sentence}"), file=sys.stderr)
    return 1 if failed else 0


def _print(result: BenchmarkResult) -> None:
    """Print the table, and notes on files that failed or were left out."""
    from tfyolo.benchmark.rows import ranking_metric
    from tfyolo.cli.benchmark_table import print_table
    from tfyolo.cli.console import console
    from tfyolo.text import printable

    rows, notes, out = result.rows, list(result.notes), console()
    print_table(result, out)
    for row in rows:
        strict = row.limits and f"{row.limits}; mAP cannot be compared with that at 0.001"
        for note in filter(None, (row.error, strict)):
            out.print(f"{printable(row.name)}: {printable(note)}", markup=False, soft_wrap=True)
    if result.has_scores and result.has_exports and ranking_metric(rows) != "top-1":
        notes.insert(
            0,
            "mAP is that of a second export without suppression, which validation does itself; size, load "
            "time and latency are those of the files that `tfyolo export` writes.",
        )
    for note in notes:
        out.print(note, markup=False, soft_wrap=True)
