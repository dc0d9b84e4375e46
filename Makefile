# The same commands for people and for CI. `make help` lists them.

SHELL := /bin/sh
export PATH := $(CURDIR)/target/tools/bin:$(PATH):$(HOME)/.cargo/bin
export CARGO_TERM_COLOR ?= auto

TARGET := $(or $(CARGO_TARGET_DIR),target)
CARGO_FLAGS := --workspace --locked

# Most tests wait for servers: a few more threads than cores keep two cores busy.
export RUST_TEST_THREADS ?= 4

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check fmt format lint doc deny advisories bench chaos packages tools drivers clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## Build, start everything on this machine, take a tour (Ctrl-C ends it); KAFKA=1: with the log on Kafka
	@scripts/install-system-packages $(if $(KAFKA),kafka,demo)
	@$(if $(KAFKA),scripts/install-tools kafka)
	cargo build $(CARGO_FLAGS) --bin upwrite --bin upwrite-sandbox
	@$(TARGET)/debug/upwrite demo $(if $(KAFKA),--kafka)

test: packages drivers ## Run every test on real components
	cargo build $(CARGO_FLAGS) --all-targets
	UPWRITE_BINARIES_BUILT=1 cargo test $(CARGO_FLAGS) --no-fail-fast

check: fmt lint doc deny test ## Everything that must hold before a commit: fmt, clippy, doc, deny, tests

fmt: ## rustfmt, only checking
	cargo fmt --all --check

format: ## rustfmt, rewriting
	cargo fmt --all

lint: packages ## clippy, no warnings
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings

doc: packages ## rustdoc, no warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --no-deps

# Advisories are apart: they need a clone of the RustSec database from GitHub, and may turn red by themselves.
deny: ## Licences, sources, one owner for each heavy package
	@scripts/install-tools cargo-deny
	cargo deny --locked check bans licenses sources

advisories: ## Known vulnerabilities and abandoned packages (needs GitHub)
	@scripts/install-tools cargo-deny
	cargo deny --locked check advisories

bench: packages ## Measure against floors and peers, on both engines of the log (release build)
	@scripts/install-tools kafka
	cargo build $(CARGO_FLAGS) --release --bins
	$(TARGET)/release/upwrite-load-tests bench
	$(TARGET)/release/upwrite-load-tests rebuild

chaos: packages ## Kill Upwrite, brokers and Postgres at 1,000 random points; KAFKA=1: a fleet on Kafka (UPWRITE_CHAOS_POINTS)
	@scripts/install-tools kafka
	cargo build $(CARGO_FLAGS) --bins
	UPWRITE_CHAOS_KILLS=$${UPWRITE_CHAOS_KILLS:-1000} UPWRITE_CHAOS_POINTS=$${UPWRITE_CHAOS_POINTS:-1000} \
		UPWRITE_TEST_LIMIT=$${UPWRITE_TEST_LIMIT:-86400} \
		UPWRITE_BINARIES_BUILT=1 cargo test $(CARGO_FLAGS) --test it -- --nocapture \
		$(if $(KAFKA),chaos::fleet::,chaos::g8_killed)

packages: ## Install missing system packages (asks on a terminal)
	@scripts/install-system-packages

tools: ## Install what the checks need: cargo-deny, Kafka, Java, Python and Node.js client libraries
	@scripts/install-tools

drivers: packages
	@scripts/install-tools python node kafka java

clean: ## Remove all that was built or installed in this folder
	rm -rf target services/testkit/drivers/.venv services/testkit/drivers/node_modules .demo
