"""Quantize a model file: calibration and optional QAT."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tfyolo.data.detection.class_map import listed
from tfyolo.deprecation import renamed_arguments
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.classification import ClassificationMetrics
from tfyolo.evaluation.detection_metrics import Metrics
from tfyolo.export.job import export_model
from tfyolo.libraries import require
from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.progress import Log, Progress, no_log, no_progress
from tfyolo.quantization.budget.report import save_report
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.export_options import check_quantize
from tfyolo.quantization.keras_model import quantized_model
from tfyolo.quantization.model import calibrate_on_dataset
from tfyolo.quantization.tasks import BatchOptions, QuantizationTask, find_task
from tfyolo.quantization.training.qat_options import QatOptions
from tfyolo.quiet import hidden_stderr
from tfyolo.training.detection.hyps import read_hyps
from tfyolo.weights import load_model
from tfyolo.weights.hub import fetch_weights
from tfyolo.weights.keras_file import check_target, save_keras

Weights = str | tuple[Any, Contract]
"""A model file, a name that `fetch_weights` knows, or a Keras model with its contract."""


@renamed_arguments(exact="float_model", batch="batch_size")
@dataclass(frozen=True)
class QuantizeOptions:
    """Options of `quantize`.

    Attributes:
        data: dataset YAML file of a detector, or folder of a classifier; the training split is used.
        weights: `.pt` or `.keras` file, release name, or a Keras model with its contract; if they are
            quantized, QAT continues from them.
        float_model: the float model, if `weights` are already quantized.
        output: `.keras` file to write.
        task: `detect`, `classify` or `segment`, to refuse weights of another task.
        image_size: (height, width) of the input in pixels; defaults to the model's.
        calibration: maximum number of calibration images.
        calibrate: options of calibration.
        train: options of QAT; None only calibrates.
        epochs: number of QAT epochs, in place of `train.steps`.
        batch_size: number of images per QAT step.
        seed: seed of the order of images.
        hyp: hyperparameters of YOLOv5's loss, if labels are used.
        given: flags of calibration that the user passed; they are refused if `weights` are quantized already.

    Example:
        >>> QuantizeOptions(Path("fruit.yaml"), "best.keras", Path("small.keras")).batch_size
        4
    """

    data: Path
    weights: Weights
    output: Path
    task: str = ""
    float_model: Weights | None = None
    image_size: tuple[int, int] | None = None
    calibration: int = 200
    calibrate: CalibrationOptions = field(default_factory=CalibrationOptions)
    train: QatOptions | None = field(default_factory=QatOptions)
    epochs: int | None = None
    batch_size: int = 4
    seed: int = 0
    hyp: str = "scratch-low"
    given: tuple[str, ...] = ()


def quantize(
    options: QuantizeOptions,
    progress: Progress = no_progress,
    log: Log = no_log,
) -> Path:
    """Write a `.keras` file whose contract has `quantization`, from which every exporter writes an int8
    model.

    The calibrated model is written first, and replaced when QAT ends; an interrupted run continues when the
    same call is made again.

    Args:
        options: data, weights, output file, and how to calibrate and train.
        progress: called as `progress(label, done, total)` after each step.
        log: called with each sentence of the log, such as the loss every 100 steps.

    Returns:
        `options.output`.

    Raises:
        TfyoloError: dataset or weights are wrong, or the network has no integer form.

    Example:
        >>> options = QuantizeOptions(Path("fruit.yaml"), "best.keras", Path("small.keras"))  # doctest: +SKIP
        >>> quantize(options)  # doctest: +SKIP
    """
    if options.train:
        require("tensorflow_model_optimization", "tf_keras")
    check_target(options.output, (_path(options.weights), _path(options.float_model)))
    model, contract = _read(options.weights)
    if options.task:
        contract.require(options.task, _path(options.weights) or "the model")
    task = find_task(options.data, contract)
    image_size = options.image_size or contract.image_size
    contract.check_size(image_size)
    check_quantize(
        contract.quantization is not None,
        options.given,
        has_float_model=options.float_model is not None,
        trains=options.train is not None,
        by_train=bool(options.task),
        path=_path(options.weights),
    )
    if contract.quantization is not None and options.calibrate != CalibrationOptions():
        raise TfyoloError(
            "is already quantized, with its own ranges",
            path=_path(options.weights),
            fix="leave out --ranges, --keep-float and --float-budget, or pass the float model",
        )
    network = float_network = Network.of(model, contract.spec)
    if options.train and network.attention:
        raise TfyoloError(
            "attention layers cannot be trained with quantization",
            path=_path(options.weights),
            fix="pass --steps 0, which only calibrates",
        )
    if options.float_model is not None:
        float_network = load_float_network(options.float_model, contract)
    origin = _origin(options, contract, network, float_network) if options.train else ""
    state = options.output.with_suffix(".progress.npz")
    if options.train and state.exists() and options.output.exists() and _is_unfinished(state, origin):
        network, contract = _reload(options.output)
        log(f"{options.output} is already calibrated")
    else:
        if state.exists():
            log(f"{state} belongs to a run with other settings or files and is ignored")
        state.unlink(missing_ok=True)
        if contract.quantization is None:
            network, spec = calibrate_on_dataset(
                float_network,
                contract,
                options.data,
                image_size,
                options.calibration,
                options.calibrate,
                progress,
                log,
                lambda found: save_report(found, options.output.with_suffix(""), log),
            )
            contract = contract.model_copy(update={"quantization": spec})
        contract = contract.resized(image_size)
        _save(network, contract, options.output)
    if options.train:
        network, contract = _train(
            options, float_network, network, contract, task, state, origin, progress, log
        )
        _save(network, contract, options.output)
        state.unlink(missing_ok=True)
    return options.output


def _read(weights: Weights) -> tuple[Any, Contract]:
    return load_model(fetch_weights(weights)) if isinstance(weights, str) else weights


def _path(weights: Weights | None) -> str | None:
    """Return the path of weights, for messages."""
    return weights if isinstance(weights, str) else None


def _origin(options: QuantizeOptions, contract: Contract, *networks: Network) -> str:
    """Return what identifies a run: a hash of the weights, and the options of calibration and QAT."""
    digest = blake2b(contract.to_json().encode())
    for network in networks:
        for name, weights in network.weights.items():
            digest.update(name.encode() + weights.kernel.tobytes() + weights.bias.tobytes())
    data = str(options.data.absolute())
    how = [
        options.image_size,
        options.calibration,
        asdict(options.calibrate),
        options.batch_size,
        options.seed,
    ]
    return json.dumps([digest.hexdigest(), data, *how, read_hyps(options.hyp).model_dump()])


def _is_unfinished(state: Path, origin: str) -> bool:
    """Whether a progress file belongs to this run."""
    from tfyolo.quantization.training.qat import origin_of

    return origin_of(state) == origin


def load_float_network(weights: Weights, contract: Contract) -> Network:
    """Load the float network of a quantized one.

    Raises:
        TfyoloError: it has another configuration or other classes, or is quantized itself.
    """
    (model, other), path = _read(weights), _path(weights)
    if other.quantization is not None:
        raise TfyoloError("is quantized as well", path=path, fix="pass the model from before quantization")
    # The image size does not belong to the network: a quantized model has that of its calibration.
    if {**other.config, "image_size": None} != {**contract.config, "image_size": None}:
        raise TfyoloError("has a different configuration than --weights", path=path)
    if other.names != contract.names:
        raise TfyoloError(
            f"has other classes than --weights, or another class order: {listed(other.names)}; "
            f"--weights has {listed(contract.names)}",
            path=path,
            fix="pass the model from before quantization",
        )
    return Network.of(model, other.spec)


def measure(
    path: Path, data: Path, folder: Path, progress: Progress = no_progress
) -> tuple[Path, Metrics | ClassificationMetrics]:
    """Export a quantized model to TensorFlow Lite, next to the model, and validate it.

    Args:
        path: `.keras` file with quantization.
        data: dataset, validated on its `val` split.
        folder: folder for metrics and plots.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        The `.tflite` file, and its metrics.
    """
    model, contract = load_model(path)
    task = find_task(data, contract)
    with hidden_stderr():
        file = export_model(task.request(model, contract), ["tflite"], path.with_suffix(""), progress)[
            "tflite"
        ]
    return file, task.measure(file, folder, progress)


def _train(
    options: QuantizeOptions,
    float_network: Network,
    network: Network,
    contract: Contract,
    task: QuantizationTask,
    state: Path,
    origin: str,
    progress: Progress,
    log: Log,
) -> tuple[Network, Contract]:
    from tfyolo.quantization.training.qat import QuantizedTraining
    from tfyolo.quantization.training.qat_model import QatModel

    assert options.train is not None
    assert contract.quantization is not None
    how = options.train
    data = task.training(
        BatchOptions(contract.image_size, options.batch_size, options.seed, how.loss, options.hyp)
    )
    if options.epochs is not None:
        how = replace(how, steps=options.epochs * data.steps_per_epoch)
    qat_model = QatModel(network, contract.quantization, (data.side, data.side))
    training = QuantizedTraining(float_network, qat_model, data.objective, how, origin)
    if state.exists() and training.resume(state):
        log(f"resumed after step {training.done} of {how.steps}")
    recent: list[float] = []

    def told(step: int, loss: float) -> None:
        recent.append(loss)
        progress("quantization-aware training", step, how.steps)
        if step % 100 == 0 or step == how.steps:
            log(f"step {step} of {how.steps}: loss {sum(recent) / len(recent):.4f}")
            recent.clear()

    training.run(data.batches(training.done), told, state)
    network, spec = qat_model.trained()
    method = f"{contract.quantization.method}; {how.steps} steps of training by {how.loss}"
    return network, contract.model_copy(
        update={"quantization": spec.model_copy(update={"method": method[:200]})}
    )


def _save(network: Network, contract: Contract, path: Path) -> None:
    assert contract.quantization is not None
    save_keras(*quantized_model(network, contract.quantization, contract), path)


def _reload(path: Path) -> tuple[Network, Contract]:
    model, contract = load_model(path)
    return Network.of(model, contract.spec), contract
