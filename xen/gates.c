/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gates: devices that an option has closed are left out however they are
 * asked for, and devices that an option moves are created elsewhere.
 *
 * Whatever the command line, a configuration file or a monitor names as a
 * device comes by pulsar_qdev_device_add_from_qdict(). What a board makes by
 * itself is decided in gated_board_init(). Which option does what stands in
 * the files that register a gate.
 */
#include "qemu/osdep.h"
#include "chardev/char.h"
#include "hw/boards.h"
#include "hw/qdev-core.h"
#include "monitor/qdev.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-char.h"
#include "qemu/error-report.h"
#include "qobject/qdict.h"
#include "system/block-backend.h"
#include "gates.h"
#include "launch.h"
#include "pulsar-hooks.h"

typedef void BoardInit(MachineState *machine);

typedef struct Deferred {
    QDict *device;
    bool from_json;
    PulsarGateMake *make;   /* in place of @device */
    const char *what;
} Deferred;

static PulsarGate *gates[PULSAR_OPTION__MAX];
static GHashTable *left_out;    /* name -> PulsarGate */
static GHashTable *board_init;  /* MachineClass -> its own BoardInit */
static GQueue deferred = G_QUEUE_INIT;

/* The command line's devices are being created. */
static bool cli_devices;

/* What pulsar_gate_create() has upstream create now. */
static const QDict *created;

void pulsar_gate_register(PulsarGate *gate)
{
    assert(!gates[gate->option]);
    gates[gate->option] = gate;
}

PulsarGate *pulsar_gate_of(PulsarOptionId id)
{
    return gates[id];
}

PulsarGate *pulsar_gate_next(const PulsarGate *gate)
{
    PulsarOptionId id = gate ? gate->option + 1 : 0;

    while (id < PULSAR_OPTION__MAX && !gates[id]) {
        id++;
    }
    return id < PULSAR_OPTION__MAX ? gates[id] : NULL;
}

char *pulsar_gate_why(PulsarOptionId id)
{
    const PulsarOptions *o = pulsar_options();

    return g_strdup_printf("%s=%s (%s)", pulsar_option_table[id].name,
                           pulsar_options_text(o, id),
                           pulsar_options_source_text(o, id));
}

void pulsar_gate_left_out(PulsarGate *gate, const char *name,
                          const char *what, ...)
{
    g_autofree char *why = pulsar_gate_why(gate->option);
    g_autofree char *text = NULL;
    Location here;
    va_list ap;

    va_start(ap, what);
    text = g_strdup_vprintf(what, ap);
    va_end(ap);
    loc_push_none(&here);   /* the text says what it is about */
    info_report("%s is left out: %s", text, why);
    loc_pop(&here);
    gate->has_left_out = true;
    if (name) {
        if (!left_out) {
            left_out = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                             NULL);
        }
        g_hash_table_insert(left_out, g_strdup(name), gate);
    }
}

static PulsarGate *left_out_by(const char *name)
{
    return name && left_out ? g_hash_table_lookup(left_out, name) : NULL;
}

/* ---- devices ---------------------------------------------------------- */

/* NULL for what is no device; QEMU will say so itself. */
ObjectClass *pulsar_gates_class(const char *driver)
{
    ObjectClass *oc = driver ? module_object_class_by_name(driver) : NULL;

    return oc ? object_class_dynamic_cast(oc, TYPE_DEVICE) : NULL;
}

PulsarGate *pulsar_gates_closed_by(const PulsarAsked *asked)
{
    PulsarGate *gate;

    PULSAR_GATES_FOREACH(gate) {
        if (gate->matches && pulsar_gate_closed(gate->option) &&
            gate->matches(asked)) {
            return gate;
        }
    }
    return NULL;
}

/* What it is to be plugged into, or its drive, has been left out. */
static PulsarGate *need_left_out(const QDict *device)
{
    const char *bus = qdict_get_try_str(device, "bus");
    const char *drive = qdict_get_try_str(device, "drive");
    g_autofree char *parent = NULL;

    if (bus) {
        parent = g_strndup(bus, strcspn(bus, "/."));
    }
    return left_out_by(parent) ?: left_out_by(drive);
}

