"""Which files of a folder are a writer's own, so that the folder may be replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_OF_THE_SYSTEM = (".DS_Store", "Thumbs.db")
"""Files that file managers leave in folders."""
_MAX_MARKER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Owned:
    """The files that a writer leaves in a folder; a folder with other files is never replaced.

    Attributes:
        files: patterns of paths inside the folder, such as `variables/variables.*`.
        folders: subfolders that can be empty.
        marker: a file that every such folder has; "" if the patterns are enough.
        mark: bytes that the marker contains.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...] = ()
    marker: str = "tfyolo.json"
    mark: bytes = b""

    def why_not(self, folder: Path) -> str | None:
        """Return the reason why a folder must not be replaced; None if it may."""
        foreign = next(self._foreign(folder), None)
        if foreign is not None:
            return f"contains `{foreign}`, which tfyolo did not write"
        if any(folder.iterdir()) and not self._is_marked(folder):
            return "contains files that tfyolo did not write"
        return None

    def _foreign(self, folder: Path) -> Iterator[str]:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_dir() and not path.is_symlink():
                inner = any(pattern.startswith(f"{name}/") for pattern in self.files)
                known = inner or name in self.folders
            else:
                pure = PurePosixPath(name)
                known = path.name in _OF_THE_SYSTEM or any(
                    len(pure.parts) == pattern.count("/") + 1 and pure.match(pattern)
                    for pattern in self.files
                )
                known = known and path.is_file() and not path.is_symlink()
            if not known:
                yield name

    def _is_marked(self, folder: Path) -> bool:
        if not self.marker:
            return True
        try:
            with (folder / self.marker).open("rb") as file:
                return self.mark in file.read(_MAX_MARKER_BYTES)
        except OSError:
            return False


NOTHING = Owned(files=(), marker="")
"""Only an empty folder is replaced."""
