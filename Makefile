# SPDX-License-Identifier: GPL-2.0-or-later
# Pulsar's own makefile: builds QEMU's patched tree and the command below
# build/, installs them and runs the tests. "make help" lists the targets.

SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

export PULSAR_BUILD ?= build
B := $(PULSAR_BUILD)
V ?= 0
export V
# Bash has a variable of that name, and would count on from it.
unexport SECONDS
# What every recipe begins with, and how it says what it does.
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s%s\n' $1 $2)

PKG_CONFIG ?= pkg-config
-include $(B)/config.mk

SUITES := scripts patches unit fuzz tool devices standin torture xenhost
TESTS := check $(addprefix check-,$(SUITES))
# What configures by itself in a fresh clone; two of the suites need nothing.
FRESH := $(filter-out check-scripts check-patches,$(TESTS)) demo density bench \
    torture torture-tsan deb rpm

.PHONY: all stock tool install install-xapi dist clean distclean refresh quilt gdb help
.PHONY: rebase-rehearsal
.PHONY: $(TESTS) check-fresh check-deb check-xapi demo density bench torture torture-tsan deb rpm FORCE

all: $(B)/qemu-system-i386 tool

ifeq ($(upstream),)

# Not configured: the tests and the demonstration set up by themselves what
# they need; everything else waits to be told how to build.
ifneq ($(filter $(FRESH),$(MAKECMDGOALS)),)
$(FRESH):
	$(Q)build-aux/need-packages build full
	$(Q)./configure $(SERIES:%=--qemu-series=%)
	$(Q)$(MAKE) --no-print-directory $@
endif

$(B)/qemu-system-i386 stock tool install install-xapi check-xapi gdb:
	@echo 'make: nothing is configured in $(B); run ./configure first' >&2
	@exit 1

else

# What configure does changed: it is run again as it was told.
$(B)/config.mk: VERSION configure build-aux/configure-qemu \
    build-aux/qemu-options build-aux/qemu-options-full build-aux/get-source
	$(call say,CONFIG,$(B))
	$(Q)$(B)/config.again

# The device model, and the same source without our patches. Both trees are
# told of a patch that changed, and write only the files that it changes.
# ccache, where there is one, gives the one what it compiled for the other.
# One make at a time: two would spoil each other's objects.
BUILD := flock $(B)/.lock env CCACHE_BASEDIR=$(abspath $(B)) \
    build-aux/run-ninja $(if $(filter 1,$(V)),-v) $(filter -j%,$(MAKEFLAGS))
PATCHES := patches/series $(addprefix patches/,$(shell \
    sed 's/[[:space:]]*\(\#.*\)\?$$//; /^$$/d' patches/series))
PATCHING := $(PATCHES) build-aux/patch-tree build-aux/series.py

$(B)/src/.pulsar-tree: $(PATCHING)
	$(call say,PATCH,$(B)/src)
	$(Q)flock $(B)/.lock build-aux/patch-tree $(upstream) $(B)/src

$(B)/qemu-system-i386: $(B)/src/.pulsar-tree FORCE
	$(call say,BUILD,$@)
	$(Q)$(BUILD) -C $(B)/qemu qemu-system-i386
	$(Q)ln -sfn qemu/qemu-system-i386 $@

stock: $(B)/stock/qemu-system-i386

$(B)/stock/src/.pulsar-tree: $(PATCHING) $(B)/config.mk
	$(call say,PATCH,$(B)/stock/src)
	$(Q)mkdir -p $(B)/stock
	$(Q)build-aux/patch-tree --only=build $(upstream) $(B)/stock/src

$(B)/stock/qemu/.configured: $(B)/config.mk | $(B)/stock/src/.pulsar-tree
	$(call say,CONFIG,$(B)/stock/qemu)
	$(Q)build-aux/configure-qemu $(B)/stock/src $(B)/stock/qemu
	$(Q)touch $@

$(B)/stock/qemu-system-i386: $(B)/stock/src/.pulsar-tree \
    $(B)/stock/qemu/.configured FORCE
	$(call say,BUILD,$@)
	$(Q)$(BUILD) -C $(B)/stock/qemu qemu-system-i386
	$(Q)ln -sfn qemu/qemu-system-i386 $@

