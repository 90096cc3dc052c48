"""The YAML file of a data set, as in YOLOv5: where the pictures are, and the names of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from tfyolo.configs.reader import Document, read_yaml

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Dataset:
    """A data set as its YAML file describes it; nothing of it has been looked for on the disk.

    Args:
        yaml_path: the YAML file.
        names: class names; the index is the class number in the label files.
        splits: for each of `train`, `val`, `test` in the file, folders or .txt lists of pictures, absolute.
    """

    yaml_path: Path
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]


def _name(value: Any) -> Any:
    """A class name; numbers are taken as written, but YAML reads an unquoted `no` as false."""
    if isinstance(value, bool) or value is None:
        raise ValueError("YAML does not read this as text; put the name in quotes")
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str) and not value.strip():
        raise ValueError("the name is empty")
    return value


def _numbered(names: Any) -> Any:
    """A list of names as a map from their numbers."""
    return dict(enumerate(names)) if isinstance(names, list) else names


def _listed(places: Any) -> Any:
    """One place, or none, as a list."""
    return [] if places is None else [places] if isinstance(places, str) else places


Names = Annotated[dict[int, Annotated[str, BeforeValidator(_name)]], BeforeValidator(_numbered)]
Places = Annotated[list[str], BeforeValidator(_listed)]


class _File(BaseModel):
    """The keys of the file. Others, `download` among them, are ignored: nothing is fetched or executed."""

    model_config = ConfigDict(extra="ignore")
    path: str | None = None
    train: Places = []
    val: Places = []
    test: Places = []
    names: Names
    nc: int | None = None


def read_dataset(path: str | Path) -> Dataset:
    """Read and check a data set's YAML file.

    `path` in the file is relative to the file's folder or, if nothing is there, to the current directory;
    without it the file's folder is meant. `train`, `val` and `test` are relative to that; each is a folder, a
    .txt list of pictures, or several of these. `names` is a list, or a map numbered from 0. `nc` may be left
    out.

    Raises:
        TfyoloError: no such file, not YAML, or a key is missing or wrong; with the file and line.

    Example:
        >>> read_dataset("bccd.yaml").names  # doctest: +SKIP
        ('RBC', 'WBC', 'Platelets')
    """
    path = Path(path)
    document = read_yaml(path)
    if "names" not in document.value:
        raise document.error("has no `names`", fix="list the class names under `names:`")
    try:
        file = _File.model_validate(document.value)
    except ValidationError as error:
        raise _first_error(document, error) from error
    names = _in_order(document, file.names)
    if file.nc is not None and file.nc != len(names):
        raise document.error(
            f"`nc` is {file.nc}, but `names` has {len(names)} classes", "nc", fix="remove `nc`"
        )
    root = _root(path, file.path)
    places = {split: getattr(file, split) for split in SPLITS}
    splits = {split: tuple(_place(root, place) for place in some) for split, some in places.items() if some}
    if not splits:
        raise document.error("has none of `train`, `val`, `test`", fix="say where the pictures are")
    return Dataset(path, names, splits)


def _first_error(document: Document, error: ValidationError) -> Exception:
    """The first of pydantic's complaints, with the line of the value it is about."""
    first = error.errors()[0]
    where = tuple(key for key in first["loc"] if key != "[key]")
    field = ".".join(map(str, where))
    message = first["msg"].removeprefix("Value error, ")
    return document.error(f"`{field}`: {message[:1].lower()}{message[1:]}", *where, fix="correct the value")


def _in_order(document: Document, names: dict[int, str]) -> tuple[str, ...]:
    """Names in the order of their numbers, which must be 0, 1, 2, ..."""
    if not names:
        raise document.error("`names` is empty", "names", fix="list the class names")
    for number, key in enumerate(sorted(names)):
        if key != number:
            fix = "number the names 0, 1, 2, ... without a gap"
            raise document.error(f"`names` has {key} where {number} is due", "names", key, fix=fix)
    return tuple(names[number] for number in range(len(names)))


def _root(yaml_path: Path, root: str | None) -> Path:
    """The folder that the splits are relative to."""
    beside = yaml_path.absolute().parent
    if not root:
        return beside
    wanted = Path(root).expanduser()
    found = next((base / wanted for base in (beside, Path.cwd()) if (base / wanted).exists()), None)
    return found or beside / wanted


def _place(root: Path, place: str) -> Path:
    """One folder or list, absolute.

    Files made by Roboflow say `../train/images` of a folder beside the YAML file; YOLOv5 drops the `../`
    then.
    """
    path = root / Path(place).expanduser()
    if not path.exists() and place.startswith("../") and (root / place[3:]).exists():
        path = root / place[3:]
    return path
