"""`.keras` files: Keras archives with a contract."""

from __future__ import annotations

import shutil
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import h5py
import numpy as np

from tfyolo.errors import UNTRUSTED_FIX, TfyoloError
from tfyolo.files import atomic, check_file_target, scratch
from tfyolo.inputs import JSON_TEXT, MODEL, open_input
from tfyolo.models import Contract, build_model
from tfyolo.models.build import count_model
from tfyolo.models.contract import FILE_NAME
from tfyolo.models.spec import ModelSpec

_WEIGHTS = "model.weights.h5"
_HALF_BYTES = 2
"""Of a weight as float16, the smallest that is written."""
_MAX_EXTRA_BYTES = 64 * 1024 * 1024
"""Bytes beyond the weights, such as the configuration."""
_MAX_ITEMS = 100_000
"""Maximum number of groups and arrays of weights; a network has some thousands."""


def save_keras(
    model: Any,
    contract: Contract,
    path: str | Path,
    members: Mapping[str, bytes] | None = None,
    half: bool = False,
) -> Path:
    """Write a `.keras` file atomically; Keras can read it, too.

    Args:
        model: Keras model to save.
        contract: contract of the model.
        path: file to write, which ends in `.keras`.
        members: further files of the archive by name, such as the state of a training run.
        half: store weights as float16, in half the size; they are loaded as float32.

    Returns:
        The path.
    """
    path = check_target(path)
    with atomic(path) as temporary:
        model.save(temporary)
        if half:
            _halve(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(FILE_NAME, contract.to_json())
            for name, data in (members or {}).items():
                archive.writestr(name, data)
    return path


def _halve(temporary: Path) -> None:
    """Rewrite a Keras archive with float16 weights, except for values that float16 cannot represent."""
    with zipfile.ZipFile(temporary) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    out = BytesIO()
    with h5py.File(BytesIO(members[_WEIGHTS])) as old, h5py.File(out, "w") as new:
        _copy_half(old, new)
    members[_WEIGHTS] = out.getvalue()
    with zipfile.ZipFile(temporary, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _copy_half(old: Any, new: Any) -> None:
    """Copy a group of an HDF5 file recursively."""
    new.attrs.update(old.attrs)
    for name, item in old.items():
        if isinstance(item, h5py.Group):
            _copy_half(item, new.create_group(name))
            continue
        value = item[()]
        small = np.asarray(value, np.float16) if getattr(value, "dtype", None) == np.float32 else value
        new.create_dataset(name, data=small if np.isfinite(small).all() else value)


def check_target(path: str | Path, inputs: Iterable[str | Path | None] = ()) -> Path:
    """Check that a `.keras` file can be written to a path.

    Args:
        path: file to write.
        inputs: files that are read for it, and must stay.

    Raises:
        TfyoloError: the suffix is another one, which Keras would treat as another format, or the path is a
            folder or one of the inputs.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise TfyoloError("the name must end in .keras", path=path)
    return check_file_target(path, inputs)


def load_keras(path: str | Path, keras: ModuleType | None = None) -> tuple[Any, Contract]:
    """Rebuild the network from the contract, and load its weights. Code inside the file is never executed.

    Raises:
        TfyoloError: the file is not a `.keras` file, has no contract, or its weights do not fit.
    """
    path = Path(path)
    contract = read_contract(path)
    try:
        spec = contract.spec
    except TfyoloError as error:
        raise TfyoloError(f"its {FILE_NAME} is invalid: {error.message}", path=path) from error
    limit = _check_size(path, spec)
    try:
        with extracted_weights(path) as file, warnings.catch_warnings():
            with h5py.File(file) as weights:
                _check_items(weights, limit, path)
            model = build_model(spec, keras)
            # Keras only warns if the file has no weights for a layer.
            warnings.filterwarnings("error", message=".*freshly-initialized")
            model.load_weights(file)
    except TfyoloError:
        raise
    except Exception as error:  # Keras and h5py raise many kinds for a damaged file
        raise TfyoloError(
            f"its weights cannot be read: {type(error).__name__}",
            path=path,
            fix="copy the file again: it may be incomplete",
        ) from error
    return model, contract


@contextmanager
def extracted_weights(path: Path) -> Iterator[Path]:
    """Yield a copy of the weights in a `.keras` file, which HDF5 reads faster than a member of an archive.

    Args:
        path: the `.keras` file.

    Raises:
        TfyoloError: there is not enough disk space for the copy.
        ValueError: they are compressed as no weights are.
    """
    with scratch() as folder:
        copy = folder / _WEIGHTS
        with open_input(path, MODEL) as file, zipfile.ZipFile(file) as archive:
            if archive.getinfo(_WEIGHTS).file_size > 8 * path.stat().st_size + _MAX_EXTRA_BYTES:
                raise ValueError(f"{_WEIGHTS} unpacks to far more than the file")
            with archive.open(_WEIGHTS) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 2**20)
        yield copy


def _check_size(path: Path, spec: ModelSpec) -> int:
    """Refuse an archive with fewer weights than its configuration, or far more, before anything is built.

    Returns:
        Maximum number of bytes of all weights.
    """
    ops, _ = count_model(spec)
    weights = sum(cost.parameters for cost in ops.costs.values())
    with open_input(path, MODEL) as file, zipfile.ZipFile(file) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    size, held = sum(sizes.values()), sizes.get(_WEIGHTS, 0)
    if held < _HALF_BYTES * weights:
        raise TfyoloError(
            f"contains {held:,} bytes of weights, but the network of its configuration has {weights:,}",
            path=path,
        )
    limit = 32 * weights + _MAX_EXTRA_BYTES
    if size > limit:
        raise TfyoloError(f"unpacks to {size:,} bytes, but the network has {weights:,} weights", path=path)
    return limit


def _check_items(weights: Any, limit: int, path: Path) -> None:
    """Refuse weights outside of the file, and arrays that claim to be larger than the file is.

    Args:
        weights: open HDF5 file.
        limit: maximum number of bytes of all arrays.
        path: the `.keras` file, for messages.

    Raises:
        TfyoloError: an array is a link or stored elsewhere, or they are too large.
    """
    pending, size, count = [weights], 0, 0
    while pending:
        group = pending.pop()
        for name in group:
            count += 1
            item = group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
            if isinstance(item, h5py.Group):
                pending.append(item)
            elif isinstance(item, h5py.Dataset) and not item.is_virtual and not item.external:
                size += item.size * item.dtype.itemsize
            else:
                raise TfyoloError("contains weights that are stored elsewhere", path=path, fix=UNTRUSTED_FIX)
            if size > limit or count > _MAX_ITEMS:
                raise TfyoloError("its weights are larger than its network", path=path, fix=UNTRUSTED_FIX)


def read_contract(path: Path) -> Contract:
    """Read the contract in a `.keras` or `.tflite` file (both end in a zip archive).

    Raises:
        TfyoloError: the file is missing, of another format, or has no contract.
    """
    with open_input(path, MODEL) as file:
        return _contract(file, path)


def contract_in(data: bytes, path: Path) -> Contract:
    """Parse the contract in the bytes of a file.

    Args:
        data: bytes of the whole file.
        path: path of the file, for the message.

    Raises:
        TfyoloError: it is of another format, or has no contract.
    """
    return _contract(BytesIO(data), path)


def _contract(file: BinaryIO, path: Path) -> Contract:
    try:
        with zipfile.ZipFile(file) as archive:
            info = archive.getinfo(FILE_NAME)
            if info.file_size > JSON_TEXT.max_bytes:
                raise TfyoloError(
                    f"its {FILE_NAME} has {info.file_size} bytes, which is too large", path=path
                )
            text = archive.read(info)
    except TfyoloError:
        raise
    except KeyError as error:
        raise TfyoloError(
            "contains no tfyolo.json, so its classes and anchors are unknown",
            path=path,
            fix="write it with `tfyolo convert` or `tfyolo export`",
        ) from error
    except Exception as error:  # zipfile and its decompressors raise a dozen kinds for damaged bytes
        raise TfyoloError("is damaged or not a tfyolo model", path=path, fix="copy the file again") from error
    return Contract.from_json(text, path)
