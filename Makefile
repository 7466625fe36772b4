# The commands of the README. Each works from a clean clone.

CARGO ?= cargo

.PHONY: run test bench fuzz fmt check

# Build and start the server with its data in ./data. The first start prints how to sign in.
run:
	$(CARGO) build --release --package chancery
	./target/release/chancery serve

# Install what the tests need, build the server, run every test.
test:
	if [ -x tests/install.sh ]; then tests/install.sh; fi
	$(CARGO) build --package chancery
	$(CARGO) test --workspace

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
