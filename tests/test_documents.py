"""The documents say what is so: commands and options exist, code runs, files and rooms are there."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from personsearch.cli.main import run

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
GROUPS = ("dataset", "baselines", "gallery", "person")


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def commands(text: str) -> list[list[str]]:
    """The words of every ``personsearch VERB ...`` in shell blocks and in running text."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    lines += re.findall(r"`(personsearch [^`]+)`", text)
    found = (
        shlex.split(line.split("|")[0], comments=True) for line in lines if line.startswith("personsearch ")
    )
    return [words[1:] for words in found]


@cache
def help_of(verb: tuple[str, ...]) -> tuple[int, str]:
    """Exit code and text of a verb's help."""
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = run([*verb, "--help"])
    return code, text.getvalue()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_their_options_exist(document: Path) -> None:
    for words in commands(document.read_text()):
        if words[0].startswith("-"):
            verb: tuple[str, ...] = ()
        else:
            verb = tuple(words[:2]) if words[0] in GROUPS else (words[0],)
        code, text = help_of(verb)
        assert code == 0, words
        for word in words:
            if re.match(r"--[a-z]", word) and word != "--help":
                assert re.search(rf"(^|[ ,]){word.split('=')[0]}\b", text, re.M), (
                    f"{document.name}: {words}: {word}"
                )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_compiles_and_what_it_imports_exists(document: Path) -> None:
    for block in blocks(document.read_text(), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    text = document.read_text()
    linked = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [link for link in linked if not (document.parent / link).exists()]
    named = re.findall(r"`((?:docs|tests|benchmarks|src)/[\w./-]+\.\w+)`", text)
    missing += [path for path in named if not (ROOT / path).exists()]
    inside = re.findall(
        r"`((?:cli|model|training|gallery|ranking|evaluation|report|datasets)/[\w/]+\.py)`", text
    )
    missing += [path for path in inside if not (ROOT / "src" / "personsearch" / path).exists()]
    assert not missing


def test_the_readme_names_every_verb_and_both_commands() -> None:
    text = (ROOT / "README.md").read_text()
    _, help_text = help_of(())
    verbs = re.findall(r"^  (\w+)  ", help_text[help_text.index("Commands:") :], re.M)
    assert len(verbs) >= 8
    for verb in verbs:
        assert f"`personsearch {verb}" in text, verb
    assert {"make demo", "make test"} <= set(text.splitlines())


def test_the_map_names_every_room_and_no_other() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    tree = text[text.index("    src/personsearch/") : text.index("`tests/test_architecture.py`")]
    named = set(re.findall(r"\b([a-z]+)/(?= )", tree))
    package = ROOT / "src" / "personsearch"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert named - {"synthetic"} == rooms
    for file in re.findall(r"\b([a-z]+\.py)\b", tree):
        assert list(package.rglob(file)), file


def test_the_version_is_the_same_everywhere() -> None:
    from personsearch import __version__

    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()
