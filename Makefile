# Needs Python 3.11 or newer with pip and venv, and make; nothing else.
#
#   make demo        the main job from end to end, into demo/ (reuses what is finished)
#   make test        the test suite
#   make test-long   its long form: many kill points, whole training runs
#   make lint        ruff and mypy
#   make clean       remove what the tools left behind; .venv and demo stay
#
# Another interpreter: make demo PYTHON=python3.12    More test processes: make test WORKERS=8

PYTHON = python3
VENV = .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/installed-from.toml
WORKERS = 2
DEMO = demo

.PHONY: demo test test-long lint clean setup

demo: setup
	$(BIN)/personsearch demo --out $(DEMO) --format table

test: setup
	$(BIN)/python -m pytest -m "not long" -n $(WORKERS) --dist worksteal

test-long: setup
	$(BIN)/python -m pytest -m long -n $(WORKERS) --dist worksteal

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The installation is redone only when pyproject.toml says something else than it did then:
# the copy in .venv is written last, so that an interrupted installation is taken up again.
setup:
	@if ! cmp -s pyproject.toml $(STAMP); then \
	  set -e; \
	  $(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "\nhint: make PYTHON=/path/to/a/newer/python3")'; \
	  test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
	  echo "installing personsearch into $(VENV) (once; torch is large, this takes a while)"; \
	  $(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]'; \
	  cp pyproject.toml $(STAMP); \
	fi

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
