"""What is to be exported, and the parts that formats share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tfyolo.export.nms import NmsSettings
from tfyolo.export.registry import find_format

from tfyolo.errors import TfyoloError
from tfyolo.models.contract import Contract


@dataclass(frozen=True)
class ExportRequest:
    """A model and how to export it.

    Attributes:
        model: the Keras model, from images to raw heads.
        contract: its contract.
        image_hw: fixed input size of the exported model, in pixels.
        nms: kind of non-maximum suppression in the graph (nms.py).
        settings: its thresholds.
        half: weights as float16.
    """

    model: Any
    contract: Contract
    image_hw: tuple[int, int]
    nms: str = "auto"
    settings: NmsSettings = field(default_factory=NmsSettings)
    half: bool = False
    _shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def heads(self) -> Any:
        """The network as a frozen function of images (1, height, width, 3); made once for all formats."""
        if "heads" not in self._shared:
            self._shared["heads"] = freeze(self.model, self.contract, self.image_hw)
        return self._shared["heads"]

    def exported_contract(self, format_name: str) -> Contract:
        """The contract that the file carries: its fixed size and what NMS it holds."""
        note = {"format": format_name, "nms": self.nms, "half": self.half}
        if self.nms != "none":
            note |= {"conf_thres": self.settings.confidence, "iou_thres": self.settings.iou}
            note |= {"max_det": self.settings.max_detections, "candidates": self.settings.candidates}
            note["multi_label"] = self.settings.multi_label
        return self.contract.model_copy(update={"image_size": self.image_hw, "export": note})


def freeze(model: Any, contract: Contract, image_hw: tuple[int, int]) -> Any:
    """A Keras model as a function of one image size whose weights are constants.

    Args:
        model: from images to raw heads.
        contract: its contract.
        image_hw: size of the input in pixels.

    Returns:
        A concrete function from float32 (1, height, width, 3) in 0..1 to the list of raw heads.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from tfyolo.models.build import build_model

    fixed = build_model(contract.spec, image_hw=image_hw)
    fixed.set_weights(model.get_weights())
    forward = tf.function(lambda images: fixed(images, training=False))
    spec = tf.TensorSpec((1, *image_hw, 3), tf.float32, name="images")
    return convert_variables_to_constants_v2(forward.get_concrete_function(spec))


def export_model(
    request: ExportRequest,
    formats: list[str],
    stem: Path,
    progress: Callable[[str, int, int], None] | None = None,
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
        TfyoloError: an unknown format, one that cannot do this, or a size that strides do not divide.
    """
    stride = max(request.contract.strides)
    if any(size % stride or size < stride for size in request.image_hw):
        height, width = request.image_hw
        raise TfyoloError(
            f"an input of {height}x{width} pixels is no multiple of the stride {stride}",
            fix=f"--img {max(round(height / stride), 1) * stride}",
        )
    entries = [find_format(name) for name in formats]
    kinds = [entry.check(request.nms) for entry in entries]
    written: dict[str, Path] = {}
    for entry, nms in zip(entries, kinds, strict=True):
        if progress:
            progress("exporting", len(written), len(entries))
        path = stem.with_name(stem.name + entry.suffix)
        entry.write(replace(request, nms=nms), path)
        written[entry.name] = path
    return written
