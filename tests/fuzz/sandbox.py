"""A folder tree in which a model file must not change anything."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.fuzz.fuzzers import Fuzzer

Snapshot = dict[str, tuple[int, int, int, int]]
CANARIES = ("canary.txt", "a", "ckpt.index", "ckpt.data-00000-of-00001", "secret.bin", "data-00000-of-00001")
"""Names of files that malicious models try to read, write or delete."""


class Sandbox:
    """Working directory, home and temporary folder of a worker, and the folder of the model file.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work, self.home, self.tmp, self.models = (root / x for x in ("work", "home", "tmp", "models"))
        for folder in (self.work, self.home, self.tmp, self.models):
            folder.mkdir(parents=True)
            for name in CANARIES:
                (folder / name).write_bytes(name.encode() * 100)

    def write_model(self, fuzzer: Fuzzer, base: Path, content: bytes) -> Path:
        """Write a mutated model file over the previous one, and return its path."""
        path = self.models / f"case{fuzzer.suffix}"
        if fuzzer.mutated_file is None:
            path.write_bytes(content)
            return path
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(base, path)
        (path / fuzzer.mutated_file).write_bytes(content)
        return path

    def snapshot(self) -> Snapshot:
        """Return mode, size, inode and change time of all paths in the tree."""
        entries: Snapshot = {}
        for path in sorted(self.root.rglob("*")):
            status = path.lstat()
            entries[str(path.relative_to(self.root))] = (
                status.st_mode,
                status.st_size,
                status.st_ino,
                0 if path.is_dir() else status.st_ctime_ns,
            )
        return entries


def changed_paths(before: Snapshot, after: Snapshot) -> list[str]:
    """Return paths that were created, changed or removed."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
