# `make run` and `make test` do everything they need on a fresh Debian with Python and make.
.DEFAULT_GOAL := help
.PHONY: help run install install-dev install-bench browser firefox axe lighthouse database tracer promtool nginx caddy test test-thorough eval bench lint format lock audit sbom clean

# Where the environment forbids compiled modules, every worker and server would compile all its
# imports anew: half of a start.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
SOURCES := cli.py server.py server_settings.py settings.py telemetry.py terminal.py validation.py version.py accounts benchmarks client conversation deploy evals examples knowledge ledger models operating pipeline processors recording simulators tests transports

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## install what is needed, start the server, print the address to open
	@exec $(BIN)/viva serve

install: .venv/.installed ## install everything a server needs into .venv

install-dev: .venv/.installed-dev ## and what the tests need

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Viva needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V). Try make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ echo "Python's venv is missing. On Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

.venv/.installed: requirements.lock pyproject.toml | $(UV)
	@echo "installing into .venv ..."
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/python -m models.moonshine_graphs
	@$(BIN)/python -m models.silero_graph
	@touch $@

# What is imported is compiled here, once: each of the processes that test would do it anew at the
# same time, which takes them 20 s each.
.venv/.installed-dev: requirements-dev.lock .venv/.installed
	@echo "installing what the tests need into .venv ..."
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@for half in "tests/[a-l]*/" "tests/[m-z]*/"; do \
		$(BIN)/python -m pytest --collect-only -q $$half >/dev/null 2>&1 & \
	done; wait
	@touch $@

.venv/.installed-bench: requirements-bench.lock .venv/.installed
	@echo "installing what the benchmarks are measured beside into .venv ..."
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-bench.lock
	@touch $@

install-bench: .venv/.installed-bench ## and the peers that the benchmarks are measured beside

browser: ## install Debian's Chromium, where that is possible
	@command -v chromium >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
		{ sudo -n apt-get update -qq && sudo -n apt-get install -y -qq chromium >/dev/null; } 2>/dev/null || \
		echo "no Chromium: the tests of the page are skipped (apt-get install chromium)"

firefox: ## install Debian's Firefox and PulseAudio, where that is possible
	@{ command -v firefox-esr && command -v pactl; } >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq firefox-esr pulseaudio pulseaudio-utils >/dev/null; } || \
		{ sudo -n apt-get update -qq && sudo -n apt-get install -y -qq firefox-esr pulseaudio pulseaudio-utils >/dev/null; } 2>/dev/null || \
		echo "no Firefox or PulseAudio: their tests are skipped (apt-get install firefox-esr pulseaudio pulseaudio-utils)"

axe: tests/web/node_modules ## install axe-core, which the page is checked by, where that is possible

tests/web/node_modules: tests/web/package-lock.json
	@npm ci --prefix tests/web --silent --no-audit --no-fund || \
		echo "no axe-core: its tests are skipped (apt-get install npm)"
	@touch -c $@

lighthouse: tests/web/lighthouse/node_modules ## install Lighthouse, which the page is measured by, where that is possible

tests/web/lighthouse/node_modules: tests/web/lighthouse/package-lock.json
	@npm ci --prefix tests/web/lighthouse --silent --no-audit --no-fund || \
		echo "no Lighthouse: its tests are skipped (apt-get install npm)"
	@touch -c $@

database: ## install Debian's PostgreSQL, where that is possible
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq postgresql >/dev/null; } || \
		{ sudo -n apt-get update -qq && sudo -n apt-get install -y -qq postgresql >/dev/null; } 2>/dev/null || \
		echo "no PostgreSQL: its tests are skipped (apt-get install postgresql)"

tracer: ## install Debian's strace, where that is possible
	@command -v strace >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq strace >/dev/null; } || \
		{ sudo -n apt-get update -qq && sudo -n apt-get install -y -qq strace >/dev/null; } 2>/dev/null || \
		echo "no strace: the test of connections is skipped (apt-get install strace)"

nginx: build/nginx ## unpack Debian's nginx, where that is possible

build/nginx:
	@command -v nginx >/dev/null || { mkdir -p build/unpacked && cd build/unpacked && \
		apt-get download -qq nginx >/dev/null 2>&1 && dpkg -x nginx_*.deb . && \
		cp usr/sbin/nginx ../nginx && cd .. && rm -r unpacked; } || \
		echo "no nginx: the test of the page below a path is skipped (apt-get install nginx)"

caddy: build/caddy ## unpack Debian's caddy, where that is possible

build/caddy:
	@command -v caddy >/dev/null || { mkdir -p build/unpacked && cd build/unpacked && \
		apt-get download -qq caddy >/dev/null 2>&1 && dpkg -x caddy_*.deb . && \
		cp usr/bin/caddy ../caddy && cd .. && rm -r unpacked; } || \
		echo "no caddy: the test of a call through it is skipped (apt-get install caddy)"

promtool: build/promtool ## unpack promtool of Debian's prometheus, where that is possible

build/promtool:
	@command -v promtool >/dev/null || { mkdir -p build/prometheus && cd build/prometheus && \
		apt-get download -qq prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb . && \
		cp usr/bin/promtool ../promtool && cd .. && rm -r prometheus; } || \
		echo "no promtool: the tests of metrics and alerts by Prometheus are skipped (apt-get install prometheus)"

test: install-dev browser axe database tracer promtool ## run the tests
	@$(BIN)/python -m pytest -rs --numprocesses 3 --dist loadfile --no-loadscope-reorder -m "not thorough"

test-thorough: install-dev browser firefox axe lighthouse database tracer promtool nginx caddy ## and those that take long: properties at depth, sound in real time
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --hypothesis-profile thorough

# The brain decides anew; what the recogniser heard, and when, is the recordings'.
eval: install-dev ## hold the corpus's calls again, score them, fail where they got worse
	@rm -rf build/eval
	@$(BIN)/viva replay evals/corpus --jobs 2 --brain extractive --out build/eval
	@$(BIN)/viva score build/eval --truth evals/corpus/truth.toml
	@$(BIN)/viva gate build/eval --rules evals/corpus/gates.toml
	@$(BIN)/python -m evals.adversarial --gate

# On a machine with nothing else to do: every figure is one of time.
bench: install-bench ## measure everything beside its peers, within 20 minutes on two idle cores
	@$(BIN)/viva bench all

lint: install-dev ## check format, style, types and the rules between the layers
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

build/audit/.installed: requirements-audit.lock | $(UV)
	@$(UV) venv --quiet --clear build/audit
	@$(UV) pip install --quiet --python build/audit/bin/python --require-hashes -r requirements-audit.lock
	@touch $@

audit: $(UV) ## look for known vulnerabilities in what is installed
	@.ci/audit

# Of .venv as it is: `make install` alone gives a server's.
sbom: .venv/.installed build/audit/.installed ## write a CycloneDX bill of materials, build/sbom.json
	@build/audit/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml \
		--output-reproducible --output-format JSON --output-file build/sbom.json
	@echo "build/sbom.json"

format: install-dev ## format the code
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

lock: $(UV) ## compile the lock files from pyproject.toml
	@$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		pyproject.toml --output-file requirements.lock
	@$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		pyproject.toml --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		pyproject.toml --extra bench --constraint requirements.lock --output-file requirements-bench.lock
	@$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		--group audit --output-file requirements-audit.lock

clean: ## remove what was installed and cached
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
