"""A child process for ONNX's shape inference, so that a malicious graph cannot crash or block the program.

Guarantees: processor time and memory of the child are limited, and a graph that crashes the child or exceeds
a limit is refused with a `TfyoloError`. The child starts with the first ONNX model of a program, serves all
later ones, and ends with the program; it is restarted after a crash.

Protocol, in both directions: a length of 8 bytes (little-endian), then the message. A request is a ModelProto
without its large constants and with the input shape in its metadata; a response is a JSON object, empty or
with the keys `message` and `fix` of an error.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from tfyolo.errors import TfyoloError
from tfyolo.export.onnx.operators import Shape
from tfyolo.python_process import python_command

CPU_SECONDS = 8
"""Limit of processor time per graph; the largest published networks take less than one second."""
TIMEOUT_SECONDS = 120
"""Limit of wall-clock time per graph, for busy machines and systems that cannot limit processor time."""
MEMORY_BYTES = 2 * 2**30
"""Limit of the child's address space."""
_IMAGES_SHAPE_KEY = "tfyolo.images"
_LENGTH_BYTES = 8


def check_resources_in_child(model: Any, images_shape: Shape, path: Path) -> None:
    """Check that an ONNX graph needs a bounded amount of memory and arithmetic, in the child process.

    This is `shape_inference.check_resources`; if a graph crashes the shape inference, only the child ends.

    Args:
        model: ModelProto whose operators are on the allow-list.
        images_shape: (batch, 3, height, width) of the input.
        path: model file, for messages.

    Raises:
        TfyoloError: shapes are unknown or contradictory, the graph needs too much memory or arithmetic, or
            the shape inference crashed.
    """
    response = _CHILD.request(_encode(model, images_shape))
    if response is None:
        raise TfyoloError(
            "ONNX's shape inference fails on it, so it is not run", path=path, fix="export it again"
        )
    if "message" in response:
        raise TfyoloError(response["message"], path=path, fix=response["fix"])


def _encode(model: Any, images_shape: Shape) -> bytes:
    """Return the serialized model, without the values of constants that are too large to be shapes."""
    from tfyolo.export.onnx.shape_inference import MAX_SHAPE_ELEMENTS

    small = type(model)(ir_version=model.ir_version)
    small.opset_import.extend(model.opset_import)
    small.graph.name = "shapes"
    small.graph.node.extend(model.graph.node)
    small.graph.input.extend(model.graph.input)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= MAX_SHAPE_ELEMENTS:
            small.graph.initializer.append(tensor)
        else:
            small.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    small.metadata_props.add(key=_IMAGES_SHAPE_KEY, value=json.dumps(images_shape))
    return bytes(small.SerializeToString())


class _Child:
    """The child process. It is started on demand and handles one request at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Any = None
        # A forked process inherits the pipes and would read the responses to its parent, so the id of the
        # process that started the child is kept.
        self._parent_id = 0

    def request(self, message: bytes) -> dict[str, Any] | None:
        """Send a request and return the response; None if the child ended without one."""
        with self._lock:
            process = self._running()
            timer = threading.Timer(TIMEOUT_SECONDS, process.kill)
            timer.daemon = True
            timer.start()
            try:
                _send(process.stdin, message)
                return dict(json.loads(_receive(process.stdout)))
            except (EOFError, OSError):
                self.stop()
                return None
            except BaseException:  # Ctrl-C: the next request must not read the response to this one
                self.stop()
                raise
            finally:
                timer.cancel()

    def _running(self) -> Any:
        """Return the process, after starting it if necessary."""
        if self._parent_id != os.getpid():
            self._process = None
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                python_command(__name__, "serve"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._parent_id = os.getpid()
            atexit.register(self.stop)
        return self._process

    def stop(self) -> None:
        """Kill the process, if this process started it."""
        if self._process is not None and self._parent_id == os.getpid():
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    stream.close()
            self._process = None
        atexit.unregister(self.stop)


_CHILD = _Child()


def serve() -> None:
    """Main loop of the child process: answer requests until the input ends."""
    import onnx

    from tfyolo.export.onnx.shape_inference import check_resources
    from tfyolo.export.runtime.budget import Budget

    while True:
        try:
            request = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _limit_resources()
        response: dict[str, Any] = {}
        try:
            model = onnx.load_model_from_string(request)
            images_shape = tuple(json.loads(model.metadata_props[0].value))
            batch_size, _, height, width = images_shape
            check_resources(model, images_shape, Budget(Path("model.onnx"), batch_size * height * width))
        except TfyoloError as error:
            response = {"message": error.message, "fix": error.fix}
        _send(sys.stdout.buffer, json.dumps(response).encode())


def _limit_resources() -> None:
    """Limit the processor time of the next request, memory, and core dumps; on POSIX only."""
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_seconds = math.ceil(usage.ru_utime + usage.ru_stime)
    for name, limit in (
        (resource.RLIMIT_CPU, used_seconds + CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(name)[1]
        soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS has no limit of address space
            resource.setrlimit(name, (soft, hard))


def _send(stream: BinaryIO, message: bytes) -> None:
    """Write a message with its length in front."""
    stream.write(len(message).to_bytes(_LENGTH_BYTES, "little") + message)
    stream.flush()


def _receive(stream: BinaryIO) -> bytes:
    """Read one message.

    Raises:
        EOFError: the other process has ended.
    """
    size = int.from_bytes(_read_exactly(stream, _LENGTH_BYTES), "little")
    return _read_exactly(stream, size)


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content
