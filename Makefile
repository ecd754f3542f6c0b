# `make help` lists what is supported. Everything runs from .venv, which `setup` makes.
SHELL := /bin/bash
PREFIX ?= /usr/local
UNITS ?= $(PREFIX)/lib/systemd/system
CNIDIR ?= /opt/cni/bin
SECONDS ?= 300
bin := $(CURDIR)/.venv/bin
ready := .venv/.ready
pytest := $(bin)/pytest
# nothing outlives it, however it ends
enclosed := unshare --pid --fork --kill-child --mount-proc
rooms := $(wildcard netrt tests cni-plugins oci-hooks)

.PHONY: help setup fmt check test kernel e2e e2e-runtimes fuzz sweep soak bench bench-peers profile demo clean install
.DEFAULT_GOAL := help

help: ## show this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

setup: $(ready) ## make .venv with netrt and netrtd; as root also install what is missing (apt)

$(ready): pyproject.toml tests/constraints.txt .ci/setup
	.ci/setup
	@touch $@

fmt: setup ## put the source in order: format, simple lint, the map in the README
	$(bin)/ruff format $(rooms)
	$(bin)/ruff check --fix $(rooms)
	$(bin)/python tests/housemap.py --write

check: setup ## house rules and the pure core; no root, under a minute
	$(pytest) -q -n 2 tests/test_house.py tests/unit

test: setup ## everything (needs root for all but `check`)
	$(pytest) -q -n 2 -rs --durations=10

kernel: setup ## contracts, failures, crashes and drift on the real kernel (root)
	$(pytest) -q -n 2 tests/contract tests/kernel

e2e: setup ## packets, through the command line and the daemon (root)
	$(pytest) -q -n 2 tests/e2e

e2e-runtimes: setup ## podman, containerd, runc, crun, LXC, libvirt, libcni and the reference plugins with ours (root; installs them with apt)
	.ci/runtimes
	NETRT_RUNTIMES=1 $(pytest) -q -n 2 -rs tests/runtimes

fuzz: setup ## mutated DNS messages for five minutes, or for SECONDS=…
	$(bin)/python -m tests.unit.dns.fuzz $(SECONDS)

sweep: setup ## kill the daemon before and after each operation and save of every flow, and start it again (root)
	$(enclosed) $(bin)/python -m tests.crash
	NETRT_SWEEP=1 $(enclosed) $(pytest) -q tests/e2e/test_cni_crash.py

soak: setup ## 5,000 attaches and detaches, and what they leave behind: files, threads, memory, tracking, database (root)
	$(enclosed) $(bin)/python -m tests.soak

bench: setup ## what an attach costs, as a ratio to the kernel's own share (root)
	$(bin)/python -m tests.bench

bench-peers: setup ## CNI plugins, names and `run` beside those of Debian's packages, which it installs with apt (root)
	for part in tests.bench.cni tests.bench.dnspeers tests.bench.runpeers; do \
	  $(bin)/python -m $$part || missed=1; done; exit $${missed:-0}

profile: setup ## where the time of an attach goes, function by function, beside the last one: bench/profile.md (root)
	$(bin)/python -m tests.bench.profile

demo: setup ## three containers, two networks, one published port, and the proof (root)
	@$(bin)/python -m netrt.demo

clean: ## remove what was made here, .venv included
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

install: setup ## launchers, CNI plugins, OCI hook and systemd units, for this checkout (DESTDIR, PREFIX, CNIDIR)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(UNITS) $(DESTDIR)$(CNIDIR)
	for name in netrt netrtd netrt-dns; do install -m 755 $(bin)/$$name $(DESTDIR)$(PREFIX)/bin/$$name; done
	for unit in netrt/daemon/systemd/*; do \
	  sed 's|@BIN@|$(PREFIX)/bin|g' $$unit >$(DESTDIR)$(UNITS)/$${unit##*/} && chmod 644 $(DESTDIR)$(UNITS)/$${unit##*/}; done
	sed 's|^HOME = ""|HOME = "$(CURDIR)"|' cni-plugins/netrt >$(DESTDIR)$(CNIDIR)/netrt.new
	/usr/bin/python3 -m compileall -q cni-plugins/program
	chmod 755 $(DESTDIR)$(CNIDIR)/netrt.new && mv -f $(DESTDIR)$(CNIDIR)/netrt.new $(DESTDIR)$(CNIDIR)/netrt
	sed 's|^HOME = ""|HOME = "$(CURDIR)"|' oci-hooks/netrt-hook >$(DESTDIR)$(PREFIX)/bin/netrt-hook.new
	chmod 755 $(DESTDIR)$(PREFIX)/bin/netrt-hook.new && mv -f $(DESTDIR)$(PREFIX)/bin/netrt-hook.new $(DESTDIR)$(PREFIX)/bin/netrt-hook
	for link in cni-plugins/netrt-*; do ln -sfn netrt $(DESTDIR)$(CNIDIR)/$${link##*/}; done
ifeq ($(DESTDIR),)
	getent group netrt >/dev/null || groupadd --system netrt
	! test -d /run/systemd/system || systemctl daemon-reload
	@echo "now: systemctl enable --now netrtd.socket (without systemd netrt starts its daemon on demand)"
endif
