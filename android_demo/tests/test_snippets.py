"""The Kotlin that `tfyolo inspect --snippet` prints, and that of docs/export.md, are compiled."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT.parent)]
import package  # noqa: E402

from tests.clients import OUTPUTS, inspection  # noqa: E402
from tfyolo.inference.snippets.languages import find_language  # noqa: E402
from tfyolo.inference.snippets.write import client  # noqa: E402

MAVEN = Path.home() / ".m2" / "repository"
BUILD = package.properties()
IN_THE_DOCS = """
package docs{number}
import android.content.Context
import com.google.ai.edge.litert.*
import java.io.File
import java.nio.ByteBuffer
import org.tensorflow.lite.Interpreter

fun run(context: Context, file: File, pixels: ByteArray) {{
{code}
}}
"""


def jars(pattern: str) -> list[Path]:
    """Of Maven's repository, where the build has put them."""
    found = sorted(MAVEN.glob(pattern))
    assert found, f"{pattern} is missing: `make android` brings it"
    return found


def path_of(*entries: Path) -> str:
    return ":".join(map(str, entries))


def sources(folder: Path) -> list[Path]:
    """Clients of each kind of outputs and input, and the blocks of the docs, in packages of their own."""
    kotlin = find_language("kotlin")
    texts = [
        f"package {kind}.{dtype}\n" + client(Path("best.tflite"), "tflite", inspection(kind, dtype), kotlin)
        for kind in OUTPUTS
        for dtype in ("uint8", "float32")
    ]
    docs = (ROOT.parent / "docs" / "export.md").read_text("utf-8")
    blocks = re.findall(r"```kotlin\n(.*?)```", docs, re.DOTALL)
    assert len(blocks) == 2
    texts += [IN_THE_DOCS.format(number=number, code=code) for number, code in enumerate(blocks)]
    paths = [folder / f"Client{number}.kt" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, "utf-8")
    return paths


def test_kotlin_compiles(tmp_path):
    """LiteRT 2's API is that of tests/litert: its library is in no registry that is reached here."""
    version = BUILD["kotlin.version"]
    compiler = jars(f"org/jetbrains/kotlin/*/{version}/*{version}.jar")
    compiler += jars("org/jetbrains/kotlinx/kotlinx-coroutines-core-jvm/*/*.jar")
    for library in ("annotations", "intellij/deps/trove4j"):
        compiler += jars(f"org/jetbrains/{library}/*/*.jar")
    known = [jars("org/robolectric/android-all/15-*/*.jar")[0]]
    known += jars(f"org/jetbrains/kotlin/kotlin-stdlib/{version}/*{version}.jar")
    for name in ("tensorflow-lite", "tensorflow-lite-api"):
        with zipfile.ZipFile(jars(f"org/tensorflow/{name}/{BUILD['tflite.version']}/*.aar")[0]) as archive:
            known.append(tmp_path / f"{name}.jar")
            known[-1].write_bytes(archive.read("classes.jar"))
    command = ["java", "-cp", path_of(*compiler), "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    command += ["-no-stdlib", "-no-reflect", "-nowarn", "-cp", path_of(*known), "-d", str(tmp_path / "out")]
    files = [*sources(tmp_path), ROOT / "tests" / "litert" / "CompiledModel.kt"]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert (tmp_path / "out" / "suppressed" / "uint8" / "Client.class").exists()
