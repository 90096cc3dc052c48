"""The APKs built by `make android`: signature, manifest, content and size."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import package  # noqa: E402

BUILD = package.properties()
APKS = {
    "tfyolo-demo.apk": BUILD["abis"].split(","),
    "tfyolo-demo-arm64-v8a.apk": ["arm64-v8a"],
}


@pytest.fixture(params=APKS)
def apk(request):
    path = ROOT / "build" / request.param
    assert path.is_file(), "`make android` builds it"
    return path


def output_of(*command: object) -> str:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


def test_signature(apk):
    output = output_of("apksigner", "verify", "--verbose", "--min-sdk-version", BUILD["min.sdk"], apk)
    assert output.startswith("Verifies\n")
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in output


def test_modified_apk_does_not_verify(apk, tmp_path):
    changed = tmp_path / "changed.apk"
    shutil.copyfile(apk, changed)
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("assets/more.txt", "more")
    with pytest.raises(subprocess.CalledProcessError):
        output_of("apksigner", "verify", "--min-sdk-version", BUILD["min.sdk"], changed)


def test_badging(apk):
    output = output_of("aapt2", "dump", "badging", apk)
    name, version = BUILD["app.id"], BUILD["version.name"]
    assert f"package: name='{name}' versionCode='{BUILD['version.code']}' versionName='{version}'" in output
    assert f"sdkVersion:'{BUILD['min.sdk']}'" in output
    assert f"targetSdkVersion:'{BUILD['target.sdk']}'" in output
    assert "application-label:'tfyolo'" in output
    assert f"launchable-activity: name='{name}.MainActivity'" in output
    assert re.findall(r"uses-permission: name='(.*?)'", output) == ["android.permission.CAMERA"]
    assert "application-debuggable" not in output


def test_native_libraries_of_all_abis(apk):
    with zipfile.ZipFile(apk) as archive:
        found = {tuple(name.split("/")[1:]) for name in archive.namelist() if name.startswith("lib/")}
    libraries = ("libtensorflowlite_jni.so", "libtensorflowlite_gpu_jni.so")
    assert found == {(abi, library) for abi in APKS[apk.name] for library in libraries}


def test_models_are_uncompressed_and_aligned(apk):
    """Otherwise models could not be memory-mapped."""
    output_of("zipalign", "-c", "-p", "4", apk)
    with zipfile.ZipFile(apk) as archive:
        models = [item for item in archive.infolist() if item.filename.endswith(".tflite")]
        assert {item.filename for item in models} == {
            "assets/models/int8.tflite",
            "assets/models/float16.tflite",
        }
        assert all(item.compress_type == zipfile.ZIP_STORED for item in models)
        source = ROOT / "app" / "src" / "main"
        for item in models:
            assert archive.read(item) == (source / item.filename).read_bytes()


def test_unused_code_is_removed(apk):
    with zipfile.ZipFile(apk) as archive:
        assert [name for name in archive.namelist() if name.endswith(".dex")] == ["classes.dex"]
        assert archive.getinfo("classes.dex").file_size < 400_000
        code = archive.read("classes.dex")
    assert b"Lorg/tfyolo/demo/MainActivity;" in code
    assert b"Lorg/tfyolo/demo/ui/OverlayView;" in code
    assert b"Lorg/tensorflow/lite/NativeInterpreterWrapper;" in code
    assert b"robolectric" not in code


def test_size(apk, capsys):
    limit = {"tfyolo-demo.apk": 14e6, "tfyolo-demo-arm64-v8a.apk": 9e6}[apk.name]
    with capsys.disabled():
        print(f"\n{apk.name}: {apk.stat().st_size / 1e6:.2f} MB")
    assert apk.stat().st_size < limit


def test_buffer_methods_exist_on_old_android_versions():
    """Android 8 lacks the overrides of Java 9, such as `ByteBuffer.rewind`: only those of `Buffer` exist."""
    classes = [*ROOT.glob("detector/target/classes/**/*.class"), *ROOT.glob("app/target/classes/**/*.class")]
    assert len(classes) > 50
    code = output_of("javap", "-c", "-p", *classes)
    methods = "position|limit|rewind|flip|clear|mark|reset"
    assert set(re.findall(rf"java/nio/\w+Buffer\.(?:{methods}):\(I?\)L\S+", code)) == set()
    assert re.search(r"java/nio/Buffer\.rewind:\(\)L", code)
