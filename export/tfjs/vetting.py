"""Looks through a TF.js folder before it is run: model.json may come from a stranger."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.budget import foreign, refused_operation
from tfyolo.export.tfjs.operations import OPERATIONS
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.contract import Contract

MODEL_FILE = "model.json"

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_BYTES = {"float32": 4, "int32": 4, "float16": 2, "uint16": 2, "uint8": 1, "bool": 1}


def read_folder(folder: Path) -> Contract:
    """The contract of a TF.js folder, whose weights are checked to be there.

    Raises:
        TfyoloError: no model.json, not one of tfyolo's, or weights that are missing, of a wrong size or
            outside of the folder.
    """
    path = folder / MODEL_FILE
    if not path.exists():
        raise TfyoloError(
            f"holds no {MODEL_FILE}", path=folder, fix="pass the folder that `tfyolo export` wrote"
        )
    try:
        model = json.loads(read_input(path, MODEL))
        metadata, groups = model["userDefinedMetadata"], model["weightsManifest"]
    except (ValueError, RecursionError) as error:
        raise TfyoloError("is not JSON", path=path, fix="export it again") from error
    except (KeyError, TypeError) as error:
        raise TfyoloError(
            "is no model of tfyolo's: metadata or weights are missing",
            path=path,
            fix="write it with `tfyolo export --include tfjs`",
        ) from error
    if not isinstance(metadata, dict) or "tfyolo" not in metadata:
        raise TfyoloError(
            "holds no tfyolo metadata, so its classes and anchors are unknown",
            path=path,
            fix="write it with `tfyolo export --include tfjs`",
        )
    contract = Contract.from_json(json.dumps(metadata["tfyolo"]), path)
    try:
        for group in groups:
            _check_group(folder, group["paths"], group["weights"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise TfyoloError("its list of weights is damaged", path=path, fix="export it again") from error
    try:
        graph = model["modelTopology"]
        names, functions = {node["op"] for node in graph["node"]}, graph.get("library", {}).get("function")
    except (KeyError, TypeError, AttributeError) as error:
        raise TfyoloError("its graph cannot be read", path=path, fix="export it again") from error
    # TF.js' operations touch no files, but loops need not end, and strings and hash tables may grow.
    if functions:
        raise foreign("functions", path)
    for name in sorted(map(str, names - OPERATIONS)):
        raise refused_operation(name, path)
    return contract


def _check_group(folder: Path, shards: list[str], weights: list[dict[str, Any]]) -> None:
    """Shards lie in the folder and hold exactly the weights that are listed."""
    found = 0
    for name in shards:
        # A name, no path and no address: what is read is what lies in the folder.
        if not _NAME.fullmatch(name) or (folder / name).is_symlink():
            raise TfyoloError(
                f"names weights outside of the folder: {name[:80]!r}",
                path=folder / MODEL_FILE,
                fix="use files that you or people you trust have exported",
            )
        if not (folder / name).is_file():
            raise TfyoloError(f"the file of weights {name} is missing", path=folder, fix="export it again")
        found += (folder / name).stat().st_size
    wanted = 0
    for weight in weights:
        if any(not isinstance(size, int) or size < 0 for size in weight["shape"]):
            raise ValueError(weight["shape"])
        kind = weight.get("quantization", weight)["dtype"]
        wanted += math.prod(weight["shape"]) * _BYTES[kind]
    if found != wanted:
        raise TfyoloError(
            f"its files of weights have {found} bytes, and {MODEL_FILE} speaks of {wanted}",
            path=folder,
            fix="export it again",
        )
