# The chores of Corliss. `make demo` shows it, `make test` proves it.
.PHONY: help build demo test check bench layers console python system

help:
	@echo "make build    the release binary, console included: target/release/corliss"
	@echo "make demo     the main job, end to end, on a fresh home"
	@echo "make check    form, lints, layers and unit tests (minutes; no server is started)"
	@echo "make test     everything: make check and the real binary under real clients and faults"
	@echo "make bench    the figures, each beside what it is compared with"

build: system console
	cargo build --release --locked -p corliss

demo: build
	scripts/demo --binary target/release/corliss

check:
	scripts/check

test:
	scripts/check --all

bench: build
	scripts/python-env bench
	.venv-bench/bin/python benches/run.py --binary target/release/corliss

layers:
	cargo xtask layers

console:
	scripts/console

python:
	scripts/python-env

system:
	scripts/setup-system build
