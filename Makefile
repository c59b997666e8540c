# One command per verb. Everything installs what it needs; `make demo` and `make test` work in a fresh clone.
SHELL := /bin/sh
PYTHON := .venv/bin/python
PROFILE ?= packaged
CLAIMS := download decode matting copy encoders clip_text pipeline memory incremental \
	color_kernel color_search color_palette color_api color_relevance search serving merge gallery
TRIES ?= 10

define DESCRIBE
import json
from lib.settings import Settings
from query_api.app import create_app
print(json.dumps(create_app(Settings()).openapi()))
endef
export DESCRIBE

.PHONY: demo up test prove prove-pipeline prove-attacks prove-crashes prove-memory check prove-api lint-api install \
	install-dev bench screenshots client notebook lock sbom audit clean

demo: install ## scrape the demo site, derive everything, ask one query of each kind
	@$(PYTHON) -m lib.cli demo --profile $(PROFILE)

up: install ## keep a library running: API on 8004, Dagster UI on 3000, until Ctrl-C
	@$(PYTHON) -m lib.cli up $(if $(HOME_DIR),--home $(HOME_DIR))

test: check ## everything that CI checks
	$(PYTHON) -m pytest

prove: install-dev ## all that is proven by trying (hours); TRIES= how often, SEED= again, PARTS= some: python -m tests.prove --help
	$(PYTHON) -m tests.prove --tries $(TRIES) $(if $(SEED),--seed $(SEED)) $(PARTS)

prove-pipeline: ## kill everything at random moments
	@$(MAKE) prove PARTS="$(or $(PARTS),alone together tree runs two)"

prove-attacks: ## hostile pictures, addresses and every way to them, broken servers, a browser that is killed
	@$(MAKE) prove PARTS="$(or $(PARTS),addresses reach network browser pictures)"

prove-crashes: ## power cuts, a failure or a kill at every system call of the object store, full disks, random kills (Linux, strace)
	@$(MAKE) prove PARTS="$(or $(PARTS),power syscalls disk kills)"

prove-memory: ## the API at twice what it serves at once, three minutes a try
	@$(MAKE) prove PARTS=memory

check: install-dev
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	$(PYTHON) -m pytest --doctest-modules --ignore lib/storage/migrations -q lib orchestration query_api demo

prove-api: install-dev ## requests made up from the API's description, EXAMPLES= how many an operation and phase
	$(PYTHON) -m tests.query_api.contract --examples $(or $(EXAMPLES),300)

lint-api: install-dev ## the API's description under two linters from npm
	@folder=$$(mktemp -d) && $(PYTHON) -c "$$DESCRIBE" > $$folder/openapi.json && \
	npx --yes @redocly/cli@2 lint $$folder/openapi.json && \
	npx --yes @stoplight/spectral-cli@6 lint $$folder/openapi.json --ruleset deploy/spectral.yaml --fail-severity=warn; \
	code=$$?; rm -r $$folder; exit $$code

bench: install-dev ## measure each claim beside a peer (hours; QUICK=--quick: minutes; CLAIMS= some of them)
	@for claim in $(CLAIMS); do $(PYTHON) -W ignore -m bench.$$claim $(QUICK) || exit 1; done

install:
	@sh deploy/install.sh requirements.lock

install-dev:
	@sh deploy/install.sh requirements-dev.lock

screenshots: install ## pictures of the Dagster UI, the gallery and searches by colour into docs/pictures, made by the product
	$(PYTHON) -m docs.take_screenshots
	$(PYTHON) -m docs.take_gallery_pictures
	$(PYTHON) -m docs.draw_colour_pages

client: install-dev ## write the Python client's types anew from the API's description
	$(PYTHON) -m query_api.client_models > lib/client/models.py.new && mv lib/client/models.py.new lib/client/models.py

notebook: install-dev ## execute docs/client.ipynb, pictures included; VITRINE_URL= where, with the demo's library
	.venv/bin/jupyter execute --inplace --NotebookClient.record_timing=False docs/client.ipynb

lock: ## renew the hash locks from pyproject.toml (needs uv)
	uv pip compile --custom-compile-command "make lock" --universal --python-version 3.11 --generate-hashes --no-strip-extras -q pyproject.toml -o requirements.lock
	uv pip compile --custom-compile-command "make lock" --universal --python-version 3.11 --generate-hashes --no-strip-extras -q -c requirements.lock --extra dev pyproject.toml -o requirements-dev.lock

sbom: install-dev ## what is installed, by version and hash, as CycloneDX: vitrine.cdx.json
	.venv/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible -o vitrine.cdx.json requirements.lock

audit: install-dev ## which locked packages are known to be vulnerable (asks pypi.org)
	.venv/bin/pip-audit --disable-pip --require-hashes --strict -r requirements.lock

clean: ## remove the environment and the demo's library; your own library in .vitrine stays
	rm -rf .venv .vitrine/demo
