# One entry for everything a person does here. `make` lists the targets.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 >/dev/null 2>&1 && python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
BIN := .venv/bin
STAMP := .venv/installed

.DEFAULT_GOAL := help
.PHONY: help install demo test e2e check format bench bench-e2e bench-operator tools chart images test-images images-test sbom lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install: $(STAMP)  ## a .venv with all that the project needs, from requirements-dev.lock

$(STAMP): requirements-dev.lock pyproject.toml images/loader/pyproject.toml
	@PYTHON="$(PYTHON)" tools/install.sh
	@touch $@

demo: install  ## load a real ocean table through the real SDK into verified Parquet, and show it
	@$(BIN)/python tools/demo.py

test: install  ## all tests that this machine can run; the summary names what was skipped and what would bring it
	$(BIN)/pytest --numprocesses auto --dist loadfile $(ARGS)

e2e: install .cache/bin/helm  ## the whole with real pods: on kind, or ARGS=--existing-cluster on the cluster of KUBECONFIG
	$(BIN)/pytest tests/e2e $(ARGS)

check: install  ## format, lint, types, architecture, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/generate.py --check

format: install  ## rewrite the code as `make check` wants it, and the generated files
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tools/generate.py

bench: install  ## measure the speed claims; writes benchmarks/RESULTS.md
	$(BIN)/python benchmarks/loader.py $(ARGS)

bench-e2e: install .cache/bin/helm  ## apply to finished, in pairs with DaskJob, on the cluster of KUBECONFIG
	$(BIN)/python -m benchmarks.e2e $(ARGS)

bench-operator: install  ## measure the operator beside DaskJob (an hour); writes benchmarks/OPERATOR.md
	$(BIN)/python -m benchmarks.operator $(ARGS)

tools: .cache/bin/helm .cache/bin/kube-score .cache/bin/kubeconform  ## build what tests and charts use, from pinned Go modules, into .cache/bin
	go build -C tools/versitygw -o ../../.cache/bin/ github.com/versity/versitygw/cmd/versitygw
	go build -C tools/lua-health -o ../../.cache/bin/ .
	go build -C tools/kstatus -o ../../.cache/bin/ .
	go build -C tools/monitoring-types -o ../../.cache/bin/ .
	go build -C tools/kustomize -o ../../.cache/bin/ sigs.k8s.io/kustomize/kustomize/v5

# Helm asks its build for its own version and for the Kubernetes that `helm template` stands for.
HELM_FLAGS := -X helm.sh/helm/v3/internal/version.version=v3.19.0 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34
.cache/bin/helm: tools/helm/go.mod
	go build -C tools/helm -ldflags "$(HELM_FLAGS)" -o ../../.cache/bin/ helm.sh/helm/v3/cmd/helm
	@touch $@

.cache/bin/kube-score: tools/chart-checks/go.mod
	go build -C tools/chart-checks -o ../../.cache/bin/ github.com/zegl/kube-score/cmd/kube-score
	@touch $@

.cache/bin/kubeconform: tools/chart-checks/go.mod
	go build -C tools/chart-checks -o ../../.cache/bin/ github.com/yannh/kubeconform/cmd/kubeconform
	@touch $@

chart: install .cache/bin/helm  ## the Helm chart with the Dask operator's in it, as dist/odp-dask-operator-<version>.tgz
	$(BIN)/python tools/dask_chart.py
	.cache/bin/helm package --destination dist charts/odp-dask-operator

images:  ## build the images, by docker, podman or buildah; ENGINE= PYTHON_IMAGE= TAG= REGISTRY= as tools/images.sh says
	tools/images.sh odp-loader odp-dask-operator odp-server

test-images:  ## build the images that end-to-end tests need besides: the Dask operator, an S3 server
	tools/images.sh dask-operator versitygw

images-test: install  ## build the images, the second time without a cache, and look inside (about 10 minutes)
	$(BIN)/pytest tests/images --built $(ARGS)

sbom: images .cache/bin/syft  ## what is in the images, as dist/sbom/*.spdx.json
	tools/sbom.sh dist/sbom $(foreach name,odp-loader odp-dask-operator odp-server,$(or $(REGISTRY),localhost)/$(name):$(or $(TAG),dev))

.cache/bin/syft: tools/syft/go.mod
	go build -C tools/syft -o ../../.cache/bin/ github.com/anchore/syft/cmd/syft
	@touch $@

lock: install  ## resolve all three lock files anew
	$(BIN)/python tools/lock.py

clean:  ## remove what make made
	rm -rf .venv .cache .demo dist charts/odp-dask-operator/charts .pytest_cache .mypy_cache .ruff_cache .hypothesis
