"""`tfyolo export` by its command line."""

import pytest

from tfyolo.cli.main import main


def test_export_names_what_it_wrote_and_detect_runs_it(tiny_keras, image, tmp_path, capsys):
    stem = tmp_path / "out" / "best"
    formats = ["--include", "saved_model", "tflite", "--half", "--nms", "postprocess"]
    assert main(["export", "--weights", str(tiny_keras), *formats, "--img", "64", "--output", str(stem)]) == 0
    printed = capsys.readouterr().out
    for name in ("best.tflite", "best_saved_model"):
        assert name in printed
        assert (stem.parent / name).exists()
    detect, web, android = printed.splitlines()[-3:]
    assert detect.startswith("next: tfyolo detect --weights")
    assert web.startswith(f"next: tfyolo web --weights {stem}.tflite ")
    assert android.startswith(f"next: make android MODEL={stem}.tflite ")
    assert "app/src/main/assets/models/" in android
    for name in ("best.tflite", "best_saved_model"):
        run = ["--source", str(image), "--project", str(tmp_path / "runs"), "--nosave"]
        assert main(["detect", "--weights", str(stem.parent / name), *run]) == 0
        assert "1 images" in capsys.readouterr().out


def test_output_stands_beside_the_weights(tiny_keras, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--weights", str(tiny_keras), "--nms", "none", "--img", "32", "64"]) == 0
    assert tiny_keras.with_suffix(".tflite").exists()
    assert "make android" not in capsys.readouterr().out  # not in a clone
    from tfyolo.inference.load import load_predictor

    assert load_predictor(tiny_keras.with_suffix(".tflite")).image_size == (32, 64)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--include", "onnx9"], "unknown format `onnx9`"),
        (["--include", "tflite", "--nms", "combined"], "TensorFlow Lite does not support --nms combined"),
        (["--img", "33"], "not a multiple of the stride 32"),
        (["--img", "0"], "--img takes one"),
        (["--conf-thres", "1.5"], "between 0 and 1"),
        (["--max-det", "0"], "at least 1"),
    ],
)
def test_impossible_requests_are_one_line(tiny_keras, capsys, words, message):
    try:
        code = main(["export", "--weights", str(tiny_keras), *words])
    except SystemExit as error:  # argparse's own
        code = error.code
    captured = capsys.readouterr()
    assert code == 2
    assert message in captured.err
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err


def test_exporting_an_exported_file_is_refused(tmp_path, capsys):
    path = tmp_path / "a.tflite"
    path.write_bytes(b"x")
    assert main(["export", "--weights", str(path)]) == 2
    assert "is already an exported file" in capsys.readouterr().err


def test_failed_export_leaves_the_old_file(tiny_keras, tmp_path, monkeypatch):
    import tfyolo.export.tflite.writer as tflite

    old = tmp_path / "best.tflite"
    old.write_bytes(b"the last good one")

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tflite, "attach_files", fail)
    words = ["export", "--weights", str(tiny_keras), "--img", "32", "--output", str(tmp_path / "best")]
    assert main(words) == 130
    assert old.read_bytes() == b"the last good one"
    assert list(tmp_path.iterdir()) == [old]
