"""Images per second of the input pipeline alone, and memory over 200 steps: `make bench`.

Batches are drawn and thrown away. Where a core is to be compared, `--cores 1` keeps the process on one.

    python benchmarks/pipeline.py                                      # the images that ship
    python benchmarks/pipeline.py --data coco128.yaml --img 640
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib.resources import as_file, files
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console
from rich.table import Table

from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.data.segmentation.options import MaskOptions

VARIANTS: dict[str, tuple[dict[str, float], dict[str, object]]] = {
    "mosaic (the default)": ({}, {}),
    "mosaic, cache ram": ({}, {"cache": "ram"}),
    "mosaic, cache disk": ({}, {"cache": "disk"}),
    "mosaic of nine": ({"mosaic9": 1.0}, {}),
    "mosaic and mixup": ({"mixup": 1.0}, {}),
    "mosaic and copy-paste": ({"copy_paste": 0.5}, {}),
    "mosaic, turned and sheared": ({"degrees": 10.0, "shear": 5.0}, {}),
    "one image": ({"mosaic": 0.0}, {}),
    "rectangular batches": ({}, {"rect": True}),
}
MASK_VARIANTS: dict[str, dict[str, float]] = {
    "mosaic": {},
    "mosaic and copy-paste": {"copy_paste": 0.5},
    "mosaic, turned and sheared": {"degrees": 10.0, "shear": 5.0},
    "one image": {"mosaic": 0.0},
}
MASKS = {"no masks": None, "masks": MaskOptions(), "separate masks": MaskOptions(overlap=False)}
WARMUP = 3


def main() -> int:
    """Measure every variant, then memory; print both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="", help="dataset YAML; the one that ships by default")
    parser.add_argument("--img", type=int, default=640)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=12, help="batches of each variant")
    parser.add_argument("--memory-steps", type=int, default=200)
    parser.add_argument("--cores", type=int, default=0, help="keep the process on so many; 0: all")
    options = parser.parse_args()
    if options.cores:
        os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[: options.cores]))
    cores = len(os.sched_getaffinity(0))
    with as_file(files("tfyolo.assets") / "bccd-mini" / "bccd-mini.yaml") as shipped:
        dataset = read_dataset(options.data or shipped)
        samples = scan_split(dataset, "train").samples
        table = Table(
            title=f"pipeline at {options.img}, batch {options.batch}, {cores} cores, {dataset.yaml_path.name}"
        )
        for heading in ("variant", "images/s", "a core"):
            table.add_column(heading, justify="left" if heading == "variant" else "right")
        for name, (settings, kind) in VARIANTS.items():
            speed, _ = _speed(samples, settings, kind, options)
            table.add_row(name, f"{speed:.0f}", f"{speed / cores:.0f}")
        Console(width=110).print(table)
        Console(width=110).print(_mask_table(samples, options))
        memory = _memory_mib(samples, options)
    print("memory after " + ", ".join(f"{step} steps: {mib:.0f} MiB" for step, mib in memory.items()))
    return 0


def _speed(
    samples: object, settings: dict[str, float], kind: dict[str, object], options: argparse.Namespace
) -> tuple[float, float]:
    """Images per second, and milliseconds of CPU time per image."""
    choice = PipelineOptions(image_size=options.img, batch=options.batch, **kind)  # type: ignore[arg-type]
    pipeline = Pipeline(samples, AugmentationOptions(**settings), choice)  # type: ignore[arg-type]
    stream = iter(pipeline.stream())
    for _ in range(WARMUP):
        next(stream)
    start, used = time.perf_counter(), time.process_time()
    for _ in range(options.steps):
        next(stream)
    count = options.steps * options.batch
    return count / (time.perf_counter() - start), 1000 * (time.process_time() - used) / count


def _mask_table(samples: object, options: argparse.Namespace) -> Table:
    """CPU time per image, without and with masks of a segmentation model."""
    table = Table(title="CPU time per image in ms, cached in memory; boxes without polygon are drawn")
    table.add_column("variant")
    for heading in MASKS:
        table.add_column(heading, justify="right")
    for name, settings in MASK_VARIANTS.items():
        kinds: list[dict[str, object]] = [{"cache": "ram", "masks": masks} for masks in MASKS.values()]
        table.add_row(name, *(f"{_speed(samples, settings, kind, options)[1]:.1f}" for kind in kinds))
    return table


def _memory_mib(samples: object, options: argparse.Namespace) -> dict[int, float]:
    """Resident memory while the default variant runs."""
    choice = PipelineOptions(image_size=options.img, batch=options.batch)
    stream = iter(Pipeline(samples, AugmentationOptions(), choice).stream())  # type: ignore[arg-type]
    seen = {}
    for step in range(1, options.memory_steps + 1):
        next(stream)
        if step % max(options.memory_steps // 5, 1) == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            seen[step] = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return seen


if __name__ == "__main__":
    sys.exit(main())
