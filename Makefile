# Two commands matter: `make demo` and `make test`. Each works from a bare clone with Python 3.11 and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
SEEDS  ?= 200
SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help setup demo test gate check kafka kafka-stop bench bench-board screenshots alerts chaos soak simulate nights clients fuzz flood mutants docs requirements pythons recipe release sbom audit

help:            ## what there is
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

COMPILED := $(shell grep -o 'tally_stream/[a-z_/]*\.py' setup.py)

setup: $(VENV)/.ready $(VENV)/.compiled  ## add to .venv what the tests need, and compile what counts

# What the product needs to run, uncompiled: all that a demo asks for.
$(VENV)/.runtime: requirements/runtime.txt requirements/installer.txt requirements/install.py pyproject.toml
	@$(PYTHON) requirements/install.py runtime
	@touch $@

$(VENV)/.ready: requirements/dev.txt $(VENV)/.runtime
	@$(PYTHON) requirements/install.py dev
	@touch $@

# What counts is compiled where there is a C compiler; else the same files run as they are, more than twice as slow.
$(VENV)/.compiled: $(VENV)/.ready setup.py $(COMPILED)
	@$(PYTHON) requirements/install.py compile
	@if ls tally_stream/compiled__mypyc.*.so >/dev/null 2>&1; then touch $@; fi  # else it is tried again the next time

# Where it was compiled before, a source that changed since is compiled first: Python would run the old code.
demo: $(VENV)/.runtime $(wildcard $(VENV)/.compiled)  ## a whole night on Kafka in one command; ARGS="--election bolivia-2019 --fast --exit"
	@$(BIN)/tally-stream demo $(ARGS)

test: setup      ## every test, long ones in their short form; real-Kafka tests are skipped by name without Java 17 and Maven; ARGS="board demo" for some lanes
	@$(BIN)/python -m tests.lanes $(ARGS)

gate: setup      ## what must pass before anything is merged: every test, and beside them `make check`
	@$(BIN)/python -m tests.lanes --all

check: setup     ## format, lint, types, import arrows, generated pages, links, names in the docs, the page, the workflow
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/docs/generate.py --check
	$(BIN)/python deploy/grafana/generate.py --check
	$(BIN)/python -m tests.docs.links
	$(BIN)/python -m tests.docs.names
	$(BIN)/python tests/board/lint/run.py

pythons: setup   ## the fast tests, interpreted, on each Python from 3.11 on that is there; ARGS=3.13 for one
	@$(BIN)/python -m tests.pythons $(ARGS)

release: setup   ## wheels, the list of what is in them and their sums, in dist/ (docs/releasing.md)
	@$(BIN)/python requirements/release.py $(ARGS)

recipe: setup    ## the image's RUN lines where there is no container engine: build, install, start (a minute, a network)
	@$(BIN)/python -m tests.deploy.recipe

sbom: setup      ## the list of what the product runs with (CycloneDX), in dist/sbom.cdx.json; `make release` writes it too
	@$(BIN)/python requirements/release.py --sbom

# In an environment of its own: what it needs is not what is audited. The two lists are all that is ever installed.
audit: setup     ## ask PyPI which pinned versions have a known weakness; the workflow does it once a week
	@$(BIN)/uv venv --quiet --clear build/audit
	@$(BIN)/uv pip install --quiet --python build/audit --require-hashes -r requirements/audit.txt
	build/audit/bin/pip-audit --disable-pip --require-hashes -r requirements/runtime.txt -r requirements/dev.txt $(ARGS)

mutants: setup   ## plant faults in a copy; a named test must catch each
	@$(BIN)/python -m tests.mutants.run $(ARGS)

docs: setup      ## write the generated pages
	$(BIN)/python tests/docs/generate.py
	$(BIN)/python deploy/grafana/generate.py

kafka: setup     ## a local Kafka on loopback (Java 17, Maven); ARGS="--brokers 3", ARGS="--secured"
	$(BIN)/python deploy/kafka/local/kafka_local.py start --directory .kafka $(ARGS)

kafka-stop:      ## end it
	$(BIN)/python deploy/kafka/local/kafka_local.py stop --directory .kafka

bench: setup     ## beside Kafka Streams and others: speed, latency, replay (Java 17, Maven); ARGS=--quick for less than five minutes, --all for every row
	$(BIN)/python -m bench.run $(ARGS)

screenshots: setup  ## the board's pictures in docs/pictures, taken in chromium
	@$(BIN)/python -m tests.board.screenshots

bench-board: setup  ## 5,000 readers of the stream on one board; ARGS="--readers 500 --seconds 10"
	@$(BIN)/python -m bench.board $(ARGS)

simulate: setup  ## play seeded nights full of faults on a cluster in memory; SEEDS=10000, or ARGS="--seed 17" for one in full
	@$(BIN)/python -m tests.simulation.run --seeds $(SEEDS) $(ARGS)

nights: setup    ## each night on a real Kafka in each set-up: one broker and three, one worker, two, one of two killed
	@TALLY_TEST_LONG=1 $(BIN)/python -m pytest -q tests/nights/test_nights_on_kafka.py

clients: setup   ## two hundred clients, some by an intake, killed at random, on three brokers of which one is lost and all are frozen for a minute
	@TALLY_TEST_LONG=1 $(BIN)/python -m pytest -q tests/station/test_killed_clients_on_kafka.py

fuzz: setup      ## try inputs on every reader of hostile bytes; SECONDS=600, ARGS="--only report"
	@$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS) $(ARGS)

flood: setup     ## nonsense at ten times the rate of good reports on a real Kafka, with a table; ARGS="--times 20"
	@$(BIN)/python -m tests.nights.flood $(ARGS)

alerts: setup    ## break a night of real workers and see a real Prometheus ring, with a table (Debian's prometheus; root for one scene); ARGS="--only frozen"
	@$(BIN)/python -m tests.deploy.alert_scenes $(ARGS)

soak: setup      ## hours of load on three brokers with a fault every ten minutes: memory, handles, lag, differences; ARGS="--minutes 30 --rate 500"
	$(BIN)/python -m tests.chaos.soak $(ARGS)

chaos: setup     ## real faults on three brokers under load, with a table; ARGS="--short" or --only "kill -9"
	$(BIN)/python -m tests.chaos.run $(ARGS)

# Each file as it stands is the base: a pin moves only where it must. ARGS=--upgrade moves them all. Neither an index nor a
# folder of wheels that this machine knows may get into them.
PIN := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras \
  --no-emit-index-url --no-emit-find-links
requirements: setup  ## pin every package by hash again; ARGS=--upgrade for newer ones
	$(PIN) $(ARGS) --group dev --extra embedded --output-file requirements/dev.txt pyproject.toml
	$(PIN) $(ARGS) --extra embedded --constraint requirements/dev.txt --no-annotate --output-file requirements/runtime.txt pyproject.toml
	$(PIN) $(ARGS) --group installer --constraint requirements/dev.txt --no-annotate --output-file requirements/installer.txt
	$(PIN) $(ARGS) --group build --constraint requirements/dev.txt --no-annotate --output-file requirements/build.txt
	$(PIN) $(ARGS) --group audit --constraint requirements/dev.txt --no-annotate --output-file requirements/audit.txt
