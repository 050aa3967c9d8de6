# `make quickstart` and `make test` are all a newcomer needs: Python 3.11 and make.

PYTHON ?= python3.11
VENV ?= .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
WORK ?= work
SITE ?= $(WORK)/site
# No advertisement of the docs builder between the lines of a check.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

.PHONY: help install quickstart test lint types unit test-all faults fuzz soak test-serving benchmarks results screenshots docs house clean

help:
	@echo "make quickstart   simulate, prepare, train, evaluate, export and rank one example"
	@echo "make test         lint, types, tests"
	@echo "make test-all     also the slow tests: every baseline, device and path (an hour)"
	@echo "make docs         build the documentation as a site in $(SITE)"
	@echo "make house        print files, rooms, floors and circles of the code"
	@echo "make faults       kill a preparation at 20 points, a training at 25, a worker (half an hour)"
	@echo "make fuzz         5,000 malformed rows and files for each table and source, 2,000 damaged requests (an hour)"
	@echo "make soak         100,000 requests to a served model; memory must stay (an hour)"
	@echo "make test-serving run TensorFlow Serving itself over a model, where it is installed or docker runs"
	@echo "make benchmarks   measure speed again (half an hour on an idle machine)"
	@echo "make results      rewrite the results in README, RESULTS.md and the flagfiles"
	@echo "make screenshots  take the pictures of docs/explore.md anew, after make quickstart"
	@echo "make clean        remove what quickstart and docs made (not the virtual environment)"

install: $(STAMP)

$(STAMP): constraints.txt setup.cfg
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found. Install Python 3.11, or name another one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,docs,notebook,evidence,scale,spark,explore]'
	@touch $(STAMP)

quickstart: $(STAMP)
	VENV=$(VENV) WORK=$(WORK)/quickstart bash configs/quickstart.sh

test: lint types unit

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(RUN) -m benchmarks.results_page.readme --check
	site=$$(mktemp -d) && $(MKDOCS) --site-dir "$$site"; code=$$?; rm -rf "$$site"; exit $$code

types: $(STAMP)
	$(VENV)/bin/mypy

# In the order of the files: the doctests at the end take a moment each and fill both workers.
unit: $(STAMP)
	$(RUN) -m pytest -n 2 --dist loadscope --no-loadscope-reorder -m "not slow"

test-all: $(STAMP)
	$(RUN) -m pytest -n 2 --dist loadscope --no-loadscope-reorder

faults: $(STAMP)
	USER_TF_KILLS=20 $(RUN) -m pytest tests/data_pipeline/preparation/prepare_faults_test.py
	USER_TF_KILLS=25 $(RUN) -m pytest tests/user_tf/train_faults_test.py
	$(RUN) -m pytest tests/user_tf/training/steps/workers_test.py

fuzz: $(STAMP)
	USER_TF_FUZZ_ROWS=5000 $(RUN) -m pytest tests/data_pipeline/importers/tables_fuzz_test.py tests/data_pipeline/importers/raw_fuzz_test.py
	USER_TF_FUZZ_LINES=2000 $(RUN) -m pytest tests/user_tf/predict/predict_fuzz_test.py
	USER_TF_FUZZ_REQUESTS=2000 $(RUN) -m pytest tests/user_tf/serving/request_fuzz_test.py

# MODEL: a folder of user_tf.export; by default that of `make quickstart`.
MODEL ?= $(WORK)/quickstart/model

soak: $(STAMP)
	$(RUN) -m tests.user_tf.serving.server.soak $(MODEL)

test-serving: $(STAMP)
	$(RUN) -m tests.user_tf.serving.server.real_server $(MODEL)

benchmarks: $(STAMP)
	$(RUN) -m benchmarks.layout_speed --work=$(WORK)/throughput
	$(RUN) -m benchmarks.train_throughput --work=$(WORK)/throughput
	$(RUN) -m benchmarks.start_up --work=$(WORK)/throughput
	$(RUN) -m benchmarks.preparation_cost --work=$(WORK)/prepare
	$(RUN) -m benchmarks.negative_search_cost
	$(RUN) -m benchmarks.serving
	$(RUN) -m benchmarks.serving --system=user_plus

results: $(STAMP)
	$(RUN) -m benchmarks.results_page.readme

screenshots: $(STAMP)
	USER_TF_SCREENSHOTS=docs/images USER_TF_EXPLORED=$(WORK)/quickstart $(RUN) -m pytest tests/user_tf/explore/browser_test.py

docs: $(STAMP)
	$(MKDOCS) --site-dir $(abspath $(SITE))
	@echo "Open $(SITE)/index.html"

house: $(STAMP)
	@$(RUN) -m tests.house

clean:
	rm -rf $(WORK)/quickstart $(SITE)
