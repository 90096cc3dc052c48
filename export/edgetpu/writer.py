"""Edge TPU: the integer TensorFlow Lite model, checked and, where Coral's compiler is installed, compiled."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.edgetpu.report import COMPILED, check
from tfyolo.export.job import ExportJob
from tfyolo.export.tflite.flatbuffer import write
from tfyolo.export.tflite.metadata import attach_files, describe
from tfyolo.export.tflite.writer import convert
from tfyolo.files import atomic, scratch

COMPILER = "edgetpu_compiler"
COMPILE_SECONDS = 600
"""After which the compiler is ended; its own limit is 180 seconds, for a part of its work."""

_SUFFIX = "_edgetpu.tflite"
_LOG_LINES = 6


def export(job: ExportJob, path: Path) -> None:
    """Write an `_edgetpu.tflite` file, and beside it `_edgetpu_report.txt`.

    Without the compiler the file is the integer model itself, which runs on the CPU.

    Raises:
        TfyoloError: the compiler refuses the model.
    """
    flatbuffer = convert(job)
    describe(flatbuffer, job.exported_contract("edgetpu"))
    report, outputs = check(flatbuffer), _outputs(flatbuffer)
    model = write(flatbuffer)
    text = report.text(f"{path.name}: what will run on the Edge TPU")
    report_path = path.with_name(path.name.removesuffix(_SUFFIX) + "_edgetpu_report.txt")
    job.log(f"{report.summary()} {report_path} has the details.")
    _write(report_path, text.encode())
    compiler, compiled = shutil.which(COMPILER), False
    if compiler:
        model, log = compile_model(compiler, model, path)
        _write(report_path, f"{text}\nWhat the compiler says:\n\n{log}\n".encode())
        compiled = COMPILED.encode() in model
        if not compiled:
            job.log(f"{COMPILER} mapped no operation to the Edge TPU: {path} runs on the CPU.")
    else:
        job.log(_how_to_compile(path))
    # The compiler may drop signatures; the order of outputs it keeps.
    contract = job.exported_contract("edgetpu", compiled=compiled, outputs=outputs)
    _write(path, attach_files(model, contract))


def compile_model(compiler: str, model: bytes, path: Path) -> tuple[bytes, str]:
    """Run the compiler.

    Args:
        compiler: its path.
        model: an integer flatbuffer without an archive behind it.
        path: of the file that it is for, named in errors.

    Returns:
        The compiled flatbuffer, without an archive, and the compiler's report.

    Raises:
        TfyoloError: it fails, takes too long, or writes nothing.
    """
    stem = path.name.removesuffix(_SUFFIX)
    with scratch() as folder:
        source, target = folder / f"{stem}.tflite", folder / f"{stem}{_SUFFIX}"
        source.write_bytes(model)
        code, log = _run([compiler, "-s", "-o", str(folder), str(source)], path)
        if code or not target.is_file():
            tail = "\n    ".join([line for line in log.splitlines() if line.strip()][-_LOG_LINES:])
            raise TfyoloError(f"{COMPILER} failed:\n    {tail}", path=path, fix=_fix(log))
        return without_archive(target.read_bytes()), log.replace(f"{folder}{os.sep}", "").strip()


def without_archive(data: bytes) -> bytes:
    """A model file without the zip archive at its end, if it has one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            starts = [info.header_offset for info in archive.infolist()]
    except zipfile.BadZipFile:
        return data
    return data[: min(starts)] if starts else data


def _run(command: list[str], path: Path) -> tuple[int, str]:
    """Exit code and output of the compiler, which works in a child process of its own."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=COMPILE_SECONDS)
        except BaseException as error:  # Ctrl-C, too: the child would go on
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise TfyoloError(
                f"{COMPILER} did not end within {COMPILE_SECONDS} s",
                path=path,
                fix="a smaller --img or model",
            ) from error
    return process.returncode, output.decode(errors="replace")


def _fix(log: str) -> str:
    if "large activation tensors" in log:
        return "the tensors are too large for the Edge TPU's memory: a smaller --img, or --nms raw"
    if "Didn't find op" in log or "out of range" in log:
        return "the compiler is older than an operation after the network: --nms raw leaves those out"
    return "try --nms raw, a smaller --img, or a smaller model"


def _how_to_compile(path: Path) -> str:
    return (
        f"{COMPILER} is not installed, so {path} is not compiled and runs on the CPU: install the Debian "
        "package edgetpu-compiler from Coral's own package source (x86-64 Linux only) and export again, or "
        "compile this file there or in Coral's Colab notebook with: "
        f"{COMPILER} -s -o {path.parent} {path}"
    )


def _outputs(flatbuffer: Any) -> list[str]:
    """Names of outputs by the signature, in the file's order."""
    names = {x.tensorIndex: x.name.decode() for x in flatbuffer.signatureDefs[0].outputs}
    return [names[index] for index in flatbuffer.subgraphs[0].outputs]


def _write(path: Path, data: bytes) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(data)
