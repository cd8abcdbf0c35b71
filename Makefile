# Each target sets up what it needs in .venv, from a bare Python >= 3.10: no installation by hand.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   := $(VENV)/.demo
DEV    := $(VENV)/.dev
DOCS   := $(VENV)/.docs
TOOLS  := $(VENV)/.release

# Of its own, as the recipes bring some two hundred packages along, which `make test` goes without.
RECIPES := .venv-recipes

.PHONY: help demo test test-fast test-all test-matrix release-check lint types format tables golden family notebooks record bench docs zh recipes clean

help:
	@echo "make demo           a LangChain agent and a LlamaIndex RAG answer (real API with MOONSHOT_API_KEY, else the emulator)"
	@echo "make test           what every change has to pass, in minutes: all kinds of tests, each once"
	@echo "make test-fast      half a minute, for one's own loop: no processes, no waiting, the emulator's own tests aside"
	@echo "make test-all       all tests: every name of a family, every configuration, packaging; with coverage"
	@echo "make test-matrix    all tests on the lowest and newest versions; wheel and sdist with each extra"
	@echo "make release-check  all that a release needs, short of uploading; MATRIX=archives leaves out the hour of tests"
	@echo "make lint           ruff"
	@echo "make types          mypy"
	@echo "make format         let ruff reformat"
	@echo "make tables         write the README's tables anew from the profiles"
	@echo "make golden         write the pages of golden requests anew from what is sent"
	@echo "make family         what is to be done after a family is added or changed: tables, golden, record its list, test"
	@echo "make record         record all cassettes anew (real API with MOONSHOT_API_KEY, else the emulator)"
	@echo "make bench          what it costs beside the openai SDK; writes the README's table"
	@echo "make docs           the documentation site, into site/; a link that leads nowhere fails it"
	@echo "make zh             say that the Chinese pages have what the English ones say now, once they have been translated"
	@echo "make recipes        run every fence of every page, in .venv-recipes with all that they need; nothing is left out"
	@echo "make notebooks      run the notebooks and keep what they put out"

demo: $(DEMO)
	@$(BIN)/python -m demo

# What the marks `deep` and `slow` leave out is said in pyproject.toml. tests/parallel.txt has a process for each core; more
# than eight would mostly import and collect, which each of them does for itself. They take work from each other at the
# end, and otherwise run what stands in one module together, as its fixtures are theirs.
PARALLEL := @tests/parallel.txt
FAST     := tests/wire tests/langchain_kimi tests/llama_index_kimi --ignore-glob="*conformance*"
COVERAGE := --cov --cov-report=term-missing:skip-covered --cov-fail-under=95

test: $(DEV)
	$(BIN)/python -m pytest -m "not deep" $(or $(PYTEST_ARGS),$(PARALLEL))

test-fast: $(DEV)
	$(BIN)/python -m pytest -m "not deep and not slow" $(or $(PYTEST_ARGS),$(FAST) $(PARALLEL))

test-all: $(DEV)
	$(BIN)/python -m pytest --hypothesis-profile=night $(or $(PYTEST_ARGS),$(PARALLEL) $(COVERAGE))

test-matrix: $(DEV)
	$(BIN)/python -m tests.matrix

release-check: $(DEV) $(DOCS) $(TOOLS)
	$(BIN)/python -m tests.release --matrix $(or $(MATRIX),all)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

tables: $(DEV)
	$(BIN)/python -m tests.model_table
	$(BIN)/python -m tests.word_table
	$(BIN)/python -m tests.zh

golden: $(DEV)
	$(BIN)/python -m tests.golden.pages

family: tables golden
	$(BIN)/python -m tests.record models
	$(MAKE) test

zh: $(DEV)
	$(BIN)/python -m tests.zh --translated

notebooks: $(DEV)
	$(BIN)/python -m tests.notebooks

docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "site/index.html is its first page; with its search: $(BIN)/python -m http.server -d site"

recipes: $(RECIPES)/.recipes
	$(RECIPES)/bin/python -m pytest --all-needs $(or $(PYTEST_ARGS),tests/test_readme.py tests/recipes)

record: $(DEV)
	$(BIN)/python -m tests.record $(SCENARIOS)

bench: $(DEV)
	$(BIN)/python -m benchmarks --readme $(BENCH_ARGS)

clean:
	rm -rf $(VENV) $(RECIPES) .matrix dist release site

%/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed; \
	say which: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $*
	$@ -m pip install --quiet --disable-pip-version-check --upgrade pip  # Python's own can be twice as slow

# Python compiles what is imported, once, when it is imported; pip would compile all that there is, which is a third of its
# time. So what is compiled has to be kept, whatever the environment says: without it every process compiles the frameworks.
unexport PYTHONDONTWRITEBYTECODE
INSTALL = $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --editable

$(DEMO): pyproject.toml | $(BIN)/python
	$(INSTALL) ".[demo]"
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(INSTALL) ".[dev]"
	@touch $@ $(DEMO)

$(DOCS): pyproject.toml | $(BIN)/python
	$(INSTALL) ".[docs]"
	@touch $@

$(TOOLS): pyproject.toml | $(BIN)/python
	$(INSTALL) ".[release]"
	@touch $@

$(RECIPES)/.recipes: pyproject.toml | $(RECIPES)/bin/python
	$(INSTALL) ".[recipes]"
	@touch $@
