/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar rrd: the history that xapi's tools show. xcp-rrdd maps a file and
 * reads it every 5 s; nobody tells it of changes. All numbers in it are
 * big-endian:
 *
 *   0   "DATASOURCES"
 *   11  u32 CRC-32 of time and values
 *   15  u32 CRC-32 of the JSON
 *   19  u32 number of values, n
 *   23  f64 time, seconds since 1970
 *   31  n values of 8 bytes, int64 or f64
 *       u32 length of the JSON
 *       JSON that describes the values in their order
 *
 * (protocol V2, xapi-project/xen-api, ocaml/xcp-rrdd). It is mapped once, so
 * it is whole before it has its name and never has another size.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "cli.h"
#include "text.h"
#include "vm.h"
#include "wait.h"

#define MAGIC         "DATASOURCES"
#define HEAD_SIZE     23
#define FILE_SIZE     (1024 * 1024)     /* 2000 VMs; holes take no memory */
#define RRD_SECONDS   5
#define UUID_LENGTH   36

static struct {
    const char *file;
    double interval;
} opt = {
    .file = "/dev/shm/metrics/pulsar",
    .interval = RRD_SECONDS,
};

static const CliOption options[] = {
    { "file", 'f', "FILE",
      "where to publish (default /dev/shm/metrics/pulsar)", CLI_TEXT,
      &opt.file },
    { "interval", 'd', "SECONDS",
      "time between two looks (default 5, as often as xcp-rrdd reads)",
      CLI_NUMBER, &opt.interval, .min = WAIT_INTERVAL_MIN,
      .max = WAIT_INTERVAL_MAX },
    { }
};

/* ---- what is published ------------------------------------------------ */

static void put_u32(GByteArray *to, guint32 value)
{
    guint32 be = GUINT32_TO_BE(value);

    g_byte_array_append(to, (guint8 *)&be, sizeof(be));
}

static void put_u64(GByteArray *to, guint64 value)
{
    guint64 be = GUINT64_TO_BE(value);

    g_byte_array_append(to, (guint8 *)&be, sizeof(be));
}

static void put_double(GByteArray *to, double value)
{
    guint64 bits;

    memcpy(&bits, &value, sizeof(bits));
    put_u64(to, bits);
}

static guint32 crc_of(const void *data, gsize len)
{
    return crc32(crc32(0, NULL, 0), data, len);
}

/* xcp-rrdd knows VMs by their UUIDs. */
static gboolean is_published(const Vm *vm)
{
    return !vm->trouble && !strcmp(vm->state, "running") &&
           strlen(vm->uuid) == UUID_LENGTH &&
           strspn(vm->uuid, "0123456789abcdefABCDEF-") == UUID_LENGTH;
}

static void describe(GString *json, const Vm *vm, const char *name,
                     const char *value_type, const char *units,
                     const char *description)
{
    g_string_append_printf(
        json, "%s\"%s\":{\"description\":\"%s\",\"owner\":\"vm %s\","
        "\"value_type\":\"%s\",\"type\":\"derive\",\"default\":\"true\","
        "\"units\":\"%s\",\"min\":\"0.0\",\"max\":\"inf\"}",
        g_str_has_suffix(json->str, "{") ? "" : ",", name, description,
        vm->uuid, value_type, units);
}

/*
 * The file as it is to be. Both values are counters: xcp-rrdd makes rates,
 * and one that begins anew with its device model is not taken for negative.
 */
static GByteArray *payload(GPtrArray *vms, double when, guint *ret_left_out)
{
    g_autoptr(GByteArray) values = g_byte_array_new();
    g_autoptr(GString) json = g_string_new("{\"datasources\":{");
    GByteArray *all = g_byte_array_new();
    guint i, n = 0;

    *ret_left_out = 0;
    put_double(values, when);
    for (i = 0; i < vms->len; i++) {
        const Vm *vm = vms->pdata[i];
        gsize before = json->len;

        if (!is_published(vm)) {
            continue;
        }
        describe(json, vm, "dm_wakes", "int64", "wakes/s",
                 "Wakes of the device model");
        describe(json, vm, "dm_cpu", "float", "(fraction)",
                 "Processor time of the device model");
        if (HEAD_SIZE + values->len + 16 + 4 + json->len + 2 > FILE_SIZE) {
            g_string_truncate(json, before);
            (*ret_left_out)++;
            continue;
        }
        put_u64(values, vm->wakes);
        put_double(values, vm->process_known ? vm->cpu_ns / 1e9 : 0.0 / 0.0);
        n += 2;
    }
    g_string_append(json, "}}");

    g_byte_array_append(all, (const guint8 *)MAGIC, strlen(MAGIC));
    put_u32(all, crc_of(values->data, values->len));
    put_u32(all, crc_of(json->str, json->len));
    put_u32(all, n);
    g_byte_array_append(all, values->data, values->len);
    put_u32(all, json->len);
    g_byte_array_append(all, (const guint8 *)json->str, json->len);
    return all;
}

