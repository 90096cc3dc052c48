"""Images per second of the training step, beside PyTorch's of the same network, in one run: `make bench`.

Both networks begin from the same weights and see the same images; the losses of the first steps must agree,
or the comparison is refused. The processes take turns, so that a machine that drifts hurts none more than
the others. Three things are timed:

- tfyolo, network: forward, the mean square of the heads, backward, Nesterov: what PyTorch does here.
- tfyolo, whole step: `TrainingModel.step` with the detection loss, three parameter groups and the average.
- PyTorch: the network of `torch_yolov5.py`, in both memory layouts; the faster one counts.

    python benchmarks/train_step.py --torch build/torch/bin/python
    python benchmarks/train_step.py --model yolov5s --img 640 --batch 8
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.console import Console
from rich.table import Table

import tfyolo  # noqa: F401, before TensorFlow: turns oneDNN on

import tensorflow as tf  # isort: skip
from tfyolo.models import Contract, load_spec
from tfyolo.training.detection.hyps import Hyps
from tfyolo.training.model import TrainingModel

LEARNING_RATE = 0.01
WARMUP = 3
AGREEMENT = 1e-3
"""Relative difference of the losses of the first steps that is taken for rounding."""


def tensorflow_step(model: TrainingModel, images: np.ndarray) -> Callable[[], float]:
    """The step that `torch_yolov5.make_step` makes, of `model.network`."""
    network = model.network
    variables = [variable.value for variable in network.trainable_variables]
    velocities = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
    batch = tf.constant(images)

    @tf.function(autograph=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            heads = network(batch, training=True)
            loss = tf.add_n([tf.reduce_mean(tf.square(head)) for head in heads])
        gradients = tape.gradient(loss, variables)
        for variable, velocity, gradient in zip(variables, velocities, gradients, strict=True):
            moved = velocity.assign(0.937 * velocity + gradient)
            variable.assign_sub(LEARNING_RATE * (gradient + 0.937 * moved))
        return loss

    return lambda: float(step())


def whole_step(model: TrainingModel, images: np.ndarray) -> Callable[[], float]:
    """A step of `tfyolo train` on `images`, with eight boxes in each."""
    batch = len(images)
    model.compile("SGD", epochs=10, steps_per_epoch=10, batch_size=batch, hyps=Hyps(), nominal_batch=batch)
    random = np.random.default_rng(0)
    classes = random.integers(0, model.contract.spec.num_classes, (batch, 8, 1))
    boxes = random.uniform((0.2, 0.2, 0.05, 0.05), (0.8, 0.8, 0.4, 0.4), (batch, 8, 4))
    labels = tf.constant(np.concatenate([classes, boxes], 2), tf.float32)
    pixels = tf.constant(np.round(images * 255), tf.uint8)
    step = tf.function(model.step, autograph=False)
    return lambda: float(step(pixels, labels)["box_loss"])


class Torch:
    """A PyTorch worker that makes steps when told to."""

    def __init__(self, python: str, request: dict[str, Any], folder: Path) -> None:
        file = folder / f"request-{request['channels_last']}.json"
        file.write_text(json.dumps(request))
        script = Path(__file__).with_name("torch_yolov5.py")
        self.process = subprocess.Popen(
            [python, str(script), str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self.process.stdin is None or self.process.stdout is None:
            raise OSError("there are no pipes to the PyTorch worker")
        self.orders, self.answers = self.process.stdin, self.process.stdout
        self.ready = json.loads(self._line())

    def seconds(self, steps: int) -> float:
        """Of `steps` steps."""
        self.orders.write(f"{steps}\n")
        self.orders.flush()
        return float(self._line())

    def _line(self) -> str:
        line = self.answers.readline()
        if not line:
            sys.exit(f"the PyTorch worker ended with code {self.process.wait()}")
        return line

    def close(self) -> None:
        """End the worker."""
        self.orders.close()
        self.process.wait()


def timer(step: Callable[[], float]) -> Callable[[int], float]:
    """Seconds of so many steps."""

    def seconds(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return time.perf_counter() - start

    return seconds


def main() -> int:
    """Compare, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="yolov5n")
    parser.add_argument("--img", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3, help="in a turn")
    parser.add_argument(
        "--torch", default="", metavar="PYTHON", help="with torch and numpy; none: tfyolo alone"
    )
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)

    spec = load_spec(options.model)
    contract = Contract.of(spec)
    model, second = (TrainingModel(contract, options.img) for _ in range(2))
    random = np.random.default_rng(0)
    images = random.uniform(0, 1, (options.batch, options.img, options.img, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "images.npy", images)
        np.savez(folder / "weights.npz", **_torch_weights(model.network))
        request = {
            "threads": options.threads,
            "outputs": spec.anchors_per_scale * (5 + spec.num_classes),
            "layers": [vars(layer) for layer in spec.layers],
            "weights": str(folder / "weights.npz"),
            "images": str(folder / "images.npy"),
            "learning_rate": LEARNING_RATE,
            "warmup": WARMUP,
        }
        step = tensorflow_step(model, images)
        losses = [step() for _ in range(WARMUP)]
        whole = whole_step(second, images)
        for _ in range(WARMUP):
            whole()
        runs = {"tfyolo, network": timer(step), "tfyolo, whole step": timer(whole)}
        workers = []
        for last in (False, True) if options.torch else ():
            workers.append(Torch(options.torch, {**request, "channels_last": last}, folder))
            ready = workers[-1].ready
            if not np.allclose(ready["losses"], losses, rtol=AGREEMENT):
                sys.exit(f"the networks differ: losses {losses} here, {ready['losses']} in PyTorch")
            runs[f"{ready['version']}, {'NHWC' if last else 'NCHW'}"] = workers[-1].seconds
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                run(1)  # threads of the one before may still spin
                seconds[name].append(run(options.steps) / options.steps)
        for worker in workers:
            worker.close()
    _print(options, seconds)
    return 0


def _torch_weights(network: Any) -> dict[str, np.ndarray]:
    """Weights by PyTorch's names of parameters and statistics."""
    kinds = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
    kinds["moving_variance"] = "running_var"
    return {
        f"{layer.name}.{kinds.get(weight.name, weight.name)}": weight.numpy()
        for layer in network.layers
        for weight in layer.weights
    }


def _print(options: argparse.Namespace, seconds: dict[str, list[float]]) -> None:
    title = f"{options.model} at {options.img}, batch {options.batch}, {options.threads} threads"
    table = Table(title=f"training step: {title}", title_style="bold")
    for heading in ("step", "images/s", "least", "most", "relative to PyTorch's fastest"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    opponents = [median for name, median in medians.items() if name.startswith("PyTorch")]
    for name, times in seconds.items():
        speeds = [options.batch / value for value in (medians[name], max(times), min(times))]
        ratio = f"{min(opponents) / medians[name]:.2f}x" if opponents else ""
        table.add_row(name, *(f"{speed:.1f}" for speed in speeds), ratio)
    Console(width=110).print(table)


if __name__ == "__main__":
    sys.exit(main())
