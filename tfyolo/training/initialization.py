"""The model that a run begins with: configuration, anchors and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tfyolo.data.detection.sample import Sample
from tfyolo.errors import TfyoloError
from tfyolo.libraries import require
from tfyolo.models import Contract, build_model, load_spec
from tfyolo.models.build import import_keras
from tfyolo.models.spec import ModelSpec
from tfyolo.progress import Log, no_log
from tfyolo.training.detection.model import DetectorTraining
from tfyolo.training.transfer import InitialWeights
from tfyolo.weights import load_model
from tfyolo.weights.hub import fetch_weights


def plan_start(
    weights: str, cfg: str, names: Sequence[str], image_size: int, anchors: int | None = None
) -> InitialWeights:
    """Read the configuration and the weights to begin from.

    Args:
        weights: file or release name; empty for random weights.
        cfg: model name or YAML, by default that of `weights`.
        names: class names of the dataset.
        image_size: written into the contract.
        anchors: anchors a scale that are to be generated; by default the configuration's own.

    Raises:
        TfyoloError: neither weights nor configuration are given, or one cannot be read.
    """
    import_keras()
    overrides: dict[str, Any] = {"num_classes": len(names)}
    if anchors:
        overrides["anchors"] = anchors
    source = taken_from = None
    if weights:
        source, taken_from = load_model(fetch_weights(weights))
    if cfg:
        spec = load_spec(cfg, **overrides)
    elif taken_from is not None:
        from tfyolo.configs.reader import Document
        from tfyolo.models.parse import parse_spec

        spec = parse_spec(Document(None, taken_from.config), taken_from.config.get("name", ""), **overrides)
    else:
        raise TfyoloError(
            "there is neither a model to build nor weights to begin from", fix="pass --cfg yolov5n"
        )
    contract = Contract.of(spec, list(names), (image_size, image_size))
    contract.require("detect", cfg or weights)
    if taken_from is not None and not cfg and not anchors:
        contract = contract.model_copy(update={"anchors_px": taken_from.anchors_px})
    return measured(InitialWeights(contract, source, taken_from), weights, "--cfg")


def measured(start: InitialWeights, weights: str, flag: str) -> InitialWeights:
    """The start with the number of arrays that are taken over.

    Args:
        start: with what is to be trained, and where weights are taken from.
        weights: the file, for the message.
        flag: that chooses another model.

    Raises:
        TfyoloError: no array fits.
    """
    if start.origin is None:
        return start
    arrays = start.arrays(build_model(start.contract.spec))
    if not any(array.share for array in arrays):
        raise TfyoloError("no weight fits the configuration", path=weights, fix=f"pass another {flag}")
    return replace(start, taken=sum(array.share == 1 for array in arrays), total=len(arrays))


def with_anchors(
    start: InitialWeights,
    samples: Sequence[Sample],
    image_size: int,
    threshold: float,
    *,
    check: bool = True,
    seed: int = 0,
    log: Log = no_log,
    progress: Callable[[int, int], None] | None = None,
) -> InitialWeights:
    """The start with anchors that fit the labels.

    Args:
        start: whose anchors are checked; a configuration that only has their number gets new ones anyway.
        samples: of the training split.
        image_size: side of the training images in pixels.
        threshold: the hyperparameter `anchor_t`.
        check: otherwise anchors stay as they are.
        seed: of the evolution of new anchors.
        log: is given a sentence on what was decided.
        progress: called with the generations done and all.
    """
    spec = start.contract.spec
    asked = isinstance(spec.anchors, int)
    if not (check or asked):
        return start
    from tfyolo.anchors import auto_anchors

    decision = auto_anchors(
        samples, start.contract.anchors_px, spec.strides, image_size,
        threshold=threshold, seed=seed, force=asked, progress=progress,
    )  # fmt: skip
    log(f"anchors: {decision.reason}")
    return replace(start, contract=start.contract.model_copy(update={"anchors_px": decision.anchors_px}))


def frozen_layers(freeze: Sequence[int], spec: ModelSpec) -> list[str]:
    """Prefixes of the names of layers that are not trained.

    Args:
        freeze: how many layers from the first on; or of several numbers, which layers.
        spec: of the model.

    Raises:
        TfyoloError: the model has no such layer.
    """
    count = len(spec.layers)
    if len(freeze) > 1 and (outside := [layer for layer in freeze if not 0 <= layer < count]):
        raise TfyoloError(
            f"there is no layer {outside[0]} to freeze", fix=f"pass numbers within 0 and {count - 1}"
        )
    layers = range(min(freeze[0], count)) if len(freeze) == 1 else freeze
    return [f"model.{layer}." for layer in layers]


def make_model(
    start: InitialWeights, image_size: int, precision: str | None = None, sync_bn: bool = False
) -> DetectorTraining:
    """The training model with the weights that fit; the others stay random."""
    model = DetectorTraining(start.contract, image_size, precision, sync_bn)
    if start.source is not None:
        model.begin_with([array.value for array in start.arrays(model.averaged)])
    return model


def check_libraries(options: Any) -> None:
    """Refuse a run whose plots or event files need a library that is not installed.

    Args:
        options: `TrainOptions` or `ClassifyOptions`.

    Raises:
        MissingExtraError: naming it.
    """
    drawn, events = (
        (["matplotlib"] if options.plots else []),
        (["tensorboard"] if options.tensorboard else []),
    )
    require(*drawn, *events)
