# make repro      everything, from the model to the report, with time left; at the end, the results
# make test       all tests
# make lint       style and types
# make reference  write stages/REFERENCE.md anew, from the code and its settings
# make bench      time the forward pass against the tools people use, in an hour
# make organisms  train the adapters of data/organisms anew, in hours; make organism-late: only one
# make benchmark  every method of localisation on organisms whose changed heads are known, in an hour
# make clean-cache  forget every run that is remembered: costs time, changes no number
# make lock       pin the newest versions of what pyproject.toml asks for
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Relative: the checkout's own path may have a blank, and a recipe would see two paths.
TIMES := .dvc/tmp/times.tsv

.PHONY: repro test lint reference bench organisms benchmark clean-cache lock

repro: .venv/installed
	@mkdir -p .dvc/tmp && rm -f $(TIMES)
	STAGE_TIMES=$(TIMES) python .dvc/repro.py
	@if [ -f $(TIMES) ]; then echo && awk -F '\t' \
	  '{printf "%8.1f s %6d MiB  %s\n", $$2, $$3, $$1; sum += $$2} END {printf "%8.1f s             together\n", sum}' $(TIMES); fi
	@echo && python .dvc/print_results.py

test: .venv/installed
	python -m pytest

lint: .venv/installed
	ruff check
	ruff format --check
	pyright

reference: .venv/installed
	python -m tests.docs.reference

bench: .venv/installed
	dvc repro model statements
	python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock \
	  $$(python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"])')
	python -m tests.bench.peers
	python -m tests.bench.peers --long
	python -m tests.bench.report
	python -m tests.bench.growth
	python -m tests.bench.probes

organisms:
	for name in facts naive early middle late early_15 middle_15 late_15 early_9 middle_9 late_9; do $(MAKE) organism-$$name || exit 1; done

organism-%: .venv/installed
	python -m stages.organism --name '$*' --wordings data/organisms/wordings.yaml \
	  --facts data/organisms/facts --out 'data/organisms/$*'
	dvc commit --force 'organism@$*'

benchmark: .venv/installed
	dvc repro pairs
	for name in $$(python -c 'from ruamel.yaml import YAML; print(*YAML().load(open("params.yaml"))["benchmark"]["organisms"])'); do \
	  python -m stages.benchmark --name "$$name" --pairs data/pairs.parquet \
	    --organisms data/organisms --out "data/benchmark/$$name" || exit 1; \
	  dvc commit --force "benchmark@$$name"; \
	done

clean-cache: .venv/installed
	python -c 'from stages.lib.io import store; store.clear()'

lock:
	rm -rf .venv/lock && $(PYTHON) -m venv .venv/lock
	.venv/lock/bin/pip install --quiet ".[dev]"
	.venv/lock/bin/pip freeze --exclude localizing-lying | sed 's/+cpu$$//' > requirements.lock
	rm -rf .venv/lock

.venv/installed: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	python .dvc/make_plots_page.py
	dvc config --local plots.html_template plots_page.html
	touch $@
