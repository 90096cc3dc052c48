"""An export job in one or more formats."""

from pathlib import Path
from types import SimpleNamespace

from tfyolo.export import job as export_job
from tfyolo.export.job import ExportJob, export_model
from tfyolo.models import Contract, load_spec


def test_progress_is_reported_after_each_format(monkeypatch, tmp_path):
    calls = []

    def entry(name):
        def write(job, path):
            calls.append((f"write {name}", job.options.nms))

        return SimpleNamespace(
            name=name, label=name, suffix=f".{name}", check_target=lambda path: None, write=write
        )

    checked = [(entry("a"), "builtin"), (entry("b"), "raw")]
    monkeypatch.setattr(export_job, "check_export", lambda job, formats: checked)
    job = ExportJob(None, Contract.of(load_spec("yolov5n")))
    paths = export_model(job, ["a", "b"], tmp_path / "x", lambda *call: calls.append(call))
    assert paths == {name: Path(tmp_path / f"x.{name}") for name in ("a", "b")}
    steps = [("exporting", done, 2) for done in range(3)]
    assert calls == [steps[0], ("write a", "builtin"), steps[1], ("write b", "raw"), steps[2]]
