"""The classifier that a run begins with: configuration and weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfyolo.configs.reader import Document
from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, list_models, load_spec
from tfyolo.models.build import import_keras
from tfyolo.models.parse import parse_spec
from tfyolo.models.spec import ModelSpec
from tfyolo.training.classify.model import ClassifierTraining
from tfyolo.training.initialization import measured
from tfyolo.training.transfer import InitialWeights
from tfyolo.weights import load_model
from tfyolo.weights.hub import fetch_weights

DEFAULT_MODEL = "yolov5n-cls"


def plan_classifier(
    model: str, pretrained: str, names: Sequence[str], image_size: int, dropout: float = 0.0
) -> InitialWeights:
    """Read the configuration and the weights to begin from.

    Args:
        model: name or YAML of a classifier. By default that of `pretrained`; of a detector `yolov5s` that is
            `yolov5s-cls`.
        pretrained: file or release name of a classifier or detector; empty for random weights.
        names: class names of the dataset.
        image_size: written into the contract.
        dropout: share of zeros before the last layer, in training.

    Raises:
        TfyoloError: the model is no classifier, one of both cannot be read, or no weight fits.
    """
    import_keras()
    source = origin = None
    if pretrained:
        source, origin = load_model(fetch_weights(pretrained))
    spec = _spec(model, origin, {"num_classes": len(names), "dropout": dropout})
    if spec.task != "classify":
        raise TfyoloError(
            f"{spec.name} is a detector, not a classifier",
            fix=f"pass --model {DEFAULT_MODEL}, or `tfyolo train`",
        )
    contract = Contract.of(spec, list(names), (image_size, image_size))
    # A detector's backbone has the layers of a classifier's, by name.
    return measured(InitialWeights(contract, source, origin), pretrained, "--model")


def make_classifier(
    start: InitialWeights, image_size: int, precision: str | None = None
) -> ClassifierTraining:
    """The training model with the weights that fit; the others stay random."""
    model = ClassifierTraining(start.contract, image_size, precision)
    if start.source is not None:
        model.begin_with([array.value for array in start.arrays(model.averaged)])
    return model


def _spec(model: str, origin: Contract | None, overrides: dict[str, Any]) -> ModelSpec:
    """The configuration that was asked for, or that of the weights."""
    if origin is not None and origin.task == "classify":
        if not model:
            return parse_spec(Document(None, origin.config), str(origin.config.get("name", "")), **overrides)
        # Weights expect images as they were normalized when these were trained.
        return load_spec(model, normalize=origin.config.get("normalize"), **overrides)
    if model or origin is None:
        return load_spec(model or DEFAULT_MODEL, **overrides)
    name = f"{origin.config.get('name', '')}-cls"
    if name not in list_models():
        raise TfyoloError(f"no classifier goes with {name.removesuffix('-cls')}", fix="pass --model")
    return load_spec(name, **overrides)
