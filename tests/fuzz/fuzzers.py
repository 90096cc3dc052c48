"""The table of fuzzers: one entry and one module per kind of untrusted model file."""

from __future__ import annotations

import importlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fuzzer:
    """Mutates one kind of model file; `campaign.py` loads and runs the results.

    Its module defines `bases(folder)`, which writes valid model files and returns their paths, and
    `mutate(content, rng)`, from the bytes of a valid file to those of another. It may define
    `attempt(path)`, called in a process of its own with each file; by default the file is inspected,
    loaded and run on one image (worker.py).
    """

    name: str
    """What the user types: `make fuzz FUZZ=onnx`; also the name of its module."""
    suffix: str
    """How the mutated files or folders are named."""
    inside: str | None = None
    """For formats that are folders: the file in it that is mutated."""

    @property
    def module(self) -> Any:
        """The module with its functions."""
        return importlib.import_module(f"tests.fuzz.{self.name}")

    def content(self, base: Path) -> bytes:
        """The bytes of a valid file that are mutated."""
        return (base / self.inside if self.inside else base).read_bytes()

    def mutated(self, bases: list[Path], seed: int, case: int) -> tuple[Path, bytes]:
        """The base and the content of one case, always the same for a seed."""
        rng = random.Random(f"{self.name} {seed} {case}")
        base = rng.choice(bases)
        return base, self.module.mutate(self.content(base), rng)


FUZZERS: tuple[Fuzzer, ...] = (
    Fuzzer("graph_def", ".pb"),
    Fuzzer("saved_model", "_saved_model", inside="saved_model.pb"),
    Fuzzer("onnx", ".onnx"),
    Fuzzer("tflite", ".tflite"),
)


def find_fuzzer(name: str) -> Fuzzer:
    """The fuzzer of that name.

    Raises:
        SystemExit: there is none.
    """
    for entry in FUZZERS:
        if entry.name == name:
            return entry
    raise SystemExit(f"unknown fuzzer {name}; one of {', '.join(entry.name for entry in FUZZERS)}")
