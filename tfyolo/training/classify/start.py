"""The classifier that a run begins with: configuration and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfyolo.configs.reader import Document
from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, build_model, list_models, load_spec
from tfyolo.models.build import import_keras
from tfyolo.models.parse import parse_spec
from tfyolo.models.spec import ModelSpec
from tfyolo.training.classify.model import ClassifierTraining
from tfyolo.weights import load_model
from tfyolo.weights.hub import find_weights

DEFAULT_MODEL = "yolov5n-cls"


@dataclass(frozen=True)
class ClassifierStart:
    """Where training begins.

    Args:
        contract: of the classifier to be trained.
        source: the network that weights are taken from, or None.
        taken: how many of its arrays fit.
        total: how many arrays the classifier has.
    """

    contract: Contract
    source: Any = None
    taken: int = 0
    total: int = 0

    def describe(self) -> str:
        """A sentence for the log."""
        if self.source is None:
            return "weights: random"
        return f"weights: {self.taken} of {self.total} arrays taken over"


def plan_classifier(
    model: str, pretrained: str, names: Sequence[str], image_size: int, dropout: float = 0.0
) -> ClassifierStart:
    """Read the configuration and the weights to begin from.

    Args:
        model: name or YAML of a classifier. By default that of `pretrained`; of a detector `yolov5s` that is
            `yolov5s-cls`.
        pretrained: file or release name of a classifier or detector; empty for random weights.
        names: class names of the data set.
        image_size: written into the contract.
        dropout: share of zeros before the last layer, in training.

    Raises:
        TfyoloError: the model is no classifier, one of both cannot be read, or no weight fits.
    """
    import_keras()
    source = origin = None
    if pretrained:
        source, origin = load_model(find_weights(pretrained))
    spec = _spec(model, origin, {"classes": len(names), "dropout": dropout})
    if spec.task != "classify":
        raise TfyoloError(
            f"{spec.name} is a detector, not a classifier",
            fix=f"pass --model {DEFAULT_MODEL}, or `tfyolo train`",
        )
    contract = Contract.of(spec, list(names), (image_size, image_size))
    if source is None:
        return ClassifierStart(contract)
    pairs = matching(build_model(spec), source)
    taken = sum(found for _, found in pairs)
    if not taken:
        raise TfyoloError("no weight fits the model", path=pretrained, fix="pass another --model")
    return ClassifierStart(contract, source, taken, len(pairs))


def make_classifier(
    start: ClassifierStart, image_size: int, precision: str = "float32"
) -> ClassifierTraining:
    """The training model with the weights that fit; the others stay random."""
    model = ClassifierTraining(start.contract, image_size, precision)
    if start.source is not None:
        model.begin_with([value for value, _ in matching(model.averaged, start.source)])
    return model


def matching(target: Any, source: Any) -> list[tuple[Any, bool]]:
    """For each array of `target`, in order, the value to begin with, and whether it is `source`'s.

    A detector's backbone has the layers of a classifier's, by name.
    """
    known = {(layer.name, weight.name): weight for layer in source.layers for weight in layer.weights}
    pairs = []
    for layer in target.layers:
        for weight in layer.weights:
            other = known.get((layer.name, weight.name), weight)
            fits = other is not weight and tuple(other.shape) == tuple(weight.shape)
            pairs.append(((other if fits else weight).numpy(), fits))
    return pairs


def _spec(model: str, origin: Contract | None, overrides: dict[str, Any]) -> ModelSpec:
    """The configuration that was asked for, or that of the weights."""
    if origin is not None and origin.task == "classify":
        if not model:
            return parse_spec(Document(None, origin.config), str(origin.config.get("name", "")), **overrides)
        # Weights expect pictures as they were normalized when these were trained.
        return load_spec(model, normalize=origin.config.get("normalize"), **overrides)
    if model or origin is None:
        return load_spec(model or DEFAULT_MODEL, **overrides)
    name = f"{origin.config.get('name', '')}-cls"
    if name not in list_models():
        raise TfyoloError(f"no classifier goes with {name.removesuffix('-cls')}", fix="pass --model")
    return load_spec(name, **overrides)
