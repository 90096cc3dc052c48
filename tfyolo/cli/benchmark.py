"""`tfyolo benchmark`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import arguments as options

EXAMPLES = (
    "tfyolo benchmark --weights yolov5n.pt --include tflite --img 640   # exports, times both in one run",
    "tfyolo benchmark --weights a.tflite b.tflite --source bus.jpg --threads 1",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files, image, rounds."""
    options.add_model(parser, many=True)
    parser.add_argument(
        "--include",
        nargs="+",
        default=[],
        metavar="FORMAT",
        help="export the first of --weights to these and time them",
    )
    parser.add_argument(
        "--source", metavar="PICTURE", help="what to detect on; noise of 640x480 pixels by default"
    )
    parser.add_argument(
        "--threads", type=options.positive, metavar="N", help="of the CPU; the runtime's choice"
    )
    parser.add_argument(
        "--rounds", type=options.positive, default=5, metavar="N", help="turns of each file (5)"
    )
    parser.add_argument(
        "--runs", type=options.positive, default=10, metavar="N", help="detections in a turn (10)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Export what is asked for, time all, print a table."""
    import tempfile

    import numpy as np
    from rich.table import Table

    from tfyolo.cli.console import console
    from tfyolo.cli.progress import progress_bar
    from tfyolo.evaluation.benchmark import benchmark
    from tfyolo.inference.load import load
    from tfyolo.quiet import hidden_stderr

    image_hw = options.image_hw(arguments.img)
    image = arguments.source or np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder, progress_bar() as progress:
        detectors = [
            (Path(weights).name, load(weights, image_hw, arguments.threads)) for weights in arguments.weights
        ]
        if arguments.include:
            from tfyolo.export.request import ExportRequest, export_model

            name, first = detectors[0]
            request = ExportRequest(first.model, first.contract, first.image_hw)
            with hidden_stderr():
                files = export_model(request, arguments.include, Path(folder) / Path(name).stem, progress)
            detectors += [(file.name, load(file, threads=arguments.threads)) for file in files.values()]
        latencies = benchmark(detectors, image, arguments.rounds, arguments.runs, progress)
    table = Table(title="milliseconds an image, batch 1, letterbox to boxes", title_style="bold")
    for heading in ("file", "runtime", "input", "median", "10 %", "90 %", "inference", "ratio to the first"):
        table.add_column(heading, justify="left" if heading in ("file", "runtime") else "right")
    for latency in latencies:
        low, high = np.percentile(latency.total_ms, [10, 90])
        table.add_row(
            latency.name, latency.runtime, "x".join(map(str, latency.input_hw)), f"{latency.median_ms:.1f}",
            f"{low:.1f}", f"{high:.1f}", f"{np.median(latency.inference_ms):.1f}",
            f"{latencies[0].median_ms / latency.median_ms:.2f}x",
        )  # fmt: skip
    console().print(table)
    return 0
