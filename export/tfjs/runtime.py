"""Runs TF.js folders in Node; `node/run.mjs` implements the other end of the pipe."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import struct
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.base import Runtime, Sharing, pixels_of
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.export.tfjs.entry import MODEL_FILE
from tfyolo.export.tfjs.vetting import read_folder
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.contract import Contract
from tfyolo.models.outputs import known_outputs

NODE_FOLDER = Path(__file__).with_name("node")
MAX_OUTPUT_BYTES = 1 << 30
"""Largest output that is read from Node."""
_LENGTH = struct.Struct("<I")
_DTYPES = {"DT_FLOAT": "float32", "DT_INT32": "int32", "DT_UINT8": "uint8", "DT_BOOL": "bool"}


class TfjsRuntime(Runtime):
    """Runtime for a `_web_model` folder that `tfyolo export` wrote, in a Node process.

    The process ends with this object. If it ends earlier, the next call starts another.

    Args:
        path: the folder.
        threads: ignored; TF.js uses one thread in Node.

    Raises:
        TfyoloError: Node or its packages are missing, or the folder is damaged or was not written by tfyolo.

    Example:
        >>> runtime = TfjsRuntime(Path("yolov5n_web_model"))  # doctest: +SKIP
        >>> runtime.backend  # doctest: +SKIP
        'wasm'
    """

    sharing = Sharing.ONE  # images and outputs share one pipe

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.contract = read_folder(path)
        self.input_hw = self.contract.image_size
        self._node = _NodeProcess(path, self.contract)
        self._node.start()  # a folder that cannot run is refused when it is loaded

    @property
    def backend(self) -> str:
        """TF.js backend: `wasm`, or `cpu` if WebAssembly does not start."""
        return self._node.backend

    def _open(self) -> Any:
        return self._node

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        node: _NodeProcess = session
        return node.run(pixels_of(images, uint8=False))


class _NodeProcess:
    """A Node process that runs one model. It ends after an error or Ctrl-C; the next image starts another.

    Args:
        path: the `_web_model` folder.
        contract: its contract.

    Attributes:
        process: the process; None if none is running.
        backend: TF.js backend of the last process.
    """

    def __init__(self, path: Path, contract: Contract) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.backend = ""
        self._path, self._contract = path, contract
        self._end: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Start a process, if none is running.

        Raises:
            TfyoloError: Node or its packages are missing, or the model cannot be loaded.
        """
        if self.process is not None and self.process.poll() is None:
            return
        self._end()
        command = [find_node(), str(NODE_FOLDER / "run.mjs"), str(self._path.absolute())]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )
        # Also called when Python exits. If Python is killed, Node ends when its input is closed.
        self._end = weakref.finalize(self, _end, self.process, self._log)
        with self._ended_by_errors():
            header = self._receive()
            self.backend = header["backend"]
            known, shape = set(known_outputs(self._contract)), [1, *self._contract.image_size, 3]
            if not known.issuperset(header["outputs"]) or header["shape"] != shape:
                raise self._unusable("inputs and outputs differ from its tfyolo metadata")

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Send one image and return the outputs by name.

        Args:
            pixels: (1, height, width, 3) float32 in 0..1.

        Raises:
            TfyoloError: Node has ended, reports an error, or announces an output that is too large.
        """
        self.start()
        assert self.process is not None
        stdin = cast(IO[bytes], self.process.stdin)
        with self._ended_by_errors():
            try:
                stdin.write(_LENGTH.pack(pixels.nbytes))
                stdin.write(pixels.tobytes())
                stdin.flush()
            except OSError as error:
                raise self._exited("the Node process has exited") from error
            arrays = {}
            for output in self._receive()["outputs"]:
                shape = tuple(output["shape"])
                num_bytes = 4 * math.prod(shape)
                if num_bytes > MAX_OUTPUT_BYTES:
                    raise self._unusable(f"its output {output['name']} has {num_bytes:,} bytes")
                arrays[output["name"]] = np.frombuffer(self._read(num_bytes), np.float32).reshape(shape)
            return arrays

    @contextlib.contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        """End the process after an error or Ctrl-C: the next call would read what this one left unread."""
        try:
            yield
        except BaseException:
            self._end()
            self.process = None
            raise

    def _receive(self) -> dict[str, Any]:
        """Return the next JSON header from Node.

        Raises:
            TfyoloError: Node reports an error, or has ended.
        """
        (size,) = _LENGTH.unpack(self._read(_LENGTH.size))
        header: dict[str, Any] = json.loads(self._read(size))
        if "error" in header:
            raise self._unusable(header["error"])
        return header

    def _read(self, size: int) -> bytes:
        """Return `size` bytes of Node's output.

        Raises:
            TfyoloError: Node has ended; the message is the last error in its log.
        """
        assert self.process is not None
        data = cast(IO[bytes], self.process.stdout).read(size)
        if len(data) < size:
            self.process.wait()
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").split("\n")
            errors = [line for line in lines if "Error" in line] or ["the Node process has exited"]
            raise self._exited(errors[-1].strip())
        return data

    def _unusable(self, reason: str) -> TfyoloError:
        """Return an error about the folder."""
        return TfyoloError(f"TF.js cannot run it: {reason[:200]}", path=self._path, fix="export it again")

    def _exited(self, reason: str) -> TfyoloError:
        """Return an error about the process."""
        return TfyoloError(
            f"TF.js cannot run it: {reason[:200]}",
            path=self._path,
            fix="try again, which starts a new Node process",
        )


def find_node() -> str:
    """Return the path of the `node` command, after checking that the packages of `run.mjs` are installed.

    Raises:
        TfyoloError: Node or a package is missing; the message says how to install it.
    """
    node = shutil.which("node")
    if node is None:
        raise TfyoloError(
            "running a TF.js model needs Node, but there is no `node` command", fix="install Node 18 or newer"
        )
    for name in json.loads((NODE_FOLDER / "package.json").read_text())["dependencies"]:
        if not (NODE_FOLDER / "node_modules" / name / "package.json").exists():
            raise TfyoloError(
                f"running a TF.js model needs the Node package {name}, which is not installed",
                fix=f"npm ci --prefix {NODE_FOLDER}",
            )
    return node


def _end(process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    """Kill the Node process and close its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, log):
        with contextlib.suppress(OSError):  # buffered input cannot be sent any more
            if pipe is not None:
                pipe.close()


