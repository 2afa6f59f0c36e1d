"""Every verb says what it does, with an example that its own parser accepts."""

from __future__ import annotations

import re
import shlex

import pytest

from personsearch import __version__
from personsearch.cli.main import run

VERBS = (
    "dataset make",
    "baselines train",
    "baselines evaluate",
    "ablation",
    "export",
    "train",
    "evaluate",
    "detect",
    "index",
    "search",
    "sheet",
    "annotate",
    "clips",
    "watch",
    "gallery info",
    "gallery verify",
    "gallery maintain",
    "gallery prune",
    "gallery migrate",
    "gallery export",
    "gallery audit",
    "forget",
    "demo",
    "doctor",
)


def help_of(verb: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run([*verb.split(), "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example_with_options_that_exist(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(verb, capsys)
    examples = re.findall(rf"^ +(personsearch {verb}.*)$", text, re.M)
    assert examples, text
    for example in examples:
        for word in shlex.split(example.split("|")[0], comments=True):
            if re.match(r"--?[a-z0]", word):
                assert re.search(rf"(^|[ ,]){word}\b", text, re.M), f"{example}: {word}"


def test_no_words_at_all_is_help_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    text = capsys.readouterr().out
    assert all(f"\n  {verb.split()[0]} " in text for verb in VERBS)


def test_a_group_without_a_verb_is_its_help_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dataset"]) == 2
    out, err = capsys.readouterr()
    assert "\n  make " in out
    assert err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"personsearch {__version__}\n"
