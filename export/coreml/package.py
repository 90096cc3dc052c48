"""Reads and vets `.mlpackage` folders, on any operating system.

Guarantees of `read_package`:

- No files elsewhere: all that the manifest and the specification name is inside the folder, links resolved.
- Allow-list of model types: an ML program, alone or followed by Apple's non-maximum suppression. Other types
  could name further files, or classes of the app that runs them.
- Complete: the files of weights contain every tensor that the program refers to, and input and outputs are
  those of the contract.

coremltools is needed for its protocol buffers only; neither TensorFlow nor PyTorch is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import struct
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tfyolo.errors import UNTRUSTED_FIX, TfyoloError
from tfyolo.export.coreml.entry import CLASS_LABEL, CONTRACT_KEY, MANIFEST_FILE
from tfyolo.export.coreml.pipeline import CONFIDENCE, COORDINATES
from tfyolo.models.contract import Contract
from tfyolo.models.nodes import IMAGES
from tfyolo.models.outputs import known_outputs

_MODEL_TYPES = (["mlProgram"], ["mlProgram", "nonMaximumSuppression"])
_MAX_MANIFEST_BYTES, _MAX_MODEL_BYTES = 1 << 20, 64 << 20
BLOB_HEADER = struct.Struct("<IIQQ")
"""Header of a tensor in a file of weights: sentinel, data type, size in bytes, offset of the data.
Source: mlmodel/src/MILBlob/Blob/StorageFormat.hpp of coremltools."""
_BLOB_SENTINEL = 0xDEADBEEF
_MODEL_PATH = "@model_path/"
"""Prefix of paths that are relative to the specification's folder."""


def read_package(folder: Path) -> tuple[Any, Contract]:
    """Return the specification (coremltools' `Model` message) and the contract of a vetted package.

    Args:
        folder: the `.mlpackage` folder.

    Raises:
        TfyoloError: a file is missing, truncated or outside the folder, or tfyolo did not write the package.
        ModuleNotFoundError: coremltools is not installed.

    Example:
        >>> model, contract = read_package(Path("yolov5n.mlpackage"))  # doctest: +SKIP
        >>> model.WhichOneof("Type")  # doctest: +SKIP
        'pipeline'
    """
    file = _model_file(folder)
    model = _empty_model()
    try:
        model.ParseFromString(file.read_bytes())
    except Exception as error:  # protobuf raises several exception types
        raise TfyoloError(
            "is damaged: its specification cannot be read", path=folder, fix="export it again"
        ) from error
    metadata = model.description.metadata.userDefined
    if CONTRACT_KEY not in metadata:
        raise TfyoloError(
            "contains no tfyolo metadata, so its classes and anchors are unknown",
            path=folder,
            fix="write it with `tfyolo export --include coreml`",
        )
    contract = Contract.from_json(metadata[CONTRACT_KEY], folder)
    _check_interface(model, contract, folder)
    for part in submodels(model):
        if part.WhichOneof("Type") == "mlProgram":
            _check_weights(part.mlProgram, file.parent, folder)
    return model, contract


def submodels(model: Any) -> list[Any]:
    """Return the models of a pipeline; a list of the model itself if it is not a pipeline."""
    return list(model.pipeline.models) if model.WhichOneof("Type") == "pipeline" else [model]


def operations(program: Any) -> Iterator[Any]:
    """Yield all operations of an ML program, including those in the blocks of branches and loops."""
    blocks = [b for function in program.functions.values() for b in function.block_specializations.values()]
    while blocks:
        for operation in blocks.pop().operations:
            blocks.extend(operation.blocks)
            yield operation


