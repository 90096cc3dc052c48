# Every target installs its dependencies, for the newest supported Python on this machine or a given one:
# make test PYTHON=python3.10
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.10; do \
  $$python -c '' 2>/dev/null && echo $$python && exit; done; echo python3)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN_STAMP := $(VENV)/.installed-tensorflow
NODE_FOLDER := export/tfjs/node
NODE_STAMP := $(NODE_FOLDER)/node_modules/.installed
WEB_STAMP := web_demo/node_modules/.installed
WEB_PAGE := tfyolo/web_page
WEB_MODEL := web_demo/public/models/default.tflite
DEMO_TEST_MODELS := build/demo-models/expected.json
ANDROID_ASSETS := android_demo/app/src/main/assets
DOCS_STAMP := docs/tools/node_modules/.installed
export CHROMIUM ?= /usr/bin/chromium
# Sources of exported files and of the detections that they are compared with.
EXPORT_SOURCES := $(shell find export tfyolo/inference tfyolo/models tfyolo/weights -name '*.py')
QUANTIZATION_SOURCES := $(shell find tfyolo/models tfyolo/quantization tfyolo/weights -name '*.py')
ANDROID_SOURCES := $(shell find android_demo tests/vectors \( -name target -o -name build -o -name assets \) -prune -o -type f -print)
DOCS_SOURCES := mkdocs.yml $(shell find docs tfyolo export -type f \( -name '*.md' -o -name '*.py' -o -name '*.ipynb' \) \
  -not -path '*/node_modules/*') $(wildcard docs/tools/site.*)
