"""Generates a client for one exported file from the template of a language.

A template consists of blocks. A line `@@ word word` starts a block that is only used if all words describe
the file: its format, task, kind of outputs and input type (`_words`). `{{name}}` is replaced by a value.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.inspection import Inspection, TensorInfo, inspect_file
from tfyolo.inference.nms import NmsOptions
from tfyolo.inference.snippets.languages import LANGUAGES, Language, find_language
from tfyolo.models.outputs import BOXES, DETECTIONS, MASKS, PROBABILITIES
from tfyolo.models.tasks import TASKS
from tfyolo.text import printable

_KINDS = {
    frozenset(DETECTIONS): "suppressed",
    frozenset((*DETECTIONS, MASKS)): "suppressed",
    frozenset(BOXES): "boxes",
    frozenset((PROBABILITIES,)): "probabilities",
}
"""Names of the kinds of outputs in templates."""
_EXPORT_WITH = {"classify": "--nms none", "detect": "--nms none, or with NMS inside", "segment": "NMS inside"}
"""How to export a file that clients can decode, by task."""
_READABLE = ("uint8", "float32")
"""Data types that clients support."""


def snippet(path: Path, language: str) -> str:
    """Generate a complete client for an exported file, which does not need tfyolo.

    Args:
        path: a `.tflite` file, `.onnx` file or TF.js folder.
        language: name of an entry of `LANGUAGES`, such as "python".

    Returns:
        Source code that contains the file's image size, data types, class names and thresholds.

    Raises:
        TfyoloError: if there is no client for this format in this language, or for the file's outputs.

    Example:
        >>> print(snippet(Path("best.tflite"), "python"))  # doctest: +SKIP
        # best.tflite: detector with 3 classes, int8, tfyolo 0.1.0
        ...
    """
    from tfyolo.export.registry import format_of

    entry, chosen = format_of(path), find_language(language)
    if entry.name not in chosen.formats:
        raise _no_client(path, entry.name, entry.label, chosen)
    found = inspect_file(path)
    if found.contract.task not in chosen.tasks:
        others = [entry.name for entry in LANGUAGES if found.contract.task in entry.tasks]
        raise TfyoloError(
            f"there is no {chosen.name} client for a {TASKS[found.contract.task].noun}",
            path=path,
            fix=f"pass --snippet {' or '.join(others)}",
        )
    return client(path, entry.name, found, chosen)


def client(path: Path, format_name: str, found: Inspection, chosen: Language) -> str:
    """Generate a client for an inspected file; see `snippet`.

    Args:
        path: path of the file; the client opens its name.
        format_name: format of the file, one of `chosen.formats`.
        found: result of `inspect_file`.
        chosen: entry of `LANGUAGES`.

    Returns:
        Source code.

    Raises:
        TfyoloError: if there is no client for the file's outputs.
    """
    words = _words(path, format_name, found)
    template = files(__package__).joinpath(f"{chosen.name}.txt").read_text("utf-8")
    values = _values(path, found, chosen)
    code = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _blocks(template, words))
    return code.strip("\n") + "\n"


def _no_client(path: Path, name: str, label: str, language: Language) -> TfyoloError:
    if name == "edgetpu":
        fix = "docs/deploy/edge-tpu.md has a client for ai-edge-litert, and one for pycoral"
    elif others := [entry.name for entry in LANGUAGES if name in entry.formats]:
        fix = f"pass --snippet {' or '.join(others)}, or export to {language.formats[0]}"
    else:
        fix = f"`tfyolo export --include {language.formats[0]}` writes a file that this client supports"
    return TfyoloError(f"there is no {language.name} client for {label}", path=path, fix=fix)


def _words(path: Path, format_name: str, found: Inspection) -> set[str]:
    """Return the words that describe a file in templates: format, tasks, kind of outputs, input type."""
    kind = _KINDS.get(frozenset(tensor.name for tensor in found.outputs))
    if kind is None:
        raise TfyoloError(
            "its outputs are not decoded, and generated clients cannot do it",
            path=path,
            fix=f"export it with {_EXPORT_WITH[found.contract.task]}",
        )
    types = [*_types(found.inputs), *_types(found.outputs)]
    if unsupported := [dtype for dtype in types if dtype not in _READABLE]:
        raise TfyoloError(
            f"generated clients do not support {unsupported[0]}",
            path=path,
            fix="export it with another precision",
        )
    task = found.contract.task
    # A segmentation model is a detector with masks.
    return {format_name, task, kind, found.inputs[0].dtype} | ({"detect"} if task == "segment" else set())


def _types(tensors: tuple[TensorInfo, ...]) -> list[str]:
    return [tensor.dtype for tensor in tensors]


def _blocks(template: str, words: set[str]) -> str:
    """Return the lines of the blocks whose words all describe the file."""
    lines, included = [], True
    for line in template.splitlines():
        if line.startswith("@@"):
            included = words.issuperset(line[2:].split())
        elif included:
            lines.append(line)
    return "\n".join(lines)


def _values(path: Path, found: Inspection, language: Language) -> dict[str, str]:
    """Return the values that templates refer to, by name."""
    contract = found.contract
    height, width = contract.image_size
    options = NmsOptions()
    name = quote(path.name) if language.reads_urls else path.name
    return {
        "about": "\n".join(f"{language.comment} {printable(line)}" for line in _about(path, found)),
        "file": language.text(name),
        "stem": language.text(path.stem),
        "folder_model": language.text(f"{name}/model.json"),
        "names": language.list(contract.names),
        "height": str(height),
        "width": str(width),
        "confidence": str(options.confidence),
        "iou": str(options.iou_threshold),
        "max_detections": str(options.max_detections),
    }


def _about(path: Path, found: Inspection) -> list[str]:
    """Return the lines of the header comment: the file, its inputs, outputs and thresholds."""
    contract = found.contract
    classes = f"{len(contract.names)} class{'es' * (len(contract.names) > 1)}"
    noun = TASKS[contract.task].noun
    lines = [
        f"{path.name}: {noun} with {classes}, {found.precision}, tfyolo {contract.version}",
        *(f"in:  {_tensor(tensor)}" for tensor in found.inputs),
        *(f"out: {_tensor(tensor)}" for tensor in found.outputs),
    ]
    limits = {"conf_thres": "score over {}", "iou_thres": "IoU up to {}", "max_det": "at most {} boxes"}
    known = [text.format(found.thresholds[key]) for key, text in limits.items() if key in found.thresholds]
    if known:
        lines.append("NMS inside: " + ", ".join(known))
    return lines


def _tensor(tensor: TensorInfo) -> str:
    shape = ", ".join(map(str, tensor.shape))
    text = f"{tensor.name} ({shape}) {tensor.dtype}"
    if tensor.quantization:
        text += f" = {tensor.quantization[0]:.6g} * (value - {tensor.quantization[1]})"
    return text
