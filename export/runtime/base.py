"""The base class of all runtimes: threads, batches, and checks of outputs.

A runtime is a class with two methods, which open a session (`_open`) and run it (`_run`), and an attribute
that tells whether threads may share a session (`sharing`). By default a session is used by one thread at a
time, so that a runtime is correct, if slow, unless it declares more.
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
from tfyolo.models.nodes import IMAGES

__all__ = [
    "MAX_JSON_BYTES",
    "Runtime",
    "Session",
    "Sharing",
    "batch_limit",
    "channels_first",
    "check_input",
    "check_outputs",
    "folder_contract",
    "from_signature",
    "pixels_of",
]

MAX_JSON_BYTES = JSON_TEXT.max_bytes
"""Maximum size of a contract."""
_MAX_DYNAMIC_BATCH = 16
MAX_SESSIONS = min(max(os.cpu_count() or 1, 2), 8)
"""Maximum number of sessions of a runtime with one session per concurrent call; further calls wait."""

Session = Any
"""An interpreter, a session or an infer request, depending on the library."""


class Sharing(Enum):
    """How threads share sessions."""

    ONE = "one session, one call at a time"
    EACH = "one session per concurrent call"
    SAFE = "one session, concurrent calls"


class Runtime(ABC):
    """A loaded model file. Any number of threads may call it.

    A subclass sets `contract` and `input_hw` in its constructor, and `sharing` if its sessions allow more
    than one call at a time. It does not override `__call__`.

    Attributes:
        sharing: how threads share sessions.
        contract: contract of the model.
        input_hw: fixed input size (height, width) in pixels; None if any multiple of the largest stride is
            supported.
        max_batch: maximum number of images in one call of a session.
        path: path of the file, for messages.
    """

    sharing: ClassVar[Sharing] = Sharing.ONE
    contract: Contract
    input_hw: tuple[int, int] | None = None
    max_batch: int = 1
    path: Path | None = None
    _sessions: _Sessions

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if wrong := {"__call__", "outputs"} & set(vars(cls)):
            raise TypeError(f"{cls.__name__} defines {wrong}: threads would share its session unguarded")

    def __new__(cls, *_: Any, **__: Any) -> Runtime:
        """Create the pool of sessions here, so that a subclass need not call `super().__init__()`."""
        runtime = super().__new__(cls)
        runtime._sessions = _Sessions(cls.sharing)
        return runtime

    @abstractmethod
    def _open(self) -> Session:
        """Create a session: for the first call, and with `Sharing.EACH` when all sessions are in use."""

    @abstractmethod
    def _run(self, session: Session, images: np.ndarray, confidence: float) -> Mapping[str, np.ndarray]:
        """Run the graph on a batch of images.

        Args:
            session: session from `_open`; no other thread uses it unless `sharing` is `Sharing.SAFE`.
            images: uint8 (batch, height, width, 3) RGB, letterboxed; at most `max_batch` of them.
            confidence: boxes of lower objectness may be omitted.

        Returns:
            The outputs of the graph by their names in the signature.
        """

    @final
    def __call__(self, images: np.ndarray, confidence: float) -> list[Prediction]:
        """Predict boxes or probabilities.

        Args:
            images: uint8 (batch, height, width, 3) RGB, letterboxed.
            confidence: boxes of lower objectness may be omitted.

        Returns:
            One prediction per image; boxes are in pixels of the input.

        Raises:
            BadOutputError: the library fails for these images, or its output for one of them is unusable.
            TfyoloError: the outputs do not match the contract of the file.
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
        """Run the graph, and check names, shapes and types of its outputs.

        Args:
            images: uint8 (batch, height, width, 3) RGB, letterboxed; at most `max_batch` of them.
            confidence: boxes of lower objectness may be omitted.

        Returns:
            The outputs of the graph by their names in the signature.

        Raises:
            BadOutputError: the library fails for these images.
            TfyoloError: the outputs do not match the contract of the file.
        """
        with self._named():
            with self._sessions.use(self._open) as session:
                found = self._run(session, images, confidence)
                if self.sharing is not Sharing.SAFE:  # the next call may overwrite the memory of the session
                    found = {name: _owned(values) for name, values in found.items()}
            batch, height, width = images.shape[:3]
            return check_arrays(found, self.contract, batch, (height, width))

    @final
    def _start(self) -> None:
        """Create the first session, so that a file that cannot run is refused when it is loaded."""
        with self._sessions.use(self._open):
            pass

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Add the path of the file to errors, and convert exceptions of the library to `BadOutputError`."""
        try:
            yield
        except TfyoloError as error:
            if error.path is None and self.path is not None:
                error.rewrite(path=self.path)
            raise
        except Exception as error:  # each library raises its own exceptions
            reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
            raise BadOutputError(f"cannot run on this image: {reason[:200]}", path=self.path) from error


class _Sessions:
    """The pool of sessions of a runtime.

    Args:
        sharing: how threads share sessions.
    """

    def __init__(self, sharing: Sharing) -> None:
        self._shared = sharing is Sharing.SAFE
        self._most = MAX_SESSIONS if sharing is Sharing.EACH else 1
        self._free: list[Session] = []
        self._made = 0
        self._change = threading.Condition()

    @contextmanager
    def use(self, make: Callable[[], Session]) -> Iterator[Session]:
        """Take a session from the pool for a `with` block; `make` creates one if necessary."""
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
        """Return a free session, or None if the caller has to create one; wait if there are too many."""
        with self._change:
            self._change.wait_for(lambda: self._free or self._made < self._most)
            if self._free:
                return self._free.pop()
            self._made += 1
            return None


def _owned(values: np.ndarray) -> np.ndarray:
    """Return an array that owns its memory: a copy of a view."""
    values = np.asarray(values)
    return values if values.flags.owndata else values.copy()


def pixels_of(image: np.ndarray, uint8: bool) -> np.ndarray:
    """Convert uint8 images to the input of a graph.

    Args:
        image: uint8 (height, width, 3), or a batch of images.
        uint8: the graph takes uint8, 0..255; otherwise float32, 0..1.
    """
    return image if uint8 else np.multiply(image, 1 / 255, dtype=np.float32)


def batch_limit(contract: Contract) -> int:
    """Return the maximum number of images in one call of an exported file, from its contract.

    Memory and computation of a file of any batch size are checked for this number, before it runs.
    """
    return _MAX_DYNAMIC_BATCH if contract.export.get("batch") == "any" else 1


def folder_contract(path: Path, format_name: str) -> Contract:
    """Read the contract in an exported folder.

    Args:
        path: the folder.
        format_name: name of its format, for the message.

    Raises:
        TfyoloError: there is no contract, or it is damaged.
    """
    if not (path / FILE_NAME).exists():
        raise TfyoloError(
            f"contains no {FILE_NAME}, so its classes and anchors are unknown",
            path=path,
            fix=f"write it with `tfyolo export --include {format_name}`",
        )
    return Contract.from_json(read_input(path / FILE_NAME, JSON_TEXT), path / FILE_NAME)


def check_input(inputs: Sequence[tuple[str, tuple[object, ...]]], shape: tuple[int, ...], path: Path) -> None:
    """Check that a graph has one input, `images`, of the shape in its contract.

    Args:
        inputs: name and shape of each input, without the batch axis.
        shape: shape in the contract, without the batch axis.
        path: path of the file, for the message.

    Raises:
        TfyoloError: there are several inputs, or the name or shape differs.
    """
    if list(inputs) != [(IMAGES, shape)]:
        shown = ", ".join(f"`{name}` {size}" for name, size in inputs) or "nothing"
        raise TfyoloError(f"its input is {shown[:200]}, which differs from its {FILE_NAME}", path=path)


def channels_first(images: np.ndarray) -> np.ndarray:
    """Transpose images (batch, height, width, 3) to a contiguous array (batch, 3, height, width)."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
