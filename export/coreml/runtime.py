"""Reads `.mlpackage` folders anywhere, and runs them on macOS."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import platform
import struct
import sys
import types
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.coreml.pipeline import CONFIDENCE, CONFIDENCE_THRESHOLD, CONTRACT_KEY, COORDINATES
from tfyolo.export.runtime.base import Runtime, Sharing
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.export.runtime.outputs import BOXES, CLASSES, COUNT, SCORES
from tfyolo.libraries import keep_triton_out
from tfyolo.models.contract import Contract
from tfyolo.models.network import IMAGES
from tfyolo.models.outputs import PROBABILITIES, known_outputs
from tfyolo.quiet import hidden_stderr

MANIFEST = "Manifest.json"

_KINDS = (["mlProgram"], ["mlProgram", "nonMaximumSuppression"])
"""What `export` writes. Others could name files elsewhere, or classes of the app that runs them."""
_MAX_MANIFEST_BYTES, _MAX_MODEL_BYTES = 1 << 20, 64 << 20
_BLOB = struct.Struct("<IIQQ")
"""How each tensor in a file of weights begins: a mark, kind of numbers, bytes, and where they are."""
_BLOB_MARK = 0xDEADBEEF
_HERE = "@model_path/"
_DTYPES = {65568: "float32", 65552: "float16", 65600: "float64", 131104: "int32", 131080: "int8"}
"""By ArrayFeatureType.ArrayDataType."""


class CoreMlRuntime(Runtime):
    """An `.mlpackage` folder that `tfyolo export` wrote.

    A pipeline takes the lowest score with each image, so that it need not be exported anew for another.

    Args:
        path: the folder.
        threads: not used: CoreML chooses between CPU, GPU and Neural Engine itself.

    Raises:
        TfyoloError: the folder is damaged, or not one of tfyolo's, or this is not macOS.
        ModuleNotFoundError: coremltools is not installed.
    """

    sharing = Sharing.ONE  # Apple: an MLModel is for one thread

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        model, self.contract = read_package(path)
        self.input_hw = self.contract.image_size
        self._pipeline = model.WhichOneof("Type") == "pipeline"
        if self._pipeline:
            note = {key: value for key, value in self.contract.export.items() if key != "conf_thres"}
            self.contract = self.contract.model_copy(update={"export": note})
        if platform.system() != "Darwin":
            raise TfyoloError(
                "CoreML models run on macOS only; this one was read and is whole",
                path=path,
                fix="copy it to a Mac or put it into an app; for this machine, export another format",
            )
        self._model = _load(path)

    def _open(self) -> Any:
        return self._model

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        from PIL import Image

        inputs: dict[str, Any] = {IMAGES: Image.fromarray(images[0])}
        if self._pipeline:
            inputs[CONFIDENCE_THRESHOLD] = confidence
        return by_signature(session.predict(inputs), self.contract)


def _load(path: Path) -> Any:
    """The model, compiled by macOS.

    Raises:
        TfyoloError: macOS refuses it.
    """
    with contextlib.redirect_stdout(io.StringIO()), hidden_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keep_triton_out()
        coremltools = importlib.import_module("coremltools")
        try:
            return coremltools.models.MLModel(str(path))
        except Exception as error:  # coremltools hands on whatever CoreML says
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise TfyoloError(
                f"CoreML cannot load it: {reason[:200]}", path=path, fix="update macOS to 12 or newer"
            ) from error


def by_signature(outputs: Mapping[str, Any], contract: Contract) -> dict[str, np.ndarray]:
    """What CoreML returns, as other exported graphs have it (docs/architecture.md).

    Args:
        outputs: of one image, by name: arrays, and for a classifier probabilities by class name.
        contract: of the file.
    """
    if COORDINATES in outputs:
        return _detections(np.asarray(outputs[COORDINATES]), np.asarray(outputs[CONFIDENCE]), contract)
    probabilities = outputs.get(PROBABILITIES)
    if isinstance(probabilities, Mapping):
        return {PROBABILITIES: np.array([[probabilities[name] for name in contract.names]], np.float32)}
    return {name: np.asarray(value) for name, value in outputs.items() if name in known_outputs(contract)}


def _detections(coordinates: np.ndarray, scores: np.ndarray, contract: Contract) -> dict[str, np.ndarray]:
    """Of a pipeline: (m, 4) center x, center y, width, height relative to the input, and (m, classes)."""
    coordinates, scores = coordinates.reshape(-1, 4), scores.reshape(-1, len(contract.names))
    best = scores.max(1)
    order = np.argsort(-best, kind="stable")
    order = order[best[order] != 0]  # CoreML may fill up with zeros
    center, half = coordinates[order, :2][:, ::-1], coordinates[order, 2:][:, ::-1] / 2
    return {
        BOXES: np.concatenate([center - half, center + half], 1)[None],
        CLASSES: scores[order].argmax(1)[None],
        SCORES: best[order][None],
        COUNT: np.array([len(order)]),
    }


def inspect(path: Path) -> Inspection:
    """What an `.mlpackage` folder holds; works everywhere.

    Operations have the names of MIL, Apple's language of ML programs. Of a pipeline's two models those of
    both count; the second is one, `nonMaximumSuppression`.

    Raises:
        TfyoloError: the folder is damaged, or not one of tfyolo's.
        ModuleNotFoundError: coremltools is not installed.
    """
    model, contract = read_package(path)
    operators: Counter[str] = Counter()
    for part in _parts(model):
        if part.WhichOneof("Type") == "mlProgram":
            operators.update(x.type for x in _operations(part.mlProgram) if x.type != "const")
        else:
            operators[part.WhichOneof("Type")] += 1
    description = model.description
    inputs, outputs = (
        tuple(_tensor(feature, contract) for feature in part)
        for part in (description.input, description.output)
    )
    return Inspection(contract, inputs, outputs, dict(operators))


def _tensor(feature: Any, contract: Contract) -> TensorInfo:
    """One input or output."""
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        image = feature.type.imageType
        return TensorInfo(feature.name, (int(image.height), int(image.width), 3), "uint8")
    if kind == "multiArrayType":
        array = feature.type.multiArrayType
        shape: tuple[int | str | None, ...] = tuple(map(int, array.shape))
        if array.WhichOneof("ShapeFlexibility") == "shapeRange":
            ranges = [(int(x.lowerBound), int(x.upperBound)) for x in array.shapeRange.sizeRanges]
            shape = tuple(low if low == high else None for low, high in ranges)
        return TensorInfo(feature.name, shape, _DTYPES.get(array.dataType, "unknown"))
    if kind == "dictionaryType":  # a classifier's probabilities by name
        return TensorInfo(feature.name, (len(contract.names),), "float64")
    return TensorInfo(feature.name, (), {"doubleType": "float64", "stringType": "str"}.get(kind, "unknown"))


def read_package(folder: Path) -> tuple[Any, Contract]:
    """The specification (coremltools' `Model` message) and the contract, checked to be whole and to be ours.

    Nothing is run, and nothing read that lies outside of the folder: it may come from a stranger.

    Raises:
        TfyoloError: a part is missing, cut off or outside of the folder, or it is no model of tfyolo's.
        ModuleNotFoundError: coremltools is not installed.
    """
    file = _model_file(folder)
    model = _message()
    try:
        model.ParseFromString(file.read_bytes())
    except Exception as error:  # the protobuf library has several kinds
        raise TfyoloError(
            "is damaged: its specification cannot be read", path=folder, fix="export it again"
        ) from error
    user_defined = model.description.metadata.userDefined
    if CONTRACT_KEY not in user_defined:
        raise TfyoloError(
            "holds no tfyolo metadata, so its classes and anchors are unknown",
            path=folder,
            fix="write it with `tfyolo export --include coreml`",
        )
    contract = Contract.from_json(user_defined[CONTRACT_KEY], folder)
    _check_interface(model, contract, folder)
    for part in _parts(model):
        if part.WhichOneof("Type") == "mlProgram":
            _check_weights(part.mlProgram, file.parent, folder)
    return model, contract


def _model_file(folder: Path) -> Path:
    """The file of the specification, which the manifest names; all that it names lies inside the folder."""
    try:
        data = _bounded(folder / MANIFEST, folder, _MAX_MANIFEST_BYTES).read_bytes()
    except OSError as error:
        raise TfyoloError(
            f"holds no {MANIFEST}", path=folder, fix="pass the folder that `tfyolo export` wrote"
        ) from error
    try:
        manifest = json.loads(data)
        entries = {
            key: folder / "Data" / str(entry["path"]) for key, entry in manifest["itemInfoEntries"].items()
        }
        file = entries[manifest["rootModelIdentifier"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TfyoloError("is damaged", path=folder / MANIFEST, fix="export it again") from error
    try:
        for place in entries.values():
            _inside(place, folder)
        return _bounded(file, folder, _MAX_MODEL_BYTES)
    except (OSError, ValueError) as error:  # the latter for a name that no file can have
        raise TfyoloError(
            "a file that its manifest names is missing", path=folder, fix="export it again"
        ) from error


def _inside(file: Path, folder: Path) -> Path:
    """`file`, if it is where it says and that is in the folder.

    Raises:
        TfyoloError: it is elsewhere.
        OSError: there is none.
    """
    if not file.resolve(strict=True).is_relative_to(folder.resolve()):
        raise TfyoloError(
            f"names a file outside of the folder: {file.name[:80]!r}",
            path=folder,
            fix="use files that you or people you trust have exported",
        )
    return file


def _bounded(file: Path, folder: Path, most: int) -> Path:
    """`_inside`, and no larger than such a file can be."""
    size = _inside(file, folder).stat().st_size
    if size > most:
        raise TfyoloError(f"{file.name} has {size:,} bytes, more than it can need", path=folder)
    return file


def _message() -> Any:
    """An empty `Model` message.

    coremltools imports TensorFlow and torch, which takes half a minute; its messages need neither. So they
    are imported below a stand-in for the package, unless that is imported already.
    """
    module = "coremltools.proto.Model_pb2"
    name = module.partition(".")[0]
    if module not in sys.modules and name not in sys.modules:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        stand_in = types.ModuleType(name)
        stand_in.__path__ = list(spec.submodule_search_locations)
        sys.modules[name] = stand_in
        try:
            importlib.import_module(module)
        finally:
            del sys.modules[name]
    return importlib.import_module(module).Model()


def _parts(model: Any) -> list[Any]:
    """The models of a pipeline; otherwise the model itself."""
    return list(model.pipeline.models) if model.WhichOneof("Type") == "pipeline" else [model]


def _check_interface(model: Any, contract: Contract, folder: Path) -> None:
    """Kinds of models, input and outputs are such as `export` writes for the contract."""
    kinds = [part.WhichOneof("Type") for part in _parts(model)]
    if kinds not in _KINDS:
        raise TfyoloError(
            f"holds a model of another kind: {', '.join(map(str, kinds))[:80]}",
            path=folder,
            fix="use files that you or people you trust have exported",
        )
    image = next((x.type.imageType for x in model.description.input if x.name == IMAGES), None)
    found = (int(image.height), int(image.width)) if image is not None else None
    if found != contract.image_size:
        raise TfyoloError(f"its input is {found}, not what its tfyolo metadata says", path=folder)
    known = {*known_outputs(contract), CONFIDENCE, COORDINATES, "classLabel"}
    names = [output.name for output in model.description.output]
    if not names or not known.issuperset(names):
        raise TfyoloError(f"its outputs are {', '.join(names)[:80]}, which tfyolo does not know", path=folder)


def _operations(program: Any) -> Iterator[Any]:
    """All operations of an ML program, those of branches and loops, too."""
    blocks = [b for function in program.functions.values() for b in function.block_specializations.values()]
    while blocks:
        for operation in blocks.pop().operations:
            blocks.extend(operation.blocks)
            yield operation


def _values(values: Iterable[Any]) -> Iterator[Any]:
    """Values, and those that lists, tuples and dictionaries among them hold."""
    pending = list(values)
    while pending:
        value = pending.pop()
        yield value
        kind = value.immediateValue.WhichOneof("value") if value.HasField("immediateValue") else None
        if kind in ("tuple", "list"):
            pending.extend(getattr(value.immediateValue, kind).values)
        elif kind == "dictionary":
            for pair in value.immediateValue.dictionary.values:
                pending += [pair.key, pair.value]


def _check_weights(program: Any, model_folder: Path, folder: Path) -> None:
    """Each tensor of weights is in a file inside the folder, and the file goes on to its end."""
    places: dict[str, set[int]] = {}
    for operation in _operations(program):
        bound = (x.value for argument in operation.inputs.values() for x in argument.arguments)
        for value in _values([*operation.attributes.values(), *bound]):
            if value.WhichOneof("value") == "blobFileValue":
                places.setdefault(value.blobFileValue.fileName, set()).add(int(value.blobFileValue.offset))
    for name, offsets in places.items():
        damaged = TfyoloError("its weights are missing or cut off", path=folder, fix="export it again")
        try:
            file = _inside(model_folder / name.removeprefix(_HERE), folder)
            size = file.stat().st_size
            with file.open("rb") as stream:
                for offset in offsets:
                    stream.seek(offset)
                    mark, _, count, start = _BLOB.unpack(stream.read(_BLOB.size))
                    if mark != _BLOB_MARK or start + count > size:
                        raise damaged
        except (OSError, ValueError, OverflowError, struct.error) as error:
            raise damaged from error
