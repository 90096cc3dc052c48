"""What is to be exported, and the parts that formats share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.graph.limits import in_force, without_effect
from tfyolo.export.graph.nms import GraphNmsOptions
from tfyolo.export.registry import Format, find_format
from tfyolo.libraries import require
from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.progress import Log, Progress


@dataclass(frozen=True)
class ExportRequest:
    """A model and how to export it.

    Attributes:
        model: the Keras model, from images to raw heads.
        contract: its contract; for int8 with its `quantization` (tfyolo.quantization makes it).
        image_size: fixed input size of the exported model, in pixels.
        nms: kind of non-maximum suppression in the graph (nms.py).
        settings: its thresholds.
        precision: a key of `PRECISIONS`.
        images: uint8 (n, height, width, 3) RGB in the size of the input, for converters that calibrate:
            int16x8, or int8 with `calibrator="runtime"`.
        dynamic_batch: files take any number of images at once.
        opset: of ONNX's operations.
        simplify: let onnxslim shorten ONNX graphs.
        calibrator: whose ranges an int8 file has: `tfyolo`, the contract's, or `runtime`, those that the
            runtime's own tool measures on `images`.
        log: is given sentences that a user should read.
    """

    model: Any
    contract: Contract
    image_size: tuple[int, int]
    nms: str = "auto"
    settings: GraphNmsOptions = field(default_factory=GraphNmsOptions)
    precision: str = "float32"
    images: Any = None
    dynamic_batch: bool = False
    opset: int = 17
    simplify: bool = True
    calibrator: str = "tfyolo"
    log: Log = field(default=lambda _: None, repr=False, compare=False)
    _shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def network(self) -> Network:
        """What is exported, batch normalisation folded; made once for all formats."""
        known = self._shared.get("network")
        if (
            known is None or known[0] is not self.model
        ):  # `replace` hands this on to a request of another model
            self._shared["network"] = known = (self.model, Network.of(self.model, self.contract.spec))
        return known[1]

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What several formats and kinds of NMS have in common; made by the first that asks for it."""
        made_for = (self.model, self.contract, self.image_size, self.precision, self.images)
        known = self._shared.get(name)
        if known is None or any(a is not b for a, b in zip(known[0], made_for, strict=True)):
            self._shared[name] = known = (made_for, make())
        return known[1]

    def module(self, *, halve: bool = False, uint8: bool = False) -> Any:
        """The graph (graph.make_module), rounding like the integer one where the precision is int8.

        Args:
            halve: store weights as float16.
            uint8: images are 0..255.
        """
        from tfyolo.export.graph.module import make_module
        from tfyolo.export.graph.nodes import HalfWeights, NoRounding, Rounding, Roundings, run_network

        network = self.network  # made here: inside the graph arrays could not be read
        rounding: Roundings = HalfWeights() if halve else NoRounding()
        if self.precision == "int8":
            assert self.contract.quantization is not None  # noqa: S101 - export_model has checked it
            rounding = Rounding(network, self.contract.quantization)
        return make_module(
            lambda images: run_network(network, images, rounding),
            self.contract,
            self.image_size,
            self.nms,
            self.settings,
            uint8,
            None if self.dynamic_batch else 1,
        )

    @property
    def anchors(self) -> int:
        """How many boxes the network predicts for an image."""
        height, width = self.image_size
        rows = zip(self.contract.anchors_px, self.contract.strides, strict=False)  # a classifier has none
        return sum(height // stride * (width // stride) * len(row) // 2 for row, stride in rows)

    def exported_contract(self, format_name: str, **more: Any) -> Contract:
        """The contract that the file carries: its fixed size and what NMS it holds."""
        note = {"format": format_name, "nms": self.nms, "precision": self.precision, **more}
        if self.dynamic_batch:
            note["batch"] = "any"
        if self.nms not in ("none", "raw"):
            settings = in_force(self.nms, self.settings, self.anchors)
            note |= {"conf_thres": settings.confidence, "iou_thres": settings.iou}
            note |= {"max_det": settings.max_detections, "candidates": settings.candidates}
            note |= {"multi_label": settings.multi_label, "agnostic": settings.agnostic}
            note["per_class"] = settings.per_class
        # Scales stand in the exported graph itself.
        update = {"export": note, "quantization": None}
        return self.contract.resized(self.image_size).model_copy(update=update)


def check_request(entry: Format, nms: str, precision: str, task: str, dynamic_batch: bool) -> str:
    """`Format.check`, and whether it can take any number of images.

    Raises:
        TfyoloError: it cannot.
    """
    kind = entry.check("none" if dynamic_batch and nms == "auto" else nms, precision, task)
    if dynamic_batch and not entry.dynamic_batch:
        raise TfyoloError(f"{entry.label} takes one image at a time", fix="leave out --dynamic-batch")
    if dynamic_batch and kind not in ("none", "raw"):
        raise TfyoloError(
            f"--nms {kind} suppresses the boxes of one image", fix="--nms none with --dynamic-batch"
        )
    return kind


def check_export(request: ExportRequest, formats: list[str]) -> list[tuple[Format, str]]:
    """Refuse what cannot be written, before anything is measured for it.

    Args:
        request: its ranges and images may be missing yet.
        formats: names from export/registry.py.

    Returns:
        Each format with its kind of suppression.

    Raises:
        TfyoloError: an unknown format, one that cannot do this or whose libraries are not installed, or a
            size that strides do not divide.
    """
    request.contract.check_size(request.image_size)
    own = request.calibrator == "runtime"
    if own and request.precision != "int8":
        raise TfyoloError("--calibrator runtime is for integer networks", fix="add --int8, or leave it out")
    entries = [find_format(name) for name in formats]
    for entry in entries:
        require(*entry.writes_with)
    task, batch = request.contract.task, request.dynamic_batch
    kinds = [check_request(entry, request.nms, request.precision, task, batch) for entry in entries]
    for entry in entries:
        if own and not entry.calibrates:
            raise TfyoloError(f"{entry.label} has no calibration of its own", fix="leave out --calibrator")
    return list(zip(entries, kinds, strict=True))


def export_model(
    request: ExportRequest,
    formats: list[str],
    stem: Path,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Write the model in each format.

    Args:
        request: what and how; `nms="auto"` is each format's default.
        formats: names from export/registry.py.
        stem: path without a suffix, such as `runs/best`; formats add theirs.
        progress: is told what is done, how many are done, and of how many.

    Returns:
        The path of each format's file or folder.

    Raises:
        TfyoloError: an unknown format, one that cannot do this, a size that strides do not divide, or a path
            at which something stands that is no earlier export.
    """
    checked = check_export(request, formats)
    own = request.calibrator == "runtime"
    if own and request.images is None:
        raise TfyoloError("a runtime calibrates on images", fix="pass --data")
    if request.precision == "int8" and not own and request.contract.quantization is None:
        raise TfyoloError(
            "int8 needs the range of every tensor, which only images can tell",
            fix="pass --data, or weights that `tfyolo quantize` wrote",
        )
    paths = {entry.name: stem.with_name(stem.name + entry.suffix) for entry, _ in checked}
    for entry, _ in checked:
        entry.check_target(paths[entry.name])
    written: dict[str, Path] = {}
    for entry, nms in checked:
        if progress:
            progress("exporting", len(written), len(checked))
        if note := without_effect(nms, request.settings, request.anchors):
            request.log(f"note: {entry.label}: {note}")
        path = paths[entry.name]
        entry.write(replace(request, nms=nms), path)
        written[entry.name] = path
    return written
