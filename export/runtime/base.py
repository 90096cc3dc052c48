"""What every runtime of a model file has in common: threads, batches, and checks of what the graph gives.

A runtime is one class that says how a session is opened (`_open`), how it runs (`_run`) and whether threads
may share it (`sharing`). Calls come in here: a session is never used by two threads at once unless its
runtime says that its library allows it, so that a new runtime whose author has not thought of threads is
slower, but right.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from tfyolo.errors import BadOutputError, TfyoloError
from tfyolo.export.runtime.outputs import check_arrays, check_outputs, from_signature
from tfyolo.export.runtime.predictions import Prediction
from tfyolo.inputs import JSON_TEXT, read_input
from tfyolo.models.contract import FILE_NAME, Contract

__all__ = ["MAX_JSON_BYTES", "Runtime", "Session", "Sharing", "channels_first", "check_input",
           "check_outputs", "folder_contract", "from_signature", "pixels_of"]  # fmt: skip

MAX_JSON_BYTES = JSON_TEXT.max_bytes
"""Maximum size of a contract."""
MAX_SESSIONS = min(max(os.cpu_count() or 1, 2), 8)
"""Of a runtime that makes one for each concurrent call; further calls wait for one to become free."""

Session = Any
"""What a library calls an interpreter, a session, an infer request."""


class Sharing(Enum):
    """What threads may do with a session."""

    ONE = "one session, one call at a time"
    EACH = "a session for each concurrent call"
    SAFE = "one session, whose library takes concurrent calls"


class Runtime(ABC):
    """Runs one model file; any number of threads may call it.

    A subclass sets `contract` and `input_hw` when it is made, and `sharing` where threads need not wait for
    each other. It has no `__call__` of its own.
    """

    sharing: ClassVar[Sharing] = Sharing.ONE
    contract: Contract
    input_hw: tuple[int, int] | None = None
    """Height and width that the input is fixed to; None where any multiple of the largest stride will do."""
    max_batch: int = 1
    """Most images in one call of a session."""
    path: Path | None = None
    """Of the file, for messages."""
    _sessions: _Sessions

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if wrong := {"__call__", "outputs"} & set(vars(cls)):
            raise TypeError(f"{cls.__name__} defines {wrong}: threads would share its session unguarded")

    def __new__(cls, *_: Any, **__: Any) -> Runtime:
        """Give each runtime its sessions, whatever its `__init__` does."""
        runtime = super().__new__(cls)
        runtime._sessions = _Sessions(cls.sharing)
        return runtime

    @abstractmethod
    def _open(self) -> Session:
        """Make a session; called when there is none, or for `Sharing.EACH` when all are in use."""

    @abstractmethod
    def _run(self, session: Session, images: np.ndarray, confidence: float) -> Mapping[str, np.ndarray]:
        """The graph's outputs by signature name, for uint8 (batch, height, width, 3) RGB.

        Args:
            session: from `_open`, used by no other thread unless `sharing` is `Sharing.SAFE`.
            images: letterboxed; at most `max_batch`.
            confidence: candidates of lower objectness may be left out.
        """

    @final
    def __call__(self, images: np.ndarray, confidence: float) -> list[Prediction]:
        """Predict.

        Args:
            images: uint8 (batch, height, width, 3) RGB, letterboxed.
            confidence: candidates of lower objectness may be left out.

        Returns:
            One prediction per image, in pixels of the input.

        Raises:
            BadOutputError: the library fails at these images, or what it gives for one is unusable.
            TfyoloError: what it gives is not what the file says.
        """
        predictions: list[Prediction] = []
        for start in range(0, len(images), self.max_batch):
            part = images[start : start + self.max_batch]
            outputs = self.outputs(part, confidence)
            height, width = part.shape[1:3]
            for i in range(len(part)):
                one = {name: values[i : i + 1] for name, values in outputs.items()}
                with self._named():
                    predictions.append(from_signature(one, self.contract, confidence, (height, width)))
        return predictions

    @final
    def outputs(self, images: np.ndarray, confidence: float = 0.0) -> dict[str, np.ndarray]:
        """The graph's outputs by signature name, their shapes checked.

        Args:
            images: uint8 (batch, height, width, 3) RGB, letterboxed; at most `max_batch`.
            confidence: candidates of lower objectness may be left out.
        """
        with self._named():
            with self._sessions.use(self._open) as session:
                found = self._run(session, images, confidence)
                if self.sharing is not Sharing.SAFE:  # the next call may write into the session's memory
                    found = {name: _owned(values) for name, values in found.items()}
            batch, height, width = images.shape[:3]
            return check_arrays(found, self.contract, batch, (height, width))

    @final
    def _start(self) -> None:
        """Make the first session, so that a file that cannot be run is refused when it is loaded."""
        with self._sessions.use(self._open):
            pass

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors name the file; what the library raises becomes one."""
        try:
            yield
        except TfyoloError as error:
            if error.path is not None or self.path is None:
                raise
            raise type(error)(error.message, path=self.path, fix=error.fix) from error
        except Exception as error:  # each library has kinds of its own
            reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
            raise BadOutputError(f"cannot be run on this image: {reason[:200]}", path=self.path) from error


