"""The list of all error messages with their remedies, read from the source code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SECTIONS = {
    "tfyolo/data": "Datasets and images",
    "tfyolo/configs": "Configuration files",
    "tfyolo/models": "Models",
    "tfyolo/weights": "Weights and checkpoints",
    "tfyolo/training": "Training",
    "tfyolo/quantization": "Quantization",
    "tfyolo/evaluation": "Validation",
    "tfyolo/benchmark": "Benchmarks",
    "tfyolo/inference": "Prediction, images and videos",
    "export": "Export, and running exported files",
    "tfyolo/api": "Python API",
    "tfyolo/cli": "Command line",
    "tfyolo": "Files, disk and libraries",
}
"""Heading of each part of the source tree; the longest path that fits is taken."""


class Message(NamedTuple):
    """An error in the source code.

    Attributes:
        section: heading under which it is listed.
        text: the message; `…` stands for values.
        fix: the remedy, or "" where the message itself says what is right.
    """

    section: str
    text: str
    fix: str


def error_messages() -> list[Message]:
    """Return every message of a `TfyoloError` in tfyolo and export, in the order of the source files."""
    found = []
    for package in ("tfyolo", "export"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name.startswith("tfyolo/export"):  # a link to export
                continue
            section = next(
                SECTIONS[part] for part in sorted(SECTIONS, key=len, reverse=True) if name.startswith(part)
            )
            found += [Message(section, *pair) for pair in _raised(ast.parse(path.read_text("utf-8")))]
    return found


def errors_page() -> str:
    """Return the Markdown of the page that lists all errors."""
    lines = [
        "# Error messages",
        "",
        "Every error ends a command with exit code 2 and one line: the file, the place in it, what is wrong, "
        "and on the next line what to do. This list is made from the source code; `…` stands for a value. "
        "Search for a few words of your message.",
        "",
    ]
    messages = error_messages()
    for section in dict.fromkeys(SECTIONS.values()):
        rows = dict.fromkeys((m.text, m.fix) for m in messages if m.section == section)
        if rows:
            lines += [f"## {section}", "", "| message | remedy |", "|---|---|"]
            lines += [f"| {_cell(text)} | {_cell(fix) or 'as the message says'} |" for text, fix in rows]
            lines.append("")
    return "\n".join(lines)


def _raised(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield message and remedy of each error that a module creates."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func
        is_error = isinstance(called, ast.Name) and called.id in ("TfyoloError", "RefusedError")
        in_document = isinstance(called, ast.Attribute) and called.attr == "error"
        if not is_error and not in_document:
            continue
        texts = [text for text in map(_text, node.args) if text]
        fixes = [_text(keyword.value) for keyword in node.keywords if keyword.arg == "fix"]
        sentences = [text for text in texts if " " in text]
        if sentences:
            yield sentences[0], next(filter(None, fixes), "")


def _text(node: ast.AST) -> str:
    """Return a string expression with `…` for its values; "" for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.IfExp):
        return _text(node.body) or _text(node.orelse)
    return ""


def _cell(text: str) -> str:
    """Escape text for a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("\n", " ")
