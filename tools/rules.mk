# SPDX-License-Identifier: GPL-2.0-or-later
# What the `pulsar` command is made of besides tools/*.c. Included by the top
# Makefile and by tests/tool/sanitised.mk.

PKG_CONFIG := $(or $(PKG_CONFIG),pkg-config)
TOOL_SOURCES += monitor/ledger.c monitor/thread-switches.c xen/options.c
TOOL_PACKAGES += glib-2.0 ncursesw json-c xenstore zlib \
    xencontrol xendevicemodel xenforeignmemory xengnttab

$(B)/tool/%.o: TOOL_CFLAGS += -Wno-missing-field-initializers \
    -Wno-unused-parameter \
    -DPULSAR_SYSCONFDIR='"$(sysconfdir)"' \
    -DPULSAR_RUNDIR='"$(runstatedir)/pulsar"' \
    -DPULSAR_LIBEXECDIR='"$(libexecdir)/pulsar"'
$(B)/pulsar: TOOL_LIBS += -lm
