# What a contributor runs. `make` alone lists it; CONTRIBUTING.md says when to use which.

SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

GO      ?= go
PKG     ?= ./...
RUN     ?= .
TIMEOUT ?= 10m
BENCH   ?= .
TORTURE ?= 2m
FAULTS  ?= 2m

# STRICT=1 makes a missing part or a skipped test an error, as CI does.
STRICT ?=
ifeq ($(STRICT),1)
export AGENTRUN_REQUIRE_PARTS := 1
endif

CROSS := darwin/arm64 windows/amd64 linux/arm64

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  make test PKG=./durable/... RUN=TestTurn   a part of the tests'
	@echo '  make test STRICT=1                         a skip is an error, as in CI'

.PHONY: deps
deps: ## Install what the tests need: node packages, a C compiler for -race
	@.ci/deps modules node cc

# -count=1, since go test's cache does not see the programs that tests build and run, nor new files.
# Without a C compiler there is no race detector: the tests run without it, and the report says so.
.PHONY: test
test: deps ## Run all tests with the race detector, and name what was skipped
	@race=-race; missing=; \
	if ! .ci/deps has-cc; then race=; missing='race detector (no C compiler)'; fi; \
	$(GO) test -json -count=1 $$race -timeout $(TIMEOUT) -run '$(RUN)' $(PKG) | \
	$(GO) run ./internal/lint/testreport $(if $(filter 1,$(STRICT)),-strict) -missing "$$missing"

.PHONY: conformance
conformance: deps ## Run the official JavaScript SDK against agentrun serve
	$(GO) test -count=1 -timeout 5m -v ./internal/conformance

.PHONY: lint
lint: ## Check format, go vet, staticcheck, orchestrations and the rules of internal/lint
	@echo 'gofmt'; unformatted="$$(find . -name '*.go' -not -path './node_modules/*' -print0 | xargs -0 gofmt -l)"; \
	if [ -n "$$unformatted" ]; then echo "not formatted; run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	@echo 'go vet'; $(GO) vet ./... && $(GO) vet -tags crashpoints ./...
	@echo 'staticcheck'; $(GO) tool staticcheck ./...
	@echo 'orchestrations'; $(GO) build -o bin/durablevet ./cmd/durablevet && $(GO) vet -vettool=bin/durablevet ./...
	@echo 'rules'; $(GO) test -count=1 ./internal/lint/...

.PHONY: generate
generate: ## Write the generated files again (needs protoc)
	@AGENTRUN_REQUIRE_PARTS=1 .ci/deps protoc
	$(GO) generate ./...

.PHONY: verify
verify: ## Check that the generated files are what their sources say
	@.ci/verify

.PHONY: cross
cross: ## Build for macOS, Windows and ARM without a C compiler
	@for target in $(CROSS); do echo "build $$target"; \
	CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build ./... || exit 1; done

.PHONY: bench
bench: PKG := ./durable/...
bench: ## Run the benchmarks of durable
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m $(PKG)

.PHONY: workloads
workloads: ## Run agentrun bench: what docs/performance.md has, some minutes on a quiet machine
	$(GO) run ./cmd/agentrun bench

.PHONY: torture
torture: ## Kill processes, cut disks short and set clocks for TORTURE=2m (docs/reliability.md)
	AGENTRUN_TORTURE=$(TORTURE) $(GO) test -count=1 -v -timeout 0 ./internal/torture

.PHONY: faults
faults: ## Kill servers and workers and break the wire between them, FAULTS=2m each (docs/reliability.md)
	AGENTRUN_FAULTS=$(FAULTS) $(GO) test -count=1 -v -timeout 0 ./internal/serverfaults

.PHONY: ci
ci: ## Run all that CI runs
	@.ci/run
