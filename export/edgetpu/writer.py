"""Exporter of Edge TPU files: an int8 TensorFlow Lite model, compiled if Coral's compiler is installed."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.edgetpu.entry import CUSTOM_OPERATOR, FORMAT, REPORT_SUFFIX
from tfyolo.export.edgetpu.report import check
from tfyolo.export.job import ExportJob
from tfyolo.export.tflite.flatbuffer import write
from tfyolo.export.tflite.metadata import attach_files, describe
from tfyolo.export.tflite.writer import convert
from tfyolo.files import atomic, scratch

COMPILER = "edgetpu_compiler"
COMPILE_SECONDS = 600
"""Time limit of the compiler in seconds; its own limit of 180 seconds covers only a part of its work."""

_LOG_LINES = 6


def export(job: ExportJob, path: Path) -> None:
    """Write an `_edgetpu.tflite` file, and an `_edgetpu_report.txt` in the same folder.

    Without the compiler the file is the int8 model itself, which runs on the CPU.

    Args:
        job: the model and its export options; the precision is int8.
        path: file to write.

    Raises:
        TfyoloError: the compiler fails.
    """
    flatbuffer = convert(job)
    describe(flatbuffer, job.exported_contract("edgetpu"))
    report, outputs = check(flatbuffer), _outputs(flatbuffer)
    model = write(flatbuffer)
    text = report.text(f"{path.name}: what will run on the Edge TPU")
    report_path = path.with_name(path.name.removesuffix(FORMAT.suffix) + REPORT_SUFFIX)
    job.log(f"{report.summary()} {report_path} has the details.")
    _write(report_path, text.encode())
    compiler, compiled = shutil.which(COMPILER), False
    if compiler:
        model, log = compile_model(compiler, model, path)
        _write(report_path, f"{text}\nOutput of the compiler:\n\n{log}\n".encode())
        compiled = CUSTOM_OPERATOR.encode() in model
        if not compiled:
            job.log(f"{COMPILER} mapped no operation to the Edge TPU: {path} runs on the CPU.")
    else:
        job.log(_how_to_compile(path))
    # The contract stores the names of outputs in order, since the compiler may drop the signature.
    contract = job.exported_contract("edgetpu", compiled=compiled, outputs=outputs)
    _write(path, attach_files(model, contract))


def compile_model(compiler: str, model: bytes, path: Path) -> tuple[bytes, str]:
    """Compile an int8 model with Coral's compiler.

    Args:
        compiler: path of the compiler.
        model: flatbuffer of the model without a zip archive at its end.
        path: file that is exported, for error messages.

    Returns:
        The compiled flatbuffer without a zip archive, and the output of the compiler.

    Raises:
        TfyoloError: the compiler fails, exceeds the time limit, or writes no file.
    """
    stem = path.name.removesuffix(FORMAT.suffix)
    with scratch() as folder:
        source, target = folder / f"{stem}.tflite", folder / f"{stem}{FORMAT.suffix}"
        source.write_bytes(model)
        code, log = _run([compiler, "-s", "-o", str(folder), str(source)], path)
        if code or not target.is_file():
            tail = "\n    ".join([line for line in log.splitlines() if line.strip()][-_LOG_LINES:])
            raise TfyoloError(f"{COMPILER} failed:\n    {tail}", path=path, fix=_fix(log))
        return without_archive(target.read_bytes()), log.replace(f"{folder}{os.sep}", "").strip()


def without_archive(data: bytes) -> bytes:
    """Return the content of a model file without the zip archive at its end, if it has one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            starts = [info.header_offset for info in archive.infolist()]
    except zipfile.BadZipFile:
        return data
    return data[: min(starts)] if starts else data


def _run(command: list[str], path: Path) -> tuple[int, str]:
    """Run the compiler; return its exit code and output. Its child processes end with it."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=COMPILE_SECONDS)
        except BaseException as error:  # also KeyboardInterrupt: the child process would keep running
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise TfyoloError(
                f"{COMPILER} did not finish within {COMPILE_SECONDS} s",
                path=path,
                fix="use a smaller --img or model",
            ) from error
    return process.returncode, output.decode(errors="replace")


def _fix(log: str) -> str:
    """Return a remedy for an error in the output of the compiler."""
    if "large activation tensors" in log:
        return "the tensors are too large for the Edge TPU's memory: a smaller --img, or --nms raw"
    if "Didn't find op" in log or "out of range" in log:
        return "the compiler is older than an operation after the network: --nms raw leaves those out"
    return "try --nms raw, a smaller --img, or a smaller model"


def _how_to_compile(path: Path) -> str:
    """Return a note for a file that was not compiled."""
    command = shlex.join([COMPILER, "-s", "-o", str(path.parent), str(path)])
    return (
        f"{COMPILER} is not installed, so {path} is not compiled and runs on the CPU: install the Debian "
        "package edgetpu-compiler from Coral's own package source (x86-64 Linux only) and export again, or "
        f"compile this file there or in Coral's Colab notebook with: {command} "
        f"The result is called {path.stem}_edgetpu.tflite."
    )


def _outputs(flatbuffer: Any) -> list[str]:
    """Return the names that the signature gives to outputs, in the order of the file."""
    names = {x.tensorIndex: x.name.decode() for x in flatbuffer.signatureDefs[0].outputs}
    return [names[index] for index in flatbuffer.subgraphs[0].outputs]


def _write(path: Path, data: bytes) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(data)
