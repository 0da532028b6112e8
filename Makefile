# SPDX-License-Identifier: BSD-3-Clause
# A thin front for cmake --preset and ctest --preset. As root on Debian 12 it installs the packages that are missing;
# otherwise it says which.

# For the demo, e.g. make demo DEMO_ARGS="--backend threads --replicates 99"
DEMO_ARGS ?=
# For cmake, e.g. make test CONFIGURE_ARGS=-DPARLOOM_WERROR=ON
CONFIGURE_ARGS ?=
# For ctest, e.g. make test TEST_ARGS="-R Board"
TEST_ARGS ?=
BENCH_ARGS ?=
# For libFuzzer, e.g. make fuzz FUZZ_SECONDS=600 FUZZ_ARGS=-seed=1; FUZZ_RUNS and FUZZ_TARGETS: tests/fuzz/run.sh
FUZZ_ARGS ?=
FUZZ_SECONDS ?= 60
export FUZZ_SECONDS FUZZ_RUNS FUZZ_TARGETS
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

packages = sh cmake/packages.sh
ctest = ctest --no-label-summary -j $(JOBS) --preset

.PHONY: help demo test bench lint asan tsan clang fuzz install clean

help:
	@echo "make demo     how clustered are the places of the United States? writes out/places.svg"
	@echo "make test     build and run all tests"
	@echo "make bench    the figures, beside OpenMP, oneTBB and joblib"
	@echo "make lint     clang-tidy and the checks of the tree"
	@echo "make asan     the tests with AddressSanitizer and UndefinedBehaviorSanitizer (gcc)"
	@echo "make tsan     the tests with ThreadSanitizer (clang, libomp, archer)"
	@echo "make clang    the tests with clang, warnings are errors"
	@echo "make fuzz     hostile files, FUZZ_SECONDS=$(FUZZ_SECONDS) for each kind (clang, libFuzzer)"
	@echo "make install  to PREFIX=$(PREFIX)"
	@echo "make clean    remove build/ and out/"

demo:
	@$(packages) build demo
	cmake --preset release -DPARLOOM_BUILD_TESTS=OFF $(CONFIGURE_ARGS)
	cmake --build --preset release --parallel $(JOBS) --target places
	build/release/bin/places --n-jobs -1 --out out $(DEMO_ARGS)

test:
	@$(packages) build demo test
	cmake --preset debug $(CONFIGURE_ARGS)
	cmake --build --preset debug --parallel $(JOBS)
	$(ctest) debug $(TEST_ARGS)

bench:
	@$(packages) build bench
	cmake --preset release -DPARLOOM_BUILD_TESTS=OFF $(CONFIGURE_ARGS)
	cmake --build --preset release --parallel $(JOBS)
	sh benchmarks/run.sh build/release/benchmarks $(BENCH_ARGS)

lint:
	@$(packages) build demo test lint
	cmake --preset clang $(CONFIGURE_ARGS)
	cmake --build --preset clang --parallel $(JOBS) --target parloom bad_symbols
	run-clang-tidy-14 -quiet -p build/clang -j $(JOBS) '$(CURDIR)/(base|shm|backends|core|rest)/'
	$(ctest) clang -L lint

asan tsan clang:
	@$(packages) build demo test
	cmake --preset $@ $(CONFIGURE_ARGS)
	cmake --build --preset $@ --parallel $(JOBS)
	$(ctest) $@ $(TEST_ARGS)

fuzz:
	@$(packages) build test
	cmake --preset fuzz $(CONFIGURE_ARGS)
	cmake --build --preset fuzz --parallel $(JOBS)
	sh tests/fuzz/run.sh build/fuzz $(FUZZ_ARGS)

# ldconfig: so that programs find it, where it looks at all.
install:
	@$(packages) build
	cmake --preset release -DPARLOOM_BUILD_TESTS=OFF $(CONFIGURE_ARGS)
	cmake --build --preset release --parallel $(JOBS) --target parloom parloom_static
	cmake --install build/release --prefix "$(PREFIX)"
	$(if $(filter /usr /usr/local,$(PREFIX)),@if [ "$$(id -u)" = 0 ] && [ -z "$$DESTDIR" ]; then ldconfig; fi)

clean:
	rm -rf build out
