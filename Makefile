# Every verb of the repository. Needed: Go, make and git, and a C compiler for the race detector; what is missing is
# installed by apt-get when this runs as root, and named when not. All tools are pinned here and built into bin/.

SHELL       := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN           := $(CURDIR)/bin
LINT_VERSION  := v2.15.0
FUMPT_VERSION := v0.12.0
LINT          := $(BIN)/tools/golangci-lint-$(LINT_VERSION)/golangci-lint
FUMPT         := $(BIN)/tools/gofumpt-$(FUMPT_VERSION)/gofumpt

OPENAPI_VERSION := 23.0.2
HOOKS_VERSION   := 7.6.1
OCTOKIT         := $(BIN)/octokit

# The modules that hold code. integration/nomad has none: it pins the server that the integration tests run against.
MODULES := . integration

SPEED ?= 60

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/drover
	@go build -o $(BIN)/drover ./cmd/drover
	@echo "built bin/drover"

.PHONY: demo
demo: need-git build ## Watch a release promoted and one rolled back, on a simulated Nomad (under a minute; SPEED=N)
	@$(BIN)/drover demo -speed $(SPEED)

.PHONY: demo-nomad
demo-nomad: need-git build $(BIN)/checkout ## The same on a real Nomad agent; builds one when none is on the PATH
	@nomad=$$(command -v nomad || true); \
	if [ -z "$$nomad" ]; then \
		echo "There is no nomad on the PATH: bin/nomad, built from its source, is used."; \
		$(MAKE) --silent --no-print-directory nomad; nomad=$(BIN)/nomad; \
	fi; \
	$(BIN)/drover demo -nomad "$$nomad" -service $(BIN)/checkout

.PHONY: $(BIN)/checkout
$(BIN)/checkout:
	@go build -o $@ ./examples/checkout/service

.PHONY: nomad
nomad: $(BIN)/nomad ## Build bin/nomad, the server of the integration tests (first build takes 5 to 10 minutes)

$(BIN)/nomad: integration/nomad/go.mod integration/nomad/go.sum
	@echo "building bin/nomad: the first build takes 5 to 10 minutes, later ones seconds"
	@cd integration/nomad && go build -ldflags "-s -w" -o $@ github.com/hashicorp/nomad
	@touch $@

.PHONY: octokit
octokit: $(OCTOKIT)/api.github.com.json $(OCTOKIT)/webhooks.json ## Fetch GitHub's description of its API, which the tests compare with

$(OCTOKIT)/api.github.com.json:
	@$(call unpack,@octokit/openapi@$(OPENAPI_VERSION),package/generated/api.github.com.json,$@)

$(OCTOKIT)/webhooks.json:
	@$(call unpack,@octokit/webhooks-examples@$(HOOKS_VERSION),package/api.github.com/index.json,$@)

