"""A child process that measures model files, and the class that sends it commands.

TensorFlow accepts its number of threads once per process, so each number of threads needs its own process. A
file that crashes the process fails only its own row: the next command starts a new process.

Requests and answers are lines of JSON on stdin and stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any, TextIO

from tfyolo.benchmark.commands import WorkerCommands
from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.progress import Progress, no_progress
from tfyolo.python_process import python_command


class MissingHereError(TfyoloError):
    """A file cannot run here, because a library is not installed."""


class Worker:
    """Starts the child process and sends it commands; a context manager that ends the process.

    Args:
        threads: number of CPU threads.
        progress: called as `progress(label, done, total)` during a measurement.

    Example:
        >>> with Worker(threads=1) as worker:  # doctest: +SKIP
        ...     arguments = {"path": "a.tflite", "image_size": None, "image": "image.npy", "runs": 10}
        ...     worker.request("time", **arguments)["total_ms"]
    """

    def __init__(self, threads: int, progress: Progress = no_progress) -> None:
        self.threads, self._progress = threads, progress
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._log.close()

    def request(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Run a command in the child process, which is started if it is not running.

        Args:
            command: name of a method of `WorkerCommands`.
            **arguments: arguments of that method; JSON values.

        Returns:
            The return value of the method.

        Raises:
            MissingHereError: a library is not installed.
            TfyoloError: the command fails, or the process ends.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        answer = None
        with contextlib.suppress(OSError):  # it died before it read the request
            process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            process.stdin.flush()
            while (line := process.stdout.readline()) and "progress" in (answer := json.loads(line)):
                self._progress(*answer["progress"])
            answer = answer if line else None
        if answer is None:
            reason = self._exit_reason(process.wait())
            self.end()
            raise TfyoloError(f"the worker process {reason}")
        return checked(answer)

    def _start(self) -> subprocess.Popen[str]:
        # Without growth on demand the first of several processes takes all of a GPU's memory.
        more = {"OMP_NUM_THREADS": str(self.threads), "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        self._process = subprocess.Popen(
            python_command(__name__, "main", "--threads", str(self.threads)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **more},
        )
        return self._process

    def end(self) -> None:
        """End the process; the next request starts another."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError, ValueError):  # what was not sent cannot be
                    if pipe is not None:
                        pipe.close()

    def _exit_reason(self, code: int) -> str:
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"exited with code {code}: {last[:300]}"


def checked(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of `run_command` itself.

    Raises:
        MissingHereError: it reports a library that is not installed.
        TfyoloError: it reports another error.
    """
    if "error" in answer:
        raise (MissingHereError if answer.get("missing") else TfyoloError)(answer["error"])
    return answer


def run_command(commands: WorkerCommands, request: dict[str, Any]) -> dict[str, Any]:
    """Run one command; return errors as an answer.

    Args:
        commands: whose method is called.
        request: `command`, the name of the method, and its arguments.

    Returns:
        What the method returns, or `error` and `missing` (whether a library is not installed).
    """
    arguments = dict(request)
    try:
        answer: dict[str, Any] = getattr(commands, arguments.pop("command"))(**arguments)
    except TfyoloError as error:
        message = error.message + (f" (fix: {error.fix})" if error.fix else "")
        return {"error": message, "missing": isinstance(error, MissingExtraError)}
    except Exception as error:  # a runtime can raise anything for this file; the others are measured
        first = (str(error).strip().splitlines() or [""])[0]
        return {"error": f"{type(error).__name__}: {first[:300]}", "missing": False}
    return answer


def serve(requests: TextIO, answers: TextIO, threads: int) -> None:
    """Read commands, one JSON object per line, and write the answers until the input ends.

    Args:
        requests: stream of commands.
        answers: stream that answers and progress are written to, one JSON object per line.
        threads: number of CPU threads of each runtime.
    """

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    commands = WorkerCommands(threads, lambda *told: say({"progress": told}))
    for line in requests:
        say(run_command(commands, json.loads(line)))


def main() -> None:
    """Entry point of the child process."""
    import cv2

    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    threads = parser.parse_args().threads
    cv2.setNumThreads(threads)  # the letterbox counts, too
    # Libraries print to stdout as they like; answers keep a copy of it to themselves.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        serve(sys.stdin, answers, threads)