class _Sessions:
    """Hands sessions to threads.

    Args:
        sharing: of the runtime.
    """

    def __init__(self, sharing: Sharing) -> None:
        self._shared = sharing is Sharing.SAFE
        self._most = MAX_SESSIONS if sharing is Sharing.EACH else 1
        self._free: list[Session] = []
        self._made = 0
        self._change = threading.Condition()

    @contextmanager
    def use(self, make: Callable[[], Session]) -> Iterator[Session]:
        """A session, made where there is none; no other thread has it unless it may be shared."""
        if self._shared:
            with self._change:
                if not self._free:
                    self._free.append(make())
            yield self._free[0]
            return
        session = self._take()
        try:
            if session is None:
                session = make()
            yield session
        finally:
            with self._change:
                if session is None:
                    self._made -= 1
                else:
                    self._free.append(session)
                self._change.notify()

    def _take(self) -> Session | None:
        """A free session; None where the caller is to make one."""
        with self._change:
            self._change.wait_for(lambda: self._free or self._made < self._most)
            if self._free:
                return self._free.pop()
            self._made += 1
            return None


def _owned(values: np.ndarray) -> np.ndarray:
    """The array, or a copy where it is a view of memory that is not its own."""
    values = np.asarray(values)
    return values if values.flags.owndata else values.copy()


def pixels_of(image: np.ndarray, uint8: bool) -> np.ndarray:
    """An image (height, width, 3) or several as an exported graph takes them: 0..255, or float32 in 0..1."""
    return image if uint8 else np.multiply(image, 1 / 255, dtype=np.float32)


def folder_contract(path: Path, format_name: str) -> Contract:
    """The contract in an exported folder.

    Raises:
        TfyoloError: there is none, or it is damaged.
    """
    if not (path / FILE_NAME).exists():
        raise TfyoloError(
            f"holds no {FILE_NAME}, so its classes and anchors are unknown",
            path=path,
            fix=f"write it with `tfyolo export --include {format_name}`",
        )
    return Contract.from_json(read_input(path / FILE_NAME, JSON_TEXT), path / FILE_NAME)


def check_input(found: Sequence[tuple[str, tuple[object, ...]]], wanted: tuple[int, ...], path: Path) -> None:
    """Refuse a file whose inputs are not what its contract says.

    Args:
        found: name and shape of each, without the batch.
        wanted: shape of the one input, `images`.
        path: of the file.

    Raises:
        TfyoloError: several inputs, another name or shape.
    """
    if list(found) != [("images", wanted)]:
        shown = ", ".join(f"`{name}` {shape}" for name, shape in found) or "nothing"
        raise TfyoloError(f"its input is {shown[:200]}, not what its {FILE_NAME} says", path=path)


def channels_first(images: np.ndarray) -> np.ndarray:
    """(batch, height, width, 3) as (batch, 3, height, width), contiguous."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
