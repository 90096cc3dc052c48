"""The layout of the source: no two files import each other, files and folders stay small."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "export").rglob("*.py"), *(ROOT / "tfyolo").rglob("*.py")])
FILES = [path for path in FILES if path.relative_to(ROOT).parts[:2] != ("tfyolo", "export")]  # a link
MAX_LINES = 350
MAX_FILES = 15
LARGE_FOLDERS = {
    "tfyolo": "one file per foundation that every layer uses",
    "tfyolo/cli": "one file per command",
}


def module_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(["tfyolo", *parts] if parts[0] == "export" else parts)


MODULES = {module_of(path): path for path in FILES}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(path: Path) -> set[str]:
    """Modules of tfyolo that a file imports, inside of functions too, but not for type checking."""
    found: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while nodes:
        node = nodes.pop()
        if is_type_checking(node):
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in inner}
    return found & MODULES.keys()


def test_no_circle_between_files():
    graph = {name: imports(path) - {name} for name, path in MODULES.items()}
    pairs = {(a, b) for a in graph for b in graph[a] if a < b and a in graph[b]}
    assert pairs == set()


def test_a_circle_is_found(tmp_path):
    typing = "if TYPE_CHECKING:\n    import tfyolo.errors\n"
    (tmp_path / "a.py").write_text(f"{typing}def f():\n    import tfyolo.text\n")
    assert imports(tmp_path / "a.py") == {"tfyolo.text"}


def test_no_file_is_long():
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in FILES}
    long = {name: count for name, count in lines.items() if count > MAX_LINES}
    assert long == {}


def test_no_folder_has_many_files():
    counts: dict[str, int] = {}
    for path in FILES:
        if path.name != "__init__.py":
            folder = path.parent.relative_to(ROOT).as_posix()
            counts[folder] = counts.get(folder, 0) + 1
    large = {folder: count for folder, count in counts.items() if count > MAX_FILES}
    assert large.keys() <= LARGE_FOLDERS.keys(), large
