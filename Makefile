# berth: every target says what it does; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
DESTDIR ?=
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOBUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0

# What building, the lab and the tests need from Debian. Go and gcc (for the race
# detector) are expected to be there.
DEPS := busybox-static ca-certificates chromium curl dnsmasq-base dosfstools e2fsprogs fdisk git \
	grub-common grub-efi-amd64-bin grub-pc-bin ipmitool iproute2 ipxe-qemu kmod \
	mmdebstrap mtools openipmi openssh-client ovmf pci.ids postgresql procps python3 \
	qemu-system-x86 qemu-utils util-linux zstd $(if $(shell command -v npm),,npm)

# The race detector watches everything but the engine of SQLite, which is C put into Go: it has a lock of its own around each connection, and
# watching its every byte takes three quarters of the time of the tests that use it.
RACE := -race -gcflags=modernc.org/...=-race=false

# The packages with machines in them. Their machines are started one package at a
# time and without the race detector, which would slow the wrong side.
VM_PACKAGES := ./internal/lab/... ./internal/e2e/... ./internal/bootimage/... ./internal/demoimage/... ./cmd/...
FIRMWARE ?=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## install the Debian packages that building, the lab and the tests need, if any is missing (root)
# policy-rc.d keeps the packages from starting services: PostgreSQL's programs are
# wanted for tests with clusters of their own, and no daemon on this machine.
	@missing=$$(for p in $(DEPS); do \
		dpkg-query -Wf '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	echo "installing:" $$missing; \
	if [ $$(id -u) != 0 ]; then echo "run 'make deps' as root to install them" >&2; exit 1; fi; \
	apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$$@" </dev/null; }; \
	add() { apt install -y --no-install-recommends $(if $(CI),-o Dpkg::Options::=--force-unsafe-io) $$missing >build/deps.log 2>&1; }; \
	mkdir -p build; \
	if [ ! -e /usr/sbin/policy-rc.d ]; then \
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT; \
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; \
	fi; \
	add || { echo "refreshing the package lists"; apt update && add; } || { tail -40 build/deps.log >&2; exit 1; }

# axe-core looks for faults that keep people from using a page. It is a tool of the tests alone, and its content is pinned.
AXE := axe-core-4.11.0
AXE_SHA512 := 8a561a9c453cbf1c417b1a4977c716338125490ab841cb422ca8a1d1349f8c87c24137b21ffeb356b98825f2cfaca4ca2516e21be71f9d96d02230252661758d
.PHONY: axe
axe: build/axe/$(AXE).js ## fetch axe-core, which the tests of the pages ask
build/axe/$(AXE).js:
	@mkdir -p build/axe
	cd build/axe && for try in 1 2 3; do npm pack --silent $(subst core-,core@,$(AXE)) >/dev/null && break; sleep 5; done
	echo "$(AXE_SHA512)  build/axe/$(AXE).tgz" | sha512sum --check --quiet
	tar -xzOf build/axe/$(AXE).tgz package/axe.min.js >$@

.PHONY: build
build: build/berth build/berth-agent ## build the static binaries build/berth and build/berth-agent

# go build knows better than make what is out of date.
.PHONY: build/berth build/berth-agent build/berth-agent-arm64
build/berth:
	$(GOBUILD) -o $@ ./cmd/berth
build/berth-agent:
	$(GOBUILD) -o $@ ./cmd/berth-agent
build/berth-agent-arm64:
	GOARCH=arm64 $(GOBUILD) -o $@ ./cmd/berth-agent

.PHONY: agent
agent: build/berth-agent ## build what a machine boots over the network: build/boot/amd64 and build/boot/loaders
	go run ./internal/bootimage -arch amd64 -agent build/berth-agent -out build/boot -loaders $(if $(REFRESH),-refresh) $(if $(FIRMWARE),-firmware $(FIRMWARE))

.PHONY: agent-arm64
agent-arm64: build/berth-agent-arm64 ## the same for 64-bit ARM: build/boot/arm64
	go run ./internal/bootimage -arch arm64 -agent build/berth-agent-arm64 -out build/boot -loaders $(if $(REFRESH),-refresh) $(if $(FIRMWARE),-firmware $(FIRMWARE))

.PHONY: image
image: ## build the small Debian image of the demo and the tests: build/image (root; minutes the first time, then cached)
	go run ./internal/demoimage -out build/image $(if $(REFRESH),-refresh)

.PHONY: everything
everything: deps build agent image

.PHONY: lint
lint: ## check format, go vet and staticcheck
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:" $$unformatted >&2; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

# Tests share the machine with emulated ones: few packages at a time, long limits.
.PHONY: test test-unit test-vm
test: everything test-unit test-vm ## run all tests, one machine per firmware among them (root)
test-unit: axe ## run the tests without machines, with the race detector
	go test $(RACE) -p 2 -timeout 30m $$(go list ./... | grep -v '/internal/e2e$$')
	go test -count=1 -timeout 30m ./internal/e2e
test-vm: ## run the tests with machines only (needs build, agent and image)
	BERTH_TEST_VM=1 go test -count=1 -p 1 -timeout 60m $(VM_PACKAGES)

.PHONY: test-full
test-full: everything test-unit ## all tests and the slow ones: more kills, more firmware (root)
	BERTH_TEST_VM=1 BERTH_TEST_FULL=1 go test -count=1 -p 1 -timeout 120m $(VM_PACKAGES)

.PHONY: soak
soak: everything ## the longest tests: many kills, on machines (root; hours)
	BERTH_TEST_VM=1 BERTH_TEST_FULL=1 BERTH_TEST_SOAK=1 go test -count=1 -p 1 -timeout 12h $(VM_PACKAGES)

# docs/performance.md says what these measure and what they printed.
PAIRS ?= 5
.PHONY: pictures
pictures: ## draw the pictures of the documentation anew, in Chromium
	BERTH_PICTURES=$(CURDIR)/docs/pictures go test -count=1 -run '^TestDocumentationPictures$$' ./web

.PHONY: bench-deploy bench-idle bench-lists bench-record
bench-deploy: everything ## what berth costs a deploy: five by turns with and without it, BIOS and UEFI; PAIRS=1 is quicker (root; half an hour)
	go run ./internal/bench/deploy -firmware bios -pairs $(PAIRS)
	go run ./internal/bench/deploy -firmware uefi -pairs $(PAIRS)
bench-idle: everything ## memory of an idle server, and the time to its first answer (root)
	go run ./internal/bench/idle
bench-lists: build ## lists of 10,000 machines
	go run ./internal/bench/lists
bench-record: build ## the record with 100,000 assets and 1,000,000 components on SQLite and PostgreSQL: lists, search, imports, drawings, memory (an hour); ASSETS=10000 is quicker
	go run ./internal/bench/record $(if $(ASSETS),-assets $(ASSETS))

.PHONY: demo
demo: everything ## lead two virtual servers from first packet to a booted Debian, and stay up; ONCE=1 ends by itself (root)
	exec build/berth lab demo $(if $(ONCE),--once)

.PHONY: install
install: build ## install the binaries and boot files below $(DESTDIR)$(PREFIX)
	install -D -m 755 build/berth $(DESTDIR)$(PREFIX)/bin/berth
	for dir in amd64 arm64 loaders; do \
		[ ! -d build/boot/$$dir ] || install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/berth/boot/$$dir build/boot/$$dir/*; \
	done

.PHONY: clean
clean: ## remove build/; the cache outside of it stays
	rm -rf build
