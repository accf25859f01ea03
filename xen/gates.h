/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gates inside QEMU: what an option closes, replaces, moves or adds. A
 * gate is one struct that its own file registers; gates.c asks all of them
 * and knows none. For our own folders only; what patched upstream code calls
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

/* ---- the options, as they are now -------------------------------------- */

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

/* ---- what a gate is ---------------------------------------------------- */

/** struct PulsarAsked: a device that somebody asks for */
typedef struct PulsarAsked {
    ObjectClass *oc;        /* its class, a kind of device */
    const QDict *device;    /* "driver", "id", "bus" and properties */
    bool from_json;         /* its values have types of their own */
    bool at_start;          /* by the command line, and no guest has run */
} PulsarAsked;

/* What a gate says of it. */
typedef enum PulsarVerdict {
    PULSAR_VERDICT_MAKE,        /* as far as this gate goes, as it is */
    PULSAR_VERDICT_REPLACE,     /* make another one where it would stand */
    PULSAR_VERDICT_DEFER,       /* make it, or another one, after all others;
                                 * only at start */
    PULSAR_VERDICT_LEAVE_OUT,   /* at start go on without; later an error */
    PULSAR_VERDICT_REFUSE,      /* an error at any time */
} PulsarVerdict;

/** struct PulsarBackEnds: who uses the command line's back ends */
typedef struct PulsarBackEnds PulsarBackEnds;

/** struct PulsarVm: who the VM is; the strings may be NULL */
typedef struct PulsarVm {
    int domid;
    const char *name;
    const char *uuid;
} PulsarVm;

/**
 * struct PulsarGate: what one option does
 *
 * The functions are optional. They are called in the order in which they
 * stand here, for one gate after the other in the order of the options.
 */
typedef struct PulsarGate {
    PulsarOptionId option;

    /**
     * @matches: does the option close such a device?
     *
     * With the value PULSAR_VALUE_CLOSED it is then left out, however it was
     * asked for, before any gate is asked for its verdict.
     */
    bool (*matches)(const PulsarAsked *asked);

    /**
     * @back_ends: say who uses what of the command line
     *
     * Called when all options are known and nothing has been created, with
     * the back ends of all devices in @ends; see pulsar_gate_back_end().
     * May take something off the lists of QemuOpts.
     */
    void (*back_ends)(PulsarBackEnds *ends);

    /**
     * @told: the options are resolved, or one has changed
     * @vm: whose; stays valid
     *
     * For who shows them. The first time is before anything is created; not
     * called without a domain. May end the process with a sentence then.
     */
    void (*told)(const PulsarVm *vm);

    /**
     * @board: change what the board makes by itself
     *
     * Called before the board is made, when the option has another value
     * than PULSAR_VALUE_GIVEN.
     */
    void (*board)(struct MachineState *machine);

    /** @board_made: the board is there; takes back what @board changed. */
    void (*board_made)(struct MachineState *machine);

    /**
     * @judge: say what is to become of a device
     *
     * Called for each device that no closed option matches, until a gate
     * says something else than PULSAR_VERDICT_MAKE. @ret_device gets what is
     * made in its place (replace; optional for defer), which the caller then
     * owns; @errp is set for PULSAR_VERDICT_REFUSE only.
     */
    PulsarVerdict (*judge)(const PulsarAsked *asked, QDict **ret_device,
                           Error **errp);

    /** @left_out: because of this option a device has been left out. */
    void (*left_out)(const PulsarAsked *asked);

    /**
     * @before_deferred: all devices but the deferred ones were seen
     *
     * The last occasion to defer more.
     */
    void (*before_deferred)(void);

    /** @devices_made: all are there; adds what nobody asked for. */
    bool (*devices_made)(Error **errp);

    /**
     * @changed: the option has a new value while the VM runs
     *
     * Makes the hardware so. Returns: false with @errp set and nothing
     * changed; the option has its old value again then.
     */
    bool (*changed)(Error **errp);

    /** @changed_note: what that means now, for who has changed it. */
    const char *(*changed_note)(void);

    /**
     * @do_now: do what can be done at once for a value of the next start
     * @value: as it was typed
     * @ret_note: what was done, to g_free(); written only on success
     *
     * Returns: whether there was anything to do, or @errp is set.
     */
    bool (*do_now)(const char *value, char **ret_note, Error **errp);

    /**
     * @hardware: what the option has made of the hardware, for a saved state
     *
     * NULL: the option's value says it. A constant string.
     */
    const char *(*hardware)(void);

    /**
     * @more_name: name of something else that the state shall say, or NULL
     * @more: what that is; "" is nothing. No comma. Owned by the gate.
     * @restored: a state that is being restored says this; comes from
     *            anywhere. Called before the hardware is compared.
     */
    const char *more_name;
    const char *(*more)(void);
    void (*restored)(const char *text);

    /** @sections: parts of the names that its devices have in a state. */
    const char *const *sections;

    /* What has become of it; pulsar_gate_left_out() sets the first. */
    bool has_left_out;      /* something that was asked for is not there */
    bool altered;           /* the hardware is not what was asked for: a
                             * saved state says so, see gates-state.c */
} PulsarGate;

