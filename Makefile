# `make` lists the targets.

PYTHON ?= python3
VENV ?= .venv
DOMAINS ?=
EXAMPLES ?= 2000
DEMO := runs/demo/synthetic_plaza+synthetic_station+synthetic_campus_to_synthetic_night/fb/seed0
RUN := $(VENV)/bin/python
# Newer than pyproject.toml and constraints.txt: what they ask for is installed.
INSTALLED := $(VENV)/.dgreid-installed
TABLE = $(RUN) -m dgreid.benchmark $(@:benchmark-%=%) $(if $(DRY),--dry) $(BENCH)
RECENT := -c 'import sys; sys.exit(sys.version_info < (3, 11))'

.DEFAULT_GOAL := help
.PHONY: help install demo docs test test-all test-fuzz test-faults test-soak lint format data-check bench-data \
  bench-train bench-eval bench-rerank bench-search \
  benchmark-synthetic benchmark-m3l benchmark-il benchmark-p2 benchmark-p3 golden clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  PYTHON=python3.12     interpreter that makes the virtual environment ($(PYTHON))"
	@echo "  VENV=\"\$$VIRTUAL_ENV\"   virtual environment to use, made if there is none ($(VENV))"
	@echo "  DOMAINS=\"name name\"   what data-check looks at (all)"
	@echo "  EXAMPLES=2000         inputs that test-fuzz tries of each kind ($(EXAMPLES))"
	@echo "  KILLS=50              interruptions that test-faults makes (50)"
	@echo "  BENCH=\"--size ...\"   options of bench-eval, bench-rerank, bench-search and benchmark-* (none)"
	@echo "  DRY=1                 benchmark-*: train nothing, say what it would take"
	@echo "  DGREID_DATA=/data     environment variable: the folder that holds the data sets (data)"

install: $(INSTALLED) ## make .venv if there is none and install into it (about 7 GB); again: nothing

$(INSTALLED): pyproject.toml constraints.txt | $(RUN)
	@$(RUN) $(RECENT) || { echo "make: $(VENV) holds $$($(RUN) --version 2>&1), needed is 3.11 or newer:" \
	  "remove it, or choose another place with VENV=<folder>" >&2; exit 1; }
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(RUN) -m ensurepip >/dev/null || { \
	  echo "make: $(VENV) has no pip; remove it, then: apt install python3-venv (Debian, Ubuntu)" >&2; exit 1; }
	@echo "installing into $(VENV) (about 7 GB, a few minutes) ..."
	@$(RUN) -m pip install -q --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@

$(RUN):
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; name a Python of 3.11 or newer:" \
	  "make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) $(RECENT) || { echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1), needed is 3.11 or newer:" \
	  "make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) cannot make a virtual environment;" \
	  "on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

demo: $(INSTALLED) ## train on three synthetic domains, evaluate on a fourth (at most 4 minutes)
	@test -f "$(DEMO)/result.json" || $(RUN) train.py experiment=demo $(if $(wildcard $(DEMO)/config.yaml),resume=true)
	@$(RUN) evaluate.py run='$(DEMO)' 'checkpoint=[initial,last]'
	@echo
	@echo "the run:  $(DEMO)"
	@echo "next:     $(RUN) train.py experiment=demo strategy=fbf        another method"
	@echo "          $(RUN) train.py experiment=demo protocol=synthetic/to_plaza   another unseen domain"
	@echo "          $(RUN) -m dgreid.data check        your own Market-1501, MSMT17, CUHK03 (README, real data)"

test: $(INSTALLED) ## unit, contract and integration tests (at most 15 minutes on 2 cores)
	@$(RUN) -m pytest

test-all: $(INSTALLED) ## all tests, the slow ones too
	@$(RUN) -m pytest -m ""

test-fuzz: $(INSTALLED) ## parsers against EXAMPLES arbitrary and mutated inputs each, others each time
	@EXAMPLES=$(EXAMPLES) $(RUN) -m pytest tests/fuzz

test-faults: $(INSTALLED) ## kill runs at KILLS random moments (50), continue and compare them bit by bit (20 minutes)
	@OMP_NUM_THREADS=1 $(RUN) tests/integration/faults.py --kills $(or $(KILLS),50)

docs: $(INSTALLED) ## build the site of docs/ into build/site: build/site/index.html opens from disk
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build
	@echo "the site: build/site/index.html"

lint: $(INSTALLED) ## ruff (rules, format) and mypy
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

format: $(INSTALLED) ## format the code and mend what ruff can
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

data-check: $(INSTALLED) ## compare the data sets on disk with what was published
	@$(RUN) -m dgreid.data check $(DOMAINS)

bench-data: $(INSTALLED) ## images per second of the data path against PIL and transforms
	@$(RUN) benchmarks/bench_data.py

bench-train: $(INSTALLED) ## seconds and memory of training steps against the releases' plain procedures (10 minutes)
	@$(RUN) benchmarks/bench_train.py

bench-eval: $(INSTALLED) ## time and memory of exact figures against other programs; FULL=1: at MSMT17's size, too
	@$(RUN) benchmarks/bench_eval.py $(BENCH)
	@$(if $(FULL),$(RUN) benchmarks/bench_eval.py --size msmt --rounds 1 --times 1 $(BENCH))

bench-rerank: $(INSTALLED) ## time and memory of re-ranking against the plain procedure; FULL=1: at MSMT17's size, too
	@$(RUN) benchmarks/bench_rerank.py $(BENCH)
	@$(if $(FULL),$(RUN) benchmarks/bench_rerank.py --size msmt $(BENCH))

bench-search: $(INSTALLED) ## recall, speed, size of faiss's indexes over a million vectors; Ctrl-C stops, again goes on
	@$(RUN) benchmarks/bench_search.py $(BENCH)

test-soak: $(INSTALLED) ## does a long run stay as it began: memory, files, processes of all methods (SOAK=20 minutes)
	@$(RUN) benchmarks/soak.py --minutes $(or $(SOAK),20)

benchmark-synthetic: $(INSTALLED) ## five methods x four drawn targets x three seeds; Ctrl-C stops, again goes on (70 minutes)
	@$(TABLE)

benchmark-m3l: $(INSTALLED) ## M3L's leave-one-out table on real data; DRY=1: what is missing, hours and memory
	@$(TABLE)

benchmark-il: $(INSTALLED) ## IL's leave-one-out table on real data; DRY=1 likewise
	@$(TABLE)

benchmark-p2: $(INSTALLED) ## Protocol-2's table on real data, without DukeMTMC; DRY=1 likewise
	@$(TABLE)

benchmark-p3: $(INSTALLED) ## Protocol-3's table on real data, without DukeMTMC; DRY=1 likewise
	@$(TABLE)

golden: $(INSTALLED) ## rewrite the golden traces; a change of the numbers then shows in the diff
	@$(RUN) tests/integration/golden.py

clean: ## remove caches and build output; never data, runs or the virtual environment
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +
