/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gates inside QEMU: what is closed, left out or moved by the options of
 * options.h. For our own folders only; what patched upstream code calls
 * stands in pulsar-hooks.h.
 *
 * All of it belongs to the main loop's thread, with the BQL held.
 */
#ifndef PULSAR_GATES_H
#define PULSAR_GATES_H

#include "qemu/option.h"
#include "qom/object.h"
#include "options.h"

struct MachineState;

/** pulsar_options: the VM's options; never NULL. */
const PulsarOptions *pulsar_options(void);

/** pulsar_gate_value: the effective value of an option. */
static inline PulsarValue pulsar_gate_value(PulsarOptionId id)
{
    return pulsar_options_value(pulsar_options(), id);
}

/** pulsar_gate_closed: is the value PULSAR_VALUE_CLOSED? */
static inline bool pulsar_gate_closed(PulsarOptionId id)
{
    return pulsar_options_closed(pulsar_options(), id);
}

/** pulsar_gate_why: "usb=false (xenstore …)", to g_free(). */
char *pulsar_gate_why(PulsarOptionId id);

/**
 * pulsar_gates_init: act on the options
 *
 * Called when all options are known and before anything is created: drops
 * the back ends that only closed devices would use, and sees to it that the
 * board is made as the options say.
 */
void pulsar_gates_init(void);

/**
 * pulsar_gate_left_out: something that was asked for is not created
 * @id: the option because of which
 * @name: what it would have been known by (an id), or NULL
 * @what: what it is, for the log
 *
 * Logs it and remembers @name, so that who asks for it later is told why it
 * is not there.
 */
void pulsar_gate_left_out(PulsarOptionId id, const char *name,
                          const char *what, ...) G_GNUC_PRINTF(3, 4);

/**
 * pulsar_gate_is_left_out: has something called @name been left out?
 * @ret_id: because of which option; may be NULL
 */
bool pulsar_gate_is_left_out(const char *name, PulsarOptionId *ret_id);

/**
 * pulsar_gate_altered: the hardware is not what the command line says
 * @id: the option because of which
 *
 * A saved state then says so, see gates-state.c.
 */
void pulsar_gate_altered(PulsarOptionId id);

/** pulsar_gate_unaltered: as far as @id goes, now it is. */
void pulsar_gate_unaltered(PulsarOptionId id);

/**
 * pulsar_gate_defer: create a device after all that the command line names
 * @device: "driver" and properties; owned by the callee from now on
 * @from_json: its values have types of their own
 *
 * So that what is added or moved does not push others out of their slots.
 */
void pulsar_gate_defer(QDict *device, bool from_json);

/** pulsar_gate_defer_usbdevice: the same for an argument of -usbdevice. */
void pulsar_gate_defer_usbdevice(const char *name);

/** pulsar_gate_create: create a device now, past all gates. */
bool pulsar_gate_create(QDict *device, bool from_json, Error **errp);

/** pulsar_gate_is_cd: would a device be a CD or DVD drive? */
bool pulsar_gate_is_cd(ObjectClass *oc, const QDict *device);

/* ---- state of a saved guest: gates-state.c --------------------------- */

/** pulsar_gates_state_init: register the section that names alterations. */
void pulsar_gates_state_init(void);

/* ---- USB: hw/gate-usb.c ---------------------------------------------- */

/** pulsar_gate_usb_wants_board: must the board be made otherwise? */
bool pulsar_gate_usb_wants_board(void);

/**
 * pulsar_gate_usb_board: decide about the controller of the board
 * @machine: the board that is about to be made
 *
 * Returns: what to set @machine->usb to again once it is made.
 */
bool pulsar_gate_usb_board(struct MachineState *machine);

/**
 * pulsar_gate_usb_device: look at a USB device or controller
 * @oc: its class
 * @device: "driver" and properties
 * @from_json: its values have types of their own
 *
 * Returns: what to create in its place, which may be @device itself; a new
 * dictionary is the caller's. NULL when nothing is to be created now.
 */
const QDict *pulsar_gate_usb_device(ObjectClass *oc, const QDict *device,
                                    bool from_json);

/** pulsar_gate_usb_is: is it a USB controller or something plugged in one? */
bool pulsar_gate_usb_is(ObjectClass *oc);

/** pulsar_gate_usb_is_tablet: is it a USB tablet? */
bool pulsar_gate_usb_is_tablet(ObjectClass *oc);

/** pulsar_gate_usb_has_tablet: is there one, plugged in or not? */
bool pulsar_gate_usb_has_tablet(void);

/**
 * pulsar_gate_usb_tablet_left_out: usb_tablet=false keeps one from the guest
 * @device: "driver" and properties, or NULL for -usbdevice's
 *
 * It comes back when the option changes.
 */
void pulsar_gate_usb_tablet_left_out(const QDict *device);

/** pulsar_gate_usb_before_deferred: defer what the tablet will need. */
void pulsar_gate_usb_before_deferred(void);

/** pulsar_gate_usb_done: see to the tablet; all devices are there. */
void pulsar_gate_usb_done(void);

/**
 * pulsar_gate_usb_tablet_changed: usb_tablet has a new value
 *
 * Plugs or unplugs it. Returns: false with @errp set when that cannot be.
 */
bool pulsar_gate_usb_tablet_changed(Error **errp);

/* ---- VNC: ui/vnc-refresh.c -------------------------------------------- */

/** pulsar_gate_vnc_idle_changed: vnc_idle has a new value; it counts now. */
void pulsar_gate_vnc_idle_changed(void);

/* ---- DVD: hw/gate-dvd.c ---------------------------------------------- */

/** pulsar_gate_dvd_board: take the board's own drives off it, or away. */
void pulsar_gate_dvd_board(void);

/**
 * pulsar_gate_dvd_decides: is dvd=loaded to be decided about now?
 *
 * It is when the guest is started. A guest that is restored keeps the drives
 * that it was started with, which pulsar_gate_dvd_restored() is told.
 */
bool pulsar_gate_dvd_decides(ObjectClass *oc);

/** pulsar_gate_dvd_left_out: dvd=loaded has left out a drive, or NULL. */
void pulsar_gate_dvd_left_out(const char *name);

/** pulsar_gate_dvd_names: the names of these, each with a "+", or "". */
const char *pulsar_gate_dvd_names(void);

/** pulsar_gate_dvd_restored: take away what was not there, likewise. */
void pulsar_gate_dvd_restored(const char *names);

/**
 * pulsar_gate_dvd_device: look at a CD drive
 *
 * As pulsar_gate_usb_device(). @device is a CD drive by
 * pulsar_gate_is_cd().
 */
const QDict *pulsar_gate_dvd_device(ObjectClass *oc, const QDict *device,
                                    bool from_json);

/* ---- monitor/gate.c -------------------------------------------------- */

/**
 * pulsar_gate_monitor_init: leave out the monitors that are closed
 * @unused: gets the chardevs of those, each with its PulsarOptionId
 * @used: gets the chardevs of the others
 */
void pulsar_gate_monitor_init(GHashTable *unused, GHashTable *used);

/**
 * pulsar_gate_monitor_changed: monitor has a new value
 *
 * Closes or opens the human monitors. Returns: false with @errp set when one
 * cannot be opened.
 */
bool pulsar_gate_monitor_changed(Error **errp);

#endif /* PULSAR_GATES_H */