# The command. tools/rules.mk, where it exists, adds to these variables.
TOOL_SOURCES := $(wildcard tools/*.c)
TOOL_PACKAGES :=
-include tools/rules.mk

ifneq ($(TOOL_SOURCES),)
tool: $(B)/pulsar

TOOL_OBJECTS := $(TOOL_SOURCES:%.c=$(B)/tool/%.o)
TOOL_CFLAGS := $(or $(CFLAGS),-O2 -g) -std=gnu11 -Wall -Wextra -Wshadow \
    -Wmissing-prototypes -Wstrict-prototypes -Wvla -D_GNU_SOURCE -I. \
    -DPULSAR_VERSION='"$(VERSION)"' \
    -ffile-prefix-map=$(CURDIR)=/usr/src/pulsar
ifneq ($(TOOL_PACKAGES),)
TOOL_CFLAGS += $(shell $(PKG_CONFIG) --cflags $(TOOL_PACKAGES))
TOOL_LIBS := $(shell $(PKG_CONFIG) --libs $(TOOL_PACKAGES))
endif

$(B)/tool/%.o: %.c $(B)/config.mk
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/pulsar: $(TOOL_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TOOL_LIBS)

-include $(TOOL_OBJECTS:.o=.d)
endif

# Installing: nothing is built or fetched here that "make" does not make.
KEYMAPS = $(filter-out %.build,$(wildcard $(B)/src/pc-bios/keymaps/*))
MANUALS := $(wildcard docs/man/*.[1-8])
TMPFILES := $(wildcard packaging/tmpfiles.d/*.conf)
D := $(DESTDIR)

install: all
	$(Q)install -D -m 755 $(B)/qemu-system-i386 \
	    $(D)$(libexecdir)/pulsar/qemu-system-i386
	$(Q)install -m 755 packaging/xapi/qemu-wrapper \
	    $(D)$(libexecdir)/pulsar/qemu-wrapper
	$(Q)install -d $(D)$(datadir)/pulsar/keymaps
	$(Q)install -m 644 $(KEYMAPS) $(D)$(datadir)/pulsar/keymaps
ifneq ($(TOOL_SOURCES),)
	$(Q)install -D -m 755 $(B)/pulsar $(D)$(bindir)/pulsar
ifneq ($(wildcard tools/completion/pulsar),)
	$(Q)install -D -m 644 tools/completion/pulsar \
	    $(D)$(datadir)/bash-completion/completions/pulsar
endif
endif
	$(Q)for file in $(TMPFILES) $(MANUALS); do \
	    case $$file in \
	    docs/man/*) to="$(D)$(mandir)/man$${file##*.}/$${file##*/}";; \
	    *) to="$(D)$(prefix)/lib/tmpfiles.d/$${file##*/}";; \
	    esac && \
	    install -D -m 644 $$file "$$to" && \
	    sed -i -e 's|/run/pulsar|$(or $(runstatedir),/run)/pulsar|g' \
	        -e 's|/usr/local/libexec/pulsar|$(libexecdir)/pulsar|g' "$$to" || \
	    exit 1; \
	done

# On a host of xapi: what has xenopsd run our wrapper, what tells the pool that
# it does, and the history of wakes. The folders are xapi's.
XENOPSD_CONF := $(D)/etc/xenopsd.conf.d/pulsar.conf
XAPI_PLUGIN := $(D)/etc/xapi.d/plugins/pulsar
RRD_UNIT := $(D)$(prefix)/lib/systemd/system/pulsar-rrd.service

install-xapi: install
	$(Q)install -D -m 755 packaging/xapi/plugin $(XAPI_PLUGIN)
	$(Q)install -D -m 644 packaging/systemd/pulsar-rrd.service $(RRD_UNIT)
	$(Q)install -D -m 644 packaging/xapi/pulsar.conf $(XENOPSD_CONF)
	$(Q)sed -i -e 's|@libexecdir@|$(libexecdir)|' \
	    -e 's|/usr/bin/pulsar|$(bindir)/pulsar|' \
	    $(XAPI_PLUGIN) $(RRD_UNIT) $(XENOPSD_CONF)

# The tests, their packages first.
check check-devices check-standin check-torture check-xenhost: all stock
	$(Q)build-aux/need-packages check fuzz scripts tool xenhost
	$(Q)tests/run $(if $(filter check,$@),$(SUITES),$(@:check-%=%))

check-unit check-fuzz:
	$(Q)build-aux/need-packages check $(filter fuzz,$(@:check-%=%))
	$(Q)tests/run $(@:check-%=%)

check-tool: all
	$(Q)build-aux/need-packages check tool
	$(Q)tests/run tool

# What was said on make's command line; the environment has such names too.
said = $(if $(filter command%,$(origin $1)),$($1))

demo: all
	$(Q)build-aux/need-packages xenhost
	$(Q)tests/xenhost/demo $(call said,SECONDS)

density: all stock
	$(Q)build-aux/need-packages xenhost
	$(Q)tests/xenhost/density $(call said,N)

bench: all stock
	$(Q)build-aux/need-packages check
	$(Q)tests/standin/bench

# The device model under sanitisers, from the same tree: build/asan (ASAN and
# UBSAN), which also tells which of its code has run, and build/tsan. TSAN reads
# all debug information into each process with something to report, so that is
# lines and functions only.
sanitise_asan = --enable-asan --enable-ubsan \
    --extra-cflags=-fsanitize-coverage=trace-pc \
    --extra-ldflags=$(abspath $(B)/asan/coverage.o)
sanitise_tsan = --enable-tsan --extra-cflags='-O1 -g1'
SANITISED := $(B)/asan $(B)/tsan

$(B)/asan/coverage.o: tests/torture/coverage.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -O2 -Wall -fPIC -c -o $@ $<

$(B)/asan/qemu/.configured: | $(B)/asan/coverage.o

$(SANITISED:%=%/qemu/.configured): $(B)/%/qemu/.configured: \
    $(B)/config.mk build-aux/configure-qemu | $(B)/src/.pulsar-tree
	$(call say,CONFIG,$(@D))
	$(Q)build-aux/configure-qemu $(B)/src $(@D) $(sanitise_$*)
	$(Q)touch $@

$(SANITISED:%=%/qemu-system-i386): %/qemu-system-i386: \
    $(B)/src/.pulsar-tree %/qemu/.configured FORCE
	$(call say,BUILD,$@)
	$(Q)$(BUILD) -C $*/qemu qemu-system-i386
	$(Q)ln -sfn qemu/qemu-system-i386 $@

torture: all stock $(B)/asan/qemu-system-i386
	$(Q)build-aux/need-packages check fuzz
	$(Q)PULSAR_QEMU=$(abspath $(B)/asan/qemu-system-i386) \
	    PULSAR_STOCK=$(abspath $(B)/stock/qemu-system-i386) \
	    PULSAR_TOOL=$(abspath $(B)/pulsar) tests/torture/sanitised
	$(Q)PULSAR_QEMU=$(B)/asan/qemu-system-i386 \
	    TORTURE_MINUTES=$(or $(MINUTES),20) tests/run torture
	$(Q)FUZZ_SECONDS=$$(($(or $(MINUTES),20) * 5)) tests/run fuzz

# With xapi's own wrapper, which is no part of this: XEN_API names a checkout
# of xen-api.
check-xapi: $(if $(XEN_API),all)
	$(Q)$(if $(XEN_API),build-aux/need-packages check tool)
	$(Q)tests/xapi/check $(XEN_API) $(XEN_API_OLD)

# The stand-in's suite once more, for what threads do to each other.
torture-tsan: all stock $(B)/tsan/qemu-system-i386
	$(Q)build-aux/need-packages check
	$(Q)PULSAR_QEMU=$(abspath $(B)/tsan/qemu-system-i386) \
	    PULSAR_STOCK=$(abspath $(B)/stock/qemu-system-i386) \
	    PULSAR_TOOL=$(abspath $(B)/pulsar) tests/torture/sanitised --tsan

# Packages, from our own tarball and QEMU's; nothing built here is in them.
deb:
	$(Q)build-aux/need-packages build full deb
	$(Q)build-aux/make-deb

rpm:
	$(Q)build-aux/need-packages build full rpm
	$(Q)build-aux/make-rpm

gdb:
	$(Q)build-aux/attach-gdb $(if $(PID),--pid=$(PID)) $(DOMID)

endif

# The suites of scripts and patches build nothing.
check-scripts check-patches:
	$(Q)build-aux/need-packages build full $(filter scripts,$(@:check-%=%))
	$(Q)QEMU_SOURCE="$(QEMU_SOURCE)" tests/run $(@:check-%=%)

# The same on a machine that has nothing yet.
check-fresh:
	$(Q)build-aux/check-fresh $(SUITE:%=--suite=%) $(SERIES:%=--series=%) \
	    $(TARGET)

# The Debian packages, in a clean Debian too.
check-deb:
	$(Q)build-aux/check-deb $(SUITE:%=--suite=%) $(PACKAGES:%=--packages=%) \
	    $(PART)

# The patches' workshop, for the configured source or for QEMU_SOURCE.
refresh quilt:
	$(Q)tree=$(if $(QEMU_SOURCE),,$(upstream)); \
	: $${tree:=$$(build-aux/get-source --allow-unpinned \
	    $(QEMU_SOURCE:%=--source=%))}; \
	[ -n "$$tree" ] && \
	    build-aux/quilt-tree $(if $(filter refresh,$@),--refresh) "$$tree"

# What bringing the patches to another QEMU would take; changes nothing.
rebase-rehearsal:
	$(Q)$(if $(QEMU_SOURCE),,echo "make: say which QEMU, as in make $@" \
	    "QEMU_SOURCE=qemu-11.1.0.tar.xz" >&2; exit 1;) \
	base=$$(build-aux/get-source) && other=$$(build-aux/get-source \
	    --allow-unpinned --source=$(QEMU_SOURCE)) && \
	    build-aux/rebase-rehearsal $(if $(filter 1,$(V)),--diff) \
	    "$$base" "$$other"

dist:
	$(Q)build-aux/make-dist

clean:
	$(Q)rm -rf $(B)/stock $(SANITISED) $(B)/tool $(B)/qemu-system-i386 $(B)/pulsar
	$(Q)if [ -e $(B)/qemu/build.ninja ]; then \
	    ninja -C $(B)/qemu -t clean >/dev/null; \
	fi

distclean:
	$(Q)rm -rf $(B)

help:
	@sed -n 's/^#: \?//p' $(firstword $(MAKEFILE_LIST))

#: After ./configure:
#:   make              build/qemu-system-i386, the device model, and
#:                     build/pulsar, the command (V=1 shows each command)
#:   make install      put them in place (DESTDIR=, prefix by ./configure)
#:   make install-xapi the same on a host of xapi, which then runs Pulsar for the
#:                     VMs that are adopted
#:   make stock        build/stock/qemu-system-i386: the same source unpatched
#:   make bench        figures beside that stock build's
#:   make refresh      write the patches anew against the configured source
#:   make rebase-rehearsal QEMU_SOURCE=...  what bringing the patches to that
#:                     QEMU would take (V=1: how functions with a hook differ)
#:   make quilt        a tree to work on the patches in, with quilt
#:   make gdb DOMID=N  debug the device model of domain N (or PID=N)
#:   make clean        remove what was built; the sources fetched stay
#:   make distclean    remove build/
#:   make dist         build/pulsar-VERSION.tar.xz
#:   make deb          Debian packages of it and QEMU's tarball, in build/deb
#:   make rpm          RPM packages likewise, in build/rpm
#:
#: At any time, also in a fresh clone (they configure by themselves):
#:   make demo         idle wakes of stock and of Pulsar on real Xen
#:                     (SECONDS=300: the five minutes; default 60)
#:   make density      what a hundred idle guests cost on real Xen (N=500; 16 GB)
#:   make check        all tests; check-SUITE runs one suite of scripts, patches,
#:                     unit, fuzz, tool, devices, standin, torture, xenhost
#:   make check-fresh  README's commands in a clean Debian made for it, as root
#:                     (SUITE=trixie; TARGET=check; default bookworm, demo check;
#:                     SERIES=10.2: built from that QEMU)
#:   make check-xapi   start VMs by xapi's own wrapper (XEN_API=DIR: a checkout of
#:                     xen-api; XEN_API_OLD=DIR: another, older one)
#:   make check-deb    Debian packages of HEAD, made and tried in a clean Debian,
#:                     as root (SUITE=trixie; PACKAGES=build/deb: those there)
#:   make torture      faults, kills, changed states and random accesses under
#:                     ASAN and UBSAN, with figures (MINUTES=20)
#:   make torture-tsan the stand-in's suite under TSAN
