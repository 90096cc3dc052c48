"""The training loop: epochs over a stream of batches, on one device or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Protocol, cast

import keras
import tensorflow as tf

from tfyolo.data.caches.image_table import ImageTable
from tfyolo.data.detection.pipeline import Pipeline
from tfyolo.training.fit.checks import check_callbacks, sets_learning_rate
from tfyolo.training.model import TrainingModel


class BatchSource(Protocol):
    """Batches of a training split: `Pipeline` or `ClassificationPipeline`."""

    steps_per_epoch: int
    table: ImageTable

    def stream(self, first_epoch: int = 0, epochs: int | None = None) -> tf.data.Dataset:
        """Return batches from the beginning of an epoch on."""


def run_epochs(
    model: TrainingModel,
    pipeline: BatchSource,
    epochs: int,
    first_epoch: int = 0,
    callbacks: Sequence[Any] = (),
    image_weights: Any = None,
) -> None:
    """Train a model for several epochs, under the current `tf.distribute` strategy.

    Args:
        model: compiled.
        pipeline: batches of the training split; several devices and `image_weights` need a `Pipeline`.
        epochs: number of the last epoch.
        first_epoch: epoch to continue from, counted from 0.
        callbacks: Keras callbacks; training ends after an epoch in which one sets `model.stop_training`.
        image_weights: function without arguments that returns the sampling weights of the images for the
            next epoch; None samples each image once per epoch.
    """
    strategy = tf.distribute.get_strategy()
    schedule = model.schedule
    if schedule is not None and sets_learning_rate(callbacks):
        model.plan(schedule.epochs, schedule.steps_per_epoch, schedule.batch, flat=True)
    step = None
    hooks = keras.callbacks.CallbackList(
        check_callbacks(list(callbacks), loop=True),
        model=model,
        epochs=epochs,
        steps=pipeline.steps_per_epoch,
        add_history=False,
    )
    model.stop_training = False
    hooks.on_train_begin()
    batches = None
    for epoch in range(first_epoch, epochs):
        if batches is None or image_weights is not None:
            weights = image_weights() if image_weights is not None else None
            batches = _batches(pipeline, strategy, epoch, epochs, weights)
        hooks.on_epoch_begin(epoch)
        if model.follow_trainable() or step is None:
            step = _compiled(model, strategy, getattr(batches, "element_spec", None))
        sums = dict.fromkeys(model.mean_names, 0.0)
        logs: dict[str, float] = {}
        for index in range(pipeline.steps_per_epoch):
            hooks.on_train_batch_begin(index)
            losses = step(*next(batches))
            sums = {name: sums[name] + float(losses[name]) for name in sums}
            logs = {name: total / (index + 1) for name, total in sums.items()}
            hooks.on_train_batch_end(index, logs)
            if model.stop_training:
                break
        hooks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    hooks.on_train_end()


def _compiled(model: TrainingModel, strategy: Any, signature: Any) -> Any:
    """Return the training step as one graph for batches of all shapes; all devices return the same losses.

    Args:
        model: compiled.
        strategy: a `tf.distribute` strategy.
        signature: shapes of all batches, such as labels of any number of boxes; without it, the second shape
            that occurs is traced again.
    """

    def on_all_devices(images: Any, labels: Any) -> Any:
        losses = strategy.run(model.step, args=(images, labels))
        return {name: strategy.experimental_local_results(value)[0] for name, value in losses.items()}

    if model.run_eagerly:
        return on_all_devices
    # Without AutoGraph: there are no Python loops to convert, and it takes a quarter of the tracing time.
    return tf.function(
        on_all_devices,
        input_signature=signature,
        reduce_retracing=True,
        autograph=False,
        jit_compile=model.jit_compile or None,
    )


def _batches(pipeline: BatchSource, strategy: Any, first: int, epochs: int, weights: Any) -> Iterator[Any]:
    """Return the batches of the epochs from `first` on; on several devices, one component per device."""
    num_devices = strategy.num_replicas_in_sync
    count = 1 if weights is not None else epochs - first
    if num_devices == 1 and weights is None:
        return iter(pipeline.stream(first, count))
    resolver = strategy.cluster_resolver
    spec = resolver.cluster_spec() if resolver else None
    workers = len(spec.job_tasks("worker")) if spec and "worker" in spec.jobs else 1
    num_local = num_devices // workers
    first_local = num_local * int(resolver.task_id or 0) if workers > 1 else 0
    pipeline = cast(Pipeline, pipeline)
    streams = [
        iter(pipeline.stream(first, count, image_weights=weights, shard=(first_local + i, num_devices)))
        for i in range(num_local)
    ]
    if num_local == 1:
        return streams[0]
    return _distributed(strategy, streams, first_local)


def _distributed(strategy: Any, streams: list[Iterator[Any]], first_local: int) -> Iterator[Any]:
    """Yield batches as distributed values with one component per local device.

    Args:
        strategy: a `tf.distribute` strategy.
        streams: batches of each local device.
        first_local: number of the first local device among all devices.
    """
    while True:
        try:
            parts = [next(stream) for stream in streams]
        except StopIteration:
            return

        def component(context: Any, kind: int, parts: list[Any] = parts) -> Any:
            return parts[context.replica_id_in_sync_group - first_local][kind]

        yield tuple(
            strategy.experimental_distribute_values_from_function(partial(component, kind=kind))
            for kind in range(2)  # images, labels
        )