/**
 * pulsar_gate_register: have a gate asked from now on
 * @gate: its option has no other gate; stays where it is
 *
 * Before the options are resolved; PULSAR_GATE() does it.
 */
void pulsar_gate_register(PulsarGate *gate);

/** PULSAR_GATE: register the gate @gate when the program starts. */
#define PULSAR_GATE(gate)                               \
    static void pulsar_register_##gate(void)            \
    {                                                   \
        pulsar_gate_register(&(gate));                  \
    }                                                   \
    opts_init(pulsar_register_##gate)

/** pulsar_gate_of: the gate of an option, or NULL. */
PulsarGate *pulsar_gate_of(PulsarOptionId id);

/** pulsar_gate_next: the gate behind @gate, or the first for NULL; or NULL. */
PulsarGate *pulsar_gate_next(const PulsarGate *gate);

/** PULSAR_GATES_FOREACH: all gates, in the order of the options. */
#define PULSAR_GATES_FOREACH(gate)                      \
    for ((gate) = pulsar_gate_next(NULL); (gate);       \
         (gate) = pulsar_gate_next(gate))

/* ---- what gates call --------------------------------------------------- */

/**
 * pulsar_gate_left_out: something that was asked for is not created
 * @gate: the gate because of which
 * @name: what it would have been known by (an id), or NULL
 * @what: what it is, for the log
 *
 * Logs it and remembers @name, so that who asks for it later is told why it
 * is not there.
 */
void pulsar_gate_left_out(PulsarGate *gate, const char *name,
                          const char *what, ...) G_GNUC_PRINTF(3, 4);

/**
 * pulsar_gate_back_end: a back end of the command line has a user
 * @name: the chardev or drive
 * @closed_by: the gate that keeps that user away, or NULL: it will be there
 *
 * A back end that only closed devices would use is not opened.
 */
void pulsar_gate_back_end(PulsarBackEnds *ends, const char *name,
                          PulsarGate *closed_by);

/**
 * pulsar_gate_defer: create a device after all that the command line names
 * @device: "driver" and properties; owned by the callee from now on
 * @from_json: its values have types of their own
 *
 * So that what is added or moved does not push others out of their slots.
 */
void pulsar_gate_defer(QDict *device, bool from_json);

typedef void PulsarGateMake(const char *what, Error **errp);

/**
 * pulsar_gate_defer_call: the same for what is no -device
 * @make: makes it, or sets @errp
 * @what: handed to @make; stays valid
 */
void pulsar_gate_defer_call(PulsarGateMake *make, const char *what);

/** pulsar_gate_deferred: does a device wait whose class @match takes? */
bool pulsar_gate_deferred(bool (*match)(ObjectClass *oc));

/**
 * pulsar_gate_create: create a device now, past all gates
 *
 * Returns: false with @errp set.
 */
bool pulsar_gate_create(const QDict *device, bool from_json, Error **errp);

/** pulsar_gate_is: is @oc a kind of @type? */
static inline bool pulsar_gate_is(ObjectClass *oc, const char *type)
{
    return object_class_dynamic_cast(oc, type) != NULL;
}

/* ---- for the options ---------------------------------------------------- */

/**
 * pulsar_gates_init: act on the options
 *
 * Called when all options are known and before anything is created: drops
 * the back ends that only closed devices would use, and sees to it that the
 * board is made as the options say.
 */
void pulsar_gates_init(void);

/**
 * pulsar_gates_back_ends: drop what nobody will use
 *
 * back-ends.c; a part of pulsar_gates_init().
 */
void pulsar_gates_back_ends(void);

/** pulsar_gates_tell: the options are resolved, or one has changed. */
void pulsar_gates_tell(const PulsarVm *vm);

/** pulsar_gates_closed_by: the closed gate that a device is behind, or NULL. */
PulsarGate *pulsar_gates_closed_by(const PulsarAsked *asked);

/** pulsar_gates_class: the class of a driver that is a device, or NULL. */
ObjectClass *pulsar_gates_class(const char *driver);

/** pulsar_gates_state_init: register the section that names alterations. */
void pulsar_gates_state_init(void);

#endif /* PULSAR_GATES_H */
