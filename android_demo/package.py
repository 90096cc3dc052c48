"""Build signed APKs from the classes that Maven compiled, with R8, zipalign and apksigner.

    python android_demo/package.py

Writes build/tfyolo-demo.apk with all ABIs of pom.xml, and build/tfyolo-demo-arm64-v8a.apk for current
phones. Both are signed with a debug key, which is created if it does not exist.
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
    """Write the APKs and print their sizes."""
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
    """Return the properties in pom.xml by name."""
    namespace = "{http://maven.apache.org/POM/4.0.0}"
    root = ET.parse(ROOT / "pom.xml").getroot()  # noqa: S314 - our own file
    every = root.iterfind(f"{namespace}properties/*")
    return {item.tag.removeprefix(namespace): item.text or "" for item in every}


def shrink(min_sdk: str) -> list[Path]:
    """Convert Java classes to Android's dex format with R8, which removes unused code.

    Returns:
        The `.dex` files.
    """
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
    """Write resources, assets, classes and native libraries into one archive, with fixed timestamps.

    Args:
        packed: archive to write.
        dex: classes of the app.
        abis: ABIs whose native libraries are added.
        compressed: compress native libraries.
    """
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
    """Sign an APK with the debug key; to publish the app, sign it with your own key."""
    if not KEYSTORE.exists():
        name = "CN=Android Debug,O=Android,C=US"
        key = ["-alias", "androiddebugkey", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000"]
        secret = ["-storetype", "PKCS12", "-storepass", "android", "-keypass", "android"]
        run("keytool", "-genkeypair", "-keystore", KEYSTORE, *key, *secret, "-dname", name)
    key = ["--ks", KEYSTORE, "--ks-pass", "pass:android", "--ks-key-alias", "androiddebugkey"]
    run("apksigner", "sign", *key, "--min-sdk-version", min_sdk, "--out", f"{apk}.part", aligned)
    Path(f"{apk}.part").replace(apk)
    Path(f"{apk}.part.idsig").unlink(missing_ok=True)


def run(*command: object) -> None:
    """Run a command; if it fails, exit with its output."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit(f"{command[0]} is not installed: `make android-tools` installs it on Debian")
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
