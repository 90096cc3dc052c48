"""The model that a run begins with: configuration, anchors and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, build_model, load_spec
from tfyolo.models.build import import_keras
from tfyolo.models.spec import ModelSpec
from tfyolo.training.model import TrainingModel
from tfyolo.weights import load_model
from tfyolo.weights.hub import find_weights


@dataclass(frozen=True)
class Start:
    """Where training begins.

    Args:
        contract: of the detector to be trained.
        source: the network that weights are taken from, or None.
        taken: how many of its arrays fit.
        total: how many arrays the detector has.
    """

    contract: Contract
    source: Any
    taken: int
    total: int

    def describe(self) -> str:
        """A sentence for the log."""
        if self.source is None:
            return "weights: random"
        return f"weights: {self.taken} of {self.total} arrays taken over"


def plan_start(
    weights: str, cfg: str, names: Sequence[str], image_size: int, anchors: int | None = None
) -> Start:
    """Read the configuration and the weights to begin from.

    Args:
        weights: file or release name; empty for random weights.
        cfg: model name or YAML, by default that of `weights`.
        names: class names of the data set.
        image_size: written into the contract.
        anchors: anchors a scale that are to be generated; by default the configuration's own.

    Raises:
        TfyoloError: neither weights nor configuration are given, or one cannot be read.
    """
    import_keras()
    overrides: dict[str, Any] = {"classes": len(names)}
    if anchors:
        overrides["anchors"] = anchors
    source = taken_from = None
    if weights:
        source, taken_from = load_model(find_weights(weights))
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
    taken = total = 0
    if source is not None:
        pairs = _pairs(build_model(spec), source)
        taken, total = sum(found for _, found in pairs), len(pairs)
        if not taken:
            raise TfyoloError("no weight fits the configuration", path=weights, fix="pass another --cfg")
    return Start(contract, source, taken, total)


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
    start: Start, image_size: int, precision: str = "float32", sync_bn: bool = False
) -> TrainingModel:
    """The training model with the weights that fit; the others stay random."""
    model = TrainingModel(start.contract, image_size, precision, sync_bn)
    if start.source is not None:
        model.begin_with([value for value, _ in _pairs(model.averaged, start.source)])
    return model


def _pairs(target: Any, source: Any) -> list[tuple[Any, bool]]:
    """For each array of `target`, in order, the value to begin with, and whether it is `source`'s."""
    known = {(layer.name, weight.name): weight for layer in source.layers for weight in layer.weights}
    pairs = []
    for layer in target.layers:
        for weight in layer.weights:
            other = known.get((layer.name, weight.name), weight)
            fits = other is not weight and tuple(other.shape) == tuple(weight.shape)
            pairs.append(((other if fits else weight).numpy(), fits))
    return pairs
