"""The Android demo has two builds of the same sources, Gradle's and Maven's: they must not part."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tfyolo.version import __version__

DEMO = Path(__file__).resolve().parents[2] / "android_demo"
NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"
ANDROID = "{http://schemas.android.com/apk/res/android}"


def catalog() -> dict[str, str]:
    """[versions] of gradle/libs.versions.toml; Python 3.10 has no reader of TOML."""
    text = (DEMO / "gradle" / "libs.versions.toml").read_text("utf-8")
    section = text.split("[versions]")[1].split("\n[")[0]
    return dict(re.findall(r'^(\w+) = "([^"]+)"$', section, re.MULTILINE))


def pom(folder: str = "") -> ET.Element:
    return ET.parse(DEMO / folder / "pom.xml").getroot()


def properties() -> dict[str, str]:
    found = pom().find(f"{NAMESPACE}properties")
    return {item.tag.removeprefix(NAMESPACE): item.text for item in found if isinstance(item.tag, str)}


def script(folder: str = "") -> str:
    return (DEMO / folder / "build.gradle.kts").read_text("utf-8")


VERSIONS, PROPERTIES = catalog(), properties()


@pytest.mark.parametrize(
    ("gradle", "maven"),
    [
        ("minSdk", "min.sdk"),
        ("targetSdk", "target.sdk"),
        ("versionCode", "version.code"),
        ("versionName", "version.name"),
        ("jvmTarget", "jvm.target"),
        ("kotlin", "kotlin.version"),
        ("junit", "junit.version"),
        ("kotest", "kotest.version"),
        ("robolectric", "robolectric.version"),
    ],
)
def test_versions_are_equal(gradle, maven):
    assert VERSIONS[gradle] == PROPERTIES[maven]


def test_gradle_reads_its_versions_from_the_catalog():
    for name in ("minSdk", "targetSdk", "versionCode", "versionName"):
        assert f"{name} = libs.versions.{name}" in script("app"), name
    for folder in ("app", "detector"):
        text = script(folder)
        assert "compileSdk = libs.versions.targetSdk" in text
        assert "minSdk = libs.versions.minSdk" in text
        assert "JvmTarget.fromTarget(libs.versions.jvmTarget.get())" in text
        assert text.count("JavaVersion.toVersion(libs.versions.jvmTarget.get())") == 2, "source and target"
        assert not re.search(r'"\d+\.\d+', text), "a version beside the catalog"


def test_the_app_has_tfyolos_version():
    assert PROPERTIES["version.name"] == __version__


def test_modules_and_names():
    modules = [item.text for item in pom().find(f"{NAMESPACE}modules")]
    # What Gradle does by itself: opening AARs.
    assert [name for name in modules if not name.startswith("maven/")] == ["detector", "app"]
    assert 'include(":detector", ":app")' in (DEMO / "settings.gradle.kts").read_text("utf-8")
    assert f'applicationId = "{PROPERTIES["app.id"]}"' in script("app")
    assert f'namespace = "{PROPERTIES["app.id"]}"' in script("app")


def test_native_libraries():
    abis = re.search(r"abiFilters \+= listOf\((.*?)\)", script("app")).group(1)
    assert re.findall(r'"(.*?)"', abis) == PROPERTIES["abis"].split(",")
    legacy = re.search(r"useLegacyPackaging = (\w+)", script("app")).group(1)
    assert legacy == PROPERTIES["extract.native.libs"]
    assert 'noCompress += "tflite"' in script("app")
    assert "-0 .tflite" in (DEMO / "app" / "pom.xml").read_text("utf-8")


def test_sources_are_in_the_same_folders():
    """Gradle's are its defaults, which no script moves."""
    build = pom().find(f"{NAMESPACE}build")
    assert build.find(f"{NAMESPACE}sourceDirectory").text == "src/main/kotlin"
    assert build.find(f"{NAMESPACE}testSourceDirectory").text == "src/test/kotlin"
    for folder in ("app", "detector"):
        assert "sourceSets" not in script(folder)
        assert "srcDir" not in script(folder)
        assert pom(folder).find(f"{NAMESPACE}build/{NAMESPACE}sourceDirectory") is None
        kept = {path.name for path in (DEMO / folder / "src" / "main").iterdir()}
        assert kept <= {"kotlin", "res", "assets", "AndroidManifest.xml"}
    text = (DEMO / "app" / "pom.xml").read_text("utf-8")
    for part in ("res", "assets", "AndroidManifest.xml"):
        assert f"${{basedir}}/src/main/{part}" in text


