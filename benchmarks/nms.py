"""What decoding, suppression and masks cost inside an exported graph, in one run beside the bare network.

python benchmarks/nms.py --weights yolov5n.pt --data coco128.yaml --precision int8

Of a segmentation model each kind of NMS is timed with 20 and with 100 masks, and with boxes alone. One thread
is measured by its CPU time, which other programs on the machine hardly change.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np

from tfyolo.cli.console import console
from tfyolo.cli.progress import progress_bar
from tfyolo.data.detection.scan import read_dataset
from tfyolo.errors import TfyoloError
from tfyolo.export.graph.module import DetectionModule
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.export.registry import find_format
from tfyolo.export.tflite.flatbuffer import write
from tfyolo.export.tflite.writer import convert
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.calibration_images import dataset_images
from tfyolo.quantization.model import calibrate_model
from tfyolo.quiet import hidden_stderr
from tfyolo.weights import load_model


def main() -> int:
    """Export, time in turns, print a table."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True, help="dataset YAML: images to calibrate and to time on")
    parser.add_argument("--img", type=int, default=640)
    parser.add_argument("--precision", choices=("float32", "int8"), default="int8")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    hw = (arguments.img, arguments.img)
    model, contract = load_model(arguments.weights)
    images = dataset_images(read_dataset(arguments.data), "train", hw, 8)
    if arguments.precision == "int8" and contract.quantization is None:
        # Any ranges will do for a speed: the plainest are the quickest to find.
        quick = CalibrationOptions(ranges="minmax", reconstruct=False)
        model, contract = calibrate_model(model, contract, images, quick)
    with tempfile.TemporaryDirectory() as folder, progress_bar() as progress:
        runs = {}
        request = ExportJob(model, contract, ExportOptions(image_size=hw, precision=arguments.precision))
        for name, job, module in _variants(request):
            path = Path(folder) / f"{name}.tflite"
            with hidden_stderr():
                path.write_bytes(write(convert(job, module)))
            runs[name] = _runner(path, arguments.threads)
        clock = thread_time if arguments.threads == 1 else perf_counter
        times = _time(runs, images, arguments, clock, progress)
    _print(times, arguments)
    return 0


def _variants(request: ExportJob) -> Iterator[tuple[str, ExportJob, Any]]:
    """Yield the name of each file, its job, and its graph where that is not the job's own."""
    tflite, contract = find_format("tflite"), request.contract
    yield "raw", request.with_options(nms="raw"), None
    for kind in tflite.nms:
        if kind == "raw":
            continue
        try:
            tflite.check(kind, request.options.precision, contract.task)
        except TfyoloError:  # a kind without indices of boxes
            continue
        job = request.with_options(nms=kind)
        if contract.task != "segment" or kind == "none":
            yield kind, job, None
            continue
        uint8 = request.options.precision == "int8"
        heads = job.module(uint8=uint8).heads
        boxes = _BoxesAlone(heads, contract, request.image_size, kind, job.options.nms_options, uint8)
        yield f"{kind}, boxes alone", job, boxes
        for rows in (20, 100):
            options = replace(job.options.nms_options, max_detections=rows)
            yield f"{kind}, {rows} masks", job.with_options(nms_options=options), None


class _BoxesAlone(DetectionModule):
    """A segmentation model that returns boxes alone; its prototypes are computed and not used."""

    def outputs(self, heads):
        """Return the outputs of a detector."""
        return super().outputs([parts[:3] for parts in heads[:-1]])


def _runner(path: Path, threads: int):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    return interpreter.get_signature_runner()


def _time(runs, images, arguments, clock, progress):
    """Milliseconds of each image by kind, the kinds in turn, so that a drifting machine hurts none more."""
    inputs = images if arguments.precision == "int8" else images.astype(np.float32) / 255
    times = {kind: [] for kind in runs}
    for turn in range(arguments.rounds):
        for kind, run in runs.items():
            run(images=inputs[:1])
            for image in inputs:
                start = clock()
                run(images=image[None])
                times[kind].append(1e3 * (clock() - start))
        progress("timing", turn + 1, arguments.rounds)
    return {kind: np.array(values) for kind, values in times.items()}


def _print(times, arguments) -> None:
    from rich.table import Table

    name, how = Path(arguments.weights).name, f"{arguments.precision}, {arguments.img} px"
    title = f"{name}, {how}, {arguments.threads} thread(s)"
    table = Table(title=title, title_style="bold")
    for heading in ("--nms", "median ms", "10 %", "90 %", "over the network alone"):
        table.add_column(heading, justify="left" if heading == "--nms" else "right")
    alone = float(np.median(times["raw"]))
    for kind, values in times.items():
        low, middle, high = np.percentile(values, [10, 50, 90])
        row = (f"{middle:.1f}", f"{low:.1f}", f"{high:.1f}", f"{100 * (middle / alone - 1):+.1f} %")
        table.add_row(kind, *row)
    console().print(table)


if __name__ == "__main__":
    sys.exit(main())
