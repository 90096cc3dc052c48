"""`tfyolo demo`: detect, fine-tune, export, run the exported file and measure, with the shipped data."""

from __future__ import annotations

import html
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from tfyolo.assets import DEFAULT_MODEL, FOLDER, MINI_DATA
from tfyolo.benchmark.latency import benchmark
from tfyolo.disk import writing
from tfyolo.evaluation.detection_metrics import Metrics, ValOptions
from tfyolo.evaluation.validator import validate
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.files import atomic
from tfyolo.inference.detection import DetectionPredictor
from tfyolo.inference.load import load_detection_predictor
from tfyolo.progress import Log, Progress
from tfyolo.quiet import hidden_stderr
from tfyolo.training.detection.options import TrainOptions
from tfyolo.training.train import train

IMAGE_SIZE = 320
IMAGES = 6


@dataclass(frozen=True)
class Row:
    """A row of the results table.

    Attributes:
        name: name of the model.
        megabytes: size of its file in 1e6 bytes.
        milliseconds: median latency per image.
        metrics: validation on the test split.
    """

    name: str
    megabytes: float
    milliseconds: float
    metrics: Metrics


def run_demo(
    folder: Path,
    epochs: int = 4,
    log: Log = print,
    progress: Progress | None = None,
    callbacks: Sequence[Any] = (),
) -> Path:
    """Run the whole chain, and write a report page.

    Args:
        folder: folder for the results.
        epochs: number of epochs of fine-tuning.
        log: called with each sentence of the log.
        progress: called as `progress(label, done, total)` in long steps.
        callbacks: Keras callbacks of training.

    Returns:
        The report page, `index.html` in the folder.
    """
    names = ", ".join(load_detection_predictor(DEFAULT_MODEL).names)
    log(f"1. detecting with the default model, bccd-n, which knows {names}")
    shown = sorted((MINI_DATA.parent / "images/test").glob("*.jpg"))[:IMAGES]
    before = _images(load_detection_predictor(DEFAULT_MODEL), shown, folder / "bccd-n")
    log(f"2. fine-tuning it on 48 images, {epochs} epochs")
    data = _copy_data(folder)
    options = TrainOptions(
        data,
        weights=str(DEFAULT_MODEL),
        epochs=epochs,
        image_size=IMAGE_SIZE,
        batch_size=16,
        nominal_batch=16,
        cache="ram",
        hyp="finetune",
        hyp_overrides={"lr0": 0.001, "mosaic": 0.5, "warmup_epochs": 0.0},
        tensorboard=False,
    )
    run = train(options, folder / "train", callbacks=callbacks, log=log, progress=progress)
    log("3. exporting it as TensorFlow Lite, with non-maximum suppression inside")
    tuned = load_detection_predictor(run.best)
    request = ExportJob(
        tuned.model,
        tuned.contract,
        ExportOptions(
            image_size=(IMAGE_SIZE, IMAGE_SIZE),
            nms_options=GraphNmsOptions(confidence=0.001, iou_threshold=0.6),
        ),
    )
    with hidden_stderr():
        exported = export_model(request, ["tflite"], folder / "cells")["tflite"]
    after = _images(load_detection_predictor(exported), shown, folder / "exported")
    log("4. measuring all three on 24 images that none of them was trained on")
    rows = _measure(
        [
            ("bccd-n, as shipped", DEFAULT_MODEL),
            ("fine-tuned", run.best),
            ("fine-tuned, TensorFlow Lite", exported),
        ],
        data,
        shown[0],
        progress,
    )
    page = folder / "index.html"
    with atomic(page) as temporary:
        temporary.write_text(_page(folder, rows, before, after), "utf-8")
    return page


def _copy_data(folder: Path) -> Path:
    """Copy the dataset to the results, since that of the package can be read-only, and scans write caches."""
    target = folder / "data"
    with writing(target):
        shutil.copytree(MINI_DATA.parent, target, dirs_exist_ok=True)
    return target / MINI_DATA.name


def _images(detector: DetectionPredictor, images: Sequence[Path], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    results = [detector(image, confidence=0.3)[0] for image in images]
    return [result.save(folder / image.name) for result, image in zip(results, images, strict=True)]


def _measure(
    models: Sequence[tuple[str, Path]], data: Path, image: Path, progress: Progress | None
) -> list[Row]:
    detectors = [(name, load_detection_predictor(path)) for name, path in models]
    # Square, so that all see the same pixels: exported files have a fixed input.
    options = ValOptions(split="test", plots=False, rect=False)
    metrics = [validate(detector, data, options, progress=progress) for _, detector in detectors]
    times = benchmark(detectors, image, rounds=3, runs=5, progress=progress)
    return [
        Row(name, path.stat().st_size / 1e6, time.median_ms, metric)
        for (name, path), time, metric in zip(models, times, metrics, strict=True)
    ]


def _page(folder: Path, rows: Sequence[Row], before: Sequence[Path], after: Sequence[Path]) -> str:
    """Return the HTML of the page, which refers only to files of the folder."""
    cells = "\n".join(
        f"<tr><td>{html.escape(row.name)}</td>"
        f"<td>{row.megabytes:.1f} MB</td><td>{row.milliseconds:.1f} ms</td>"
        f"<td>{row.metrics.map50:.3f}</td><td>{row.metrics.map50_95:.3f}</td></tr>"
        for row in rows
    )
    template = Template((FOLDER / "demo.html").read_text("utf-8"))
    return template.substitute(
        rows=cells, before=_figures(folder, before), after=_figures(folder, after), count=len(before)
    )


def _figures(folder: Path, images: Sequence[Path]) -> str:
    return "\n".join(
        f'<a href="{path.relative_to(folder).as_posix()}"><img src="{path.relative_to(folder).as_posix()}" '
        f'alt="blood cells with boxes, {path.stem}" loading="lazy"></a>'
        for path in images
    )
