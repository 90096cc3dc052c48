"""Finds the training run that `fit(resume=...)` and `tfyolo train --resume` continue."""

from __future__ import annotations

from pathlib import Path


def find_run(resume: bool | str | Path, project: str | Path, task: str = "detect") -> Path:
    """Find the `last.keras` of an unfinished run.

    Args:
        resume: folder of the run, or its `last.keras`; True or an empty string for the newest unfinished run.
        project: folder that holds all runs.
        task: `detect`, `segment` or `classify`.

    Returns:
        Path of the file.

    Raises:
        TfyoloError: no run in `project` is unfinished.

    Example:
        >>> find_run("runs/train/exp/weights/last.keras", "runs/train").name
        'last.keras'
    """
    if isinstance(resume, bool) or not str(resume):
        from tfyolo.training.state import newest_run

        return newest_run(Path(project), task)
    path = Path(resume)
    return path / "weights/last.keras" if path.is_dir() else path
