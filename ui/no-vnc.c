/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A build without VNC (--disable-vnc): nobody is slowed down, nobody looks.
 */
#include "qemu/osdep.h"
#include "hw/xen/pulsar/gates.h"
#include "hw/xen/pulsar/pulsar-hooks.h"
#include "display-touched.h"

bool pulsar_display_slow;

bool pulsar_gui_setup_refresh(struct DisplayChangeListener *dcl)
{
    return true;
}

void pulsar_update_displaychangelistener(struct DisplayChangeListener *dcl)
{
}

void pulsar_gate_vnc_idle_changed(void)
{
}

bool pulsar_vga_draw_text(bool *cursor_visible)
{
    return true;
}

void pulsar_display_touched(void)
{
}
