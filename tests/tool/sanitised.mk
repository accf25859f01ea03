# SPDX-License-Identifier: GPL-2.0-or-later
# The `pulsar` command under ASAN and UBSAN, and the helper program, for the
# tests; run at the top of the tree with B=… and the goals wanted.

MAKEFLAGS += --no-builtin-rules
CC := $(if $(filter default,$(origin CC)),cc,$(CC))
sysconfdir := /etc
libexecdir := /usr/libexec
runstatedir := /run
SANITISE := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
    -fno-omit-frame-pointer

TOOL_SOURCES := $(wildcard tools/*.c)
TOOL_PACKAGES :=
include tools/rules.mk

TOOL_OBJECTS := $(TOOL_SOURCES:%.c=$(B)/tool/%.o)
TOOL_CFLAGS := -O1 -g $(SANITISE) -std=gnu11 -Wall -D_GNU_SOURCE -I. \
    -DPULSAR_VERSION='"sanitised"' \
    $(shell $(PKG_CONFIG) --cflags $(TOOL_PACKAGES))
TOOL_LIBS := $(shell $(PKG_CONFIG) --libs $(TOOL_PACKAGES))

$(B)/tool/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(TOOL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/pulsar: $(TOOL_OBJECTS)
	$(CC) $(SANITISE) -o $@ $^ $(TOOL_LIBS)

$(B)/fakedm: tests/tool/fakedm.c monitor/ledger.c monitor/ledger.h \
    monitor/ledger-page.h
	@mkdir -p $(@D)
	$(CC) -O2 -g -Wall -Wextra -D_GNU_SOURCE -I. -o $@ $(filter %.c,$^) \
	    -lpthread

$(B)/layout: tests/tool/layout.c monitor/ledger-page.h
	@mkdir -p $(@D)
	$(CC) -Wall -Wextra -I. -o $@ $<

-include $(TOOL_OBJECTS:.o=.d)
