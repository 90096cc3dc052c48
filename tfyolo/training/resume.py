"""Options of a run as JSON and YAML hold them, and the checks when a run is resumed with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, ValidationError

from tfyolo.data.detection.dataset_yaml import absolute_data
from tfyolo.errors import TfyoloError
from tfyolo.progress import Log

Model = TypeVar("Model", bound=BaseModel)
Options = TypeVar("Options", bound="RunOptions")
_MISSING = object()
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "Path": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (float, int),
    "tuple": (list,),
    "list": (list,),
    "dict": (dict,),
}
"""Types of values in JSON by the type of a field."""
_RENAMED_FIELDS = {"batch": "batch_size"}
"""Fields by their names in files of earlier releases, which are resumed without a warning."""
_NEW_RUN = "start a new run"


class RunOptions:
    """Options that training of every task has; `TrainOptions` and `ClassifyOptions` document them.

    The fields are declared by the dataclasses, so that each has its own defaults and order.
    """

    file_fields: ClassVar[tuple[str, ...]]
    """Fields that hold a name or a file, which are saved as absolute paths."""
    models: ClassVar[dict[str, type[BaseModel]]] = {}
    """Fields that hold a pydantic model."""

    data: Path
    epochs: int
    batch_size: int
    image_size: int
    optimizer: str
    cos_lr: bool
    freeze: tuple[int, ...]
    patience: int
    save_period: int
    save: bool
    cache: str
    seed: int
    amp: str
    val: bool
    plots: bool
    tensorboard: bool

    def to_plain(self) -> dict[str, Any]:
        """Convert the options to values that JSON and YAML can hold.

        Returns:
            Values by field. Files are absolute paths, so that a run can be resumed from another folder.

        Example:
            >>> from tfyolo import TrainOptions
            >>> TrainOptions(Path("/data/bccd.yaml"), freeze=(10,)).to_plain()["freeze"]
            [10]
        """
        values = dataclasses.asdict(cast(Any, self))
        values |= {name: absolute_path(values[name]) for name in self.file_fields}
        values |= {name: getattr(self, name).model_dump() for name in self.models}
        return {**values, "data": absolute_data(self.data), "freeze": list(self.freeze)}

    @classmethod
    def from_plain(cls: type[Options], values: Any, path: Path) -> Options:
        """Create options from the result of `to_plain`.

        Args:
            values: values by field; fields of other releases are ignored.
            path: file that the values come from, for error messages.

        Returns:
            The options.

        Raises:
            TfyoloError: a value has the wrong type, or a required field is missing.
        """
        if isinstance(values, dict):
            values = {_RENAMED_FIELDS.get(name, name): value for name, value in values.items()}
        fields = read_fields(cls, values, path)
        fields |= {"data": Path(fields["data"]), "freeze": tuple(fields.get("freeze", (0,)))}
        fields |= {name: validate_saved(model, values.get(name), path) for name, model in cls.models.items()}
        return cls(**fields)


def absolute_path(name_or_file: str) -> str:
    """Return the absolute path of an existing file; names such as `yolov5n` are returned unchanged.

    Args:
        name_or_file: a name, a file, or an entry of a YAML file (`models.yaml:yolov5n`).

    Example:
        >>> absolute_path("yolov5n"), absolute_path("")
        ('yolov5n', '')
    """
    path, colon, entry = name_or_file, "", ""
    if ".yaml:" in name_or_file or ".yml:" in name_or_file:
        path, colon, entry = name_or_file.rpartition(":")
    return f"{Path(path).absolute()}{colon}{entry}" if path and Path(path).is_file() else name_or_file


def read_fields(dataclass: type[Any], values: Any, path: Path) -> dict[str, Any]:
    """Return the saved values of a dataclass after checking their types.

    Args:
        dataclass: dataclass whose fields were saved.
        values: values by field, as parsed from JSON; unknown fields are ignored.
        path: file that the values come from, for error messages.

    Returns:
        Values by field; fields that were not saved are missing.

    Raises:
        TfyoloError: a value has the wrong type, or a required field is missing.
    """
    if not isinstance(values, dict):
        raise TfyoloError("its saved state is not a mapping", path=path, fix=_NEW_RUN)
    checked = {}
    for field in dataclasses.fields(dataclass):
        type_name = str(field.type).partition("[")[0]  # `tuple` of `tuple[int, ...]`
        value = values.get(field.name, _MISSING)
        if value is _MISSING and field.default is dataclasses.MISSING is field.default_factory:
            raise TfyoloError(f"its `{field.name}` is missing", path=path, fix=_NEW_RUN)
        if value is _MISSING:
            continue
        # `type` instead of `isinstance`, because True is an int.
        if type(value) not in _JSON_TYPES.get(type_name, (type(value),)):
            raise TfyoloError(f"its `{field.name}` is {value!r:.60}", path=path, fix=_NEW_RUN)
        checked[field.name] = value
    return checked


def validate_saved(model: type[Model], values: Any, path: Path) -> Model:
    """Create a pydantic model from saved values.

    Args:
        model: to create.
        values: saved by `model_dump`.
        path: file that the values come from, for error messages.

    Returns:
        The model.

    Raises:
        TfyoloError: a value is missing or out of range.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise TfyoloError(f"its `{field}`: {first['msg']}", path=path, fix=_NEW_RUN) from error


def log_ignored_options(given: Mapping[str, Any], saved: Mapping[str, Any], log: Log) -> None:
    """Log the options of a call that have no effect, because a resumed run keeps its own.

    Args:
        given: options of the call, by field.
        saved: options of the run, by field.
        log: called with one sentence per option that differs.
    """
    for name, value in given.items():
        if name in saved and value != saved[name]:
            log(
                f"`{name}` = {value!r} is ignored: a resumed run keeps its settings, here {saved[name]!r}; "
                "start a new run to change them"
            )


def check_class_names(run: Sequence[str], data: Sequence[str], path: Path) -> None:
    """Check that a dataset still has the classes of the run, in the same order.

    Args:
        run: class names of the run.
        data: class names of the dataset.
        path: path of the dataset, for error messages.

    Raises:
        TfyoloError: they differ; with both lists.
    """
    from tfyolo.data.detection.class_map import listed

    if tuple(run) != tuple(data):
        raise TfyoloError(
            f"the classes of the dataset have changed: it has {listed(data)}; the run was started with "
            f"{listed(run)}",
            path=path,
            fix="restore the order of `names`, or start a new run from the run's best.keras with --weights",
        )
