/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar doctor: for each device model that wakes, why, what it costs and
 * what cures it.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "advice.h"
#include "cli.h"
#include "outside.h"
#include "report.h"
#include "select.h"
#include "settings.h"
#include "text.h"
#include "toolstack.h"
#include "wait.h"
#include "xen/options.h"

#define DOCTOR_SECONDS  10
#define HOUR            3600.0
#define INDENT          4

/* A cause below this share of the wakes is not worth a paragraph. */
#define SMALL_SHARE     0.01

static struct {
    gboolean all;
    double interval;
    gboolean no_stock;
    const char *toolstack;
    gboolean json;
} opt = {
    .interval = DOCTOR_SECONDS,
};

static const CliOption options[] = {
    { "all", 'a', NULL, "every VM (also when none is named)", CLI_FLAG,
      &opt.all },
    { "interval", 'd', "SECONDS", "how long to look on (default 10)",
      CLI_NUMBER, &opt.interval, .min = WAIT_INTERVAL_MIN,
      .max = WAIT_INTERVAL_MAX },
    { "no-stock", 'n', NULL,
      "leave out device models that keep no ledger page", CLI_FLAG,
      &opt.no_stock },
    { "toolstack", 't', "NAME",
      "whose commands to print: xl or xapi (default: xapi where its command "
      "xe is)", CLI_CHOICE, &opt.toolstack, .choices = toolstack_names },
    { "json", 'j', NULL, "print one JSON object a line for each VM",
      CLI_FLAG, &opt.json },
    { }
};

/* What is said of one cause. */
typedef struct Finding {
    const VmCause *cause;
    const Advice *advice;
    double per_hour;            /* wakes */
    double cpu_per_hour;        /* seconds; 0 when it is not counted */
    double share;               /* of the VM's wakes */
    const PulsarOption *option; /* the cure, or NULL */
    gboolean in_force;          /* … which is set already */
    GPtrArray *outside;         /* who is behind it, char *; may be empty */
    GPtrArray *lines;           /* what to type or write, char * */
} Finding;

static void free_finding(gpointer data)
{
    Finding *f = data;

    g_ptr_array_unref(f->outside);
    g_ptr_array_unref(f->lines);
    g_free(f);
}

/* Does 'pulsar set' take it for the name of this VM, as it is printed? */
static gboolean can_be_typed(const char *name)
{
    g_autofree char *shown = text_shown(name);

    return settings_fits_conf(name) && !strcmp(shown, name) &&
           *name != '-' && !strpbrk(name, "=/") &&
           strspn(name, "0123456789") < strlen(name);
}

/* The lines by which the cure is applied, exactly as they are typed. */
static void add_lines(const Vm *vm, Finding *f)
{
    gboolean xapi = toolstack_is_xapi(opt.toolstack) &&
                    f->option->platform_key;
    const char *value = f->advice->value;
    g_autofree char *who = NULL;

    if (xapi) {
        who = toolstack_quote(*vm->uuid ? vm->uuid : "UUID");
        g_ptr_array_add(f->lines, g_strdup_printf(
            "xe vm-param-set uuid=%s platform:%s=%s", who,
            f->option->platform_key, value));
    } else if (can_be_typed(vm->name)) {
        who = toolstack_quote(vm->name);
    } else if (*vm->uuid) {
        who = toolstack_quote(vm->uuid);
    }
    if (who && (!xapi || *vm->uuid)) {
        g_ptr_array_add(f->lines, g_strdup_printf("pulsar set %s %s=%s", who,
                                                  f->option->name, value));
    }
    if (!xapi) {
        g_ptr_array_add(f->lines, g_strdup_printf(
            "device_model_args_hvm = [ \"-pulsar\", \"%s=%s\" ]",
            f->option->name, value));
    }
}

static GPtrArray *look_outside(const Vm *vm, const Advice *a)
{
    if (vm->pid > 0) {
        switch (a->look) {
        case LOOK_PTY:
            return outside_pty_readers(vm->pid);
        case LOOK_VNC:
            return outside_vnc_viewers(vm->pid);
        case LOOK_QMP:
            return outside_monitor_clients(vm->pid);
        case LOOK_NOWHERE:
            break;
        }
    }
    return g_ptr_array_new_with_free_func(g_free);
}

static gboolean is_in_force(const Vm *vm, const Finding *f)
{
    g_autofree char *value = settings_value(vm->options, f->option->name);

    return value && !strcmp(value, f->advice->value);
}

static Finding *find(const Vm *vm, const VmCause *c)
{
    Finding *f = g_new0(Finding, 1);

    f->cause = c;
    f->advice = advice_find(c->name);
    f->per_hour = vm_rate(vm, c->new_wakes) * HOUR;
    f->cpu_per_hour = vm_rate(vm, c->new_busy_ns) / 1e9 * HOUR;
    f->share = (double)c->new_wakes / vm->new_wakes;
    f->outside = look_outside(vm, f->advice);
    f->lines = g_ptr_array_new_with_free_func(g_free);
    if (f->advice->option) {
        f->option = pulsar_option_find(f->advice->option);
        f->in_force = is_in_force(vm, f);
        if (!f->in_force) {
            add_lines(vm, f);
        }
    }
    return f;
}

