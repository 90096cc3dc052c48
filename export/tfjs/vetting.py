"""Vets untrusted TF.js folders before Node or a browser loads them.

Guarantees:

- Allow-list: the graph contains only the operations in `operations.py` and no functions, hence no loops,
  strings, or hash tables.
- TF.js runs nothing else of model.json: no initializer, and no second signature.
- No external data: shards of weights are regular files in the folder, named without paths or URLs, and have
  exactly the size that model.json declares.

Memory and arithmetic are not bounded.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from tfyolo.errors import UNTRUSTED_FIX, TfyoloError
from tfyolo.export.runtime.budget import foreign, refused_operation
from tfyolo.export.tfjs.entry import CONTRACT_KEY, MODEL_FILE
from tfyolo.export.tfjs.operations import OPERATIONS
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.contract import Contract

_KEYS = frozenset(
    [
        "convertedBy",
        "format",
        "generatedBy",
        "modelTopology",
        "signature",
        "userDefinedMetadata",
        "weightsManifest",
    ]
)
"""Keys of model.json that exported models have."""
_SHARD_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_ITEM_BYTES = {"float32": 4, "int32": 4, "float16": 2, "uint16": 2, "uint8": 1, "bool": 1}


def read_folder(folder: Path) -> Contract:
    """Vet a TF.js folder and return its contract.

    Args:
        folder: contains model.json and the shards that it names.

    Raises:
        TfyoloError: there is no model.json, tfyolo did not write it, an operation is not allowed, or weights
            are missing, of a wrong size, or outside of the folder.

    Example:
        >>> read_folder(Path("yolov5n_web_model")).image_size  # doctest: +SKIP
        (640, 640)
    """
    path = folder / MODEL_FILE
    if not path.exists():
        raise TfyoloError(
            f"contains no {MODEL_FILE}", path=folder, fix="pass the folder that `tfyolo export` wrote"
        )
    try:
        model = json.loads(read_input(path, MODEL))
        metadata, groups = model["userDefinedMetadata"], model["weightsManifest"]
    except (ValueError, RecursionError) as error:
        raise TfyoloError("is not valid JSON", path=path, fix="export it again") from error
    except (KeyError, TypeError) as error:
        raise TfyoloError(
            "was not written by tfyolo: metadata or weights are missing",
            path=path,
            fix="write it with `tfyolo export --include tfjs`",
        ) from error
    if not isinstance(metadata, dict) or CONTRACT_KEY not in metadata:
        raise TfyoloError(
            "contains no tfyolo metadata, so its classes and anchors are unknown",
            path=path,
            fix="write it with `tfyolo export --include tfjs`",
        )
    for key in sorted({*model} - _KEYS) + ["signature"] * ("signature" in metadata):
        raise foreign(f"the entry {key[:60]!r} of {MODEL_FILE}", path)
    contract = Contract.from_json(json.dumps(metadata[CONTRACT_KEY]), path)
    try:
        for group in groups:
            _check_weights(folder, group["paths"], group["weights"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise TfyoloError("its weights manifest is damaged", path=path, fix="export it again") from error
    try:
        graph = model["modelTopology"]
        operations = {node["op"] for node in graph["node"]}
        functions = graph.get("library", {}).get("function")
    except (KeyError, TypeError, AttributeError) as error:
        raise TfyoloError("its graph cannot be read", path=path, fix="export it again") from error
    # No TF.js operation accesses files, but loops may not terminate, and strings and hash tables may grow.
    if functions:
        raise foreign("functions", path)
    for name in sorted(map(str, operations - OPERATIONS)):
        raise refused_operation(name, path)
    return contract


def _check_weights(folder: Path, shards: list[str], weights: list[dict[str, Any]]) -> None:
    """Check that shards are in the folder and have the size of the listed weights.

    Args:
        folder: folder of model.json.
        shards: file names of one group in the weights manifest.
        weights: entries of the group.

    Raises:
        TfyoloError: a shard is missing or outside of the folder, or the size differs.
        KeyError, TypeError, ValueError: the entries are damaged.
    """
    stored_bytes = 0
    for name in shards:
        # A plain file name, not a path or URL.
        if not _SHARD_NAME.fullmatch(name) or (folder / name).is_symlink():
            raise TfyoloError(
                f"refers to weights outside the folder: {name[:80]!r}",
                path=folder / MODEL_FILE,
                fix=UNTRUSTED_FIX,
            )
        if not (folder / name).is_file():
            raise TfyoloError(f"the weight file {name} is missing", path=folder, fix="export it again")
        stored_bytes += (folder / name).stat().st_size
    declared_bytes = 0
    for weight in weights:
        if any(not isinstance(size, int) or size < 0 for size in weight["shape"]):
            raise ValueError(weight["shape"])
        dtype = weight.get("quantization", weight)["dtype"]
        declared_bytes += math.prod(weight["shape"]) * _ITEM_BYTES[dtype]
    if stored_bytes != declared_bytes:
        raise TfyoloError(
            f"its weight files have {stored_bytes} bytes, but {MODEL_FILE} declares {declared_bytes}",
            path=folder,
            fix="export it again",
        )
