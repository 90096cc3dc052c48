"""The table of fuzzers: one entry and one module per format of untrusted model files."""

from __future__ import annotations

import importlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fuzzer:
    """Mutates files of one format; `campaign.py` loads and runs the results.

    Its module defines `bases(folder)`, which writes valid model files and returns their paths, and
    `mutate(content, rng)`, which returns the mutated bytes of a valid file. It may define `attempt(path)`,
    called in a worker process with each file; by default the file is inspected, loaded and run on one image
    (worker.py).

    Attributes:
        name: name of the fuzzer and of its module: `make fuzz FUZZ=onnx`.
        suffix: file name suffix of the mutated files or folders.
        mutated_file: name of the file that is mutated, for formats that are folders.
    """

    name: str
    suffix: str
    mutated_file: str | None = None

    @property
    def module(self) -> Any:
        """The module that defines `bases` and `mutate`."""
        return importlib.import_module(f"tests.fuzz.{self.name}")

    def content(self, base: Path) -> bytes:
        """Return the bytes of a valid file, to be mutated."""
        return (base / self.mutated_file if self.mutated_file else base).read_bytes()

    def mutated(self, bases: list[Path], seed: int, case: int) -> tuple[Path, bytes]:
        """Return the base and the mutated content of a case; equal seeds give equal results."""
        rng = random.Random(f"{self.name} {seed} {case}")
        base = rng.choice(bases)
        return base, self.module.mutate(self.content(base), rng)


FUZZERS: tuple[Fuzzer, ...] = (
    Fuzzer("graph_def", ".pb"),
    Fuzzer("saved_model", "_saved_model", mutated_file="saved_model.pb"),
    Fuzzer("onnx", ".onnx"),
    Fuzzer("tflite", ".tflite"),
)


def find_fuzzer(name: str) -> Fuzzer:
    """Return the fuzzer with a name.

    Raises:
        SystemExit: there is no such fuzzer.
    """
    for entry in FUZZERS:
        if entry.name == name:
            return entry
    raise SystemExit(f"unknown fuzzer {name}; one of {', '.join(entry.name for entry in FUZZERS)}")
