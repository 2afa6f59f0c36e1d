"""The house holds: imports go downward only, modules and functions stay small, nothing unsafe gets in.

The rules are functions from source text to complaints, so that each of them is also run on a
planted violation: a rule that cannot fail protects nothing.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "personsearch"

FLOORS: dict[str, int] = {
    **dict.fromkeys(("types", "boxes", "images", "errors", "files", "pictures", "progress", "protocols"), 0),
    "ranking": 1,
    **dict.fromkeys(("datasets", "evaluation", "model", "media", "gallery", "report", "features"), 2),
    **dict.fromkeys(("training", "baselines", "indexing"), 3),
    **dict.fromkeys(("experiments", "service", "api"), 4),
    "cli": 5,
    "__main__": 6,
}
FOUNDATION = frozenset(room for room, floor in FLOORS.items() if floor == 0)

MODULE_LINES, FUNCTION_LINES = 400, 60
# "path" or "path::function": why it may be longer than the rest.
LONGER_WITH_A_REASON: dict[str, str] = {
    "cli/search.py::search": "a parameter for each flag, and there are forty; what it does is fifteen lines",
}
# A room whose parts are used under its own name: its __init__ says which, and does nothing else.
RE_EXPORTING = {"features/__init__.py"}

# Heavy or optional: `personsearch --help` must not wait for them.
SLOW_TO_IMPORT = ("torch", "torchvision", "lancedb", "cv2", "numpy", "scipy", "PIL", "matplotlib", "pyarrow")
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def modules() -> Iterator[tuple[str, str]]:
    """(path below the package, source text) of every module."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), path.read_text()


def room_of(path: str) -> str:
    """``datasets/prw.py`` is in room ``datasets``; the modules of floor 0 share one room."""
    room = path.split("/")[0].removesuffix(".py")
    return "foundation" if room in FOUNDATION else room


def floor_of(room: str) -> int:
    return 0 if room == "foundation" else FLOORS[room]


def _without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that is there when the program runs: not the body of ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from _without_type_checking(other)
            continue
        yield child
        yield from _without_type_checking(child)


def imports(path: str, text: str) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of everything a module imports when it runs, inside functions too."""
    package = ["personsearch", *path.split("/")[:-1]]
    for node in _without_type_checking(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, module
            if module == "personsearch":  # from personsearch import ranking
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def wrong_direction(path: str, text: str) -> list[str]:
    """Imports that do not go downward: up, or sideways into another room of the same floor."""
    room, complaints = room_of(path), []
    if path == "__init__.py":
        return [
            f"{path}:{line} the package imports {name}"
            for line, name in imports(path, text)
            if name.startswith("personsearch")
        ]
    for line, name in imports(path, text):
        parts = name.split(".")
        if parts[0] != "personsearch" or len(parts) == 1 or parts[1] == "__version__":
            continue
        other = room_of(parts[1])
        if other not in ("foundation", *FLOORS):
            complaints.append(f"{path}:{line} imports {name}, which is on no floor")
        elif other != room and floor_of(other) >= floor_of(room):
            complaints.append(
                f"{path}:{line} floor {floor_of(room)} imports {name} of floor {floor_of(other)}"
            )
    return complaints


def too_long(path: str, text: str) -> list[str]:
    """Modules and functions over the length that can be read in one go."""
    complaints = []
    lines = text.count("\n")
    if lines > MODULE_LINES and path not in LONGER_WITH_A_REASON:
        complaints.append(f"{path} has {lines} lines (at most {MODULE_LINES})")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES and f"{path}::{node.name}" not in LONGER_WITH_A_REASON:
                complaints.append(
                    f"{path}:{node.lineno} {node.name} has {lines} lines (at most {FUNCTION_LINES})"
                )
    return complaints


def unsafe(path: str, text: str) -> list[str]:
    """Ways in which a file could run code, or code be named by a string."""
    complaints = [
        f"{path}:{line} imports {name}"
        for line, name in imports(path, text)
        if name.split(".")[0] in UNSAFE_MODULES
    ]
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        last = called.split(".")[-1]
        if called in ("eval", "exec", "compile", "__import__"):
            complaints.append(f"{path}:{node.lineno} calls {called}")
        if last == "import_module" and not _names_a_library(node):
            complaints.append(f"{path}:{node.lineno} imports what a string names")
        if last == "load" and called.split(".")[0] == "torch" and given.get("weights_only") != "True":
            complaints.append(f"{path}:{node.lineno} torch.load without weights_only=True")
        if given.get("allow_pickle", "False") != "False" or given.get("shell", "False") != "False":
            complaints.append(f"{path}:{node.lineno} {called} with allow_pickle or shell")
    return complaints


def _names_a_library(call: ast.Call) -> bool:
    """Whether the call imports a fixed, optional library: a literal name outside of this package."""
    name = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    return isinstance(name, str) and name.split(".")[0] not in ("personsearch", "", *UNSAFE_MODULES)


def cycles(graph: dict[str, set[str]]) -> list[str]:
    """A line for every import that closes a circle."""
    state: dict[str, int] = {}
    found = []

    def visit(name: str, trail: tuple[str, ...]) -> None:
        state[name] = 1
        for other in sorted(graph.get(name, ())):
            if state.get(other) == 1:
                found.append(" -> ".join([*trail[trail.index(other) :], other]))
            elif other not in state:
                visit(other, (*trail, other))
        state[name] = 2

    for name in sorted(graph):
        if name not in state:
            visit(name, (name,))
    return found


def import_graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which module of the package imports which other one, at any depth of its code."""
    names = {"personsearch." + path.removesuffix(".py").replace("/", "."): path for path in sources}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        graph[name] = set()
        for node in _without_type_checking(ast.parse(sources[path])):
            if isinstance(node, ast.ImportFrom) and node.module in names and node.module != name:
                inside = {f"{node.module}.{alias.name}" for alias in node.names} & set(names)
                graph[name] |= inside or {node.module}
            elif isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names} & set(names) - {name}
    return graph


