# `make` lists the targets. Each is also a command that you can type.

# Rust may have been installed a moment ago, where this shell does not look yet.
CARGO_HOME ?= $(HOME)/.cargo
export PATH := $(CARGO_HOME)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help run load build image container-image deb deb-test test engines loom fuzz deny chaos attack bench bench-instructions bench-scale bench-streams bench-secured conformance micro mutants simulate replay fmt lint clean-containers

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## Install missing packages, build, and serve the example on port 80
	@scripts/setup
	cargo build --release
	scripts/acts-image
	exec target/release/tidegate run -c conf/acts.yaml

load: ## Upload a hundred images to the running example, and read each back from every replica
	cargo run --release -p load -- $(LOAD)

build: ## Build target/release/tidegate
	@scripts/setup --no-docker
	cargo build --release

image: ## Build the example service as the image acts:latest
	@scripts/setup
	scripts/acts-image

container-image: ## Build Tidegate itself as the image tidegate:latest
	@scripts/setup
	scripts/image

deb: ## Build a Debian package, target/debian/tidegate_*.deb
	@scripts/setup --no-docker
	scripts/deb

deb-test: deb ## Install that package on a Debian in a container, run it as a service, and purge it
	@scripts/setup
	scripts/deb-test

test: ## Run every test; some start containers
	@scripts/setup --test
	scripts/acts-image
	cargo test --workspace

engines: ## Run the engine's tests on two versions of Docker, and on Podman
	@scripts/setup
	scripts/engines $(ENGINES)

loom: ## Check the lock-free code under every interleaving
	cargo test --test main gate::

fuzz: ## Test with random input, for some minutes
	FUZZ_CASES=100000 cargo test --test main fuzz::
	FUZZ_CASES=100000 cargo test --lib properties
	FUZZ_CASES=100000 cargo test --lib hygiene
	FUZZ_CASES=100000 cargo test --lib route

deny: ## Check advisories, licences and sources of dependencies against deny.toml
	@scripts/deny

chaos: ## Break things under load, behind Tidegate and HAProxy, and count failed requests
	@scripts/setup --bench
	cargo build --release
	cargo build --release -p chaos
	scripts/acts-image
	target/release/chaos target/release/tidegate $(CHAOS)

attack: ## Attack Tidegate and HAProxy with thousands of slow connections
	@scripts/setup --bench
	cargo build --release
	cargo build --release -p attack
	target/release/attack target/release/tidegate $(ATTACK)

bench: ## Measure Tidegate beside HAProxy, nginx and Caddy
	@scripts/setup --bench
	scripts/acts-image
	cargo build --release
	cargo build --release -p compare
	target/release/compare target/release/tidegate $(BENCH)

bench-instructions: ## Count a request's instructions, beside HAProxy and nginx, and keep the profiles
	@scripts/setup --bench --no-docker
	cargo build --release
	cargo build --release -p compare
	target/release/instructions target/release/tidegate $(INSTRUCTIONS)

bench-scale: ## Measure an idle Tidegate, and one with a thousand services
	@scripts/setup --no-docker
	cargo build --release
	cargo build --release -p compare
	target/release/scale target/release/tidegate $(SCALE)

bench-streams: ## Measure HTTP/2 of clients beside HAProxy, nginx and Caddy
	@scripts/setup --bench --no-docker
	cargo build --release
	cargo build --release -p compare
	target/release/streams target/release/tidegate $(STREAMS)

bench-secured: ## Measure TLS beside HAProxy, nginx and Caddy
	@scripts/setup --bench --no-docker
	cargo build --release
	cargo build --release -p compare
	target/release/secured target/release/tidegate $(SECURED)

conformance: ## Run other people's suites against Tidegate: TLS, HTTP/2, gRPC, WebSockets, ACME, a browser
	@scripts/setup --conformance --no-docker
	cargo build --release
	cargo build --release -p acts
	scripts/conformance target/release/tidegate $(CONFORMANCE)

micro: ## Measure single steps: hygiene, routes, filters, claims, metrics, snapshots, plans, the control loop
	cargo bench -p micro -- $(MICRO)

mutants: ## Change a sample of lines in plan/, service/ and proxy/, and list changes that no unit test detects
	scripts/mutants $(MUTANTS)

simulate: ## Try scaling policies on the recorded traffic
	@scripts/setup --no-docker
	cargo build --release
	target/release/tidegate simulate --mean-rate 64 bench/traces/nasa_1995-07-13_persecond.csv $(SIMULATE)
	target/release/tidegate simulate --mean-rate 64 --take 7d bench/traces/nasa_1995-07_perminute.csv $(SIMULATE)
	target/release/tidegate simulate --mean-rate 32 --take 7d bench/traces/nab_elb_request_count_5min.csv $(SIMULATE)
	target/release/tidegate simulate bench/traces/step.csv $(SIMULATE)

replay: ## Replay a trace's sharpest ten minutes on real containers, and measure the scaling
	@scripts/setup
	cargo build --release
	cargo build --release -p replay
	scripts/replay-image
	target/release/replay target/release/tidegate $(REPLAY)

fmt: ## Format the code
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	cargo fmt --all

lint: ## Run clippy; no warning is accepted
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	cargo clippy --workspace --all-targets -- -D warnings

clean-containers: ## Remove the containers that Tidegate started, and no others
	docker ps --all --quiet --filter label=io.tidegate.managed=true | xargs --no-run-if-empty docker rm --force --volumes