WEB_SOURCES = $(WEB_STAMP) $(shell find web_demo/src web_demo/scripts web_demo/public web_demo/index.html web_demo/*.ts -type f)
# TensorFlow's start-up messages would hide the results of tests.
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Where PYTHONDONTWRITEBYTECODE is set, each process compiles TensorFlow again: 16 seconds instead of 4.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup web web-page demo docs chromium android android-assets android-tools test test-python test-web \
  test-docs test-examples test-android test-pythons test-slow test-kills fuzz lint format bench bench-detect bench-formats bench-nms bench-web bench-android \
  bench-pipeline bench-segment bench-train wheel lock clean

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) $(NODE_STAMP)  ## .venv with pinned versions, and the Node packages that run TF.js models

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v < (3, 14) else \
	  f"tfyolo needs Python 3.10 to 3.13 and $(PYTHON) is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'

# $(call install,EXTRA): into .venv, with the versions of constraints/.
install = $(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[$(1)]' --constraint \
	  constraints/$$($(BIN)/python -c 'import sys; print("python%d.%d.txt" % sys.version_info[:2])')

$(STAMP): pyproject.toml $(wildcard constraints/*.txt) | $(BIN)/uv
	$(call install,dev)
	@touch $(RUN_STAMP) $@

# Enough to run, train and export to TensorFlow's formats; a quarter of the size of the test environment.
$(RUN_STAMP): pyproject.toml $(wildcard constraints/*.txt) | $(BIN)/uv
	$(call install,tensorflow)
	@touch $@

# Without Node everything else works, and tests that run TF.js models are skipped; in CI a missing npm is an error.
$(NODE_STAMP): $(NODE_FOLDER)/package.json $(NODE_FOLDER)/package-lock.json
	@if command -v npm >/dev/null; then \
	  npm ci --prefix $(NODE_FOLDER) --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@; \
	elif [ -n "$$CI" ]; then echo 'TF.js models run in Node 18 or newer, and there is no npm' >&2; exit 1; \
	else echo 'no npm: TF.js models will not run here'; fi

web: web-page  ## build the page that runs models in a browser, serve it and open it; needs Node 20.19 or newer
	$(BIN)/tfyolo web

web-page: $(WEB_PAGE)/index.html  ## build the page of `tfyolo web` into the package

$(WEB_PAGE)/index.html: $(WEB_SOURCES) $(WEB_MODEL)
	npm run --prefix web_demo --silent build

$(WEB_STAMP): web_demo/package.json web_demo/package-lock.json
	@command -v npm >/dev/null || { echo 'the page is built with Node 20.19 or newer, and there is no npm' >&2; exit 1; }
	npm ci --prefix web_demo --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@

# The shipped detector in int8, which the demos run.
build/bccd-n-int8.keras: tfyolo/assets/bccd-n.keras $(QUANTIZATION_SOURCES) | $(RUN_STAMP)
	$(BIN)/tfyolo quantize --weights $< --data tfyolo/assets/bccd-mini/bccd-mini.yaml --calibration 24 --steps 0 \
	  --output $@

# Loose thresholds, because the page has sliders.
$(WEB_MODEL): build/bccd-n-int8.keras $(EXPORT_SOURCES)
	$(BIN)/tfyolo export --weights $< --include tflite --int8 --nms builtin --conf-thres 0.05 --iou-thres 0.7 \
	  --output $(@:.tflite=)

demo: $(RUN_STAMP)  ## detect, fine-tune, export, run and measure with the shipped data, and write a report page
	$(BIN)/tfyolo demo

# Models, images and licenses of the app. MODEL=best-int8.tflite replaces the blood cell detectors.
android-assets: $(ANDROID_ASSETS)/licenses.txt  ## assets of the Android app; needed by Android Studio, too
ifdef MODEL
	@test -f '$(MODEL)' || { echo "$(MODEL) is missing: tfyolo export --include tflite writes one" >&2; exit 2; }
	@rm -f $(ANDROID_ASSETS)/models/*.tflite
	cp '$(MODEL)' $(ANDROID_ASSETS)/models/model.tflite
else
	@rm -f $(ANDROID_ASSETS)/models/model.tflite
	@$(MAKE) --no-print-directory $(ANDROID_ASSETS)/models/int8.tflite $(ANDROID_ASSETS)/models/float16.tflite
endif

SAMPLES := $(addprefix tfyolo/assets/bccd-mini/images/test/BloodImage_,00007.jpg 00062.jpg 00088.jpg)

$(ANDROID_ASSETS)/licenses.txt: android_demo/app/licenses.txt $(SAMPLES)
	@mkdir -p $(@D)/models $(@D)/samples
	cp $(SAMPLES) $(@D)/samples/
	cp $< $@

# Loose thresholds, because the app has sliders.
$(ANDROID_ASSETS)/models/int8.tflite: build/bccd-n-int8.keras $(EXPORT_SOURCES)
	$(BIN)/tfyolo export --weights $< --include tflite --int8 --conf-thres 0.05 --iou-thres 0.7 --output $(@:.tflite=)

$(ANDROID_ASSETS)/models/float16.tflite: tfyolo/assets/bccd-n.keras $(EXPORT_SOURCES) | $(RUN_STAMP)
	$(BIN)/tfyolo export --weights $< --include tflite --half --conf-thres 0.05 --iou-thres 0.7 --output $(@:.tflite=)

android: $(RUN_STAMP) android-assets android-tools  ## a signed APK in android_demo/build: make android MODEL=best-int8.tflite
	mvn -q -f android_demo/pom.xml package -Dmaven.test.skip=true
	$(BIN)/python android_demo/package.py

# Installed from Debian if missing. Tests need the C compiler to run TensorFlow Lite's Android library.
android-tools:  ## Java, Maven and the tools that package and sign an APK
	@for tool in java mvn aapt2 zipalign apksigner gcc nm; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then \
	  { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jdk-headless \
	    maven aapt zipalign apksigner gcc libc6-dev binutils >/dev/null; } || \
	  { echo "the Android app is built with Debian's openjdk-17-jdk-headless, maven, aapt, zipalign, apksigner and gcc; missing:$$missing" >&2; exit 1; }; \
	fi

# Web and Android tests mostly wait for other processes, so they run in parallel with the Python tests.
# Processes keep all cores busy; threads in each would only wait for one another (conftest.py).
test: export OPENBLAS_NUM_THREADS = 1
test: lint  ## all tests that are not slow; web and Android only if one of their dependencies has changed (always in CI)
	@$(MAKE) --no-print-directory --keep-going --jobs=2 test-python test-demos

test-python: setup  ## tests of the library and the command line, and the examples in docstrings
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --durations=12 tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --doctest-modules --doctest-ignore-import-errors tfyolo

# These run in parallel: Chromium is installed once, before any of them.
test-demos: build/.tested-web build/.tested-docs build/.tested-examples
	@$(MAKE) --no-print-directory build/.tested-android
	@if [ -n "$$CI" ]; then $(MAKE) --no-print-directory test-pythons; fi

# The Python version of .venv runs the whole suite, in an environment that uv installed; pip's two are always tried.
test-pythons: setup wheel  ## install and test the wheel on each other Python, in new environments
	$(BIN)/python -m tests.pythons dist/tfyolo-*.whl --without \
	  $$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')

build/.tested-web: $(WEB_SOURCES) $(WEB_PAGE)/index.html $(DEMO_TEST_MODELS) $(shell find web_demo/tests tests/vectors -type f) \
  tests/chromium.mjs $(wildcard tfyolo/inference/snippets/*) | chromium
	@$(MAKE) --no-print-directory test-web
	@touch $@

build/.tested-docs: $(DOCS_SOURCES) tests/chromium.mjs | chromium
	@$(MAKE) --no-print-directory test-docs
	@touch $@

build/.tested-examples: $(WEB_SOURCES) $(WEB_MODEL) tests/examples/check_web.mjs tests/chromium.mjs $(wildcard examples/web-*/*) | chromium
	@$(MAKE) --no-print-directory test-examples
	@touch $@

