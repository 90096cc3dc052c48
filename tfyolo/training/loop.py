"""The custom training loop: epochs over a stream of batches, on one device or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfyolo.data.detection.pipeline import Pipeline
from tfyolo.training.fit_checks import check_callbacks, sets_learning_rate
from tfyolo.training.loss import LOSSES
from tfyolo.training.model import TrainingModel


def run_epochs(
    model: TrainingModel,
    pipeline: Pipeline,
    epochs: int,
    first_epoch: int = 0,
    callbacks: Sequence[Any] = (),
    image_weights: Any = None,
) -> None:
    """Train.

    Args:
        model: compiled.
        pipeline: of the training split.
        epochs: of the whole run.
        first_epoch: where to go on, counted from 0.
        callbacks: Keras callbacks; `model.stop_training` ends the run after an epoch.
        image_weights: a function without arguments that gives the images' weights for the next epoch.
    """
    strategy = tf.distribute.get_strategy()
    schedule = model.schedule
    if schedule is not None and sets_learning_rate(callbacks):
        model.plan(schedule.epochs, schedule.steps_per_epoch, schedule.batch, flat=True)
    step = _compiled(model, strategy)
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
        if model.follow_trainable():
            step = _compiled(model, strategy)
        sums = dict.fromkeys(("loss", *LOSSES), 0.0)
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


def _compiled(model: TrainingModel, strategy: Any) -> Any:
    """The step as one graph for all shapes of batches; it gives the same losses on every device."""

    def on_all(images: Any, labels: Any) -> Any:
        losses = strategy.run(model.step, args=(images, labels))
        return {name: strategy.experimental_local_results(value)[0] for name, value in losses.items()}

    if model.run_eagerly:
        return on_all
    # Without AutoGraph, which finds no loops here to convert and takes a quarter of the time of tracing.
    return tf.function(on_all, reduce_retracing=True, autograph=False, jit_compile=model.jit_compile or None)


def _batches(pipeline: Pipeline, strategy: Any, first: int, epochs: int, weights: Any) -> Iterator[Any]:
    """Each device's part of each batch."""
    parts = strategy.num_replicas_in_sync
    resolver = strategy.cluster_resolver
    spec = resolver.cluster_spec() if resolver else None
    workers = len(spec.job_tasks("worker")) if spec and "worker" in spec.jobs else 1
    local = parts // workers
    begin = local * int(resolver.task_id or 0) if workers > 1 else 0
    count = 1 if weights is not None else epochs - first
    streams = [
        iter(pipeline.stream(first, count, image_weights=weights, shard=(begin + i, parts)))
        for i in range(local)
    ]
    if local == 1:
        return streams[0]
    return _distributed(strategy, streams, begin)


def _distributed(strategy: Any, streams: list[Iterator[Any]], begin: int) -> Iterator[Any]:
    """Batches as values with one component a device."""
    while True:
        try:
            parts = [next(stream) for stream in streams]
        except StopIteration:
            return
        yield tuple(
            strategy.experimental_distribute_values_from_function(
                lambda context, parts=parts, kind=kind: parts[context.replica_id_in_sync_group - begin][kind]
            )
            for kind in range(2)
        )