def rules(path: str) -> set[str]:
    lines = (DEMO / path).read_text("utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_both_builds_keep_the_same_classes():
    assert '"proguard-rules.pro"' in script("app")
    assert '"app" / "proguard-rules.pro"' in (DEMO / "package.py").read_text("utf-8")
    # Those that a copy of the detector takes along: Gradle passes them on by itself.
    assert 'consumerProguardFiles("consumer-rules.pro")' in script("detector")
    assert '"detector" / "consumer-rules.pro"' in (DEMO / "package.py").read_text("utf-8")
    assert "-keep class org.tensorflow.lite.** { *; }" in rules("detector/consumer-rules.pro")
    assert not rules("detector/consumer-rules.pro") & rules("app/proguard-rules.pro")


def test_gradle_leaves_out_the_tests_that_load_the_native_library():
    """One that is forgotten would fail in Android Studio alone."""
    left_out = set(re.findall(r"\*\*/(\w+)\*", script("detector")))
    tests = {
        path.stem: path.read_text("utf-8") for path in (DEMO / "detector" / "src" / "test").rglob("*.kt")
    }
    native = {
        name
        for name, text in tests.items()
        if "@Test" in text
        and re.search(r"\b(detector|Detector|classifier|Classifier|Runner|Interpreter)\(", text)
    }
    assert native
    assert left_out - {"PreprocessorBench"} == native
    assert left_out <= tests.keys()


def test_the_runtimes_differ_on_purpose_and_in_name_only():
    assert tuple(int(part) for part in VERSIONS["litert"].split(".")) >= (1, 4), "pages of 16 KB"
    assert PROPERTIES["tflite.version"] == "2.16.1"
    libraries = (DEMO / "gradle" / "libs.versions.toml").read_text("utf-8")
    for name in ("litert", "litert-gpu", "litert-gpu-api"):
        assert (
            f'{name} = {{ module = "com.google.ai.edge.litert:{name}", version.ref = "litert" }}' in libraries
        )
        assert f"(libs.{name.replace('-', '.')})" in script("detector")
    used = set()
    for module in ("app", "detector"):
        for path in (DEMO / module / "src").rglob("*.kt"):
            text = path.read_text("utf-8")
            assert "com.google.ai.edge" not in text, path
            used |= set(re.findall(r"\borg\.tensorflow\.\w+", text))
    assert used == {"org.tensorflow.lite"}


def test_manifests_ask_for_the_camera_alone():
    asked = []
    for path in DEMO.glob("*/src/**/AndroidManifest.xml"):
        root = ET.parse(path).getroot()
        asked += [item.get(f"{ANDROID}name") for item in root.iter() if "permission" in item.tag]
        assert root.get("package") is None, "Gradle refuses it"
    assert asked == ["android.permission.CAMERA"]


def test_no_file_names_a_path_of_a_machine():
    made = ("target", "build", "assets", ".gradle", ".kotlin", "__pycache__")
    kinds = (
        ".kt",
        ".kts",
        ".xml",
        ".toml",
        ".properties",
        ".pro",
        ".py",
        ".sh",
        ".c",
        ".md",
        ".txt",
        ".config",
    )
    paths = [path for path in DEMO.rglob("*") if path.suffix in kinds and path.name != "local.properties"]
    paths = [path for path in paths if not set(path.relative_to(DEMO).parts) & set(made)]
    assert len(paths) > 50
    for path in paths:
        text = path.read_text("utf-8")
        for place in re.finditer(
            r"(?<![\w.}])/(home|root|work|tmp|opt|mnt|Users|usr/lib)/|\b[A-Z]:\\\w", text
        ):
            pytest.fail(f"{path}: {place.group()}")


def strings(folder: str, every: bool = False) -> dict[str, str]:
    root = ET.parse(DEMO / "app" / "src" / "main" / "res" / folder / "strings.xml").getroot()
    return {
        item.get("name"): "".join(item.itertext())
        for item in root
        if every or item.get("translatable") != "false"
    }


def test_every_string_is_translated_with_the_same_places_in_it():
    english, german = strings("values"), strings("values-de")
    assert english.keys() == german.keys()
    for name, text in english.items():
        assert sorted(re.findall(r"%\S*?[a-z]", text)) == sorted(re.findall(r"%\S*?[a-z]", german[name])), (
            name
        )


def test_every_string_is_used():
    main = DEMO / "app" / "src" / "main"
    files = [*main.rglob("*.kt"), *(main / "res").rglob("*.xml"), main / "AndroidManifest.xml"]
    text = "\n".join(path.read_text("utf-8") for path in files)
    for name in strings("values", every=True):
        assert re.search(rf"R\.(string|plurals)\.{name}\b|@string/{name}\b", text), name