build/.tested-android: $(DEMO_TEST_MODELS) $(ANDROID_SOURCES) $(wildcard tfyolo/inference/snippets/*) docs/deploy/android.md
	@$(MAKE) --no-print-directory test-android
	@touch $@

ifdef CI
.PHONY: build/.tested-web build/.tested-docs build/.tested-examples build/.tested-android
endif

test-web: web-page $(DEMO_TEST_MODELS) chromium  ## web tests in Node and Chromium
	npm run --prefix web_demo --silent test

$(DEMO_TEST_MODELS): tests/demo_models.py build/bccd-n-int8.keras $(EXPORT_SOURCES)
	$(BIN)/python $< tfyolo/assets/bccd-n.keras build/bccd-n-int8.keras $(@D)

docs: $(STAMP) $(DOCS_STAMP)  ## draw the figures and build the documentation site in build/site
	$(BIN)/python -m docs.tools.figures
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

$(DOCS_STAMP): docs/tools/package.json docs/tools/package-lock.json
	@command -v npm >/dev/null || { echo 'the site is built with Node 20.19 or newer, and there is no npm' >&2; exit 1; }
	npm ci --prefix docs/tools --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@

test-examples: $(WEB_STAMP) $(WEB_MODEL) chromium  ## build the web examples and open them in Chromium
	npm run --prefix web_demo --silent build:lib
	node tests/examples/check_web.mjs $(WEB_MODEL) $(firstword $(SAMPLES))

test-docs: docs chromium  ## look at the site in Chromium: search, contrast, phones; AXE_STEP=1 takes every page
	node --test --test-reporter=spec docs/tools/site.test.mjs

chromium:  ## install Debian's Chromium if missing
	@test -x $(CHROMIUM) || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	  { echo 'the browser tests run in Chromium: install it, or name it in CHROMIUM' >&2; exit 1; }

test-android: setup android-assets android-tools $(DEMO_TEST_MODELS)  ## Android tests: detector, app and APK
	mvn -q -f android_demo/pom.xml package
	$(BIN)/python android_demo/package.py
	$(BIN)/python -m pytest -q android_demo/tests

test-slow: setup  ## tests that take minutes
	$(BIN)/python -m pytest -m slow --durations=0 -s tests

fuzz: setup  ## load and run mutated model files: make fuzz FUZZ=onnx COUNT=2000 SEED=0; one of them: CASE=17
	$(BIN)/python -m tests.fuzz $(or $(FUZZ),all) --count $(or $(COUNT),2000) --seed $(or $(SEED),0) \
	  $(if $(CASE),--case $(CASE))

test-kills: setup  ## kill train, convert, export and quantize at random moments: make test-kills COUNT=30 SEED=0
	$(BIN)/python -m tests.kills --count $(or $(COUNT),30) --seed $(or $(SEED),0)

lint: setup  ## ruff, mypy and import rules between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --cache-dir build/mypy tfyolo
	$(BIN)/lint-imports --cache-dir build/import_linter

format: setup  ## format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: bench-detect bench-pipeline bench-train bench-nms bench-web bench-android  ## all speed measurements of the documentation

bench-web: web-page $(DEMO_TEST_MODELS) chromium  ## latency of the browser engines, time to first detection, download size
	npm run --prefix web_demo --silent bench

bench-android: setup android-tools  ## preprocessing of a camera frame and drawing of masks, on the JVM
	mvn -q -f android_demo/pom.xml -pl maven/runtime,detector test -Dtest=PreprocessorBench -Dsurefire.failIfNoSpecifiedTests=false

bench-detect: setup  ## latency of Keras and LiteRT in one run: make bench-detect WEIGHTS=yolov5n.pt
	$(BIN)/tfyolo benchmark --weights $(or $(WEIGHTS),yolov5n) --include tflite --img 640

# Without WEIGHTS the shipped model is used.
BENCH_WEIGHTS = $(or $(WEIGHTS),tfyolo/assets/bccd-n.keras)
BENCH_DATA = $(or $(DATA),tfyolo/assets/bccd-mini/bccd-mini.yaml)

bench-formats: setup  ## size, mAP and latency of every format: make bench-formats WEIGHTS=best.pt DATA=fruit.yaml IMG=320
	$(BIN)/tfyolo benchmark --weights $(BENCH_WEIGHTS) --include all --data $(BENCH_DATA) $(if $(IMG),--img $(IMG)) \
	  --chart build/formats.png

# Of another model: NAME=, IMG=, SPLITS= and BUDGETS= as well.
figures-int8: setup  ## int8 table of the docs, about an hour, resumes: make figures-int8 WEIGHTS=yolov5n.pt DATA=coco128.yaml
	@test -n '$(DATA)' || { echo 'which images? make figures-int8 DATA=coco128.yaml' >&2; exit 2; }
	$(BIN)/python benchmarks/int8_figures.py --weights $(or $(WEIGHTS),yolov5n) --data $(DATA) $(if $(NAME),--name $(NAME)) \
	  $(if $(IMG),--img $(IMG)) $(if $(SPLITS),--splits $(SPLITS)) $(if $(BUDGETS),--budgets $(BUDGETS)) \
	  $(if $(CALIBRATION),--calibration $(CALIBRATION)) --steps $(or $(STEPS),120) $(if $(INT16X8),--int16x8) --write docs/benchmarks.md

bench-nms: setup  ## latency of decoding and NMS in an int8 graph: make bench-nms WEIGHTS=yolov5n.pt DATA=coco128.yaml
	$(BIN)/python benchmarks/nms.py --weights $(BENCH_WEIGHTS) --data $(BENCH_DATA) --img $(or $(IMG),640)

bench-pipeline: setup  ## images per second of the input pipeline: make bench-pipeline DATA=coco128.yaml
	$(BIN)/python benchmarks/pipeline.py $(if $(DATA),--data $(DATA))

bench-train: setup build/torch/.installed  ## images per second of the training step, compared with PyTorch
	$(BIN)/python benchmarks/train_step.py --torch build/torch/bin/python

bench-segment: setup  ## training quality of masks, compared with PyTorch's: make bench-segment WEIGHTS=yolov5n.pt DATA=coco128-seg.yaml
	$(BIN)/python benchmarks/segment_training.py --weights $(or $(WEIGHTS),yolov5n) --data $(DATA)

# PyTorch is needed only for this comparison, so it has a separate environment.
build/torch/.installed:
	$(BIN)/uv venv --quiet --python $(BIN)/python build/torch
	$(BIN)/uv pip install --quiet --python build/torch/bin/python 'torch==2.6.0' 'numpy<2.1'
	@touch $@

wheel: web-page  ## build a wheel and an sdist, with the web page inside, into dist/
	rm -f dist/tfyolo-*
	$(BIN)/uv build --quiet --python $(BIN)/python --out-dir dist .

lock: setup  ## update constraints/*.txt from pyproject.toml; pinned versions are kept
	for version in 3.10 3.11 3.12 3.13; do $(BIN)/uv pip compile --quiet --python-version $$version \
	  --python-platform linux --all-extras --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  pyproject.toml --output-file constraints/python$$version.txt || exit; done

clean:  ## remove all build results
	rm -rf $(VENV) build dist runs .pytest_cache .ruff_cache tfyolo.egg-info
