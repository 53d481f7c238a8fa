# Weir's chores. `make test` needs Go alone and installs nothing on the system; everything else says what it needs.

export CGO_ENABLED ?= 0
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS = -s -w -X main.version=$(VERSION)
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

.PHONY: build test test-real race house sdk lint fuzz sim soak bench-gateway bench-flood bench-store dist model clean help

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

build: ## bin/weir for this machine
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/weir ./cmd/weir

test: lint ## all tests without cgo; those that need Python, Node or the shared data skip and say so
	$(GO) test ./...
	cd bench && $(GO) vet ./... && $(GO) test ./...
	cd sdktest && $(GO) test -count=1 -timeout 20m ./...

test-real: ## endpoints against real engines: LiteLLM is installed (800 MB), vLLM is the one in the environment WEIR_REAL_VLLM, if any
	WEIR_REAL=1 $(GO) test -count=1 -timeout 20m -run TestReal -v ./backend/openai

race: ## all tests under the race detector, which needs cgo and gcc
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...

house: ## the rules of the house, with their figures
	$(GO) test -count=1 -run TestHouse -v .

sdk: ## the official SDKs and LangChain against a real server
	cd sdktest && $(GO) test -count=1 -timeout 20m -v ./...

lint: ## gofmt and vet
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt -w these:" $$unformatted; exit 1; fi
	$(GO) vet ./...

fuzz: ## every fuzz target for FUZZTIME (20s)
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
	  echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-20s} $$p || exit 1; done; done

sim: ## the data path in virtual time: SEEDS (200) floods with faults under every rule, a minute; SEED=n plays one again and tells of it
	WEIR_SIM_SEEDS=$${SEEDS:-200} WEIR_SIM_SEED=$(SEED) $(GO) test -count=1 -timeout 20m -run 'TestSeeds' $(if $(SEED),-v) ./sim

soak: ## 200 streaming clients for a minute
	WEIR_SOAK=1m $(GO) test -count=1 -run Soak -v ./app

bench-gateway: ## weir, a bare Go proxy and the gateways installed here under the same load, as a table; BENCH="-rounds 1 -only weir,bareproxy"
	cd bench && $(GO) run ./gateway $(BENCH)

bench-flood: ## engines under 2, 4 and 10 times their capacity behind nothing, weir and the gateways installed here; BENCH="-engines mock -only weir,nginx"
	cd bench && $(GO) run ./flood $(BENCH)

bench-store: ## durable writes a second, and takes from a Valkey that limits are shared in
	$(GO) test -run '^$$' -bench . -benchtime 20000x ./store ./store/valkey

dist: ## dist/: release binaries for every platform
	@mkdir -p dist
	@for p in $(PLATFORMS); do os=$${p%/*}; arch=$${p#*/}; ext=; [ $$os = windows ] && ext=.exe; \
	  echo "dist/weir-$$os-$$arch$$ext"; GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o dist/weir-$$os-$$arch$$ext ./cmd/weir || exit 1; done
	@cd dist && sha256sum weir-* > SHA256SUMS

model: ## train weir-mini again, about an hour on one core, and embed it
	$(GO) run ./cmd/weir train mini --full --dir .cache/train --out mini/weir-mini.gguf

clean: ## what was built and cached
	rm -rf bin dist .cache bench/.cache
