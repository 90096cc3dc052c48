"""The YAML file of a dataset, as in YOLOv5: image folders and class names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

import tfyolo.configs
from tfyolo.assets import DATA_SETS
from tfyolo.configs.reader import Document, read_yaml
from tfyolo.data.detection.dataset import SPLITS, Dataset
from tfyolo.data.formats.readers.table import READERS
from tfyolo.errors import TfyoloError
from tfyolo.text import closest

TEMPLATE_FOLDER = Path(tfyolo.configs.__file__).parent / "datasets"


def _name(value: Any) -> Any:
    """Check a class name; `_as_written` has converted numbers, dates and null to text."""
    if isinstance(value, str) and not value.strip():
        raise ValueError("the name is empty")
    return value


def _as_written(document: Document) -> Any:
    """Return `names` as written in the file: YAML would parse `010` as 8, `1.10` as 1.1, `no` as false."""
    names = document.value["names"]
    texts = {keys[1]: text for keys, text in document.texts.items() if len(keys) == 2 and keys[0] == "names"}
    if isinstance(names, list):
        return [texts.get(index, name) for index, name in enumerate(names)]
    if isinstance(names, dict) and len(texts) == len(names):
        return texts
    return names


def _numbered(names: Any) -> Any:
    """Convert a list of names to a mapping from class ids."""
    return dict(enumerate(names)) if isinstance(names, list) else names


def _listed(places: Any) -> Any:
    """Return one path, or none, as a list."""
    return [] if places is None else [places] if isinstance(places, (str, dict)) else places


def _pair(place: Any) -> tuple[str, str | None]:
    """Parse an entry of a split: (folder, list or annotation file; folder of its images)."""
    if isinstance(place, dict):
        if sorted(place) != ["annotations", "images"] or not all(isinstance(v, str) for v in place.values()):
            raise ValueError("needs the two keys `images` (a folder) and `annotations` (a .json file)")
        return place["annotations"], place["images"]
    if not isinstance(place, str):
        raise ValueError("must be the path of a folder, a list or an annotation file")
    return place, None


Names = Annotated[dict[int, Annotated[str, BeforeValidator(_name)]], BeforeValidator(_numbered)]
Places = Annotated[list[Annotated[tuple[str, str | None], BeforeValidator(_pair)]], BeforeValidator(_listed)]


class _File(BaseModel):
    """The keys of the file. Others, `download` among them, are ignored: nothing is fetched or executed."""

    model_config = ConfigDict(extra="ignore")
    path: str | None = None
    format: str | None = None
    train: Places = []
    val: Places = []
    test: Places = []
    names: Names
    nc: int | None = None
    kpt_shape: tuple[Annotated[int, Field(ge=1, le=1000)], Annotated[int, Field(ge=2, le=3)]] | None = None
    difficult: Literal["keep", "drop"] | None = None


def read_dataset(path: str | Path) -> Dataset:
    """Read and check a dataset's YAML file.

    `path` in the file is relative to the folder of the file or, if it does not exist there, to the current
    directory; it defaults to the folder of the file. `train`, `val` and `test` are relative to `path`; each
    is a folder, a .txt list of images, or several of these. `names` is a list, or a mapping from 0, 1, ...
    `nc` is optional; `kpt_shape` means that rows of label files end in keypoints; `difficult` (`keep` or
    `drop`) decides about objects that Pascal VOC marks as difficult. `format` is `yolo`, `voc`, `coco`,
    `masks` or `tfrecord`; without it the format is inferred from the files. An entry of a COCO dataset is a
    .json file, or a mapping of `images` (a folder) and `annotations` (a .json file). Names are not converted
    (`010` and `no` stay strings). The name of a dataset (see `find_data`) is accepted in place of a path.

    Raises:
        TfyoloError: there is no such file, it is not valid YAML, or a key is missing or wrong; with file and
            line.

    Example:
        >>> read_dataset("bccd-mini").names
        ('Platelets', 'RBC', 'WBC')
    """
    path = find_data(path)
    document = read_yaml(path)
    if "names" not in document.value:
        raise document.error("has no `names`", fix="list the class names under `names:`")
    try:
        file = _File.model_validate({**document.value, "names": _as_written(document)})
    except ValidationError as error:
        raise _first_error(document, error) from error
    names = _in_order(document, file.names)
    if file.nc is not None and file.nc != len(names):
        raise document.error(
            f"`nc` is {file.nc}, but `names` has {len(names)} classes", "nc", fix="remove `nc`"
        )
    if file.format is not None and file.format not in READERS:
        near = closest(file.format, READERS)
        fix = f"did you mean `{near}`?" if near else f"use one of {', '.join(sorted(READERS))}"
        raise document.error(f"`format`: unknown format {file.format!r}", "format", fix=fix)
    places = {split: getattr(file, split) for split in SPLITS}
    root = _root(path, file.path, [place for some in places.values() for place, _ in some])
    splits = {
        split: tuple(_place(root, place, path) for place, _ in some) for split, some in places.items() if some
    }
    if not splits:
        raise document.error(
            "has none of `train`, `val`, `test`", fix="add their paths, for example `train: images/train`"
        )
    folders = {
        _place(root, place, path): _place(root, images, path)
        for some in places.values()
        for place, images in some
        if images is not None
    }
    difficult = None if file.difficult is None else file.difficult == "keep"
    return Dataset(path, names, splits, file.format, root, folders, file.kpt_shape, difficult)


@dataclass(frozen=True)
class Template:
    """A dataset whose YAML file ships with tfyolo, without its images.

    Attributes:
        folder: folder where the images are expected, relative to the working directory.
        download: URL of the images.
    """

    folder: str
    download: str


TEMPLATES = {
    "bccd": Template("bccd", "https://github.com/Shenggan/BCCD_Dataset (its folder BCCD)"),
    "coco128": Template(
        "../datasets/coco128", "https://github.com/ultralytics/assets/releases/download/v0.0.0/coco128.zip"
    ),
}


def find_data(path_or_name: str | Path) -> Path:
    """Return the YAML file of a path, or of a known dataset: `bccd-mini`, `bccd` or `coco128`.

    Raises:
        TfyoloError: the images of a known dataset are not in the current directory.
    """
    path, name = Path(path_or_name), str(path_or_name).removesuffix(".yaml")
    if str(path_or_name) in DATA_SETS and path.is_dir():  # the images themselves may be in such a folder
        return DATA_SETS[name]
    if path.exists() or path.is_symlink():
        return path
    if name in DATA_SETS:
        return DATA_SETS[name]
    template = TEMPLATES.get(name)
    if template is None:
        if len(path.parts) == 1:  # meant as a name, perhaps
            near = closest(name, known := (*DATA_SETS, *TEMPLATES))
            fix = f"did you mean `{near}`?" if near else f"check the path; known names: {', '.join(known)}"
            raise TfyoloError("does not exist", path=path, fix=fix)
        return path
    if not Path(template.folder).exists():
        raise TfyoloError(
            f"neither this file nor the image folder {template.folder} exists",
            path=path,
            fix=f"unpack {template.download} as {template.folder}, or pass the path of a YAML file",
        )
    return TEMPLATE_FOLDER / f"{name}.yaml"


def absolute_data(path_or_name: str | Path) -> str:
    """Return the absolute path of a dataset; names that `find_data` knows are returned unchanged.

    Example:
        >>> absolute_data("bccd-mini")
        'bccd-mini'
    """
    name = str(path_or_name).removesuffix(".yaml")
    is_name = name in DATA_SETS or name in TEMPLATES
    return (
        str(path_or_name)
        if is_name and not Path(path_or_name).is_file()
        else str(Path(path_or_name).absolute())
    )


def _first_error(document: Document, error: ValidationError) -> Exception:
    """Return pydantic's first error, with the line of its value."""
    first = error.errors()[0]
    where = tuple(key for key in first["loc"] if key != "[key]")
    field = ".".join(map(str, where))
    message = first["msg"].removeprefix("Value error, ")
    return document.error(f"`{field}`: {message[:1].lower()}{message[1:]}", *where, fix="correct the value")


