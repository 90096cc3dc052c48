"""What int8 costs: mAP, similarity to the float model, and latency of each integer file, with 95 % intervals.

    python benchmarks/int8_accuracy.py --float yolov5n.pt --weights a_int8.keras b_int8.keras \
        --data coco128.yaml --splits train val --img 640
    python benchmarks/int8_accuracy.py --float yolov5n.pt --weights a_int8.keras --data coco128.yaml \
        --formats tflite onnx openvino --own 128     # and what runtimes make of the float model themselves
    python benchmarks/int8_accuracy.py --float yolov5n.pt --data coco128.yaml --precisions int16x8

Every `.tflite` is measured twice: with raw heads, which NumPy decodes, and with decoding and NMS inside, as
`tfyolo export --int8 --conf-thres 0.001 --iou-thres 0.6 --max-det 300 --multi-label` writes. Points lost and
latency are relative to the float32 `.tflite` of the same kind: raw heads to raw heads, NMS inside to NMS
inside. Other formats are measured with raw heads. The score error is that of all anchors, which a file with
NMS inside does not return.

Intervals are bootstraps over images; that of the points lost is paired: both files on the same resamples.
Latency is that of one thread, without letterbox and without decoding in NumPy; files take turns, and the
ratio is the median over rounds, with an interval over rounds. A file that cannot be written or run has a
row with the reason.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from int8_measure import Job, MeasureOptions, Result, measure, save_results

from tfyolo.cli.console import console
from tfyolo.cli.progress import progress_bar
from tfyolo.evaluation.bootstrap import Interval


def print_results(results: Sequence[Result], splits: Sequence[str]) -> None:
    """Print a table, and the reasons of what failed.

    Args:
        results: from `measure`.
        splits: splits that were measured.
    """
    from rich.table import Table

    title = f"on {' and '.join(splits)}; 95 % intervals by bootstrap over images, latency on one thread"
    table = Table(title=title, title_style="bold")
    headings = (
        "model",
        "mAP50-95",
        "points lost",
        "mAP50",
        *splits,
        "fidelity",
        "score error",
        "ms",
        "latency",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "model" else "right")

    def text(value: Interval | float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    for one in results:
        if not one.error:
            table.add_row(
                str(one.job),
                text(one.map50_95 and one.map50_95.value, ".4f"),
                text(one.lost, "+.2f"),
                text(one.map50, ".4f"),
                *(text(one.by_split.get(split), ".4f") for split in splits),
                text(one.fidelity, ".3f"),
                text(one.score_error, ".5f"),
                text(one.milliseconds, ".1f"),
                text(one.latency, ".2f"),
            )
    out = console()
    out.width = max(out.width, out.measure(table, options=out.options.update(width=1000)).maximum)
    out.print(table)
    for one in results:
        if one.error:
            out.print(f"{one.job}: failed: {one.error}", markup=False, soft_wrap=True)


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """Return the files that a command line asks for."""
    jobs = []
    for weights in arguments.weights:
        jobs += [Job(weights, name) for name in arguments.formats]
        if "tflite" in arguments.formats:
            jobs.append(Job(weights, nms="auto"))
    for precision in arguments.precisions:
        jobs += [Job(arguments.exact, precision=precision, nms=nms) for nms in ("raw", "auto")]
    if arguments.own:
        jobs += [Job(arguments.exact, name, own=True) for name in arguments.formats if name != "tflite"]
    return jobs


def main() -> int:
    """Export, run, print a table."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--float", dest="exact", required=True)
    parser.add_argument("--weights", nargs="+", default=[])
    parser.add_argument("--data", required=True)
    parser.add_argument("--splits", nargs="+", default=["val"])
    parser.add_argument("--img", type=int, default=640)
    parser.add_argument("--formats", nargs="+", default=["tflite"], choices=("tflite", "onnx", "openvino"))
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=[],
        choices=("int16x8", "float16", "dynamic"),
        help=".tflite files of the float model in these precisions, too",
    )
    parser.add_argument("--calibration", type=int, default=32, metavar="N", help="images for int16x8")
    parser.add_argument(
        "--own",
        type=int,
        default=0,
        metavar="N",
        help="calibrate ONNX and OpenVINO by themselves, too, on N images",
    )
    parser.add_argument("--rounds", type=int, default=9, help="rounds of the latency; 0 leaves it out")
    parser.add_argument("--json", type=Path, help="write the results to this file, too")
    arguments = parser.parse_args()
    options = MeasureOptions(
        arguments.exact,
        arguments.data,
        tuple(arguments.splits),
        (arguments.img, arguments.img),
        arguments.own or arguments.calibration,
        arguments.rounds,
    )
    with progress_bar() as progress:
        results = measure(jobs_of(arguments), options, progress)
    if arguments.json:
        save_results(results, arguments.json)
    print_results(results, arguments.splits)
    return 1 if any(result.error for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