/* ---- the file --------------------------------------------------------- */

static gboolean fail(const char *what, GError **errp)
{
    int code = errno == EACCES || errno == EPERM ? CLI_PERMISSION : CLI_SYSTEM;
    g_autofree char *shown = text_shown(opt.file);

    g_set_error(errp, CLI_ERROR, code, "cannot %s '%s': %s", what, shown,
                g_strerror(errno));
    return FALSE;
}

static gboolean put(int fd, const GByteArray *all, GError **errp)
{
    /* One call: who reads in between sees that the sums do not fit. */
    if (pwrite(fd, all->data, all->len, 0) == (ssize_t)all->len) {
        return TRUE;
    }
    return fail("write", errp);
}

/* Whole, locked and then seen: -1 with an error. */
static int publish(const GByteArray *all, GError **errp)
{
    g_autofree char *tmp = g_strconcat(opt.file, ".tmp", NULL);
    int old = open(opt.file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int fd = -1;

    if (old >= 0 && flock(old, LOCK_EX | LOCK_NB)) {
        g_autofree char *shown = text_shown(opt.file);

        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "another process publishes in '%s'", shown);
        goto out;
    }
    unlink(tmp);
    fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || fchmod(fd, 0644) || flock(fd, LOCK_EX | LOCK_NB) ||
        ftruncate(fd, FILE_SIZE)) {
        fail("make", errp);
    } else if (put(fd, all, errp)) {
        if (!rename(tmp, opt.file)) {
            goto out;
        }
        fail("make", errp);
    }
    if (fd >= 0) {
        close(fd);
        unlink(tmp);
        fd = -1;
    }
out:
    if (old >= 0) {
        close(old);
    }
    return fd;
}

/* FALSE when somebody has ended us. */
static gboolean wait_for_next(double when, const sigset_t *ends)
{
    double left = MAX(when - wait_clock(CLOCK_MONOTONIC), 0);
    struct timespec ts = {
        .tv_sec = (time_t)left,
        .tv_nsec = (long)((left - (time_t)left) * 1e9),
    };

    return sigtimedwait(ends, NULL, &ts) < 0;
}

static gboolean follow(VmSet *set, const sigset_t *ends, GError **errp)
{
    double next = wait_clock(CLOCK_MONOTONIC);
    gboolean ok = TRUE, said = FALSE;
    int fd = -1;

    do {
        g_autoptr(GByteArray) all = NULL;
        guint left_out;

        next += opt.interval;
        ok = vmset_sample(set, errp);
        if (!ok) {
            break;
        }
        all = payload(vmset_vms(set), wait_clock(CLOCK_REALTIME), &left_out);
        if (left_out && !said) {
            said = TRUE;
            fprintf(stderr, "pulsar: %u VMs are left out: there is room for "
                    "%d bytes\n", left_out, FILE_SIZE);
        }
        if (fd < 0) {
            fd = publish(all, errp);
            ok = fd >= 0;
        } else {
            ok = put(fd, all, errp);
        }
    } while (ok && wait_for_next(next, ends));
    if (fd >= 0) {
        unlink(opt.file);
        close(fd);
    }
    return ok;
}

static gboolean run(char **args, GError **errp)
{
    g_autoptr(VmSet) set = vmset_new(FALSE);
    sigset_t ends;

    if (*args) {
        g_set_error(errp, CLI_ERROR, CLI_USAGE,
                    "'pulsar rrd' takes no VM; it publishes all of them");
        return FALSE;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return follow(set, &ends, errp);
}

const CliCommand cmd_rrd = {
    .name = "rrd",
    .summary = "give xapi's tools a history of wakes and processor time",
    .text = "Publishes, for as long as it runs, how often each VM's device "
            "model was woken and how much of a processor it used, for "
            "xcp-rrdd, so that XenCenter and rrd2csv have a history of "
            "dm_wakes and dm_cpu. It reads pages and wakes no device model. "
            "One such process a host is enough; pulsar-rrd.service is one.",
    .options = options,
    .run = run,
};
