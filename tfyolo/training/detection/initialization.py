"""Configuration, anchors and initial weights of a detector or a segmentation model to train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfyolo.configs.reader import Document
from tfyolo.data.detection.sample import Sample
from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, ModelSpec, list_models, load_spec
from tfyolo.models.build import import_keras
from tfyolo.models.config.parse import parse_spec
from tfyolo.progress import Log, no_log
from tfyolo.training.detection.box_model import BoxTraining
from tfyolo.training.detection.model import DetectorTraining
from tfyolo.training.segmentation.model import SegmenterTraining
from tfyolo.training.transfer import InitialWeights
from tfyolo.weights import load_model
from tfyolo.weights.hub import fetch_weights

_MODELS: dict[str, type[BoxTraining]] = {"detect": DetectorTraining, "segment": SegmenterTraining}
"""By task."""
_SEGMENTATION_SUFFIX = "-seg"
"""Of the names of segmentation models, after those of detectors with the same backbone and neck."""


def plan_initial_weights(
    weights: str,
    cfg: str,
    names: Sequence[str],
    image_size: int,
    num_anchors: int | None = None,
    task: str | None = "detect",
) -> InitialWeights:
    """Read the configuration of a detector or a segmentation model, and the weights it starts from.

    Args:
        weights: file or release name; empty for random weights.
        cfg: model name or YAML file; defaults to the configuration of `weights`.
        names: class names of the dataset.
        image_size: side of the training images in pixels, which is written to the contract.
        num_anchors: anchors per feature map to compute; defaults to the anchors of the configuration.
        task: `detect` or `segment`; None accepts both. Without `cfg`, a segmentation model that starts from a
            detector is the one of its name, such as `yolov5n-seg` for `yolov5n`.

    Returns:
        Contract of the model, and the network that weights are copied from.

    Raises:
        TfyoloError: neither weights nor configuration are given, one of them cannot be read, or strides do
            not divide the image size, or the model has another task.
    """
    if Path(weights).suffix.lower() in (".yaml", ".yml"):
        raise TfyoloError(
            "is a model configuration, not weights",
            path=weights,
            fix='pass it as `cfg`, with "" as weights for random weights',
        )
    import_keras()
    overrides: dict[str, Any] = {"num_classes": len(names)}
    if num_anchors:
        overrides["anchors"] = num_anchors
    spec = load_spec(cfg, **overrides) if cfg else None  # before weights are downloaded
    source = source_contract = None
    if weights:
        source, source_contract = load_model(fetch_weights(weights))
    if spec is None and source_contract is not None:
        spec = _spec_of(source_contract, task, weights, overrides)
    if spec is None:
        name = "yolov5n-seg" if task == "segment" else "yolov5n"
        raise TfyoloError("neither a model configuration nor weights were given", fix=f"pass --cfg {name}")
    contract = Contract.of(spec, list(names), (image_size, image_size))
    contract.require(task or tuple(_MODELS), cfg or weights)
    contract.check_size((image_size, image_size))  # before the neck fails at a concatenation
    if source_contract is not None and not cfg and not num_anchors:
        contract = contract.model_copy(update={"anchors_px": source_contract.anchors_px})
    return InitialWeights(contract, source, source_contract).count_copied(weights, "--cfg")


def _spec_of(source: Contract, task: str | None, weights: str, overrides: dict[str, Any]) -> ModelSpec:
    """Return the configuration of weights, or of the segmentation model of the same name.

    Args:
        source: contract of the weights.
        task: task of the model to train, or None.
        weights: file of the weights, for error messages.
        overrides: values that replace those of the configuration.
    """
    name = source.config.get("name", "")
    if task != "segment" or source.task != "detect":
        return parse_spec(Document(None, source.config), name, **overrides)
    counterpart = f"{name}{_SEGMENTATION_SUFFIX}"
    if counterpart not in list_models():
        raise TfyoloError(
            "is a detector, and there is no segmentation model of its name",
            path=weights,
            fix="pass --cfg with the segmentation model to train, such as yolov5n-seg",
        )
    return load_spec(counterpart, **overrides)


def fit_anchors(
    initial: InitialWeights,
    samples: Sequence[Sample],
    image_size: int,
    threshold: float,
    *,
    check: bool = True,
    seed: int = 0,
    log: Log = no_log,
    progress: Callable[[int, int], None] | None = None,
) -> InitialWeights:
    """Replace anchors that do not fit the labels (AutoAnchor).

    Args:
        initial: weights, and anchors to check; if the configuration has only a number of anchors, they are
            computed in any case.
        samples: images of the training split.
        image_size: side of the training images in pixels.
        threshold: hyperparameter `anchor_t`, the largest ratio of a side of a box to that of its anchor.
        check: whether to check the anchors; False keeps them.
        seed: seed of the evolution of new anchors.
        log: called with a sentence on the decision.
        progress: called as `progress(done, total)` with generations of the evolution.

    Returns:
        `initial` with anchors that fit.
    """
    spec = initial.contract.spec
    only_number = isinstance(spec.anchors, int)
    if not (check or only_number):
        return initial
    from tfyolo.anchors import auto_anchors

    decision = auto_anchors(
        samples,
        initial.contract.anchors_px,
        spec.strides,
        image_size,
        threshold=threshold,
        seed=seed,
        force=only_number,
        progress=progress,
    )
    log(decision.reason)
    contract = initial.contract.model_copy(update={"anchors_px": decision.anchors_px})
    return replace(initial, contract=contract)


def build_training_model(
    initial: InitialWeights, image_size: int, precision: str | None = None, synchronized_bn: bool = False
) -> BoxTraining:
    """Build a detector or a segmentation model to train, with its initial weights.

    Args:
        initial: contract, and the network that weights are copied from; arrays that do not fit stay random.
        image_size: side of the training images in pixels.
        precision: Keras dtype policy; see `TrainingStep`.
        synchronized_bn: compute batch-norm statistics over all devices.

    Returns:
        The model, not compiled.
    """
    model = _MODELS[initial.contract.task](initial.contract, image_size, precision, synchronized_bn)
    if initial.source is not None:
        model.begin_with([array.value for array in initial.arrays(model.averaged)])
    return model
