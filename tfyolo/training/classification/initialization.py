"""Configuration and initial weights of a classifier to train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfyolo.configs.reader import Document
from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, list_models, load_spec
from tfyolo.models.build import import_keras
from tfyolo.models.config.parse import parse_spec
from tfyolo.models.spec import ModelSpec
from tfyolo.training.classification.model import ClassifierTraining
from tfyolo.training.transfer import InitialWeights
from tfyolo.weights import load_model
from tfyolo.weights.hub import fetch_weights

DEFAULT_MODEL = "yolov5n-cls"


def plan_initial_weights(
    model: str, pretrained: str, names: Sequence[str], image_size: int, dropout: float = 0.0
) -> InitialWeights:
    """Read the configuration of a classifier, and the weights it starts from.

    Args:
        model: name or YAML file of a classifier. Defaults to that of `pretrained`, which for a detector
            `yolov5s` is `yolov5s-cls`.
        pretrained: file or release name of a classifier or detector; empty for random weights.
        names: class names of the dataset.
        image_size: side of the training images in pixels, which is written to the contract.
        dropout: dropout rate before the last layer in training.

    Returns:
        Contract of the model, and the network that weights are copied from.

    Raises:
        TfyoloError: the model is not a classifier, a file cannot be read, or no weight fits.
    """
    import_keras()
    source = source_contract = None
    if pretrained:
        source, source_contract = load_model(fetch_weights(pretrained))
    spec = _find_spec(model, source_contract, {"num_classes": len(names), "dropout": dropout})
    if spec.task != "classify":
        raise TfyoloError(
            f"{spec.name} is a detector, not a classifier",
            fix=f"pass --model {DEFAULT_MODEL}, or use `tfyolo train`",
        )
    contract = Contract.of(spec, list(names), (image_size, image_size))
    # Layers of the backbone have the same names in detectors and classifiers, so both can be the source.
    return InitialWeights(contract, source, source_contract).count_copied(pretrained, "--model")


def build_training_model(
    initial: InitialWeights, image_size: int, precision: str | None = None
) -> ClassifierTraining:
    """Build a classifier to train, with its initial weights.

    Args:
        initial: contract, and the network that weights are copied from; arrays that do not fit stay random.
        image_size: side of the training images in pixels.
        precision: Keras dtype policy; see `TrainingStep`.

    Returns:
        The model, not compiled.
    """
    model = ClassifierTraining(initial.contract, image_size, precision)
    if initial.source is not None:
        model.begin_with([array.value for array in initial.arrays(model.averaged)])
    return model


def _find_spec(model: str, source: Contract | None, overrides: dict[str, Any]) -> ModelSpec:
    """Return the configuration that the user selected, or that of the weights.

    Args:
        model: name or YAML file; may be empty.
        source: contract of the weights, if there are any.
        overrides: fields of the configuration to replace.

    Raises:
        TfyoloError: there is no classifier with the backbone of the detector in `source`.
    """
    if source is not None and source.task == "classify":
        if not model:
            return parse_spec(Document(None, source.config), str(source.config.get("name", "")), **overrides)
        # The weights expect images that are normalized as in their own training.
        return load_spec(model, normalize=source.config.get("normalize"), **overrides)
    if model or source is None:
        return load_spec(model or DEFAULT_MODEL, **overrides)
    name = f"{source.config.get('name', '')}-cls"
    if name not in list_models():
        raise TfyoloError(f"unknown classifier {name}", fix="pass another --model")
    return load_spec(name, **overrides)