static PulsarVerdict judge(const PulsarAsked *asked, PulsarGate **ret_gate,
                           QDict **ret_device, Error **errp)
{
    PulsarGate *gate = pulsar_gates_closed_by(asked) ?:
                       need_left_out(asked->device);
    PulsarVerdict verdict;

    if (gate) {
        *ret_gate = gate;
        return PULSAR_VERDICT_LEAVE_OUT;
    }
    PULSAR_GATES_FOREACH(gate) {
        verdict = gate->judge ? gate->judge(asked, ret_device, errp) :
                                PULSAR_VERDICT_MAKE;
        if (verdict != PULSAR_VERDICT_MAKE) {
            *ret_gate = gate;
            return verdict;
        }
    }
    return pulsar_launch_device(asked, ret_device, errp);
}

/* The back ends of a device that was only seen after they were made. */
static void remove_back_ends(PulsarGate *gate, const QDict *device)
{
    const char *chardev = qdict_get_try_str(device, "chardev");
    const char *drive = qdict_get_try_str(device, "drive");
    BlockBackend *blk = drive ? blk_by_name(drive) : NULL;

    if (chardev && qemu_chr_find(chardev)) {
        qmp_chardev_remove(chardev, NULL);
    }
    if (blk && !blk_get_attached_dev(blk)) {
        monitor_remove_blk(blk);
        blk_unref(blk);
        pulsar_gate_left_out(gate, drive, "the drive '%s'", drive);
    }
}

/*
 * At start the others are made without it. Everybody else is told by an
 * error: upstream's callers take NULL without one for a device.
 */
static void leave_out(PulsarGate *gate, const PulsarAsked *asked,
                      Error **errp)
{
    const char *driver = qdict_get_str(asked->device, "driver");
    const char *name = qdict_get_try_str(asked->device, "id");
    g_autofree char *why = NULL;

    if (!asked->at_start) {
        why = gate ? pulsar_gate_why(gate->option) :
                     g_strdup("a restored guest has none");
        error_setg(errp, "%s cannot be added to this VM: %s", driver, why);
        return;
    }
    if (!gate) {
        return;         /* not an option's doing; the log has it */
    }
    pulsar_gate_left_out(gate, name, "%s%s%s%s", driver, name ? " '" : "",
                         name ?: "", name ? "'" : "");
    gate->altered = true;
    if (gate->left_out) {
        gate->left_out(asked);
    }
    remove_back_ends(gate, asked->device);
}

const QDict *pulsar_qdev_device_add_from_qdict(const QDict *device,
                                               bool from_json,
                                               QDict **ret_own, Error **errp)
{
    PulsarAsked asked = {
        .oc = pulsar_gates_class(qdict_get_try_str(device, "driver")),
        .device = device,
        .from_json = from_json,
        .at_start = cli_devices,
    };
    PulsarGate *gate = NULL;
    QDict *other = NULL;

    if (device == created || !asked.oc) {
        return device;
    }
    switch (judge(&asked, &gate, &other, errp)) {
    case PULSAR_VERDICT_MAKE:
        return device;
    case PULSAR_VERDICT_REPLACE:
        *ret_own = other;
        return other;
    case PULSAR_VERDICT_DEFER:
        assert(asked.at_start);
        pulsar_gate_defer(other ?: qdict_clone_shallow(device), from_json);
        return NULL;
    case PULSAR_VERDICT_LEAVE_OUT:
        leave_out(gate, &asked, errp);
        return NULL;
    case PULSAR_VERDICT_REFUSE:
        return NULL;
    }
    g_assert_not_reached();
}

void pulsar_gate_defer(QDict *device, bool from_json)
{
    Deferred *d = g_new0(Deferred, 1);

    assert(!phase_check(PHASE_MACHINE_READY));
    d->device = device;
    d->from_json = from_json;
    g_queue_push_tail(&deferred, d);
}

