"""Quantization-aware training of a calibrated network."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.export.nodes import run_network
from tfyolo.files import atomic
from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.quantization.distillation import distillation_loss
from tfyolo.quantization.qat_options import QatOptions
from tfyolo.quantization.twin import Twin, tf_keras
from tfyolo.training.loss import DetectionLoss, LossSettings

Tell = Callable[[int, float], None]


class QuantizedTraining:
    """The training of one network.

    Args:
        teacher: the float network.
        twin: of the calibrated one.
        contract: of the detector.
        options: how.
        loss_settings: gains of YOLOv5's loss, scaled for the data set and image size.
    """

    def __init__(
        self,
        teacher: Network,
        twin: Twin,
        contract: Contract,
        options: QatOptions,
        loss_settings: LossSettings | None = None,
    ) -> None:
        self.teacher, self.twin, self.options = teacher, twin, options
        self._contract = contract
        self._labels = DetectionLoss(
            contract.anchors_px, contract.strides, len(contract.names), loss_settings or LossSettings()
        )
        self._variables = twin.model.trainable_variables
        self._optimizer = tf_keras.optimizers.Adam(_Schedule(options), beta_2=0.99, epsilon=1e-12)
        self._optimizer.build(self._variables)
        self._step = tf.function(self._update, autograph=False, reduce_retracing=True)
        self.done = 0

    def run(self, batches: Iterator[Any], tell: Tell, state: Path | None = None) -> None:
        """Train to the end.

        Args:
            batches: of images, uint8 (batch, height, width, 3), and labels (batch, boxes, 5).
            tell: is given the number of each update, counted from 1, and its loss.
            state: file that the progress is kept in, so that `resume` can go on.
        """
        while self.done < self.options.steps:
            loss = self._step(*next(batches))
            self.done += 1
            tell(self.done, float(loss))
            if state and self.done % self.options.save_every == 0:
                self._save(state)

    def resume(self, state: Path) -> bool:
        """Go on where the file of an unfinished run with the same options ends; False if it is of another."""
        with np.load(state) as arrays:
            if bytes(arrays["options"]).decode() != self._fingerprint():
                return False
            values = [arrays[f"v{i}"] for i in range(len(self._state))]
        for variable, value in zip(self._state, values, strict=True):
            variable.assign(value)
        self.done = int(self._optimizer.iterations.numpy())
        return True

    def _update(self, images: Any, labels: Any) -> Any:
        images = tf.cast(images, tf.float32) / 255.0
        kind = self.options.loss
        with tf.GradientTape() as tape:
            flat = self.twin.model(images, training=True)
            heads = [flat[i : i + 3] for i in range(0, len(flat), 3)]
            loss = 0.0
            if kind != "labels":
                exact = run_network(self.teacher, images)
                loss += distillation_loss(heads, exact, self._contract.anchors_px, self._contract.strides)
            if kind != "distill":
                raw = [_join(parts) for parts in heads]
                loss += self._labels(raw, labels).total / tf.cast(tf.shape(images)[0], tf.float32)
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
        np.savez(out, options=np.frombuffer(self._fingerprint().encode(), np.uint8), **arrays)
        with atomic(path) as temporary:
            temporary.write_bytes(out.getvalue())


def _join(parts: Any) -> Any:
    """A raw head (batch, height, width, anchors * (5 + classes)) of its three parts."""
    shape = tf.concat([tf.shape(parts[1]), [-1]], 0)
    joined = tf.concat([tf.reshape(part, shape) for part in parts], -1)
    return tf.reshape(joined, tf.concat([shape[:3], [sum(part.shape[-1] for part in parts)]], 0))


class _Schedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """A rise, and half a cosine down to nothing."""

    def __init__(self, options: QatOptions) -> None:
        self.options = options

    def __call__(self, step: Any) -> Any:
        done = tf.cast(step, tf.float32)
        rise = tf.minimum((done + 1.0) / self.options.warmup, 1.0)
        return self.options.learning_rate * rise * 0.5 * (1.0 + tf.cos(math.pi * done / self.options.steps))
