# The commands of the README. Each works from a clean clone.

CARGO ?= cargo

.PHONY: run web screenshots test bench fuzz fmt check

# Build and start the server with its data in ./data. The first start prints how to sign in.
run: web
	$(CARGO) build --release --package chancery
	./target/release/chancery serve

# Build the web app, which release builds embed.
web: web/dist/index.html

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(shell find web/src web/public web/*.html web/*.config.* -type f)
	cd web && npm run build

# Take pictures of the web app's pages, into web/pictures.
screenshots: web
	$(CARGO) build --package chancery
	cd web && npm run pictures

# Install what the tests need, build the server, run every test.
test: web
	if [ -x tests/install.sh ]; then tests/install.sh; fi
	$(CARGO) build --package chancery
	$(CARGO) test --workspace
	cd web && npm test && npm run e2e

# Measure speed and size, beside other servers where they are installed.
bench:
	if [ -x bench/install.sh ]; then bench/install.sh; fi
	$(CARGO) build --release --package chancery
	$(CARGO) run --release --package bench

# Run every fuzz target for FUZZ_SECONDS. Needs a nightly compiler and cargo-fuzz, see fuzz/README.md. A server that
# goes on running between inputs keeps memory, which is no leak.
FUZZ_SECONDS ?= 60
fuzz:
	for target in fuzz/fuzz_targets/*.rs; do \
		ASAN_OPTIONS=detect_leaks=0 $(CARGO) +nightly fuzz run --all-features $$(basename $$target .rs) -- \
			-dict=fuzz/xmpp.dict -max_len=4096 -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

# Lay out the code.
fmt:
	$(CARGO) fmt --all

# What .ci/run checks before it runs the tests.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) deny check licenses bans sources
