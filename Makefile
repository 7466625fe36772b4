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

# Run every fuzz target for a while (SECONDS each).
SECONDS ?= 60
fuzz:
	if [ -x fuzz/run ]; then fuzz/run $(SECONDS); else echo "no fuzz targets yet"; fi

# Lay out the code.
fmt:
	$(CARGO) fmt --all

# What .ci/run checks before it runs the tests.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) deny check licenses bans sources