# unpack takes one file out of a package: $(call unpack,PACKAGE,FILE,TO). It is neither built nor run.
unpack = $(call install,npm,npm); \
	echo "fetching $(1)"; \
	dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; mkdir -p $(dir $(3)); \
	npm pack --silent --ignore-scripts --pack-destination "$$dir" $(1) >/dev/null; \
	tar -xzf "$$dir"/*.tgz -C "$$dir" $(2); mv "$$dir"/$(2) $(3)

.PHONY: test
test: check integration ## Everything: make check, and the integration tests on a real Nomad
	@echo "make test: all passed"

.PHONY: test-short
test-short: ## The quick tests, without the race detector
	@go test -short ./...

.PHONY: check
check: fmt-check vet lint unit ## Format, vet, lint, and the unit tests, with the race detector too
	@echo "make check: all passed"

# The exploration takes one core for half a minute, and the rest of the long form has one idle for as long.
.PHONY: unit
unit: need-git need-cc octokit
	@$(MAKE) --no-print-directory --output-sync=target -j2 unit-long explore
	@go test -race -short -timeout 20m ./...

.PHONY: unit-long
unit-long:
	@go test -timeout 20m -skip '^(TestExplore|TestDisturbances)$$' ./...

.PHONY: explore
explore: ## Try every order of two disturbances at every tick of a rollout, and a sample of failures of every call; print how many
	@go test -count=1 -v -run '^TestExplore$$' ./strategy/ | grep -v '^=== '
	@go test -count=1 -v -timeout 20m -run '^TestDisturbances$$' ./reconcile/ | grep -v '^=== \|--- PASS: TestDisturbances/'

.PHONY: torture
torture: need-git $(BIN)/nomad ## Every failure of every call on the simulated Nomad, and every phase disturbed in every way on a real one (hours)
	@DROVER_TORTURE=1 go test -count=1 -v -timeout 2h -run '^TestDisturbances$$' ./reconcile/ | grep -v '^=== \|--- PASS: TestDisturbances/'
	@cd integration && DROVER_NOMAD=$(BIN)/nomad go test -count=1 -v -timeout 90m -run 'Killed|LedgerLost|NomadFrozen|NomadRestarted|CompetingPusher|NodeDrain|NoCapacity' . -torture

.PHONY: integration
integration: need-git need-balancers need-prometheus need-sshd $(BIN)/nomad ## The conformance suites and stories on a real Nomad
	@cd integration && DROVER_NOMAD=$(BIN)/nomad go test -count=1 -timeout 30m ./...

.PHONY: vet
vet:
	@for module in $(MODULES); do (cd $$module && go vet ./...); done

.PHONY: lint
lint: $(LINT) ## Run golangci-lint over all modules
	@for module in $(MODULES); do (cd $$module && $(LINT) run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...); done

.PHONY: fmt
fmt: $(FUMPT) ## Format the Go code
	@$(FUMPT) -w .

.PHONY: fmt-check
fmt-check: $(FUMPT)
	@wrong=$$($(FUMPT) -l .); \
	if [ -n "$$wrong" ]; then echo "not formatted, run make fmt:"; echo "$$wrong"; exit 1; fi

.PHONY: bench
bench: need-git need-wrk need-nginx $(BIN)/nomad ## Run the benchmarks: the quick ones, then those on a real Nomad, NGINX and wrk (some minutes)
	@go test -run '^$$' -bench . -benchmem ./...
	@cd integration && DROVER_NOMAD=$(BIN)/nomad go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./...

.PHONY: bench-judge
bench-judge: ## Compare the judgement with threshold rules on simulated traffic; writes the tables and pictures of docs/judgement.md
	@go test ./strategy/judge -count=1 -timeout 30m -run '^TestComparison$$' -compare $(CURDIR)/docs/judgement.md

.PHONY: router-table
router-table: need-balancers need-prometheus need-git $(BIN)/nomad ## Hold every router to its suite and write what it found into the tables of docs/traffic.md
	@cd integration && DROVER_ROUTER_TABLE=$(CURDIR)/docs/traffic.md go test ./balancers -count=1 -timeout 20m -parallel 1
	@cd integration && DROVER_NOMAD=$(BIN)/nomad DROVER_ROUTER_TABLE=$(CURDIR)/docs/traffic.md \
		go test . -count=1 -timeout 30m -parallel 1 -run '^Test(ProxyRouter|TemplateRouter|NothingDivides)$$'
	@DROVER_ROUTER_TABLE=1 go test ./cmd/drover -count=1 -run '^TestAbilitiesAreInTheManual$$'

.PHONY: clean
clean: ## Remove bin/, with the tools and the Nomad in it
	@rm -rf $(BIN)

$(LINT):
	@echo "building golangci-lint $(LINT_VERSION), once (takes some minutes)"
	@GOBIN=$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

$(FUMPT):
	@echo "building gofumpt $(FUMPT_VERSION), once"
	@GOBIN=$(@D) go install mvdan.cc/gofumpt@$(FUMPT_VERSION)

# install is what a missing program takes: $(call install,PROGRAM,PACKAGES).
install = command -v $(1) >/dev/null || { \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "$(1) is missing: installing $(2)"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(2) >/dev/null; \
	else echo "$(1) is missing: install $(2)"; exit 1; fi; }

.PHONY: need-balancers
need-balancers:
	@$(call install,haproxy,haproxy)
	@$(call install,nginx,nginx-light)

.PHONY: need-git
need-git:
	@$(call install,git,git)

.PHONY: need-cc
need-cc:
	@$(call install,gcc,gcc libc6-dev)

.PHONY: need-prometheus
need-prometheus:
	@$(call install,prometheus,--no-install-recommends prometheus)

.PHONY: need-sshd
need-sshd:
	@[ -x /usr/sbin/sshd ] || { $(call install,sshd,--no-install-recommends openssh-server); }

.PHONY: need-wrk
need-wrk:
	@$(call install,wrk,wrk)

.PHONY: need-nginx
need-nginx:
	@$(call install,nginx,nginx-light)
