"""Measure files: mAP and points lost, fidelity, score error, size and latency, with intervals."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from tfyolo.benchmark.latency import time_calls
from tfyolo.data.detection.scan import Sample, read_dataset, scan_split
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.evaluation.accumulator import labels_xyxy_px
from tfyolo.evaluation.batches import load_batches, plan_batches
from tfyolo.evaluation.bootstrap import Interval, interval, mean_average_precisions, median_interval
from tfyolo.evaluation.metrics import average_precision, match
from tfyolo.evaluation.segmentation.accumulator import match_masks
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.runtime.predictions import Detections
from tfyolo.files import megabytes
from tfyolo.inference.load import load_runtime
from tfyolo.models.contract import Contract
from tfyolo.models.outputs import raw_outputs
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.calibration_images import dataset_images
from tfyolo.quantization.fidelity import DetectorFidelity, Heads, find_fidelity
from tfyolo.quiet import hidden_stderr
from tfyolo.weights import load_model
from tfyolo.weights.hub import fetch_weights

SETTINGS = GraphNmsOptions(confidence=0.001, iou_threshold=0.6, max_detections=300, multi_label=True)
"""Thresholds of validation, as the files with NMS inside carry them."""


@dataclass(frozen=True)
class Job:
    """A file to be measured.

    Attributes:
        weights: float or quantized model.
        format: key of the registry.
        precision: of the file; `int8` needs quantized weights, or `own`.
        own: whether the runtime's library measures ranges, in place of the model's own.
        nms: `raw` has none, and NumPy decodes; `auto` is the default of the format.
    """

    weights: str
    format: str = "tflite"
    precision: str = "int8"
    own: bool = False
    nms: str = "raw"

    @property
    def is_raw(self) -> bool:
        """True if the file returns the logits of the heads."""
        return self.nms == "raw"

    @property
    def needs_images(self) -> bool:
        """True if the converter or the runtime's library calibrates."""
        return self.own or self.precision == "int16x8"

    def __str__(self) -> str:
        how = "calibrated by the runtime" if self.own else self.precision
        what = "raw heads" if self.is_raw else "NMS inside"
        return f"{Path(self.weights).name}, {self.format}, {how}, {what}"


@dataclass(frozen=True)
class MeasureOptions:
    """Data and options of a measurement.

    Attributes:
        exact: weights of the float model, whose float32 `.tflite` files are the references.
        data: dataset YAML file.
        splits: splits whose images are measured, all together.
        image_size: input size (height, width) in pixels.
        calibration: number of training images for jobs that need images.
        rounds: rounds of the latency; 0 leaves it out.
        runs: timed inferences per file and round.
    """

    exact: str
    data: str
    splits: tuple[str, ...] = ("val",)
    image_size: tuple[int, int] = (640, 640)
    calibration: int = 32
    rounds: int = 9
    runs: int = 5


@dataclass(frozen=True)
class Result:
    """What was measured of one file.

    Attributes:
        job: the file.
        error: why it could not be written or run; nothing else is set then.
        megabytes: size of the file in 1e6 bytes.
        map50_95: mAP50-95 of the images of all splits; of a segmentation model that of masks.
        map50: mAP50 of these.
        by_split: mAP50-95 of each split.
        lost: points of mAP50-95 below float32 with the same kind of NMS; None for float32 itself.
        fidelity: mAP50-95 with the float model's confident detections as ground truth.
        score_error: mean absolute error of scores; None with NMS inside.
        milliseconds: median latency; None if it was not measured.
        latency: latency relative to float32 with the same kind of NMS, median over rounds and its interval;
            None for float32 itself and if it was not measured.
    """

    job: Job
    error: str = ""
    megabytes: float | None = None
    map50_95: Interval | None = None
    map50: float | None = None
    by_split: dict[str, float] = field(default_factory=dict)
    lost: Interval | None = None
    fidelity: Interval | None = None
    score_error: Interval | None = None
    milliseconds: float | None = None
    latency: Interval | None = None


