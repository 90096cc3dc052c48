"""The first lines of the log of a run: model, device, precision, and a note about a long warm-up."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfyolo.export.runtime.cpu import cores
from tfyolo.models import count_model
from tfyolo.training.optimization.schedule import Schedule


def describe_run(model: Any, image_size: int) -> tuple[str, str]:
    """Two sentences for the log.

    Args:
        model: model in training, with attributes `contract` and `precision`.
        image_size: side of the training images in pixels.

    Example:
        >>> describe_run(model, 640)  # doctest: +SKIP
        ('model: yolov5n, 3 classes, 1.77 million parameters, 4.2 GFLOPs at 640x640',
         'device: CPU with 2 cores, float32')
    """
    spec = model.contract.spec
    costs = count_model(spec, (image_size, image_size))[0].costs.values()
    parameters, gflops = sum(cost.parameters for cost in costs), sum(cost.gflops for cost in costs)
    size = f"{parameters / 1e6:.2f} million parameters, {gflops:.1f} GFLOPs at {image_size}x{image_size}"
    count = len(model.contract.names)
    classes = f"{count} class" + ("es" if count != 1 else "")
    return f"model: {spec.name}, {classes}, {size}", f"device: {_devices()}, {model.precision}"


def describe_warmup(schedule: Schedule) -> str:
    """Return a note for the log if the warm-up is longer than half of the run.

    Args:
        schedule: schedule of the run.

    Returns:
        One sentence with the length of the warm-up in epochs, or "".

    Example:
        >>> describe_warmup(Schedule(epochs=10, steps_per_epoch=4, batch=16))
        'note: the learning-rate warm-up takes 25.0 epochs (100 steps), but the run has only 10'
        >>> describe_warmup(Schedule(epochs=30, steps_per_epoch=100, batch=16))
        ''
    """
    steps, total = schedule.warmup_steps, schedule.epochs * schedule.steps_per_epoch
    if steps <= total / 2:
        return ""
    taken = f"the learning-rate warm-up takes {steps / schedule.steps_per_epoch:.1f} epochs ({steps} steps)"
    run = f"but the run has only {schedule.epochs}" if steps > total else f"of {schedule.epochs} in this run"
    return f"note: {taken}, {run}"


def _devices() -> str:
    """The GPUs by name, or the CPU and its cores."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        count = cores()
        return f"CPU with {count} core" + ("s" if count != 1 else "")
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return name if len(gpus) == 1 else f"{len(gpus)} GPUs, {name}"
