"""Quantization of a model file: calibration, and training if asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfyolo.data.augment.settings import Augmentation
from tfyolo.data.dataset import Dataset, read_dataset, scan_split
from tfyolo.data.pipeline import Pipeline, PipelineOptions
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.validator import Metrics, validate
from tfyolo.export.nms import NmsSettings
from tfyolo.export.request import ExportRequest, export_model
from tfyolo.inference.load import load_detector
from tfyolo.inference.nms import MAX_CANDIDATES
from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.model import quantized_model
from tfyolo.quantization.pictures import dataset_pictures, fitting_count
from tfyolo.quantization.qat_options import QatOptions
from tfyolo.quiet import hidden_stderr
from tfyolo.training.hyps import read_hyps
from tfyolo.training.loss import LossSettings
from tfyolo.weights import load_model
from tfyolo.weights.hub import find_weights
from tfyolo.weights.keras_file import check_target, save_keras

Progress = Callable[[str, int, int], None]
Tell = Callable[[str], None]
CROP = 0.7
"""Share of the image's side that a step of distillation sees: half of the pixels, twice the steps."""
_PLAIN = Augmentation(hsv_h=0.0, hsv_s=0.0, hsv_v=0.0, translate=0.0, scale=0.1, mosaic=0.0)


@dataclass(frozen=True)
class QuantizeOptions:
    """How to quantize a model file.

    Attributes:
        data: data set YAML; calibration and training see its training split.
        weights: `.pt` or `.keras` file or release name; quantized weights are trained further.
        exact: the float model, where `weights` are quantized already.
        output: `.keras` file to write.
        image_hw: input size in pixels; the model's own by default.
        calibration: most pictures to calibrate on.
        calibrate: how.
        train: how to train; None calibrates only.
        epochs: how long to train, in place of `train.steps`.
        batch: pictures in a step.
        seed: of the order of pictures.
        hyp: hyperparameters of YOLOv5's loss, where labels are used.
    """

    data: Path
    weights: str
    output: Path
    exact: str | None = None
    image_hw: tuple[int, int] | None = None
    calibration: int = 200
    calibrate: CalibrationOptions = field(default_factory=CalibrationOptions)
    train: QatOptions | None = field(default_factory=QatOptions)
    epochs: int | None = None
    batch: int = 4
    seed: int = 0
    hyp: str = "scratch-low"


def quantize(
    options: QuantizeOptions,
    progress: Progress = lambda label, done, total: None,
    tell: Tell = lambda sentence: None,
) -> Path:
    """Write a `.keras` file whose contract has `quantization`: every exporter can make it an integer model.

    The calibrated model is written first, and replaced when training is done; a run that is killed in between
    goes on where it was when the same call is made again.

    Returns:
        `options.output`.

    Raises:
        TfyoloError: data set or weights are wrong, or the network has no integer form.

    Example:
        >>> options = QuantizeOptions(Path("fruit.yaml"), "best.keras", Path("small.keras"))  # doctest: +SKIP
        >>> quantize(options)  # doctest: +SKIP
    """
    check_target(options.output)
    model, contract = load_model(find_weights(options.weights))
    contract.require("detect", options.weights)
    dataset = read_dataset(options.data)
    if len(dataset.names) != len(contract.names):
        raise TfyoloError(
            f"`names` has {len(dataset.names)} classes, but the model has {len(contract.names)}",
            path=dataset.yaml_path,
            fix="pass the data the model was trained for",
        )
    image_hw = options.image_hw or contract.image_size
    if contract.quantization is not None and options.exact is None:
        raise TfyoloError(
            "is quantized: its own weights are rounded",
            path=options.weights,
            fix="pass --float with the float model, and training goes on from here",
        )
    network = exact = Network.of(model, contract.spec)
    if options.exact is not None:
        exact = float_network(options.exact, contract)
    state = options.output.with_suffix(".progress.npz")
    if state.exists() and options.output.exists() and options.train:
        network, contract = _reload(options.output)
        tell(f"{options.output} is calibrated already")
    else:
        state.unlink(missing_ok=True)
        if contract.quantization is None:
            network, spec = _calibrate(options, exact, dataset, image_hw, progress, tell)
            contract = contract.model_copy(update={"quantization": spec})
        contract = contract.model_copy(update={"image_size": image_hw})
        _save(network, contract, options.output)
    if options.train:
        network, contract = _train(options, exact, network, contract, dataset, state, progress, tell)
        _save(network, contract, options.output)
        state.unlink(missing_ok=True)
    return options.output