def inspect(path: Path) -> Inspection:
    """Describe a `_web_model` folder; Node is not needed.

    Args:
        path: the folder.

    Returns:
        Contract, inputs, outputs, and the number of each operation.

    Raises:
        TfyoloError: the folder is damaged, or was not written by tfyolo.

    Example:
        >>> inspect(Path("yolov5n_web_model")).operators["_FusedConv2D"]  # doctest: +SKIP
        60
    """
    from tfyolo.export.tensorflow_graph.operation_counts import GraphNode, count_operations

    contract = read_folder(path)
    try:
        model = json.loads(read_input(path / MODEL_FILE, MODEL))
        signature = model["signature"]
        nodes = [
            GraphNode(node["name"], node["op"], tuple(node.get("input", ())), ())
            for node in model["modelTopology"]["node"]
        ]
        output_tensors = [info["name"] for info in signature["outputs"].values()]
        operators = count_operations(nodes, {}, output_tensors)
        inputs, outputs = _tensor_infos(signature["inputs"]), _tensor_infos(signature["outputs"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise TfyoloError(
            "its graph cannot be read", path=path / MODEL_FILE, fix="export it again"
        ) from error
    return Inspection(contract, inputs, outputs, operators)


def _tensor_infos(tensors: dict[str, Any]) -> tuple[TensorInfo, ...]:
    """Return name, shape and dtype of the inputs or outputs in a signature of model.json."""
    return tuple(
        TensorInfo(
            str(name),
            tuple(int(dim["size"]) for dim in info["tensorShape"].get("dim", ())),
            _DTYPES.get(info["dtype"], str(info["dtype"])),
        )
        for name, info in tensors.items()
    )