def measure(jobs: Sequence[Job], options: MeasureOptions, progress: Progress = no_progress) -> list[Result]:
    """Export files, run all of them on the same images, and time them in turns.

    Args:
        jobs: files to be measured.
        options: the float model, data, and options of the measurement.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        The references first: the float32 file with raw heads, and that with NMS inside if a job has NMS; then
        one result per job.

    Raises:
        TfyoloError: the dataset or the float model is wrong.
    """
    references = [Job(options.exact, precision="float32")]
    if any(not job.is_raw for job in jobs):
        references.append(Job(options.exact, precision="float32", nms="auto"))
    jobs = [*references, *(job for job in jobs if job not in references)]
    images = None
    if any(job.needs_images for job in jobs):
        dataset = read_dataset(options.data)
        images = dataset_images(dataset, "train", options.image_size, options.calibration, progress)
    files: dict[Job, _File] = {}
    errors: dict[Job, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, job in enumerate(jobs):
            progress("exporting", number, len(jobs))
            try:
                files[job] = _File.open(job, options.image_size, Path(folder) / str(number), images)
            except Exception as error:  # of many kinds; the other files are measured
                if job in references:
                    raise
                reason = " ".join(getattr(error, "message", str(error)).split())[:200]
                errors[job] = reason or type(error).__name__
        progress("exporting", len(jobs), len(jobs))
        _run(files, options, progress)
        times = _times(files, options, progress)
    pairs = {job.is_raw: job for job in references}
    return [
        Result(job, errors[job])
        if job in errors
        else files[job].result(files[pairs[job.is_raw]], times.get(job), times.get(pairs[job.is_raw]))
        for job in jobs
    ]


def save_results(results: Sequence[Result], path: Path) -> None:
    """Write results as a JSON list.

    Args:
        results: from `measure`.
        path: file to write.
    """
    path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n", "utf-8")


def load_results(path: Path) -> list[Result]:
    """Read what `save_results` wrote.

    Args:
        path: JSON file.
    """
    intervals = ("map50_95", "lost", "fidelity", "score_error", "latency")
    results = []
    for row in json.loads(path.read_text("utf-8")):
        row |= {name: Interval(**row[name]) for name in intervals if row[name]}
        results.append(Result(**{**row, "job": Job(**row["job"])}))
    return results


class _File:
    """An exported file, loaded, with its detections so far."""

    def __init__(self, job: Job, path: Path, runtime: Any) -> None:
        self.job, self.runtime, self.megabytes = job, runtime, megabytes(path)
        self.contract: Contract = runtime.contract
        self.near = cast(DetectorFidelity, find_fidelity(self.contract))
        self.rows: dict[str, list[tuple[np.ndarray, ...]]] = {}

    @classmethod
    def open(cls, job: Job, image_size: tuple[int, int], stem: Path, images: np.ndarray | None) -> _File:
        """Export, load and run once."""
        options = ExportOptions(
            image_size=image_size,
            nms=job.nms,
            nms_options=SETTINGS,
            precision=job.precision,
            calibrator="runtime" if job.own else "tfyolo",
        )
        calibration = images if job.needs_images else None
        request = ExportJob(*load_model(fetch_weights(job.weights)), options, calibration_images=calibration)
        with hidden_stderr():
            path = export_model(request, [job.format], stem)[job.format]
            file = cls(job, path, load_runtime(path, threads=1))
        file.infer(np.zeros((*image_size, 3), np.uint8))
        return file

    def infer(self, image: np.ndarray) -> Any:
        """Run on one image, without decoding in NumPy."""
        return self.runtime.outputs(image[None])

    def detect(self, image: np.ndarray, exact: Heads) -> Detections:
        """Return the detections of one image, and add the score error of raw heads."""
        if not self.job.is_raw:
            return self.runtime(image[None], SETTINGS.confidence)[0]
        heads = self.heads(image)
        self.near.add_errors(exact, heads)
        return self.near.detect(heads)

    def heads(self, image: np.ndarray) -> Heads:
        outputs = self.infer(image)
        return [tuple(outputs[name][0] for name in scale) for scale in raw_outputs(self.contract)]

    def add(self, split: str, sample: Sample, box: Any, found: Detections, exact: Detections) -> None:
        """Add the detections of one image, in pixels of the input: this file's and the float model's."""
        self.near.add_detections(exact, found)
        correct = _MATCH[self.contract.task](sample, box, found)
        self.rows.setdefault(split, []).append((correct, found.scores, found.class_ids, sample.classes))

    def result(
        self, reference: _File, times: list[np.ndarray] | None, reference_times: list[np.ndarray] | None
    ) -> Result:
        """Compute the metrics of all images; times are lists of rounds."""
        rows, exact = ([row for part in one.rows.values() for row in part] for one in (self, reference))
        maps = mean_average_precisions(rows)
        latency = None
        if times and reference_times and self is not reference:
            pairs = zip(times, reference_times, strict=True)
            latency = median_interval(np.array([np.median(own) / np.median(other) for own, other in pairs]))
        return Result(
            self.job,
            megabytes=self.megabytes,
            map50_95=interval(maps),
            map50=average_precision(*map(np.concatenate, zip(*rows, strict=True))).map50,
            by_split={split: float(mean_average_precisions(part)[0]) for split, part in self.rows.items()},
            lost=None if self is reference else interval(100 * (mean_average_precisions(exact) - maps)),
            fidelity=self.near.interval(),
            score_error=self.near.score_error_interval() if self.job.is_raw else None,
            milliseconds=float(np.median(np.concatenate(times))) if times else None,
            latency=latency,
        )


def _match_boxes(sample: Sample, box: Letterbox, found: Detections) -> np.ndarray:
    boxes, truth = box.to_image(found.boxes_xyxy_px), labels_xyxy_px(sample)
    return match(boxes, found.class_ids, truth, sample.classes)


_MATCH = {"detect": _match_boxes, "segment": match_masks}
"""What a detection is compared by with the labels: its box, or its mask."""


def _run(files: dict[Job, _File], options: MeasureOptions, progress: Progress) -> None:
    """Run all files on all images; the first one is the float model with raw heads."""
    first = next(iter(files.values()))
    for split in options.splits:
        samples = list(scan_split(read_dataset(options.data), split).samples)
        for done, (sample, box, image) in enumerate(_images(samples, options.image_size)):
            heads = first.heads(image)
            exact = first.near.detect(heads)
            for file in files.values():
                file.add(split, sample, box, file.detect(image, heads), exact)
            progress(f"measuring {split}", done + 1, len(samples))


def _times(
    files: dict[Job, _File], options: MeasureOptions, progress: Progress
) -> dict[Job, list[np.ndarray]]:
    """Time all files in turns; return milliseconds by job and round."""
    times: dict[Job, list[np.ndarray]] = {}
    image = np.random.default_rng(0).integers(0, 256, (*options.image_size, 3), np.uint8)
    for turn in range(options.rounds):
        for job, file in files.items():
            times.setdefault(job, []).append(
                np.array(time_calls(lambda file=file: file.infer(image), options.runs))
            )
        progress("timing", turn + 1, options.rounds)
    return times


def _images(samples: list[Sample], hw: tuple[int, int]) -> Iterator[tuple[Sample, Any, np.ndarray]]:
    for batch in load_batches(plan_batches(samples, hw, 1, 32, rect=False), hw):
        yield from zip(batch.samples, batch.letterboxes, batch.images, strict=True)