def _model_file(folder: Path) -> Path:
    """Return the path of the specification, after checking all paths in the manifest.

    Raises:
        TfyoloError: the manifest is damaged, or a file that it names is missing, too large or outside.
    """
    try:
        data = _bounded(folder / MANIFEST_FILE, folder, _MAX_MANIFEST_BYTES).read_bytes()
    except OSError as error:
        raise TfyoloError(
            f"contains no {MANIFEST_FILE}", path=folder, fix="pass the folder that `tfyolo export` wrote"
        ) from error
    try:
        manifest = json.loads(data)
        files = {
            key: folder / "Data" / str(entry["path"]) for key, entry in manifest["itemInfoEntries"].items()
        }
        model_file = files[manifest["rootModelIdentifier"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TfyoloError("is damaged", path=folder / MANIFEST_FILE, fix="export it again") from error
    try:
        for file in files.values():
            _inside(file, folder)
        return _bounded(model_file, folder, _MAX_MODEL_BYTES)
    except (OSError, ValueError) as error:  # ValueError: not a possible file name, such as one with \0
        raise TfyoloError(
            "a file listed in its manifest is missing", path=folder, fix="export it again"
        ) from error


def _inside(file: Path, folder: Path) -> Path:
    """Return `file` if it is inside the folder after resolving links.

    Raises:
        TfyoloError: it is outside.
        OSError: it does not exist.
    """
    if not file.resolve(strict=True).is_relative_to(folder.resolve()):
        raise TfyoloError(
            f"refers to a file outside the folder: {file.name[:80]!r}", path=folder, fix=UNTRUSTED_FIX
        )
    return file


def _bounded(file: Path, folder: Path, max_bytes: int) -> Path:
    """Return `file` if it is inside the folder and not larger than `max_bytes`.

    Raises:
        TfyoloError: it is outside, or too large.
        OSError: it does not exist.
    """
    size = _inside(file, folder).stat().st_size
    if size > max_bytes:
        raise TfyoloError(f"{file.name} has {size:,} bytes; at most {max_bytes:,} are allowed", path=folder)
    return file


def _empty_model() -> Any:
    """Return an empty `Model` message of coremltools.

    `import coremltools` imports TensorFlow and PyTorch, which takes half a minute and which the protocol
    buffers do not need. So their module is imported under an empty package of the same name, unless
    coremltools is imported already.
    """
    module = "coremltools.proto.Model_pb2"
    package = module.partition(".")[0]
    if module not in sys.modules and package not in sys.modules:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        empty_package = types.ModuleType(package)
        empty_package.__path__ = list(spec.submodule_search_locations)
        sys.modules[package] = empty_package
        try:
            importlib.import_module(module)
        finally:
            del sys.modules[package]
    return importlib.import_module(module).Model()


def _check_interface(model: Any, contract: Contract, folder: Path) -> None:
    """Check the types of the models, the input, and the output names against the contract.

    Raises:
        TfyoloError: one of them is not what `export` writes.
    """
    model_types = [part.WhichOneof("Type") for part in submodels(model)]
    if model_types not in _MODEL_TYPES:
        raise TfyoloError(
            f"contains an unsupported model type: {', '.join(map(str, model_types))[:80]}",
            path=folder,
            fix=UNTRUSTED_FIX,
        )
    image = next((x.type.imageType for x in model.description.input if x.name == IMAGES), None)
    size = (int(image.height), int(image.width)) if image is not None else None
    if size != contract.image_size:
        raise TfyoloError(f"its input is {size}, which differs from its tfyolo metadata", path=folder)
    known = {*known_outputs(contract), CONFIDENCE, COORDINATES, CLASS_LABEL}
    names = [output.name for output in model.description.output]
    if not names or not known.issuperset(names):
        raise TfyoloError(
            f"its outputs are {', '.join(names)[:80]}, which tfyolo does not support", path=folder
        )


def _nested_values(values: Iterable[Any]) -> Iterator[Any]:
    """Yield MIL values, including the elements of lists, tuples and dictionaries."""
    pending = list(values)
    while pending:
        value = pending.pop()
        yield value
        field = value.immediateValue.WhichOneof("value") if value.HasField("immediateValue") else None
        if field in ("tuple", "list"):
            pending.extend(getattr(value.immediateValue, field).values)
        elif field == "dictionary":
            for pair in value.immediateValue.dictionary.values:
                pending += [pair.key, pair.value]


def _check_weights(program: Any, model_folder: Path, folder: Path) -> None:
    """Check that every tensor of weights is stored completely in a file inside the package.

    Args:
        program: the ML program.
        model_folder: folder of the specification, to which paths are relative.
        folder: the package.

    Raises:
        TfyoloError: a file is outside the package, missing, or truncated.
    """
    offsets_by_name: dict[str, set[int]] = {}
    for operation in operations(program):
        bound = (x.value for argument in operation.inputs.values() for x in argument.arguments)
        for value in _nested_values([*operation.attributes.values(), *bound]):
            if value.WhichOneof("value") == "blobFileValue":
                blob = value.blobFileValue
                offsets_by_name.setdefault(blob.fileName, set()).add(int(blob.offset))
    for name, offsets in offsets_by_name.items():
        damaged = TfyoloError("its weights are missing or truncated", path=folder, fix="export it again")
        try:
            file = _inside(model_folder / name.removeprefix(_MODEL_PATH), folder)
            size = file.stat().st_size
            with file.open("rb") as stream:
                for offset in offsets:
                    stream.seek(offset)
                    sentinel, _, count, start = BLOB_HEADER.unpack(stream.read(BLOB_HEADER.size))
                    if sentinel != _BLOB_SENTINEL or start + count > size:
                        raise damaged
        except (OSError, ValueError, OverflowError, struct.error) as error:
            raise damaged from error
