"""Quantization-aware training of a calibrated network."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import tensorflow as tf

from tfyolo.export.graph.nodes import run_network
from tfyolo.files import atomic
from tfyolo.models.build import call_heads
from tfyolo.models.network import Network
from tfyolo.quantization.training.objectives import Objective
from tfyolo.quantization.training.qat_model import QatModel, tf_keras
from tfyolo.quantization.training.qat_options import QatOptions

Tell = Callable[[int, float], None]


class QuantizedTraining:
    """QAT of one network.

    Args:
        teacher: the float network.
        qat_model: the QAT model of the calibrated network.
        objective: the loss.
        options: how.
        origin: identifies the calibrated network, so that progress files of other runs are not used.
    """

    def __init__(
        self,
        teacher: Network,
        qat_model: QatModel,
        objective: Objective,
        options: QatOptions,
        origin: str = "",
    ) -> None:
        self.teacher, self.qat_model, self.objective, self.options = teacher, qat_model, objective, options
        self._origin = origin
        self._variables = qat_model.trained_variables
        self._optimizer = FusedAdam(_Schedule(options), beta_2=0.99, epsilon=1e-12)
        self._optimizer.build(self._variables)
        self._step = tf.function(self._update, autograph=False, reduce_retracing=True)
        self.done = 0

    def run(self, batches: Iterator[Any], log: Tell, state: Path | None = None) -> None:
        """Train.

        Args:
            batches: pairs of images, float32 (batch, height, width, 3) in 0..1, and labels for the
                objective.
            log: called with the number of each update, from 1, and its loss.
            state: progress file for `resume`.
        """
        while self.done < self.options.steps:
            images, labels = next(batches)
            # The padding of labels varies, and each new shape is traced again: they are left out if not used.
            loss = self._step(images, None if self.options.loss == "distill" else labels)
            self.done += 1
            log(self.done, float(loss))
            if state and self.done % self.options.save_every == 0:
                self._save(state)

    def resume(self, state: Path) -> bool:
        """Continue from the progress file of the same run; returns False if it is of another run."""
        with np.load(state) as arrays:
            if bytes(arrays["options"]).decode() != self._fingerprint():
                return False
            values = [arrays[f"v{i}"] for i in range(len(self._state))]
        for variable, value in zip(self._state, values, strict=True):
            variable.assign(value)
        self.done = int(self._optimizer.iterations.numpy())
        return True

    def _update(self, images: Any, labels: Any) -> Any:
        kind, sizes = self.options.loss, [len(parts) for parts in self.teacher.heads]
        with tf.GradientTape() as tape:
            heads = _nested(call_heads(self.qat_model.model, images, training=True), sizes)
            loss = 0.0
            if kind != "labels":
                loss += self.objective.distillation(heads, run_network(self.teacher, images))
            if kind != "distill":
                loss += self.objective.from_labels(heads, labels)
        gradients = tape.gradient(loss, self._variables)
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        return loss

    @property
    def _state(self) -> list[Any]:
        return [*self._variables, *self._optimizer.variables]

    def _fingerprint(self) -> str:
        shapes = [list(variable.shape) for variable in self._state]
        return json.dumps([self.options.to_json(), shapes])

    def _save(self, path: Path) -> None:
        arrays = {f"v{i}": variable.numpy() for i, variable in enumerate(self._state)}
        out = BytesIO()
        np.savez(out, options=_bytes(self._fingerprint()), origin=_bytes(self._origin), **arrays)
        with atomic(path) as temporary:
            temporary.write_bytes(out.getvalue())


def origin_of(state: Path) -> str | None:
    """Return the `origin` in a progress file; None if there is no readable file."""
    try:
        with np.load(state) as arrays:
            return bytes(arrays["origin"]).decode()
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def _nested(flat: list[Any], sizes: Sequence[int]) -> list[tuple[Any, ...]]:
    """Group a flat list of tensors by head."""
    rest = iter(flat)
    return [tuple(next(rest) for _ in range(size)) for size in sizes]


class FusedAdam(tf_keras.optimizers.Adam):
    """Adam whose update of a weight is one operation of TensorFlow: written out, it takes long to trace."""

    def update_step(self, gradient: Any, variable: Any) -> None:
        """Update one weight and its slots.

        Args:
            gradient: gradient of the variable.
            variable: the weight.
        """
        index = self._index_dict[self._var_key(variable)]
        count = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.pow(self.beta_1, count),
            beta2_power=tf.pow(self.beta_2, count),
            lr=tf.cast(self.learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class _Schedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Warm-up and cosine decay to zero."""

    def __init__(self, options: QatOptions) -> None:
        self.options = options

    def __call__(self, step: Any) -> Any:
        done = tf.cast(step, tf.float32)
        rise = tf.minimum((done + 1.0) / self.options.warmup, 1.0)
        return self.options.learning_rate * rise * 0.5 * (1.0 + tf.cos(math.pi * done / self.options.steps))
