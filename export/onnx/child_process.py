"""A process of its own for ONNX's shape inference: a graph that crashes it, or keeps it busy, is refused.

The process is started for the first model of a program and serves all others; it ends with the program, or
when a graph has crashed it. Requests and answers are a length of 8 bytes and what follows: a ModelProto
without its large constants, with the shape of images in its metadata; and JSON with an error or none.
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

PROCESSOR_SECONDS = 8
"""For one graph; the largest published networks take less than one."""
WAIT_SECONDS = 120
"""For one graph on a machine that is busy with something else, or where processor time cannot be limited."""
MEMORY_BYTES = 2 * 2**30
_IMAGES = "tfyolo.images"


def check_bounds_in_child(model: Any, images: Shape, path: Path) -> None:
    """`onnx_bounds.check_bounds`, where the graph can do no harm.

    Args:
        model: ModelProto, vetted but for its shapes.
        images: (batch, 3, height, width).
        path: of the file, for messages.

    Raises:
        TfyoloError: shapes are unknown or contradict each other, or too much memory or arithmetic is needed;
            or the shape inference crashed.
    """
    answer = _CHILD.ask(_request(model, images))
    if answer is None:
        raise TfyoloError(
            "ONNX's shape inference fails on it, and it is not run", path=path, fix="export it again"
        )
    if "message" in answer:
        raise TfyoloError(answer["message"], path=path, fix=answer["fix"])


def _request(model: Any, images: Shape) -> bytes:
    """The model without the values of constants that are no shapes."""
    from tfyolo.export.onnx.shape_inference import FOLLOWED

    small = type(model)(ir_version=model.ir_version)
    small.opset_import.extend(model.opset_import)
    small.graph.name = "shapes"
    small.graph.node.extend(model.graph.node)
    small.graph.input.extend(model.graph.input)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= FOLLOWED:
            small.graph.initializer.append(tensor)
        else:
            small.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    small.metadata_props.add(key=_IMAGES, value=json.dumps(images))
    return bytes(small.SerializeToString())


class _Child:
    """The process, started when it is needed; one request at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Any = None
        self._owner = 0
        """Id of the process that started it: a fork of that has its pipes, and would read its answers."""

    def ask(self, request: bytes) -> dict[str, Any] | None:
        """The answer to a request; None if the process ended without one."""
        with self._lock:
            process = self._started()
            timer = threading.Timer(WAIT_SECONDS, process.kill)
            timer.daemon = True
            timer.start()
            try:
                _send(process.stdin, request)
                return dict(json.loads(_receive(process.stdout)))
            except (EOFError, OSError):
                self.stop()
                return None
            except BaseException:  # Ctrl-C: the next request must not be given this one's answer
                self.stop()
                raise
            finally:
                timer.cancel()

    def _started(self) -> Any:
        if self._owner != os.getpid():
            self._process = None
        if self._process is None or self._process.poll() is not None:
            # `-c` and not `-m`, which would look for modules in the working directory.
            code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._owner = os.getpid()
            atexit.register(self.stop)
        return self._process

    def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    stream.close()
            self._process = None
        atexit.unregister(self.stop)


_CHILD = _Child()


def serve() -> None:
    """Answer requests until there are no more; what the process does."""
    import onnx

    from tfyolo.export.onnx.shape_inference import check_bounds
    from tfyolo.export.runtime.budget import Budget

    while True:
        try:
            request = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _limit()
        answer: dict[str, Any] = {}
        try:
            model = onnx.load_model_from_string(request)
            images = tuple(json.loads(model.metadata_props[0].value))
            check_bounds(model, images, Budget(Path("model.onnx"), images[0] * images[2] * images[3]))
        except TfyoloError as error:
            answer = {"message": error.message, "fix": error.fix}
        _send(sys.stdout.buffer, json.dumps(answer).encode())


def _limit() -> None:
    """Bound processor time from now on, and memory; POSIX only."""
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = math.ceil(usage.ru_utime + usage.ru_stime)
    for kind, limit in (
        (resource.RLIMIT_CPU, used + PROCESSOR_SECONDS),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS has no limit of address space
            resource.setrlimit(kind, (bound, hard))


def _send(stream: BinaryIO, content: bytes) -> None:
    stream.write(len(content).to_bytes(8, "little") + content)
    stream.flush()


def _receive(stream: BinaryIO) -> bytes:
    """What `_send` has written.

    Raises:
        EOFError: the other side is gone.
    """
    size = int.from_bytes(_exactly(stream, 8), "little")
    return _exactly(stream, size)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content
