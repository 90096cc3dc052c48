"""YAML as plain values plus the line of each, so that a check further down can say where a mistake stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError

Key = str | int
MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Document:
    """A YAML file read: `value` is what it holds, `line("backbone", 3)` where an entry begins (from 1)."""

    path: Path | None
    value: Any
    lines: dict[tuple[Key, ...], int] = field(default_factory=dict)

    def line(self, *keys: Key) -> int | None:
        """Line of the entry under `keys`, or of the nearest one around it; None for values made in memory."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys)

    def error(self, message: str, *keys: Key, fix: str | None = None) -> TfyoloError:
        """An error about the entry under `keys`, naming file and line."""
        return TfyoloError(message, path=self.path, line=self.line(*keys), fix=fix)


def read_yaml(path: str | Path) -> Document:
    """Read a YAML mapping. Only plain values: tags, anchors and aliases are refused.

    Raises:
        TfyoloError: no such file, not YAML, not a mapping, larger than 4 MiB, or it uses aliases.
    """
    import yaml

    path = Path(path)
    try:
        data = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        raise TfyoloError(f"cannot be read: {error.strerror}", path=path, fix="check the path") from error
    if len(data) > MAX_BYTES:
        raise TfyoloError("is larger than 4 MiB, which no configuration is", path=path)
    try:
        text = data.decode("utf-8-sig")
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):  # nested aliases can stand for terabytes
                line = event.start_mark.line + 1 if event.start_mark else None
                raise TfyoloError(
                    "uses YAML aliases (*name)", path=path, line=line, fix="write the value out"
                )
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TfyoloError(
            f"is not valid YAML: {error.problem or error.context}",
            path=path,
            line=mark.line + 1 if mark else None,
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise TfyoloError("is not valid YAML", path=path, fix="save it as UTF-8 text") from error
    if not isinstance(value, dict):
        raise TfyoloError("is not a mapping of names to values", path=path)
    lines: dict[tuple[Key, ...], int] = {}

    def note(node: Any, keys: tuple[Key, ...]) -> None:
        lines[keys] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            for key, item in node.value:
                name = int(key.value) if key.tag.endswith(":int") and key.value.isdigit() else key.value
                place, line = (*keys, name), key.start_mark.line + 1
                if place in lines:  # YAML would silently keep the last
                    raise TfyoloError(f"`{name}` stands twice", path=path, line=line, fix="remove one")
                note(item, place)
                lines[place] = line
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                note(item, (*keys, index))

    note(node, ())
    return Document(path, value, lines)
