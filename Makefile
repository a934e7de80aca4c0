# `make` prints what there is. The targets CI runs are the targets people run.
.DEFAULT_GOAL := help

GO          ?= go
TOOLS       := bin/tools
GOLANGCI    := v2.15.0
WFCHECK     := v0.6.0
SQLC        := v1.30.0
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS     := -s -w -X github.com/omnihub/omni/internal/cli.version=$(VERSION)
# Without flags that tests do not have: both then share one build cache, and
# Temporal's server is compiled once. Releases are built by the Dockerfile.
BUILD       := $(GO) build -ldflags "$(LDFLAGS)"
# Temporal's server is big: two packages at once already fill a small machine.
TESTFLAGS   ?= -shuffle=on -timeout=20m
FUZZTIME    ?= 60s
CHAOS_MINUTES ?= 3
CHAOS_SEED  ?= 0
# -short: a smoke run; -write docs/performance.md: keep the report.
BENCHFLAGS  ?=
# Tests that start whole hubs, kill them and watch the clock want the machine
# for themselves: they run after the others, one package at a time.
HUB_PACKAGES  = ./internal/e2e/... ./internal/embedded/... ./internal/cli/...
UNIT_PACKAGES = $(shell $(GO) list ./... | grep -v -e /internal/e2e -e /internal/embedded -e /internal/cli)
# Race-tested: everything of ours but what starts whole hubs.
RACE_PACKAGES = $(shell $(GO) list ./... | grep -v -e /internal/e2e -e /internal/bench)

.PHONY: help
help: ## what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: run
run: need-go need-postgres build ## build, then run the whole hub in the foreground on the embedded stack
	@bin/omni up

.PHONY: build
build: need-go ## bin/omni, the whole hub in one file
	$(BUILD) -o bin/omni ./cmd/omni

.PHONY: build-slim
build-slim: need-go ## bin/omni-slim, without the embedded stack, for production images
	$(BUILD) -tags slim -o bin/omni-slim ./cmd/omni

.PHONY: test
test: need-go need-postgres need-chromium need-node ## all tests that CI runs
	$(GO) test $(TESTFLAGS) $(UNIT_PACKAGES)
	$(GO) test $(TESTFLAGS) -p 1 $(HUB_PACKAGES)

.PHONY: test-race
test-race: need-go need-postgres ## the tests of packages under the race detector
	$(GO) test -race $(TESTFLAGS) $(RACE_PACKAGES)

.PHONY: e2e
e2e: need-go need-postgres need-chromium need-node ## the tests that run whole hubs and kill them
	$(GO) test -count=1 -timeout=30m ./internal/e2e/...

.PHONY: chaos
chaos: need-go need-postgres ## everything goes wrong at once, for CHAOS_MINUTES (3); CHAOS_SEED repeats an order of troubles
	$(GO) test -count=1 -v -timeout=0 ./internal/e2e/chaos -run '^TestChaos$$' -minutes $(CHAOS_MINUTES) -seed $(CHAOS_SEED)

.PHONY: bench
bench: need-go ## the benchmark on the embedded stack; prints the table of docs/performance.md
	$(GO) run ./internal/bench $(BENCHFLAGS)

.PHONY: histories
histories: need-go need-postgres ## record workflow histories that replay tests keep
	$(GO) test -count=1 ./internal/e2e -run TestRecordHistories -histories $(CURDIR)/workflows/testdata/histories
	$(GO) test -count=1 ./internal/e2e/steps -run 'TestAdoption|TestSignal|TestInterrupt|Agent|TestOutbound|TestRetry|TestFollowUp$$|TestReset' -histories $(CURDIR)/workflows/testdata/histories

.PHONY: fuzz
fuzz: need-go ## every fuzz target for FUZZTIME (60s)
	@set -e; for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
	  done; done

