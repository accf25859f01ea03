# SPDX-License-Identifier: GPL-2.0-or-later
# Pulsar's own makefile: builds QEMU's patched tree below build/, and runs the
# tests. "make help" lists the targets.

SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
export PULSAR_BUILD ?= build
B := $(PULSAR_BUILD)
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

-include $(B)/config.mk

.PHONY: all stock clean distclean help FORCE
all: $(B)/qemu-system-i386

ifeq ($(upstream),)
$(B)/qemu-system-i386 stock:
	@echo 'make: this tree is not configured; run ./configure' >&2; exit 1
else

NINJA := ninja $(if $(filter 1,$(V)),-v) $(filter -j%,$(MAKEFLAGS))
PATCHES := patches/series $(addprefix patches/,$(shell \
    sed 's/[[:space:]]*\(\#.*\)\?$$//; /^$$/d' patches/series))

# The patched tree: rewritten, where it differs, when a patch changed.
$(B)/src/.pulsar-tree: $(PATCHES) build-aux/patch-tree build-aux/series.py
	$(Q)build-aux/patch-tree $(upstream) $(B)/src

$(B)/qemu-system-i386: $(B)/src/.pulsar-tree FORCE
	$(Q)$(NINJA) -C $(B)/qemu qemu-system-i386
	$(Q)ln -sfn qemu/qemu-system-i386 $@

# The same source and settings without our patches, to compare with.
stock: $(B)/stock/qemu-system-i386

$(B)/stock/src/.pulsar-tree: $(PATCHES) build-aux/patch-tree build-aux/series.py
	$(Q)mkdir -p $(B)/stock
	$(Q)build-aux/patch-tree --only=build $(upstream) $(B)/stock/src

$(B)/stock/qemu/build.ninja: $(B)/config.mk | $(B)/stock/src/.pulsar-tree
	$(Q)build-aux/configure-qemu $(B)/stock/src $(B)/stock/qemu
	$(Q)touch $@

$(B)/stock/qemu-system-i386: $(B)/stock/src/.pulsar-tree \
    $(B)/stock/qemu/build.ninja FORCE
	$(Q)$(NINJA) -C $(B)/stock/qemu qemu-system-i386
	$(Q)ln -sfn qemu/qemu-system-i386 $@
endif

clean:
	$(Q)rm -rf $(B)/qemu $(B)/stock $(B)/src $(B)/qemu-system-i386

distclean:
	$(Q)rm -rf $(B)

help:
	@echo 'make          the device model, build/qemu-system-i386 (V=1: say all)'
	@echo 'make stock    the same source unpatched, build/stock/qemu-system-i386'