def _in_order(document: Document, names: dict[int, str]) -> tuple[str, ...]:
    """Return names in the order of their class ids, which must be 0, 1, 2, ..."""
    if not names:
        raise document.error("`names` is empty", "names", fix="list the class names")
    for number, key in enumerate(sorted(names)):
        if key != number:
            fix = "number the names 0, 1, 2, ... without gaps"
            raise document.error(
                f"`names` has class id {key} where {number} is expected", "names", key, fix=fix
            )
    first: dict[str, int] = {}
    for number in range(len(names)):
        if (other := first.setdefault(names[number].strip(), number)) != number:
            message = f"`names` has {names[number].strip()!r} twice: as class {other} and as class {number}"
            fix = "give each class a unique name"
            raise document.error(message, "names", number, fix=fix)
    return tuple(names[number] for number in range(len(names)))


def _root(yaml_path: Path, root: str | None, places: list[str]) -> Path:
    """Return the folder that splits are relative to: the first existing candidate that has a split."""
    beside = yaml_path.absolute().parent
    bases = [beside, yaml_path.resolve().parent]  # the file may be a link
    wanted = expanded(root or ".", yaml_path)
    if root:
        bases.append(Path.cwd())
    found = [folder for base in bases for folder in _spellings(base, wanted) if folder.exists()]
    better = (base for base in found if any(_place(base, place, yaml_path).exists() for place in places))
    return next(better, found[0] if found else beside / wanted)


def _place(root: Path, place: str, yaml_path: Path) -> Path:
    """Return the absolute path of one folder or list.

    YAML files of Roboflow have `../train/images` for a folder next to the YAML file; like YOLOv5, `../` is
    dropped then. Files written on Windows may have backslashes.
    """
    tries = [place, place[3:]] if place.startswith(("../", "..\\")) else [place]
    found = (path for text in tries for path in _spellings(root, expanded(text, yaml_path)) if path.exists())
    return next(found, root / expanded(place, yaml_path))


def expanded(place: str, yaml_path: Path) -> Path:
    """Expand `~` and `~user` in a path.

    Raises:
        TfyoloError: there is no such user.
    """
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        fix = "write the folder without `~`"
        raise TfyoloError(f"{place}: no such user", path=yaml_path, fix=fix) from error


def _spellings(root: Path, place: Path) -> list[Path]:
    """Return a path as written and, if it is relative with backslashes, with slashes."""
    text = str(place)
    slashed = "\\" in text and not PureWindowsPath(text).anchor
    return [root / place, *([root / text.replace("\\", "/")] if slashed else [])]
