"""NMS options that are in effect for each kind of NMS, for the contract of files and notes to users."""

from __future__ import annotations

from dataclasses import fields, replace

from tfyolo.export.graph.nms import num_compared
from tfyolo.export.graph.options import GraphNmsOptions

_FLAGS = {
    "confidence": "--conf-thres",
    "iou_threshold": "--iou-thres",
    "max_detections": "--max-det",
    "candidates": "--candidates",
    "multi_label": "--multi-label",
    "agnostic": "--agnostic-nms",
    "per_class": "--topk-per-class",
}
_OF_RUNTIMES = ("efficient", "pipeline")
"""Kinds that are an operation of the runtime, which takes all boxes and has no limit per class."""


def effective_options(kind: str, options: GraphNmsOptions, anchor_count: int) -> GraphNmsOptions:
    """Return the NMS options that are in effect for a kind of NMS; exported files store them.

    Args:
        kind: kind of NMS.
        options: the options that were chosen.
        anchor_count: number of boxes that the network predicts per image.

    Returns:
        The options, with values that the kind of NMS ignores or caps replaced.

    Example:
        >>> effective_options("tensor", GraphNmsOptions(candidates=6300), 6300).candidates
        512
    """
    if kind in ("none", "raw"):
        return GraphNmsOptions()
    options = replace(options, multi_label=not options.best_class_only)
    if kind in _OF_RUNTIMES:
        options = replace(options, candidates=anchor_count, per_class=None)
        return replace(options, multi_label=False) if kind == "pipeline" else options
    candidates = min(options.candidates, anchor_count)
    if kind == "tensor":
        rows, per_class = options.max_detections, options.per_class
        limited_per_class = per_class is not None and per_class < rows
        candidates = num_compared(candidates if limited_per_class else rows, candidates)
    return replace(options, candidates=candidates)


def ineffective_options_note(kind: str, options: GraphNmsOptions, anchor_count: int) -> str:
    """Return a note on changed options that have no effect for a kind of NMS, or "".

    Args:
        kind: kind of NMS.
        options: the options that were chosen.
        anchor_count: number of boxes that the network predicts per image.

    Returns:
        A sentence that names the flags, or "".

    Example:
        >>> ineffective_options_note("none", GraphNmsOptions(confidence=0.5), 6300)
        '--nms none: --conf-thres has no effect'
        >>> ineffective_options_note("tensor", GraphNmsOptions(candidates=6300), 6300)
        '--nms tensor compares the best 512 boxes with each other, not 6300'
        >>> ineffective_options_note("builtin", GraphNmsOptions(candidates=6300), 6300)
        ''
        >>> ineffective_options_note("builtin", GraphNmsOptions(multi_label=True, agnostic=True), 6300)
        '--multi-label has no effect with --agnostic-nms'
    """
    effective = effective_options(kind, options, anchor_count)
    changed = {x.name for x in fields(options) if getattr(options, x.name) != x.default}
    ineffective = {name for name in changed if getattr(options, name) != getattr(effective, name)}
    takes_all = options.candidates > anchor_count > 0 and effective.candidates == anchor_count
    if kind not in _OF_RUNTIMES and takes_all:  # more candidates than boxes
        ineffective.discard("candidates")
    notes = []
    if kind == "tensor" and "candidates" in ineffective:
        ineffective.discard("candidates")
        notes.append(
            f"--nms tensor compares the best {effective.candidates} boxes with each other, "
            f"not {options.candidates}"
        )
    if "multi_label" in ineffective and effective.agnostic:
        ineffective.discard("multi_label")
        notes.append("--multi-label has no effect with --agnostic-nms")
    flags = [flag for name, flag in _FLAGS.items() if name in ineffective]
    if flags:
        notes.append(f"--nms {kind}: {', '.join(flags)} {'have' if len(flags) > 1 else 'has'} no effect")
    return "; ".join(notes)
