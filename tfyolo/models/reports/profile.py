"""Profile blocks: cost, speed, and differences of their outputs."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.models.blocks import BLOCKS, Block
from tfyolo.models.build import import_keras
from tfyolo.models.config.arguments import resolve_arguments
from tfyolo.models.keras_ops import KerasOps
from tfyolo.models.ops import Cost, Shape, ShapeOps
from tfyolo.progress import Progress


@dataclass(frozen=True)
class BlockProfile:
    """Profile of a block.

    Attributes:
        name: block as given, such as `Conv(256, 3, 2)`.
        parameters: number of trainable parameters.
        gflops: GFLOPs for one image; a multiply-add counts as two operations.
        activations_mb: size of the float32 outputs of a batch, which training keeps in memory, in 1e6 bytes.
        forward_ms: median for the batch.
        backward_ms: median of forward and backward pass, minus the forward median.
        difference: maximum absolute difference from the output of the first block with equal weights; None
            if shapes of weights or outputs differ.
    """

    name: str
    parameters: int
    gflops: float
    activations_mb: float
    forward_ms: float
    backward_ms: float
    difference: float | None


def profile_blocks(
    texts: Sequence[str],
    channels: int,
    size: int,
    batch: int,
    repeats: int = 5,
    progress: Progress | None = None,
) -> list[BlockProfile]:
    """Profile blocks on one random tensor, alternating round by round, so that drifting clocks affect all
    equally.

    Args:
        texts: names with optional arguments, such as `SPPF` or `Conv(256, 3, 2)`.
        channels: number of channels of the input.
        size: height and width of the input.
        batch: images.
        repeats: number of timed rounds, after a warm-up.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        One profile per block, in the order of `texts`.

    Raises:
        TfyoloError: the block is unknown or reads several layers, or an argument is wrong.

    Example:
        >>> spp, sppf = profile_blocks(["SPP", "SPPF"], 16, 8, 1)  # doctest: +SKIP
        >>> sppf.difference  # doctest: +SKIP
        0.0
    """
    parsed = [_parse(text, Shape(size, size, channels)) for text in texts]
    keras = import_keras()
    import tensorflow as tf

    generator = tf.random.Generator.from_seed(0)
    x = generator.normal((batch, size, size, channels))
    models = [_model(keras, block, arguments, size, channels) for block, arguments, _ in parsed]
    outputs = []
    for model in models:
        same = _shapes(model) == _shapes(models[0])
        if same and model is not models[0]:
            model.set_weights(models[0].get_weights())
        outputs.append(model(x, training=False) if same else None)
    steps = [_steps(model, x) for model in models]
    times: list[tuple[list[float], list[float]]] = [([], []) for _ in models]
    for round_number in range(repeats + 1):
        for (forward, train), (forward_ms, train_ms) in zip(steps, times, strict=True):
            for step, found in ((forward, forward_ms), (train, train_ms)):
                start = perf_counter()
                step().numpy()
                if round_number:  # the first one traces
                    found.append(1e3 * (perf_counter() - start))
        if progress:
            progress("profiling", round_number + 1, repeats + 1)
    profiles = []
    for text, (_, _, costs), output, (forward_ms, train_ms) in zip(
        texts, parsed, outputs, times, strict=True
    ):
        difference = None if output is None else float(tf.reduce_max(tf.abs(output - outputs[0])))
        profiles.append(
            BlockProfile(
                text,
                sum(cost.parameters for cost in costs),
                sum(cost.gflops for cost in costs),
                4e-6 * batch * sum(cost.activations for cost in costs),
                median(forward_ms),
                max(median(train_ms) - median(forward_ms), 0.0),
                difference,
            )
        )
    return profiles


def _parse(text: str, image: Shape) -> tuple[Block, dict[str, Any], list[Cost]]:
    """Parse a block with arguments, and compute its cost."""
    match = re.fullmatch(r"\s*(?:nn\.)?(\w*)\s*(?:\((.*)\)\s*)?", text)
    block = BLOCKS.get(match[1]) if match else None
    if match is None or block is None or block.inputs == "many":
        known = ", ".join(key for key, entry in BLOCKS.items() if entry.inputs == "one")
        raise TfyoloError(f"`{text}` is not a block with a single input", fix=f"use one of {known}")
    try:
        values = list(ast.literal_eval(f"({match[2]},)")) if (match[2] or "").strip() else []
        filters = [image.channels] if "filters" in block.build.__annotations__ and not values else []
        arguments = resolve_arguments(block, [*filters, *values])
        ops = ShapeOps()
        block.build(ops, image, "block", **arguments)
        return block, arguments, list(ops.costs.values())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise TfyoloError(f"`{text}`: {error}", fix="write, for example, Conv(256, 3, 2)") from error


def _shapes(model: Any) -> list[Any]:
    """Return shapes of weights and output: if they are equal, outputs can be compared."""
    return [tuple(weight.shape) for weight in model.weights] + [tuple(model.outputs[0].shape)]


def _model(keras: Any, block: Block, arguments: dict[str, Any], size: int, channels: int) -> Any:
    image = keras.Input((size, size, channels))
    return keras.Model(image, block.build(KerasOps(keras, "silu", "silu", 1e-3), image, "block", **arguments))


def _steps(model: Any, x: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    @tf.function
    def forward() -> tf.Tensor:
        return tf.reduce_sum(model(x, training=False))

    @tf.function
    def train() -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(model(x, training=True))
        gradients = tape.gradient(total, [x, *model.trainable_weights])
        return tf.add_n([tf.reduce_sum(gradient) for gradient in gradients])

    return forward, train
