/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Under Xen the hypervisor runs the vCPUs; upstream gives each a thread that
 * only waits to be told that it is paused. Here the main thread is that thread:
 * a vCPU costs no stack and no pool of the allocator, and pausing waits for
 * nobody. QMP's query-cpus-fast names the main thread for each.
 */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "hw/core/cpu.h"
#include "qemu/main-loop.h"
#include "system/cpus.h"
#include "qemu-compat.h"
#include "shared.h"

/* What upstream's thread does when it is kicked, with the BQL. */
static void look_after_vcpu(void *opaque)
{
    CPUState *cpu = opaque;

    qemu_process_cpu_events_common(cpu);
    object_unref(OBJECT(cpu));
}

static void *end_at_once(void *opaque)
{
    return NULL;
}

/* From any thread; when it is to go, with the BQL. */
static void kick_vcpu(CPUState *cpu)
{
    if (cpu->unplug) {
        /* Its thread is joined next: let that be one that can be. */
        qemu_thread_create(cpu->thread, "vCPU unplug", end_at_once, NULL,
                           QEMU_THREAD_JOINABLE);
        return;
    }
    object_ref(OBJECT(cpu));
    aio_bh_schedule_oneshot(qemu_get_aio_context(), look_after_vcpu, cpu);
}

/*
 * The old names of processor features ("sse4_1" for "sse4.1"), some 60 of them,
 * cost each vCPU 10 KiB. They have been set by now, if at all.
 */
static void forget_old_names(Object *obj)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    gpointer value;
    guint i;

    g_hash_table_iter_init(&iter, obj->properties);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        ObjectProperty *prop = value;

        /* The names of now are the class's. */
        if (g_str_equal(prop->type, "bool")) {
            g_ptr_array_add(names, g_strdup(prop->name));
        }
    }
    for (i = 0; i < names->len; i++) {
        object_property_del(obj, g_ptr_array_index(names, i));
    }
}

/* In the main thread: with the board, or by device_add. */
static void start_vcpu(CPUState *cpu)
{
    pulsar_shared_map_hold();
    forget_old_names(OBJECT(cpu));
    qemu_thread_get_self(cpu->thread);
    cpu->thread_id = qemu_get_thread_id();
    cpu_thread_signal_created(cpu);
}

void pulsar_shared_vcpus_init(void)
{
    ObjectClass *oc = object_class_by_name(ACCEL_OPS_NAME("xen"));

    if (oc) {
        AccelOpsClass *ops = ACCEL_OPS_CLASS(oc);

        ops->create_vcpu_thread = start_vcpu;
        ops->kick_vcpu_thread = kick_vcpu;
        ops->synchronize_post_init = pulsar_shared_map_draw;
    }
}
