# Everything that a developer and CI run. `make test` is what CI calls; both `run` and `test` do their own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
ARTIFACTS ?= artifacts
PYTEST_ARGS ?=

export PATH := $(CURDIR)/$(BIN):$(PATH)
# Ray and DeepSpeed ask the network for nothing, and no model hub is ever asked.
export RAY_USAGE_STATS_ENABLED := 0
export HF_HUB_OFFLINE := 1

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## /\1\t/' | expand -t 12

.PHONY: install
install: $(INSTALLED) ## .venv with the locked requirements and this project

# The lock's hashes hold for every requirement, the installer and the build tools of source packages included. What a run
# imports is imported once, so that the first run does not pay for bytecode (compiling all of site-packages takes minutes);
# DeepSpeed compiles nothing else (chex_jobs.training.process_group).
$(INSTALLED): requirements.lock pyproject.toml
	@echo "installing into $(VENV) (some minutes once: PyTorch alone is gigabytes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or newer; say which: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.lock > $(VENV)/installer.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/installer.lock
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes \
		--build-constraints requirements.lock requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@DS_ACCELERATOR=cpu $(BIN)/python -c 'import $(IMPORTED_BY_RUNS)' 2> $(VENV)/import.log || { cat $(VENV)/import.log >&2; exit 1; }
	@touch $@

IMPORTED_BY_RUNS := cv2, deepspeed, onnx, optuna, pyarrow.parquet, pydicom, ray.train.torch, ray.tune, scipy.stats, sklearn.linear_model, \
	timm, torchvision, transformers

# uv reads no pip configuration; a machine that is told there to use a mirror means uv as well.
UV = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true)}}" \
	$(BIN)/uv

.PHONY: run
run: $(INSTALLED) ## the whole pipeline on generated films; prints where the report is
	@$(BIN)/chex run infra/samples/quickstart.yaml --artifacts "$(ARTIFACTS)"

.PHONY: test
test: lint types contracts generated programs ## everything that must hold before a commit; PYTEST_ARGS="-k ..." narrows pytest
	@$(BIN)/pytest $(TWO_PROCESSES) $(PYTEST_ARGS)

.PHONY: check
check: lint types contracts generated ## what needs no server and no cluster, in minutes: lint, types, contracts, unit and chart tests
	@$(BIN)/pytest $(TWO_PROCESSES) tests/unit tests/chart $(PYTEST_ARGS)

# The tiers that wait for servers most of their time run side by side (tests/conftest.py divides them).
TWO_PROCESSES := -n 2 --dist loadscope --no-loadscope-reorder

.PHONY: programs
programs: $(INSTALLED) ## the servers that tests start, built once (some minutes) and cached: Kubernetes' API server, etcd, an S3 server
	@$(BIN)/python -m tests.apiserver.binaries > /dev/null
	@$(BIN)/python -m tests.s3.versitygw > /dev/null

.PHONY: crash
crash: $(INSTALLED) ## jobs killed 20 times end bit-equal; operators killed at every single call end alike (hours; -k narrows)
	@$(BIN)/pytest -s tests/crash $(PYTEST_ARGS)

.PHONY: lint
lint: $(INSTALLED) ## ruff: rules and format
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted; run: make format" >&2; exit 1; }

.PHONY: format
format: $(INSTALLED) ## ruff: mend what can be mended
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

.PHONY: types
types: $(INSTALLED) ## pyright: strict in chex_api and chex_operator
	@$(BIN)/pyright --warnings

.PHONY: contracts
contracts: $(INSTALLED) ## import-linter: who may import whom
	@$(BIN)/lint-imports

.PHONY: generated
generated: $(INSTALLED) ## generated files are what their sources give
	@for folder in $(CRD_FOLDERS); do $(BIN)/chex crds --folder $$folder --check; done

.PHONY: crds
crds: $(INSTALLED) ## write the CRDs from the models, the chart's copies included
	@for folder in $(CRD_FOLDERS); do $(BIN)/chex crds --folder $$folder; done

CRD_FOLDERS := crds charts/chex-operator/files/crds

# The images install a part of the lock each, at the versions of the whole; torch for the CPU comes from elsewhere.
COMPILE = $(UV) pip compile pyproject.toml --generate-hashes --no-emit-index-url --universal --python-version 3.11 --quiet
IMAGES := infra/images

.PHONY: lock
lock: $(INSTALLED) ## resolve pyproject.toml anew, keeping what is pinned where it can be kept
	@$(COMPILE) --all-extras --output-file requirements.lock
	@$(COMPILE) --extra operator --constraint requirements.lock --output-file $(IMAGES)/requirements-operator.lock
	@$(COMPILE) --extra jobs --constraint requirements.lock --output-file $(IMAGES)/requirements-jobs.lock
	@$(COMPILE) --extra jobs --constraint requirements.lock --output-file $(IMAGES)/requirements-jobs-cpu.lock \
		$$(sed -nE 's/^((torch|torchvision|triton|(nvidia|cuda)-[a-z0-9-]+)==.*)/--no-emit-package \1/p' requirements.lock | cut -d= -f1)

.PHONY: bench
bench: $(INSTALLED) ## the benchmarks, each against a rival in the same run
	@for benchmark in tests/benchmarks/*.py; do echo "== $$benchmark"; $(BIN)/python -m "tests.benchmarks.$$(basename "$$benchmark" .py)"; done

.PHONY: e2e
e2e: $(INSTALLED) ## against the cluster of KUBECONFIG, with KubeRay and the operator; see tests/e2e/__init__.py
	@$(BIN)/pytest --timeout=3600 tests/e2e $(PYTEST_ARGS)

.PHONY: clean
clean: ## remove what was built and generated here, not the artifacts
	@rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
