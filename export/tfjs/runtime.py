"""Runs a TF.js folder in Node: node/run.mjs is the other end of the pipe."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import struct
import subprocess
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.base import Runtime, Sharing, pixels_of
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.export.tfjs.vetting import MODEL_FILE, read_folder
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.outputs import known_outputs

NODE_FOLDER = Path(__file__).with_name("node")
MAX_OUTPUT_BYTES = 1 << 30


class TfjsRuntime(Runtime):
    """A `_web_model` folder that `tfyolo export` wrote, in a process of Node that ends with this object.

    Args:
        path: the folder.
        threads: not used: in Node, TF.js computes on one.

    Raises:
        TfyoloError: Node or its packages are missing, the folder is damaged, or not one of tfyolo's.
    """

    sharing = Sharing.ONE  # images and outputs go through one pipe

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.contract = read_folder(path)
        self.input_hw = self.contract.image_size
        command = [find_node(), str(NODE_FOLDER / "run.mjs"), str(path.absolute())]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )
        # Also runs when Python exits; the child ends by itself if Python is killed, with its input.
        weakref.finalize(self, _end, self._process, self._log)
        start = self._receive()
        self.backend: str = start["backend"]
        """`wasm`, or `cpu` where WebAssembly does not start."""
        if not set(known_outputs(self.contract)).issuperset(start["outputs"]) or start["shape"] != [
            1,
            *self.contract.image_size,
            3,
        ]:
            raise self._failure("inputs and outputs are not what its tfyolo metadata says")

    def _open(self) -> Any:
        return self._process

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        try:
            return self._exchange(session, pixels_of(images, uint8=False))
        except TfyoloError:
            raise
        except BaseException:  # Ctrl-C half-way: the next image would be answered with the rest of this one
            session.kill()
            raise

    def _exchange(self, process: Any, pixels: np.ndarray) -> dict[str, np.ndarray]:
        try:
            process.stdin.write(struct.pack("<I", pixels.nbytes))
            process.stdin.write(pixels.tobytes())
            process.stdin.flush()
        except OSError as error:
            raise self._failure("Node has ended") from error
        found = {}
        for output in self._receive()["outputs"]:
            shape = tuple(output["shape"])
            size = 4 * math.prod(shape)
            if size > MAX_OUTPUT_BYTES:
                process.kill()  # what it has to say is not read
                raise self._failure(f"its output {output['name']} has {size:,} bytes")
            found[output["name"]] = np.frombuffer(self._read(size), np.float32).reshape(shape)
        return found

    def _receive(self) -> dict[str, Any]:
        """A header from Node.

        Raises:
            TfyoloError: it says that something went wrong, or Node has ended.
        """
        (size,) = struct.unpack("<I", self._read(4))
        header = json.loads(self._read(size))
        if "error" in header:
            raise self._failure(header["error"])
        return header

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - a pipe, for mypy
        data = self._process.stdout.read(size)
        if len(data) < size:
            self._process.wait()
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").split("\n")
            said = [line for line in lines if "Error" in line] or ["Node has ended"]
            raise self._failure(said[-1].strip())
        return data

    def _failure(self, reason: str) -> TfyoloError:
        return TfyoloError(f"TF.js cannot run it: {reason[:200]}", path=self.path, fix="export it again")


def find_node() -> str:
    """Path of the `node` command, whose packages are there.

    Raises:
        TfyoloError: saying what is missing and how to install it.
    """
    node = shutil.which("node")
    if node is None:
        raise TfyoloError(
            "running a TF.js model needs Node, and there is no `node` command", fix="install Node 18 or newer"
        )
    for name in json.loads((NODE_FOLDER / "package.json").read_text())["dependencies"]:
        if not (NODE_FOLDER / "node_modules" / name / "package.json").exists():
            raise TfyoloError(
                f"running a TF.js model needs the Node package {name}, which is not installed",
                fix=f"npm ci --prefix {NODE_FOLDER}",
            )
    return node


def _end(process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, log):
        with contextlib.suppress(OSError):  # what was not sent cannot be
            if pipe is not None:
                pipe.close()


def inspect(path: Path) -> Inspection:
    """What a `_web_model` folder holds; needs no Node.

    Raises:
        TfyoloError: the folder is damaged, or not one of tfyolo's.
    """
    from tfyolo.export.tensorflow_graph.operation_counts import GraphNode, count_operations

    def steps(nodes: list[dict[str, Any]]) -> list[GraphNode]:
        return [GraphNode(node["name"], node["op"], tuple(node.get("input", ())), ()) for node in nodes]

    def tensors(part: dict[str, Any]) -> tuple[TensorInfo, ...]:
        return tuple(
            TensorInfo(
                str(name),
                tuple(int(dim["size"]) for dim in info["tensorShape"].get("dim", ())),
                _DTYPES.get(info["dtype"], str(info["dtype"])),
            )
            for name, info in part.items()
        )

    contract = read_folder(path)
    try:
        model = json.loads(read_input(path / MODEL_FILE, MODEL))
        graph, signature = model["modelTopology"], model["signature"]
        library = {
            function["signature"]["name"]: steps(function.get("nodeDef", []))
            for function in graph.get("library", {}).get("function", [])
        }
        outputs = [info["name"] for info in signature["outputs"].values()]
        operators = count_operations(steps(graph["node"]), library, outputs)
        inputs, results = tensors(signature["inputs"]), tensors(signature["outputs"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise TfyoloError(
            "its graph cannot be read", path=path / MODEL_FILE, fix="export it again"
        ) from error
    return Inspection(contract, inputs, results, operators)


_DTYPES = {"DT_FLOAT": "float32", "DT_INT32": "int32", "DT_UINT8": "uint8", "DT_BOOL": "bool"}
