# Everything here works in a fresh clone: .venv is made by scripts/setup when it is missing or stale.
#
#   make demo    the quick start under a real server, called over HTTP, with its statistics
#   make test    the whole suite, on every backend that this tree contains
#   make bench   the benchmark table
#   make lint    ruff, and mypy on an installed copy
#   make clean   forget .venv and what tools have cached
#
# PYTHON=python3.12 chooses the interpreter of a new .venv. ARGS goes to pytest or the benchmark.

VENV := .venv
BIN := $(VENV)/bin

# An editable install follows edits of Python files by itself; these need another install.
SOURCES := pyproject.toml CMakeLists.txt $(wildcard backends/*/__init__.py conformance/__init__.py) \
	$(shell find backends -name CMakeLists.txt -o -name '*.c' -o -name '*.h' -o -name '*.cpp' -o -name '*.hpp')

# A backend of the tree that cannot be loaded is a failure, not a skip.
comma := ,
space := $(subst ,, )
BACKENDS := $(subst $(space),$(comma),$(sort $(patsubst backends/%/__init__.py,%,$(wildcard backends/*/__init__.py))))

.PHONY: demo test bench lint clean
.DELETE_ON_ERROR:

demo: $(VENV)/.ready-demo
	$(BIN)/python -m catzilla demo

test: $(VENV)/.ready-dev
	CATZILLA_TEST_REQUIRE=$${CATZILLA_TEST_REQUIRE-$(BACKENDS)} $(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/background_task_benchmarks.py $(ARGS)

lint: $(VENV)/.ready-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lint
	scripts/typecheck

clean:
	rm -rf $(VENV) .tox .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.ready-dev: $(SOURCES) scripts/setup
	scripts/setup dev
	@touch $@

# What dev installs includes what the demo needs: whoever has the one does not wait for the other.
$(VENV)/.ready-demo: $(SOURCES) scripts/setup
	test -f $(VENV)/.ready-dev && $(MAKE) $(VENV)/.ready-dev || scripts/setup web,cli
	@touch $@