.PHONY: lint
lint: need-go workflowcheck $(TOOLS)/golangci-lint-$(GOLANGCI) ## golangci-lint and workflowcheck, pinned
	$(TOOLS)/golangci-lint-$(GOLANGCI) run ./...

.PHONY: workflowcheck
workflowcheck: need-go $(TOOLS)/workflowcheck-$(WFCHECK) ## no clock, randomness or goroutine in the workflows
	$(TOOLS)/workflowcheck-$(WFCHECK) ./workflows/...
	@# A check that cannot fail guards nothing.
	@! $(TOOLS)/workflowcheck-$(WFCHECK) ./workflows/testdata/nondeterministic >/dev/null 2>&1 \
	  || { echo "workflowcheck does not notice time.Now"; exit 1; }

.PHONY: fmt
fmt: need-go $(TOOLS)/golangci-lint-$(GOLANGCI) ## format the code
	$(TOOLS)/golangci-lint-$(GOLANGCI) fmt ./...

.PHONY: generate
generate: need-go $(TOOLS)/sqlc-$(SQLC) ## write what is generated: SQL, docs/config.md, .env.example
	$(TOOLS)/sqlc-$(SQLC) generate
	$(GO) test -count=1 -run TestGeneratedFilesAreCurrent ./internal/config -update

.PHONY: verify
verify: need-go $(TOOLS)/sqlc-$(SQLC) ## fail if something generated is not current
	$(TOOLS)/sqlc-$(SQLC) diff
	$(GO) test -count=1 -run TestGeneratedFilesAreCurrent ./internal/config
	$(GO) mod verify

.PHONY: clean
clean: ## remove what was built (never data)
	rm -rf bin

# --- What a fresh machine needs -------------------------------------------

.PHONY: need-go
need-go:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install it from https://go.dev/dl (version: see go.mod)"; exit 1; }

# $(call install,packages): with apt-get, as root; fails where that cannot be.
install = { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	&& { apt-get update -qq || true; } \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; }

has-postgres = { command -v postgres || ls /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres; } >/dev/null 2>&1
has-chromium = { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null
has-node     = { command -v node && command -v npm; } >/dev/null

# Where nobody can install it, Postgres is the one thing that Omni fetches
# itself, into the user's cache.
.PHONY: need-postgres
need-postgres:
	@$(has-postgres) || $(call install,postgresql) && $(has-postgres) \
	  || echo "Postgres is missing (Debian, Ubuntu: apt-get install postgresql): Omni fetches it"

.PHONY: need-chromium
need-chromium:
	@$(has-chromium) || $(call install,chromium) && $(has-chromium) \
	  || { echo "Chromium is missing (Debian, Ubuntu: apt-get install chromium)"; exit 1; }

# Third parties check us: a client (grammY) the Bot API server of the tests, a
# fake of AI services (aimock) what we send to models. npm ci
# puts them into the user's cache once.
.PHONY: need-node
need-node:
	@$(has-node) || $(call install,nodejs npm) && $(has-node) \
	  || { echo "Node.js 20 or later with npm is missing (Debian, Ubuntu: apt-get install nodejs npm)"; exit 1; }

$(TOOLS)/golangci-lint-$(GOLANGCI):
	@mkdir -p $(TOOLS)
	GOBIN=$(abspath $(TOOLS)) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@mv $(TOOLS)/golangci-lint $@

$(TOOLS)/workflowcheck-$(WFCHECK):
	@mkdir -p $(TOOLS)
	GOBIN=$(abspath $(TOOLS)) $(GO) install go.temporal.io/sdk/contrib/tools/workflowcheck@$(WFCHECK)
	@mv $(TOOLS)/workflowcheck $@

$(TOOLS)/sqlc-$(SQLC):
	@mkdir -p $(TOOLS)
	GOBIN=$(abspath $(TOOLS)) $(GO) install github.com/sqlc-dev/sqlc/cmd/sqlc@$(SQLC)
	@mv $(TOOLS)/sqlc $@
