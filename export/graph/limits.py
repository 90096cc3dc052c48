"""Which settings each kind of non-maximum suppression heeds: what files state, and what users are told."""

from __future__ import annotations

from dataclasses import fields, replace

from tfyolo.export.graph.nms import compared
from tfyolo.export.graph.options import GraphNmsOptions

_FLAGS = {
    "confidence": "--conf-thres",
    "iou": "--iou-thres",
    "max_detections": "--max-det",
    "candidates": "--candidates",
    "multi_label": "--multi-label",
    "agnostic": "--agnostic-nms",
    "per_class": "--topk-per-class",
}


def effective_options(kind: str, settings: GraphNmsOptions, anchors: int) -> GraphNmsOptions:
    """What a kind of NMS makes of the settings; files state these.

    Args:
        kind: of NMS.
        settings: what was asked for.
        anchors: number of boxes that the network predicts for an image.

    Example:
        >>> effective_options("tensor", GraphNmsOptions(candidates=6300), 6300).candidates
        512
    """
    if kind in ("none", "raw"):
        return GraphNmsOptions()
    if kind == "efficient":
        return replace(settings, candidates=anchors, per_class=None)
    candidates, rows, most = min(settings.candidates, anchors), settings.max_detections, settings.per_class
    if kind == "tensor":
        candidates = compared(rows if most is None or most >= rows else candidates, candidates)
    return replace(settings, candidates=candidates)


def ineffective_options_note(kind: str, settings: GraphNmsOptions, anchors: int) -> str:
    """A sentence about settings that differ from the defaults and from what is in force; empty where none do.

    Example:
        >>> ineffective_options_note("none", GraphNmsOptions(confidence=0.5), 6300)
        '--nms none: --conf-thres has no effect'
        >>> ineffective_options_note("tensor", GraphNmsOptions(candidates=6300), 6300)
        '--nms tensor compares the best 512 boxes with each other, not 6300'
        >>> ineffective_options_note("builtin", GraphNmsOptions(candidates=6300), 6300)
        ''
    """
    heeded = effective_options(kind, settings, anchors)
    asked = {x.name for x in fields(settings) if getattr(settings, x.name) != x.default}
    lost = {name for name in asked if getattr(settings, name) != getattr(heeded, name)}
    if kind != "efficient" and settings.candidates > anchors > 0 and heeded.candidates == anchors:
        lost.discard("candidates")  # more than there are is all of them
    if kind == "tensor" and "candidates" in lost:
        return (
            f"--nms tensor compares the best {heeded.candidates} boxes with each other, "
            f"not {settings.candidates}"
        )
    flags = [flag for name, flag in _FLAGS.items() if name in lost]
    if not flags:
        return ""
    return f"--nms {kind}: {', '.join(flags)} {'have' if len(flags) > 1 else 'has'} no effect"
