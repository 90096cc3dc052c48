"""A whole benchmark: exports a model, and measures size, mAP and latency of all its files in one run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfyolo.benchmark.files import FileBenchmark, add_exports
from tfyolo.benchmark.rows import BenchmarkRow
from tfyolo.benchmark.variants import calibratable_variants, find_variants
from tfyolo.data.classification.folders import FolderDataset, read_folders, scan_folders
from tfyolo.data.detection.scan import Dataset, read_dataset, scan_split
from tfyolo.data.images.read import read_image, read_sample_image
from tfyolo.errors import TfyoloError
from tfyolo.export.registry import format_of
from tfyolo.export.runtime.cpu import cores, has_int8_dot_products, is_x86
from tfyolo.files import scratch
from tfyolo.libraries import require
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.budget.options import FloatBudget
from tfyolo.weights import read_model_contract
from tfyolo.weights.hub import fetch_weights


@dataclass(frozen=True)
class BenchmarkOptions:
    """What a benchmark exports, and how it measures.

    Attributes:
        formats: formats that the first model is exported to: `FORMAT`, `FORMAT:PRECISION`, `all` or
            `all:PRECISION`.
        precisions: precisions of `formats` entries without one; defaults to the first of each format.
        data: dataset YAML, or a classifier's folder, that mAP (or top-1) is measured on; without one, mAP is
            not measured.
        split: split of the dataset: `train`, `val` or `test`.
        source: image file that is timed; defaults to the first image of `data`, or noise of 640x480 pixels.
        image_size: input size (height, width) in pixels; defaults to the model's own.
        threads: numbers of CPU threads to time with; defaults to one, and all cores.
        rounds: number of rounds; each file is timed once per round, so that a drifting clock rate affects all
            files alike.
        runs: number of timed inferences per file and round.
        calibration: maximum number of training images that int8 ranges are calibrated on.
        ranges: method that chooses the range of each tensor: `mse`, `minmax` or `percentile`.
        keep_float: names of layers that stay in float.
        budget: what keeping further parts in float may cost; None keeps none.
        given: flags of calibration that the user passed; they are refused if the model is quantized already.

    Example:
        >>> BenchmarkOptions(formats=("tflite", "tflite:int8"), data="bccd-mini").split
        'val'
    """

    formats: Sequence[str] = ()
    precisions: Sequence[str] = ()
    data: str | Path | None = None
    split: str = "val"
    source: str | Path | None = None
    image_size: tuple[int, int] | None = None
    threads: Sequence[int] = ()
    rounds: int = 5
    runs: int = 10
    calibration: int = 200
    ranges: str = "mse"
    keep_float: Sequence[str] = ()
    given: Sequence[str] = ()
    budget: FloatBudget | None = None


@dataclass(frozen=True)
class BenchmarkResult:
    """What a benchmark measured.

    Attributes:
        rows: one per file, the models first.
        threads: numbers of CPU threads that were timed.
        notes: sentences on what was left out, and why.
        has_scores: mAP or top-1 was measured.
        has_exports: some rows are exports of the first model.
    """

    rows: list[BenchmarkRow]
    threads: tuple[int, ...]
    notes: tuple[str, ...]
    has_scores: bool
    has_exports: bool


def run_benchmark(
    weights: Sequence[str | Path],
    options: BenchmarkOptions = BenchmarkOptions(),
    progress: Progress = no_progress,
) -> BenchmarkResult:
    """Export the first model, and measure its files and all models in one run.

    Args:
        weights: model files of any format, or release names. Only `.keras` and `.pt`
            files can be exported; `formats` are exports of the first.
        options: formats to export, and options of the measurement.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        Rows and notes. A file that cannot be exported or run has a row with the reason in `error`.

    Raises:
        TfyoloError: an unknown format, a wrong dataset, or a dataset is missing that int8 is calibrated on.

    Example:
        >>> options = BenchmarkOptions(formats=["tflite"], data="bccd.yaml")
        >>> for row in run_benchmark([Path("best.keras")], options).rows:  # doctest: +SKIP
        ...     print(row.name, row.map50_95, row.latencies[1].median_ms)
    """
    from tfyolo.quantization.export_jobs import ExportJobs
    from tfyolo.quantization.export_options import ExportCalibrationOptions, check_benchmark, check_budget

    variants = find_variants(options.formats, options.precisions)
    check_benchmark({variant.precision for variant in variants}, options.given)
    check_budget(options.budget, {variant.format.name for variant in variants})
    named = [variant.format for variant in variants if variant.named]
    require(*dict.fromkeys(module for entry in named for module in (*entry.writes_with, *entry.runs_with)))
    dataset: Dataset | FolderDataset | None = None
    if options.data:
        is_folder = Path(options.data).is_dir()
        dataset = read_folders(options.data) if is_folder else read_dataset(options.data)
    paths = [fetch_weights(name) for name in weights]
    for path in paths:
        if format_of(path).source:
            read_model_contract(path)  # fails before the work
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several processes share the GPU
    threads = tuple(options.threads) or tuple(sorted({1, cores()}))
    notes: list[str] = []
    with scratch() as folder:
        pixels = _timed_image(options, dataset, progress)
        with FileBenchmark(pixels, threads, options.data, options.split, progress) as bench:
            for name, path in zip(_row_names(paths), paths, strict=True):
                bench.add(name, path, options.image_size)
            if variants:
                calibration = ExportCalibrationOptions(
                    options.data,
                    options.calibration,
                    options.ranges,
                    options.keep_float,
                    budget=options.budget,
                )
                jobs = ExportJobs(paths[0], options.image_size, calibration, dataset, progress)
                variants, uncalibrated = calibratable_variants(variants, dataset is not None, jobs.quantized)
                precisions = {variant.precision for variant in variants}
                check_benchmark(precisions, options.given, paths[0] if jobs.quantized else None)
                left_out = uncalibrated + add_exports(bench, jobs, variants, paths[0].stem, folder, progress)
                notes += [f"left out: {variant}, because {reason}" for variant, reason in left_out]
                if options.budget is not None and "int8" in precisions:
                    notes.append(f"int8 keeps in float: {', '.join(jobs.float_parts()) or 'nothing'}")
            bench.time(options.rounds, options.runs)
    notes += [f"left out: {name}, because {reason}" for name, reason in bench.left_out]
    if any(row.precision == "int8" and row.latencies for row in bench.rows):
        notes += slow_int8_notes()
    return BenchmarkResult(bench.rows, threads, tuple(notes), dataset is not None, bool(variants))


def slow_int8_notes() -> list[str]:
    """Return a warning if int8 can be slower than float32 on this CPU; empty if not, or if it is unknown."""
    if has_int8_dot_products() is not False:
        return []
    instructions = "VNNI" if is_x86() else "asimddp"
    return [
        f"warning: this CPU has no {instructions} instructions (8-bit dot products): int8 can be slower than "
        "float32 here, and is a quarter of the size"
    ]


def _row_names(paths: Sequence[Path]) -> list[str]:
    """File names, or whole paths where two files have the same name."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _timed_image(
    options: BenchmarkOptions, dataset: Dataset | FolderDataset | None, progress: Progress
) -> np.ndarray:
    """The image that is timed: uint8 (height, width, 3) RGB."""
    if options.source:
        return read_image(options.source)
    if dataset is not None:

        def report(done: int, total: int) -> None:
            progress("checking images", done, total)

        if isinstance(dataset, FolderDataset):
            scan = scan_folders(dataset, options.split, progress=report)
        else:
            scan = scan_split(dataset, options.split, progress=report)
        for sample in scan.samples:
            try:
                return read_sample_image(sample)
            except TfyoloError:  # the scan reads only headers, so that some images fail later
                continue
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