/* All causes that woke it, and how many are too small to speak of. */
static GPtrArray *examine(const Vm *vm, guint *ret_small)
{
    g_autoptr(GPtrArray) causes = vm_causes(vm, TRUE);
    GPtrArray *ret = g_ptr_array_new_with_free_func(free_finding);
    guint i;

    *ret_small = 0;
    for (i = 0; i < causes->len; i++) {
        const VmCause *c = causes->pdata[i];

        if (!c->new_wakes) {
            continue;
        }
        if ((double)c->new_wakes / vm->new_wakes < SMALL_SHARE) {
            (*ret_small)++;
        } else {
            g_ptr_array_add(ret, find(vm, c));
        }
    }
    return ret;
}

/* ---- in words -------------------------------------------------------- */

static char *count_text(double n)
{
    if (n < 9999.5) {
        return g_strdup_printf("%.0f", n);
    }
    if (n < 999.5e3) {
        return g_strdup_printf("%.0f thousand", n / 1e3);
    }
    return g_strdup_printf("%.1f million", n / 1e6);
}

/* Two figures are enough, but nothing that is used is nothing. */
static char *cpu_text(double seconds)
{
    return seconds > 0 && seconds < 0.01 ? g_strdup("less than 0.01 s")
                                         : g_strdup_printf("%.2f s", seconds);
}

static void print_paragraph(const char *text)
{
    printf("%*s", INDENT, "");
    text_print(text, INDENT, INDENT);
}

static void print_outside(const Finding *f)
{
    g_autoptr(GString) s = g_string_new(NULL);
    guint i;

    for (i = 0; i < f->outside->len; i++) {
        g_autofree char *shown = text_shown(f->outside->pdata[i]);

        g_string_append_printf(s, "%s%s", i ? ", " : "", shown);
    }
    if (f->outside->len) {
        g_string_prepend(s, f->advice->look == LOOK_PTY ?
                         "The console is open in " :
                         f->advice->look == LOOK_VNC ?
                         "The viewer is " : "Connected to the monitor is ");
        g_string_append_c(s, '.');
        print_paragraph(s->str);
    }
}

static void print_cure(const Finding *f)
{
    g_autofree char *loss = NULL;
    guint i;

    if (f->in_force) {
        loss = g_strdup_printf("%s=%s is in force and does not cure it; "
                               "please report this.", f->option->name,
                               f->advice->value);
        print_paragraph(loss);
        return;
    }
    printf("%*sCure, %s: %s=%s\n", INDENT, "", f->option->running ?
           "at once by 'pulsar set'" : "from the VM's next start on",
           f->option->name, f->advice->value);
    for (i = 0; i < f->lines->len; i++) {
        g_autofree char *shown = text_shown(f->lines->pdata[i]);

        printf("%*s%s%s\n", INDENT + 2, "",
               g_str_has_prefix(shown, "device_model_args") ?
               "in its xl.cfg: " : "", shown);
    }
    loss = g_strdup_printf("It takes from the guest %s.",
                           f->option->cost ? f->option->cost : "nothing");
    print_paragraph(loss);
}

static void print_finding(const Finding *f)
{
    g_autofree char *name = text_shown(f->cause->name);
    g_autofree char *wakes = count_text(f->per_hour);
    g_autofree char *cpu = cpu_text(f->cpu_per_hour);

    printf("  %s: %s wakes an hour (%.0f %%)", name, wakes, f->share * 100);
    if (f->cause->new_busy_ns) {
        printf(", %s of a processor", cpu);
    }
    putchar('\n');
    print_paragraph(f->advice->words);
    print_outside(f);
    if (f->option) {
        print_cure(f);
    }
    if (f->advice->otherwise && !f->in_force) {
        print_paragraph(f->advice->otherwise);
    }
}

/* What there is to say of the VM as a whole. */
static char *state_text(const Vm *vm)
{
    g_autofree char *rate = text_rate(vm_rate(vm, vm->new_wakes));
    g_autofree char *hour = count_text(vm_rate(vm, vm->new_wakes) * HOUR);
    g_autofree char *cpu = cpu_text(vm_rate(vm, vm->new_cpu_ns) / 1e9 * HOUR);

    if (vm->trouble) {
        return text_shown(vm->trouble);
    }
    if (!strcmp(vm->state, "crashed")) {
        return g_strdup_printf("its device model is gone; 'pulsar table %d' "
                               "shows what it did last, 'pulsar clean' "
                               "removes its page", vm->domid);
    }
    if (vm->interval <= 0) {
        return g_strdup("has just started");
    }
    if (!vm->new_wakes) {
        return g_strdup("asleep");
    }
    return g_strdup_printf("wakes %s times a second; in an hour %s times, for "
                           "%s of a processor", rate, hour, cpu);
}

