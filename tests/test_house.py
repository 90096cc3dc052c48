"""The layout of the source: no two files import each other, files and folders stay small, docstrings say what
every parameter and every field is, and every docstring belongs to something."""

import ast
import re
from collections.abc import Iterator
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
MIN_PARAMETERS = 3
"""Functions with as many parameters have a section `Args:`."""
MIN_FIELDS = 2
"""Dataclasses, named tuples and pydantic models with as many fields have a section `Attributes:`."""
IMPLEMENTATIONS = {"KerasOps": "Ops", "ShapeOps": "Ops", "Recorder": "Ops"}
"""Classes whose methods a protocol describes."""


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


def sections(node: ast.FunctionDef | ast.ClassDef, title: str) -> set[str]:
    """Names in a section of a docstring."""
    found = re.search(rf"^{title}:\n((?:    .*\n|\n)*)", f"{ast.get_docstring(node)}\n", re.MULTILINE)
    return set(re.findall(r"^    \*{0,2}(\w+): .", found[1], re.MULTILINE)) if found else set()


def parameters(node: ast.FunctionDef) -> set[str]:
    """Names of all parameters but `self` and `cls`."""
    every = [
        *node.args.posonlyargs,
        *node.args.args,
        *node.args.kwonlyargs,
        node.args.vararg,
        node.args.kwarg,
    ]
    return {argument.arg for argument in every if argument} - {"self", "cls"}


def fields(node: ast.ClassDef) -> set[str]:
    """Names of the public fields of a dataclass, named tuple or pydantic model."""
    annotated = [child for child in node.body if isinstance(child, ast.AnnAssign)]
    kept = [child for child in annotated if "ClassVar" not in ast.unparse(child.annotation)]
    return {name for child in kept if not (name := ast.unparse(child.target)).startswith("_")}


def public(nodes: list[ast.stmt], kind: type[ast.stmt]) -> Iterator[ast.stmt]:
    return (node for node in nodes if isinstance(node, kind) and not node.name.startswith("_"))


class Classes:
    """All classes by name, to look up what they inherit."""

    def __init__(self, trees: list[ast.Module]) -> None:
        nodes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
        self.by_name = {node.name: node for node in nodes}

    def bases(self, node: ast.ClassDef) -> set[str]:
        """Names of all base classes, and of the protocol that a class implements."""
        direct = {ast.unparse(base).split("[")[0] for base in node.bases}
        direct |= {IMPLEMENTATIONS[node.name]} if node.name in IMPLEMENTATIONS else set()
        known = [self.by_name[name] for name in direct if name in self.by_name]
        return direct.union(*(self.bases(base) for base in known))

    def inherits(self, node: ast.ClassDef, method: str) -> bool:
        """Whether a base class has a method of this name."""
        known = [self.by_name[name] for name in self.bases(node) if name in self.by_name]
        return any(method == child.name for base in known for child in public(base.body, ast.FunctionDef))

    def has_fields(self, node: ast.ClassDef) -> bool:
        decorators = {ast.unparse(decorator).split("(")[0] for decorator in node.decorator_list}
        return "dataclass" in decorators or bool(self.bases(node) & {"BaseModel", "NamedTuple", "TypedDict"})


def undocumented(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Parameters and fields that docstrings do not name, and names in docstrings that do not exist.

    Of overloads, the last definition counts, which has the docstring.
    """
    found: dict[str, set[str]] = {}
    classes = Classes(list(trees.values()))
    for module, tree in trees.items():
        functions = [(module, node) for node in public(tree.body, ast.FunctionDef)]
        for owner in public(tree.body, ast.ClassDef):
            place = f"{module}.{owner.name}"
            own = [
                node for node in public(owner.body, ast.FunctionDef) if not classes.inherits(owner, node.name)
            ]
            functions += [(place, node) for node in own]
            if classes.has_fields(owner) and len(fields(owner)) >= MIN_FIELDS:
                found[place] = fields(owner) ^ sections(owner, "Attributes")
        for place, node in functions:
            if len(parameters(node)) >= MIN_PARAMETERS:
                found[f"{place}.{node.name}"] = parameters(node) ^ sections(node, "Args")
    return {place: names for place, names in found.items() if names}


def test_docstrings_name_parameters_and_fields():
    assert undocumented({name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}) == {}


def test_missing_parameters_and_fields_are_found():
    code = """
class Options(NamedTuple):
    '''Of a call.

    Attributes:
        size: in pixels.
    '''

    size: int
    seed: int

    def of(self, a, b): ...

def call(image, options, *, seed):
    '''Call.

    Args:
        image: path.
        option: the options.
    '''

class Base:
    def run(self, a, *b, **c):
        '''Run.

        Args:
            a: image.
            b: images.
            c: options.
        '''

class Part(Base):
    def run(self, a, *b, **c): ...
"""
    found = {"a.Options": {"seed"}, "a.call": {"options", "option", "seed"}}
    assert undocumented({"a": ast.parse(code)}) == found


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is a bare string."""
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant and isinstance(node.value.value, str)


def orphans(tree: ast.Module) -> list[int]:
    """Lines of bare strings that document nothing: no docstrings, and not after an assignment."""
    found = []
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if not isinstance(block, list):  # the body of a lambda or of a conditional expression
                continue
            before: list[ast.stmt | None] = [None, *block]
            for previous, child in zip(before, block, strict=False):
                docstring = previous is None and name == "body" and documented
                if is_text(child) and not docstring and not isinstance(previous, ast.Assign | ast.AnnAssign):
                    found.append(child.lineno)
    return found


def test_every_docstring_documents_something():
    found = {name: orphans(ast.parse(path.read_text("utf-8"))) for name, path in MODULES.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_docstring_of_nothing_is_found():
    code = """
'''Of the module.'''
import json
'''Of a constant that has moved.'''
SIZE = 1
'''Of SIZE.'''
'''Again.'''
def call():
    '''Of the function.'''
    if SIZE:
        '''Of nothing.'''
"""
    assert orphans(ast.parse(code)) == [4, 7, 11]
