"""Makes signed APKs of what Maven compiled: R8, zip, zipalign, apksigner.

    python android_demo/package.py

Writes build/tfyolo-demo.apk for all ABIs of the build file and build/tfyolo-demo-arm64-v8a.apk for today's
phones, both signed with a debug key, which is made where there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TARGET = ROOT / "app" / "target"
BUILD = ROOT / "build"
LIBRARIES = ROOT / "maven" / "runtime" / "target" / "aar"
KEYSTORE = BUILD / "debug.keystore"
PHONES = "arm64-v8a"


def main() -> None:
    """Write the APKs, and say how large they are."""
    build = properties()
    BUILD.mkdir(exist_ok=True)
    dex = shrink(build["min.sdk"])
    compressed = build["extract.native.libs"] == "true"
    for name, abis in {"": build["abis"].split(","), f"-{PHONES}": [PHONES]}.items():
        apk = BUILD / f"tfyolo-demo{name}.apk"
        packed = TARGET / f"packed{name}.apk"
        pack(packed, dex, abis, compressed)
        aligned = TARGET / f"aligned{name}.apk"
        run("zipalign", "-f", "-p", "4", packed, aligned)
        sign(aligned, apk, build["min.sdk"])
        run("apksigner", "verify", "--min-sdk-version", build["min.sdk"], apk)
        print(
            f"{os.path.relpath(apk)} ({apk.stat().st_size / 1e6:.2f} MB: {', '.join(abis)}), signed, verified"
        )


def properties() -> dict[str, str]:
    """Those of pom.xml."""
    namespace = "{http://maven.apache.org/POM/4.0.0}"
    root = ET.parse(ROOT / "pom.xml").getroot()  # noqa: S314 - our own file
    every = root.iterfind(f"{namespace}properties/*")
    return {item.tag.removeprefix(namespace): item.text or "" for item in every}


def shrink(min_sdk: str) -> list[Path]:
    """Java classes as Android's, without what is not used."""
    folder = TARGET / "dex"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    java = Path(shutil.which("java") or "java").resolve().parents[1]
    rules = [
        ROOT / "detector" / "consumer-rules.pro",
        ROOT / "app" / "proguard-rules.pro",
        TARGET / "generated" / "resources.pro",
    ]
    jars = [*TARGET.glob("app-*.jar"), *sorted((TARGET / "libraries").glob("*.jar"))]
    arguments: list[object] = ["--release", "--min-api", min_sdk, "--output", folder]
    for library in (TARGET / "sdk" / "android.jar", java):
        arguments += ["--lib", library]
    for file in rules:
        arguments += ["--pg-conf", file]
    run("java", "-Xmx2g", "-cp", TARGET / "sdk" / "r8.jar", "com.android.tools.r8.R8", *arguments, *jars)
    return sorted(folder.glob("*.dex"))


def pack(packed: Path, dex: list[Path], abis: list[str], compressed: bool) -> None:
    """Resources and assets, classes and native libraries in one archive, with times that do not change."""
    shutil.copyfile(TARGET / "base.apk", packed)
    with zipfile.ZipFile(packed, "a") as archive:
        for file in dex:
            _add(archive, file, file.name, True)
        for abi in abis:
            for file in sorted(LIBRARIES.glob(f"*/jni/{abi}/*.so")):
                _add(archive, file, f"lib/{abi}/{file.name}", compressed)


def _add(archive: zipfile.ZipFile, file: Path, name: str, compressed: bool) -> None:
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    archive.writestr(zipfile.ZipInfo(name), file.read_bytes(), kind, 9)


def sign(aligned: Path, apk: Path, min_sdk: str) -> None:
    """With a key for testing: who publishes the app has one of their own."""
    if not KEYSTORE.exists():
        name = "CN=Android Debug,O=Android,C=US"
        key = ["-alias", "androiddebugkey", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000"]
        word = ["-storetype", "PKCS12", "-storepass", "android", "-keypass", "android"]
        run("keytool", "-genkeypair", "-keystore", KEYSTORE, *key, *word, "-dname", name)
    key = ["--ks", KEYSTORE, "--ks-pass", "pass:android", "--ks-key-alias", "androiddebugkey"]
    run("apksigner", "sign", *key, "--min-sdk-version", min_sdk, "--out", f"{apk}.part", aligned)
    Path(f"{apk}.part").replace(apk)
    Path(f"{apk}.part.idsig").unlink(missing_ok=True)


def run(*command: object) -> None:
    """Run a tool; what it says is shown if it fails."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit(f"{command[0]} is not installed: `make android-tools` installs it on Debian")
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