def _calibrate(
    options: QuantizeOptions,
    exact: Network,
    dataset: Dataset,
    image_hw: tuple[int, int],
    progress: Progress,
    tell: Tell,
) -> tuple[Network, QuantizationSpec]:
    count = fitting_count(exact, image_hw, options.calibration)
    pictures = dataset_pictures(dataset, "train", image_hw, count, progress)
    tell(f"calibrating on {len(pictures)} pictures")
    return calibrate(exact, pictures, options.calibrate, progress)


def float_network(weights: str, contract: Contract) -> Network:
    """The float network that a quantized one was made from.

    Raises:
        TfyoloError: it is of another configuration, or quantized itself.
    """
    model, other = load_model(find_weights(weights))
    if other.quantization is not None:
        raise TfyoloError("is quantized, too", path=weights, fix="pass the model from before")
    if other.config != contract.config:
        raise TfyoloError("is of another configuration than --weights", path=weights)
    return Network.of(model, other.spec)


def measure(
    path: Path, data: Path, folder: Path, progress: Progress = lambda label, done, total: None
) -> tuple[Path, Metrics]:
    """What a quantized model is worth as an integer file: TensorFlow Lite, beside the model.

    Args:
        path: `.keras` file with quantization.
        data: data set YAML; its `val` is measured on.
        folder: where metrics and plots go.
        progress: is told how far it is.

    Returns:
        The `.tflite` file, and its metrics.
    """
    model, contract = load_model(path)
    # As many candidates as Keras has when it is measured, so that rounding is the only difference.
    settings = NmsSettings(
        confidence=0.001, iou=0.6, max_detections=300, candidates=MAX_CANDIDATES, multi_label=True
    )
    request = ExportRequest(model, contract, contract.image_size, settings=settings, precision="int8")
    with hidden_stderr():
        file = export_model(request, ["tflite"], path.with_suffix(""), progress)["tflite"]
    return file, validate(load_detector(file), data, folder=folder, progress=progress)


def _train(
    options: QuantizeOptions,
    exact: Network,
    network: Network,
    contract: Contract,
    dataset: Dataset,
    state: Path,
    progress: Progress,
    tell: Tell,
) -> tuple[Network, Contract]:
    from tfyolo.quantization.qat import QuantizedTraining
    from tfyolo.quantization.twin import Twin

    assert options.train is not None and contract.quantization is not None  # noqa: S101, PT018
    samples = scan_split(dataset, "train").samples
    how, stride = options.train, max(contract.strides)
    if options.epochs is not None:
        how = replace(how, steps=options.epochs * math.ceil(len(samples) / options.batch))
    size = max(contract.image_size)
    crop = how.loss == "distill"  # labels would have to be cropped, too
    side = max(round(CROP * size / stride), 1) * stride if crop else size
    twin = Twin(network, contract.quantization, (side, side))
    gains = LossSettings.of(read_hyps(options.hyp))
    settings = gains.scaled(len(contract.names), len(contract.strides), size)
    training = QuantizedTraining(exact, twin, contract, how, settings)
    if state.exists() and training.resume(state):
        tell(f"resumed after step {training.done} of {how.steps}")
    shape = PipelineOptions(image_size=size, batch=options.batch, seed=options.seed, stride=stride)
    pipeline = Pipeline(samples, _PLAIN, shape)
    batches = _stream(pipeline, training.done, side if crop else None, options.seed)
    recent: list[float] = []

    def told(step: int, loss: float) -> None:
        recent.append(loss)
        progress("quantization-aware training", step, how.steps)
        if step % 100 == 0 or step == how.steps:
            tell(f"step {step} of {how.steps}: loss {sum(recent) / len(recent):.4f}")
            recent.clear()

    training.run(batches, told, state)
    network, spec = twin.trained()
    method = f"{contract.quantization.method}; {how.steps} steps of training by {how.loss}"
    return network, contract.model_copy(
        update={"quantization": spec.model_copy(update={"method": method[:200]})}
    )


def _stream(pipeline: Pipeline, done: int, side: int | None, seed: int) -> Iterator[Any]:
    """Batches from the step `done` on, cropped to a square if `side` is given."""
    epoch, skip = divmod(done, pipeline.steps_per_epoch)
    data = pipeline.stream(epoch).skip(skip)
    if side is not None:
        numbered = data.enumerate(done)

        def crop(number: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
            images, labels = batch
            shape = [pipeline.options.batch, side, side, 3]
            seeds = tf.stack([tf.constant(seed, tf.int64), number])
            return tf.image.stateless_random_crop(images, shape, seeds), labels

        data = numbered.map(crop).prefetch(2)
    return iter(data)


def _save(network: Network, contract: Contract, path: Path) -> None:
    assert contract.quantization is not None  # noqa: S101
    save_keras(*quantized_model(network, contract.quantization, contract), path)


def _reload(path: Path) -> tuple[Network, Contract]:
    model, contract = load_model(path)
    return Network.of(model, contract.spec), contract
