"""YAML as plain values with line numbers, so that later checks can name the line of an error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.inputs import CONFIGURATION, read_input

Key = str | int
MAX_DEPTH = 50  # of lists and mappings; parsers slow down with depth
MAX_DIGITS = 30
MAX_EVENTS = 150_000  # values, and beginnings and ends of lists; 30,000 class names have 60,000


@dataclass(frozen=True)
class Document:
    """A parsed YAML file; `line("backbone", 3)` is the line of an entry, from 1.

    Attributes:
        path: path of the file; None for values from memory.
        value: parsed content.
        lines: line of each entry, by its keys.
        texts: scalars as written, by their keys: `010`, which YAML parses as 8.
    """

    path: Path | None
    value: Any
    lines: dict[tuple[Key, ...], int] = field(default_factory=dict)
    texts: dict[tuple[Key, ...], str] = field(default_factory=dict)

    def line(self, *keys: Key) -> int | None:
        """Return the line of an entry, or of its nearest parent; None for values from memory."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys)

    def error(self, message: str, *keys: Key, fix: str | None = None) -> TfyoloError:
        """Return an error about an entry, with file and line.

        Args:
            message: what is wrong.
            keys: keys and indices of the entry, from the outermost; without a line of its own, that of its
                nearest parent is used.
            fix: remedy, shown after the message.

        Returns:
            The error, for the caller to raise.
        """
        return TfyoloError(message, path=self.path, line=self.line(*keys), fix=fix)


def read_yaml(path: str | Path) -> Document:
    """Read a YAML mapping of plain values; tags, anchors and aliases are refused.

    Raises:
        TfyoloError: the file is missing, not valid YAML, not a mapping, larger than 1 MiB, has duplicate
            keys, or uses aliases.
    """
    import yaml

    path = Path(path)
    data = read_input(path, CONFIGURATION)
    try:
        text = data.decode("utf-8-sig")
        # The C parser, which wheels of PyYAML include, is ten times faster.
        kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        _check_events(yaml.parse(text, Loader=kind), path)
        loader = kind(text)
        node = loader.get_single_node()
        texts: dict[tuple[Key, ...], str] = {}
        lines = dict(_lines(node, (), path, texts))
        value = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TfyoloError(
            f"is not valid YAML: {error.problem or error.context}",
            path=path,
            line=mark.line + 1 if mark else None,
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise TfyoloError("is not valid YAML", path=path, fix="save it as UTF-8 text") from error
    if not isinstance(value, dict):
        raise TfyoloError("is not a mapping of names to values", path=path)
    return Document(path, value, lines, texts)


def _check_events(events: Any, path: Path) -> None:
    """Refuse unbounded growth and nesting before values are built."""
    import yaml

    depth = 0
    for count, event in enumerate(events):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):  # nested aliases can stand for terabytes
            raise TfyoloError("uses YAML aliases (*name)", path=path, line=line, fix="write the value itself")
        if count >= MAX_EVENTS:
            raise TfyoloError(f"has more than {MAX_EVENTS:,} values, too many for a configuration", path=path)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise TfyoloError(f"is nested more than {MAX_DEPTH} levels deep", path=path, line=line)


def _lines(
    node: Any, keys: tuple[Key, ...], path: Path, texts: dict[tuple[Key, ...], str]
) -> Iterator[tuple[tuple[Key, ...], int]]:
    """Yield keys and line of every entry; the text of scalars is added to `texts`."""
    import yaml

    if node is None:
        return
    line = node.start_mark.line + 1
    yield keys, line
    if isinstance(node, yaml.MappingNode):
        seen: set[Key] = set()
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise TfyoloError("has a list or mapping as a key", path=path, line=line)
            name = int(key.value) if key.tag.endswith(":int") and key.value.isdecimal() else key.value
            if name in seen:  # YAML would silently keep the last
                raise TfyoloError(f"duplicate key `{name}`", path=path, line=line, fix="remove one")
            seen.add(name)
            yield from _lines(item, (*keys, name), path, texts)
            yield (*keys, name), line
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*keys, index), path, texts)
        return
    if isinstance(node, yaml.MappingNode):
        return
    texts[keys] = node.value
    if node.tag.endswith((":int", ":float")) and len(node.value) > MAX_DIGITS:
        raise TfyoloError(f"contains a number with {len(node.value)} characters", path=path, line=line)
