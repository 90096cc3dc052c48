"""Parse the XML annotation of one image in Pascal VOC format, as an untrusted file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from tfyolo.errors import TfyoloError
from tfyolo.inputs import XML, read_input

MAX_DEPTH = 50


class XmlError(TfyoloError):
    """A file is not a valid annotation."""


@dataclass(frozen=True)
class VocObject:
    """An `object` element: texts as in the file; None for missing elements.

    Attributes:
        line: line number of the element, from 1.
        name: class name.
        corners: xmin, ymin, xmax, ymax.
        is_difficult: whether the element `difficult` is 1 or true.
    """

    line: int
    name: str | None
    corners: tuple[str | None, str | None, str | None, str | None]
    is_difficult: bool = False


@dataclass(frozen=True)
class Annotation:
    """The parts of an `annotation` element that are used: texts as in the file; None for missing elements.

    Attributes:
        filename: name of the image file.
        width: width of the annotated image in pixels.
        height: height of the annotated image in pixels.
        objects: `object` elements in order.
    """

    filename: str | None
    width: str | None
    height: str | None
    objects: tuple[VocObject, ...]


_TRUE = ("1", "true", "True")
_WANTED = {"filename": "filename", "size/width": "width", "size/height": "height"}
_OF_OBJECT = {
    "name": "name",
    "difficult": "difficult",
    **{f"bndbox/{key}": key for key in ("xmin", "ymin", "xmax", "ymax")},
}


class _Collector:
    """Handlers of the XML parser, which keep only the text of known paths."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self._open: list[str] = []
        self._text: list[str] = []
        self._fields: dict[str, str] = {}
        self._object: dict[str, str] = {}
        self._line = 0
        self._objects: list[VocObject] = []

    def annotation(self) -> Annotation:
        get = self._fields.get
        return Annotation(get("filename"), get("width"), get("height"), tuple(self._objects))

    def _refuse(self, *_: object) -> None:
        raise XmlError(
            "has a DOCTYPE or an entity, which annotations do not need",
            path=self.path,
            line=self.parser.CurrentLineNumber,
            fix="remove it",
        )

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._open.append(name)
        if len(self._open) > MAX_DEPTH:
            raise XmlError(f"is nested more than {MAX_DEPTH} levels deep", path=self.path)
        if len(self._open) == 1 and name != "annotation":
            raise XmlError(
                f"is not a Pascal VOC annotation: its root element is `{name[:40]}`", path=self.path
            )
        if self._open == ["annotation", "object"]:
            self._object, self._line = {}, self.parser.CurrentLineNumber
        self._text = []

    def _characters(self, text: str) -> None:
        self._text.append(text)

    def _end(self, name: str) -> None:
        here, text = self._open[1:], "".join(self._text).strip()
        if here[:1] == ["object"]:
            if len(here) == 1:
                get = self._object.get
                corners = (get("xmin"), get("ymin"), get("xmax"), get("ymax"))
                self._objects.append(VocObject(self._line, get("name"), corners, get("difficult") in _TRUE))
            elif key := _OF_OBJECT.get("/".join(here[1:])):
                self._object.setdefault(key, text)
        elif key := _WANTED.get("/".join(here)):
            self._fields.setdefault(key, text)
        self._open.pop()
        self._text = []


def read_annotation(path: Path) -> Annotation:
    """Read the annotation of an image.

    Document types and entities are refused before they are expanded, and so are files over 16 MiB and nesting
    over 50 levels.

    Raises:
        FileNotFoundError: there is no such file.
        XmlError: it cannot be read, is not XML, or is not an annotation; with the line.

    Example:
        >>> read_annotation(Path("BloodImage_00000.xml")).objects[0].name  # doctest: +SKIP
        'WBC'
    """
    try:
        data = read_input(path, XML, XmlError)
    except XmlError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise error.__cause__ from None
        raise
    collector = _Collector(path)
    plain = data.replace(b"\0", b"")  # UTF-16 too
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        collector._refuse()
    try:
        collector.parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise XmlError(f"is not valid XML: {reason}", path=path, line=error.lineno) from error
    except (LookupError, ValueError) as error:  # an encoding that Python does not know
        raise XmlError(f"is not valid XML: {error}", path=path) from error
    return collector.annotation()