static void print_vm(const Vm *vm)
{
    g_autofree char *title = vm_title(vm);
    g_autofree char *shown = text_shown(title);
    g_autofree char *state = state_text(vm);
    g_autofree char *line = g_strdup_printf("%s: %s", shown, state);
    g_autoptr(GPtrArray) findings = NULL;
    guint i, small;

    text_print(line, 2, 0);
    if (vm->outdated) {
        g_autofree char *old = g_strdup_printf(
            "Its program is not the installed one any more; 'pulsar replace "
            "%d' exchanges it while the guest runs.", vm->domid);

        print_paragraph(old);
    }
    if (vm->interval <= 0 || !vm->new_wakes) {
        return;
    }
    findings = examine(vm, &small);
    for (i = 0; i < findings->len; i++) {
        print_finding(findings->pdata[i]);
    }
    if (small) {
        printf("  %u more cause%s, each below 1 %% of the wakes\n", small,
               small == 1 ? "" : "s");
    }
}

/* ---- for programs ---------------------------------------------------- */

static json_object *new_rounded(double value)
{
    char text[64];

    g_ascii_formatd(text, sizeof(text), "%.3f", value);
    return json_object_new_double_s(value, text);
}

static json_object *new_list(GPtrArray *list)
{
    json_object *ret = json_object_new_array();
    guint i;

    for (i = 0; i < list->len; i++) {
        json_object_array_add(ret, json_object_new_string(list->pdata[i]));
    }
    return ret;
}

static json_object *new_finding(const Finding *f)
{
    json_object *o = json_object_new_object();
    const Advice *a = f->advice;

#define ADD(key, value) json_object_object_add(o, key, value)
    ADD("cause", json_object_new_string(f->cause->name));
    ADD("wakes_per_hour", new_rounded(f->per_hour));
    ADD("cpu_seconds_per_hour", new_rounded(f->cpu_per_hour));
    ADD("words", json_object_new_string(a->words));
    ADD("cure", a->option && !f->in_force ?
        json_object_new_string(a->option) : NULL);
    ADD("value", a->option && !f->in_force ?
        json_object_new_string(a->value) : NULL);
    ADD("lines", new_list(f->lines));
    ADD("takes_away", f->option && f->option->cost ?
        json_object_new_string(f->option->cost) : NULL);
    ADD("otherwise", a->otherwise ? json_object_new_string(a->otherwise)
                                  : NULL);
    ADD("outside", new_list(f->outside));
#undef ADD
    return o;
}

static void print_json(const Vm *vm)
{
    json_object *o = json_object_new_object();
    json_object *list = json_object_new_array();
    g_autoptr(GPtrArray) findings = NULL;
    gboolean known = vm->interval > 0;
    guint i, small;

    json_object_object_add(o, "domid", json_object_new_int(vm->domid));
    json_object_object_add(o, "name", json_object_new_string(vm->name));
    json_object_object_add(o, "kind", json_object_new_string(
                               vm->stock ? "stock" : "pulsar"));
    json_object_object_add(o, "state", json_object_new_string(vm->state));
    json_object_object_add(o, "outdated", json_object_new_boolean(vm->outdated));
    json_object_object_add(o, "asleep", known ?
                           json_object_new_boolean(!vm->new_wakes) : NULL);
    json_object_object_add(o, "wakes_per_s", known ?
                           new_rounded(vm_rate(vm, vm->new_wakes)) : NULL);
    if (known && vm->new_wakes) {
        findings = examine(vm, &small);
        for (i = 0; i < findings->len; i++) {
            json_object_array_add(list, new_finding(findings->pdata[i]));
        }
    }
    json_object_object_add(o, "findings", list);
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                        JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

static gboolean run(char **args, GError **errp)
{
    g_autoptr(VmSet) set = vmset_new(!opt.no_stock);
    g_autoptr(GPtrArray) wanted = g_ptr_array_new();
    g_autoptr(GPtrArray) vms = NULL;
    guint i;

    if (*args && opt.all) {
        g_set_error(errp, CLI_ERROR, CLI_USAGE,
                    "'pulsar doctor' takes either VMs or --all");
        return FALSE;
    }
    for (; *args; args++) {
        g_ptr_array_add(wanted, *args);
    }
    if (!vmset_sample(set, errp) || !select_check(set, wanted, errp)) {
        return FALSE;
    }
    if (!vmset_vms(set)->len) {
        return select_none(!opt.no_stock, errp);
    }
    wait_until(wait_clock(CLOCK_MONOTONIC) + opt.interval);
    if (!vmset_sample(set, errp)) {
        return FALSE;
    }
    vms = select_vms(set, wanted);
    report_sort(vms, report_column("wakes"), FALSE);
    for (i = 0; i < vms->len; i++) {
        (opt.json ? print_json : print_vm)(vms->pdata[i]);
    }
    return cli_flush(errp);
}

const CliCommand cmd_doctor = {
    .name = "doctor",
    .args = "[VM...]",
    .summary = "why a device model wakes, what it costs, what cures it",
    .text = "Looks on for a while and then says of each VM (a domain id, a "
            "name or a UUID; all of them when none is named) what wakes its "
            "device model, what that costs in an hour, the option that cures "
            "it and the line that sets it, and what the cure takes from the "
            "guest. Also names who is connected from outside: a reader of "
            "the serial console, a VNC viewer, a program that polls the "
            "monitor.",
    .options = options,
    .run = run,
};