RULES = (wrong_direction, too_long, unsafe)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule) -> None:
    complaints = [complaint for path, text in modules() for complaint in rule(path, text)]
    assert not complaints, "\n".join(complaints)


def test_no_module_imports_itself_in_a_circle() -> None:
    assert cycles(import_graph(dict(modules()))) == []


def test_every_room_has_a_floor_and_every_init_is_nearly_empty() -> None:
    for path, text in modules():
        if path != "__init__.py":
            assert room_of(path) == "foundation" or room_of(path) in FLOORS, f"{path} is on no floor"
        if path in RE_EXPORTING:
            lines = {type(node).__name__ for node in ast.parse(text).body}
            assert lines <= {"Expr", "ImportFrom", "Assign"}, f"{path} does more than name its parts"
        elif path.endswith("__init__.py"):
            assert len(ast.parse(text).body) <= 2, f"{path} does more than say what the room is"


def test_longer_modules_that_are_listed_still_exist() -> None:
    for entry, reason in LONGER_WITH_A_REASON.items():
        assert reason
        assert (SOURCE / entry.split("::")[0]).exists(), f"{entry} is listed and gone"


PLANTED = [
    (wrong_direction, "ranking/x.py", "from personsearch.gallery.store import Store\n"),
    (wrong_direction, "ranking/x.py", "def f():\n    import personsearch.cli.main\n"),
    (wrong_direction, "gallery/x.py", "from personsearch.report import html\n"),
    (wrong_direction, "gallery/x.py", "from personsearch import report\n"),
    (wrong_direction, "gallery/x.py", "from ..media import folders\n"),
    (wrong_direction, "features.py", "from personsearch.evaluation.search import score_search\n"),
    (wrong_direction, "types.py", "from personsearch.ranking import topk\n"),
    (wrong_direction, "gallery/x.py", "from personsearch.attic import old\n"),
    (wrong_direction, "__init__.py", "from personsearch.api import PersonSearch\n"),
    (too_long, "gallery/x.py", "x = 1\n" * (MODULE_LINES + 1)),
    (too_long, "gallery/x.py", "def f():\n" + "    x = 1\n" * FUNCTION_LINES),
    (unsafe, "model/x.py", "import pickle\n"),
    (unsafe, "model/x.py", "def f():\n    from pickle import loads\n"),
    (unsafe, "model/x.py", "eval('1')\n"),
    (unsafe, "model/x.py", "importlib.import_module(name)\n"),
    (unsafe, "model/x.py", "importlib.import_module('personsearch.model')\n"),
    (unsafe, "model/x.py", "import_module('pickle')\n"),
    (unsafe, "model/x.py", "torch.load(path)\n"),
    (unsafe, "model/x.py", "torch.load(path, weights_only=False)\n"),
    (unsafe, "model/x.py", "np.load(path, allow_pickle=True)\n"),
    (unsafe, "model/x.py", "subprocess.run(line, shell=True)\n"),
]
ALLOWED = [
    (
        wrong_direction,
        "gallery/x.py",
        "from personsearch.ranking.topk import top_k\nfrom .store import Store\n",
    ),
    (wrong_direction, "boxes.py", "from personsearch.types import Array\n"),
    (wrong_direction, "cli/x.py", "from personsearch import __version__\n"),
    (wrong_direction, "types.py", "if TYPE_CHECKING:\n    from personsearch.ranking import topk\n"),
    (too_long, "gallery/x.py", "def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1)),
    (
        unsafe,
        "model/x.py",
        "network.eval()\ntorch.load(p, weights_only=True)\nnp.load(p, allow_pickle=False)\n",
    ),
]


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_a_planted_violation_is_seen(rule, path: str, text: str) -> None:
    assert rule(path, text)


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_what_is_allowed_passes(rule, path: str, text: str) -> None:
    assert rule(path, text) == []


def test_a_planted_circle_is_seen() -> None:
    texts = {
        "a.py": "from personsearch.b import f\n",
        "b.py": "def g():\n    from personsearch import c\n    import personsearch.c\n",
        "c.py": "import personsearch.a\n",
    }
    assert cycles(import_graph(texts)) == [
        "personsearch.a -> personsearch.b -> personsearch.c -> personsearch.a"
    ]
    assert cycles(import_graph({**texts, "c.py": "import json\n"})) == []


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


BLOCK_TORCH = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'torchvision', 'accelerate'):
            raise ModuleNotFoundError(f'{name} is blocked', name=name)
sys.meta_path.insert(0, Block())
"""


def test_floors_below_training_import_without_torch() -> None:
    wanted = [
        ("personsearch." + path.removesuffix(".py").replace("/", ".")).removesuffix(".__init__")
        for path, _ in modules()
        if path != "__init__.py" and floor_of(room_of(path)) <= 2 and room_of(path) != "model"
    ]
    code = BLOCK_TORCH + "\n".join(f"import {name}" for name in wanted)
    done = _python(code)
    assert done.returncode == 0, done.stderr
    blocked = _python(BLOCK_TORCH + "import torch")  # and the block does block
    assert blocked.returncode != 0


def test_help_and_version_import_nothing_slow() -> None:
    code = f"""
import sys
from personsearch.cli.main import run
for line in (['--help'], ['--version'], ['search', '--help'], ['train', '--help'], ['demo', '--help']):
    assert run(line) == 0, line
slow = sorted(name for name in {SLOW_TO_IMPORT!r} if name in sys.modules)
assert not slow, slow
"""
    done = _python(code)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