void pulsar_gate_defer_call(PulsarGateMake *make, const char *what)
{
    Deferred *d = g_new0(Deferred, 1);

    d->make = make;
    d->what = what;
    g_queue_push_tail(&deferred, d);
}

bool pulsar_gate_deferred(bool (*match)(ObjectClass *oc))
{
    GList *l;

    for (l = deferred.head; l; l = l->next) {
        const Deferred *d = l->data;

        if (d->device &&
            match(pulsar_gates_class(qdict_get_str(d->device, "driver")))) {
            return true;
        }
    }
    return false;
}

bool pulsar_gate_create(const QDict *device, bool from_json, Error **errp)
{
    const QDict *outer = created;
    DeviceState *dev;

    created = device;
    dev = qdev_device_add_from_qdict(device, from_json, errp);
    created = outer;
    object_unref(OBJECT(dev));
    return dev;
}

void pulsar_qemu_create_cli_devices_begin(void)
{
    cli_devices = true;
    pulsar_launch_board_made();
}

static void create_deferred(void)
{
    Deferred *d;

    while ((d = g_queue_pop_head(&deferred))) {
        if (d->make) {
            d->make(d->what, &error_fatal);
        } else {
            pulsar_gate_create(d->device, d->from_json, &error_fatal);
        }
        qobject_unref(d->device);
        g_free(d);
    }
}

void pulsar_qemu_create_cli_devices(void)
{
    PulsarGate *gate;
    Error *err = NULL;

    PULSAR_GATES_FOREACH(gate) {
        if (gate->before_deferred) {
            gate->before_deferred();
        }
    }
    create_deferred();
    cli_devices = false;
    PULSAR_GATES_FOREACH(gate) {
        if (gate->devices_made && !gate->devices_made(&err)) {
            g_autofree char *why = pulsar_gate_why(gate->option);

            error_reportf_err(err, "%s: ", why);
            exit(1);
        }
    }
    pulsar_gates_state_init();
}

/* ---- the board -------------------------------------------------------- */

static bool changes_board(const PulsarGate *gate)
{
    return gate->board &&
           pulsar_gate_value(gate->option) != PULSAR_VALUE_GIVEN;
}

static void gated_board_init(MachineState *machine)
{
    MachineClass *mc = MACHINE_GET_CLASS(machine);
    BoardInit *init = g_hash_table_lookup(board_init, mc);
    PulsarGate *gate;

    PULSAR_GATES_FOREACH(gate) {
        if (changes_board(gate)) {
            gate->board(machine);
        }
    }
    init(machine);
    PULSAR_GATES_FOREACH(gate) {
        if (gate->board_made) {
            gate->board_made(machine);
        }
    }
}

static void gate_board(ObjectClass *oc, void *opaque)
{
    MachineClass *mc = MACHINE_CLASS(oc);

    if (mc->init) {
        g_hash_table_insert(board_init, mc, mc->init);
        mc->init = gated_board_init;
    }
}

void pulsar_gates_init(void)
{
    PulsarGate *gate;

    pulsar_gates_back_ends();
    PULSAR_GATES_FOREACH(gate) {
        if (changes_board(gate)) {
            board_init = g_hash_table_new(NULL, NULL);
            object_class_foreach(gate_board, TYPE_MACHINE, false, NULL);
            break;
        }
    }
}

void pulsar_gates_tell(const PulsarVm *vm)
{
    PulsarGate *gate;

    PULSAR_GATES_FOREACH(gate) {
        if (gate->told) {
            gate->told(vm);
        }
    }
}

/* ---- who asks for what was left out ----------------------------------- */

bool pulsar_qmp_get_blk(const char *name, Error **errp)
{
    PulsarGate *gate = left_out_by(name);
    g_autofree char *why = NULL;

    if (!gate) {
        return false;
    }
    why = pulsar_gate_why(gate->option);
    error_setg(errp, "This VM has no drive '%s': %s", name, why);
    return true;
}
