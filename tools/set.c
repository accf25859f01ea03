/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar set and unset: one command for one VM or for all, whatever the
 * toolstack. All keys and values are checked before anything is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "lookup.h"
#include "platform.h"
#include "qmp.h"
#include "settings.h"
#include "text.h"
#include "toolstack.h"
#include "xen.h"
#include "xen/options.h"

#define DEFAULT_CONF PULSAR_SYSCONFDIR "/pulsar.conf"

static struct {
    gboolean all;
    gboolean dry_run;
    gboolean later;
    const char *toolstack;
    const char *config;
} opt = {
    .config = DEFAULT_CONF,
};

static const CliOption options[] = {
    { "all", 'a', NULL,
      "every VM: under xapi each HVM VM there is, under xl what pulsar.conf "
      "has for all", CLI_FLAG, &opt.all },
    { "dry-run", 'n', NULL, "only say what would be done", CLI_FLAG,
      &opt.dry_run },
    { "later", 'l', NULL, "leave VMs that run as they are until their next "
      "start", CLI_FLAG, &opt.later },
    { "toolstack", 't', "NAME",
      "xl or xapi (default: xapi where its command xe is)", CLI_CHOICE,
      &opt.toolstack, .choices = toolstack_names },
    { "config", 'f', "FILE", "under xl: another file than the system's "
      "pulsar.conf", CLI_TEXT, &opt.config },
    { }
};

/* What the command line asks for. */
typedef struct Request {
    gboolean unset;
    GPtrArray *vms;         /* char *, as they were typed */
    GPtrArray *keys;        /* const PulsarOption * */
    GPtrArray *values;      /* char *; none when @unset */
} Request;

static void request_clear(Request *r)
{
    g_ptr_array_unref(r->vms);
    g_ptr_array_unref(r->keys);
    g_ptr_array_unref(r->values);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Request, request_clear)

/* ---- what is asked for ----------------------------------------------- */

#define usage(errp, fmt, ...) \
    cli_fail(errp, CLI_USAGE, fmt "; nothing was changed", ##__VA_ARGS__)

/* Would a device model take it from where this toolstack puts it? */
static gboolean check_pair(const char *key, const char *value, gboolean xapi,
                           GError **errp)
{
    const PulsarOption *option = pulsar_option_find(key);
    g_autofree char *why = NULL;
    g_autofree char *shown = NULL;

    if (option && xapi && !option->platform_key) {
        return usage(errp, "option %s has no platform key, so xapi cannot "
                     "keep it; it can stand in pulsar.conf", key);
    }
    if (!pulsar_option_check(option && xapi ? option->platform_key : key,
                             value, xapi && option ? PULSAR_SOURCE_XENSTORE
                             : PULSAR_SOURCE_CONF_DEFAULTS, &why)) {
        shown = text_shown(why);
        return usage(errp, "%s", shown);
    }
    return TRUE;
}

static gboolean parse_set(Request *r, char **args, gboolean xapi,
                          GError **errp)
{
    for (; *args; args++) {
        char *equals = strchr(*args, '=');
        g_autofree char *key = NULL;

        if (!equals) {
            g_ptr_array_add(r->vms, *args);
            continue;
        }
        key = g_strndup(*args, equals - *args);
        if (!check_pair(key, equals + 1, xapi, errp)) {
            return FALSE;
        }
        g_ptr_array_add(r->keys, (void *)pulsar_option_find(key));
        g_ptr_array_add(r->values, equals + 1);
    }
    return r->keys->len || usage(errp, "'pulsar set' needs KEY=VALUE");
}

/* What is the name of an option is meant as that. */
static gboolean parse_unset(Request *r, char **args, GError **errp)
{
    for (; *args; args++) {
        const PulsarOption *option = pulsar_option_find(*args);

        g_ptr_array_add(option ? r->keys : r->vms,
                        option ? (void *)option : *args);
    }
    return r->keys->len || usage(errp, "'pulsar unset' needs the name of an "
                                 "option");
}

static gboolean parse(Request *r, char **args, gboolean xapi, GError **errp)
{
    if (!(r->unset ? parse_unset(r, args, errp)
                   : parse_set(r, args, xapi, errp))) {
        return FALSE;
    }
    if (!r->vms->len == !opt.all) {
        return usage(errp, "'pulsar %s' takes either VMs or --all",
                     r->unset ? "unset" : "set");
    }
    return TRUE;
}

/* "usb=false dvd=none"; @kept has a bit for each option that is left out. */
static char *describe(const Request *r, guint kept)
{
    GString *s = g_string_new(NULL);
    guint i;

    for (i = 0; i < r->keys->len; i++) {
        const PulsarOption *option = r->keys->pdata[i];

        if (kept & (1u << (option - pulsar_option_table))) {
            continue;
        }
        g_string_append_printf(s, "%s%s", s->len ? " " : "", option->name);
        if (!r->unset) {
            g_string_append_printf(s, "=%s", (char *)r->values->pdata[i]);
        }
    }
    return g_string_free(s, FALSE);
}

static void say(const Request *r, guint kept, const char *whom,
                const char *where)
{
    g_autofree char *what = describe(r, kept);
    g_autofree char *shown = text_shown(whom);
    g_autofree char *shown_what = text_shown(what);
    g_autofree char *shown_where = text_shown(where);

    if (!*what) {
        return; /* everything was left as it is */
    }
    printf("%s%s %s for %s%s%s\n", opt.dry_run ? "would " : "",
           r->unset ? "unset" : "set", shown_what, shown,
           *where ? " in " : "", shown_where);
}

/* ---- xl: pulsar.conf ------------------------------------------------- */

/* Is the file one that a device model accepts? */
static gboolean check_conf(const char *path, GError **errp)
{
    PulsarOptions *o = pulsar_options_new();
    g_autofree char *why = NULL;
    gboolean ok = pulsar_options_add_conf(o, path, FALSE, NULL, NULL, NULL,
                                          &why);

    pulsar_options_free(o);
    if (!ok) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "%s; nothing was changed",
                    why);
    }
    return ok;
}

static gboolean load_conf(GKeyFile *kf, GError **errp)
{
    g_autoptr(GError) err = NULL;

    if (!check_conf(opt.config, errp)) {
        return FALSE;
    }
    if (!g_key_file_load_from_file(kf, opt.config, G_KEY_FILE_KEEP_COMMENTS |
                                   G_KEY_FILE_KEEP_TRANSLATIONS, &err) &&
        !g_error_matches(err, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "%s cannot be read: %s; nothing was changed", opt.config,
                    err->message);
        return FALSE;
    }
    return TRUE;
}

/* The name under which pulsar.conf knows the VM. */
static char *conf_name(const char *typed, GError **errp)
{
    g_autofree char *shown = text_shown(typed);
    g_autofree char *clean = text_clean(typed);
    g_autoptr(VmPage) vm = lookup_page(typed, NULL);
    const char *name = clean;

    if (vm && strcmp(vm->name, clean) &&
        g_ascii_strcasecmp(vm->uuid, clean)) {
        if (!vm->sure) {
            g_set_error(errp, CLI_ERROR, CLI_NO_SUCH_VM,
                        "no xenstored answers, so the name of VM '%s' is not "
                        "known; give the name; nothing was changed", shown);
            return NULL;
        }
        name = vm->name; /* a domain id is gone with the domain */
    } else if (!vm && *typed && strspn(typed, "0123456789") ==
               strlen(typed)) {
        g_set_error(errp, CLI_ERROR, CLI_NO_SUCH_VM,
                    "domain %s has no ledger page, so its VM's name is not "
                    "known; give the name; nothing was changed", typed);
        return NULL;
    }
    if (!settings_fits_conf(name) && vm && vm->sure && *vm->uuid) {
        name = vm->uuid;
    }
    if (!*name) {
        usage(errp, "that VM has no name; give its UUID");
        return NULL;
    }
    if (!settings_fits_conf(name)) {
        g_autofree char *shown_name = text_shown(name);

        usage(errp, "the name '%s' cannot stand in pulsar.conf; give the VM's "
              "UUID", shown_name);
        return NULL;
    }
    if (!vm) {
        printf("note: no VM '%s' is running now; this waits for one\n", shown);
    }
    return g_strdup(name);
}

static void change_group(const Request *r, GKeyFile *kf, const char *group)
{
    guint i;

    for (i = 0; i < r->keys->len; i++) {
        const PulsarOption *option = r->keys->pdata[i];

        if (!r->unset) {
            g_key_file_set_value(kf, group, option->name,
                                 r->values->pdata[i]);
        } else {
            g_key_file_remove_key(kf, group, option->name, NULL);
        }
    }
}

/* VMs that have a word of their own on what was set for all. */
static void note_exceptions(const Request *r, GKeyFile *kf)
{
    g_auto(GStrv) groups = g_key_file_get_groups(kf, NULL);
    char **g;
    guint i;

    for (g = groups; *g; g++) {
        for (i = 0; strcmp(*g, "defaults") && i < r->keys->len; i++) {
            const PulsarOption *option = r->keys->pdata[i];
            g_autofree char *value = g_key_file_get_value(kf, *g,
                                                          option->name, NULL);
            g_autofree char *shown = value ? text_shown(value) : NULL;
            g_autofree char *group = text_shown(*g);

            if (value) {
                printf("note: [%s] keeps its own %s=%s\n", group,
                       option->name, shown);
            }
        }
    }
}

/* Who writes the file waits for whoever does now. Closing it ends that. */
static int lock_conf(const char *path)
{
    g_autofree char *dir = g_path_get_dirname(path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR) {
    }
    return fd;
}

static gboolean change_conf(const Request *r, GPtrArray *names,
                            GError **errp)
{
    g_autoptr(GKeyFile) kf = g_key_file_new();
    g_autofree char *text = NULL;
    guint i;

    if (!load_conf(kf, errp)) {
        return FALSE;
    }
    for (i = 0; i < names->len; i++) {
        g_autofree char *group = g_strdup_printf("vm %s",
                                                 (char *)names->pdata[i]);

        change_group(r, kf, group);
    }
    if (opt.all) {
        change_group(r, kf, "defaults");
    }
    text = g_key_file_to_data(kf, NULL, NULL);
    if (!opt.dry_run && !cli_write_file(opt.config, text, errp)) {
        return FALSE;
    }
    for (i = 0; i < names->len; i++) {
        say(r, 0, names->pdata[i], opt.config);
    }
    if (opt.all) {
        say(r, 0, "every VM", opt.config);
        note_exceptions(r, kf);
    }
    return TRUE;
}

static gboolean run_conf(const Request *r, GError **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    gboolean ok;
    guint i;
    int lock;

    for (i = 0; i < r->vms->len; i++) {
        char *name = conf_name(r->vms->pdata[i], errp);

        if (!name) {
            return FALSE;
        }
        g_ptr_array_add(names, name);
    }
    lock = lock_conf(opt.config);
    ok = change_conf(r, names, errp);
    if (lock >= 0) {
        close(lock);
    }
    return ok;
}

/* ---- xapi: the platform map ------------------------------------------ */

typedef struct Change {
    PlatformChange map;
    GString *kept;          /* what was left alone */
    guint kept_options;     /* … a bit for each PulsarOptionId */
} Change;

static void change_init(Change *c, const XapiVm *vm)
{
    platform_init(&c->map, vm);
    c->kept = g_string_new(NULL);
    c->kept_options = 0;
}

static void change_clear(Change *c)
{
    platform_clear(&c->map);
    g_string_free(c->kept, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Change, change_clear)

/* A port that somebody has connected to something ("tcp:HOST:PORT"). */
static gboolean is_connected(const Change *c, const PulsarOption *option)
{
    const char *value = option->platform_own
        ? g_hash_table_lookup(c->map.vm->platform, option->platform_key) : NULL;

    return value && strchr(value, ':');
}

/* Is it a value that xapi would not leave as it is? */
static gboolean needs_word(const PulsarOption *option, const char *value)
{
    return option->platform_word && pulsar_boolean(value) < 0;
}

static void change_set(Change *c, const PulsarOption *option,
                       const char *value)
{
    const char *key = option->platform_key;

    if (option->platform_own && !g_ascii_strcasecmp(value, "given")) {
        /* What is given is what xapi has without the key. */
        platform_put(&c->map, key, NULL);
    } else if (option->platform_word) {
        gboolean word = needs_word(option, value);

        /* With a word xapi still has to ask for the device. */
        platform_put(&c->map, key, word || pulsar_boolean(value) ? "true" : "false");
        platform_put(&c->map, option->platform_word, word ? value : NULL);
    } else {
        platform_put(&c->map, key, value);
    }
}

static void change_unset(Change *c, const PulsarOption *option)
{
    platform_undo(&c->map, option->platform_key);
    if (option->platform_word) {
        platform_undo(&c->map, option->platform_word);
    }
}

/* What somebody has connected is his, and what was before is forgotten. */
static void change_keep(Change *c, const PulsarOption *option,
                        const char *value)
{
    const char *key = option->platform_key;

    platform_forget(&c->map, key);
    c->kept_options |= 1u << (option - pulsar_option_table);
    if (value && g_ascii_strcasecmp(value, "given")) {
        g_string_append_printf(c->kept, "%splatform:%s=%s",
                               c->kept->len ? " and " : "", key,
                               (char *)g_hash_table_lookup(c->map.vm->platform,
                                                           key));
    }
}

static void change_plan(Change *c, const Request *r)
{
    guint i;

    for (i = 0; i < r->keys->len; i++) {
        const PulsarOption *option = r->keys->pdata[i];
        const char *value = r->unset ? NULL : r->values->pdata[i];

        if (is_connected(c, option)) {
            change_keep(c, option, value);
        } else if (r->unset) {
            change_unset(c, option);
        } else {
            change_set(c, option, value);
        }
    }
}

/* Will a device model see what is written? It is not for us to change. */
static void say_who_hands_on(const Request *r)
{
    guint i;

    for (i = 0; !r->unset && i < r->keys->len; i++) {
        const PulsarOption *option = r->keys->pdata[i];
        const char *value = r->values->pdata[i];
        const char *key = needs_word(option, value) ? option->platform_word
                                                    : option->platform_key;
        g_autofree char *shown = text_shown(value);

        switch (xapi_hands(key)) {
        case XAPI_HANDS_ON:
            printf("note: xapi hands platform:%s on to the device model\n",
                   key);
            break;
        case XAPI_DROPS:
            printf("note: xapi drops platform:%s here, for its feature "
                   "no_platform_filter is off; put %s=%s into pulsar.conf\n",
                   key, option->name, shown);
            break;
        case XAPI_HANDS_UNKNOWN:
            printf("note: xapi does not say whether it hands platform:%s on "
                   "to the device model; 'pulsar show' tells after a start\n",
                   key);
            break;
        }
    }
}

static gboolean run_xapi(const Request *r, GError **errp)
{
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    g_autoptr(GPtrArray) all = NULL;
    guint i, failed = 0;

    if (!xapi_list(&all, errp) || !platform_choose(
            r->vms, opt.all, all, "takes no options", chosen, errp)) {
        return FALSE;
    }
    for (i = 0; i < chosen->len; i++) {
        XapiVm *vm = chosen->pdata[i];
        g_autofree char *whom = g_strdup_printf("%s (%s)", vm->name,
                                                vm->uuid);
        g_autofree char *shown = text_shown(whom);
        g_autoptr(GError) err = NULL;
        g_auto(Change) c;

        change_init(&c, vm);
        change_plan(&c, r);
        if (c.kept->len) {
            g_autofree char *kept = text_shown(c.kept->str);

            printf("kept %s of %s, which somebody has connected\n", kept,
                   shown);
            /* For all VMs means for all that it fits. */
            failed += !opt.all;
        }
        if (opt.dry_run || platform_run(&c.map, &err)) {
            say(r, c.kept_options, whom, "");
        } else {
            g_autofree char *why = text_shown(err->message);

            printf("skipped %s: %s\n", shown, why);
            failed++;
        }
    }
    say_who_hands_on(r);
    for (i = 0; i < r->keys->len; i++) {
        const PulsarOption *option = r->keys->pdata[i];

        if (!g_strcmp0(option->platform_key, "hvm_serial")) {
            puts("note: xapi lets only the role pool-admin change "
                 "platform:hvm_serial");
        }
    }
    if (failed) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "%u of %u VMs could not be changed; they are named above",
                    failed, chosen->len);
        return FALSE;
    }
    return TRUE;
}

/* ---- VMs that run ---------------------------------------------------- */

/* What can be changed at once is; the device model says what can. */
static void change_running(const Request *r, const VmPage *vm)
{
    g_autofree char *title = vmpage_title(vm);
    g_autofree char *shown = text_shown(title);
    g_autoptr(GError) err = NULL;
    g_autoptr(Qmp) q = qmp_connect(vm->pid, &err);
    guint i;

    for (i = 0; i < r->keys->len && !err; i++) {
        const PulsarOption *option = r->keys->pdata[i];
        const char *value = r->values->pdata[i];
        g_autofree char *note = NULL;
        g_autofree char *shown_note = NULL;
        gboolean changed;

        if (qmp_set(q, option->name, value, &changed, &note, &err)) {
            shown_note = text_shown(note);
            printf("%s: %s=%s %s%s%s\n", shown, option->name, value,
                   changed ? "now" : "not now", *note ? ": " : "",
                   shown_note);
        }
    }
    if (err) {
        g_autofree char *why = text_shown(err->message);

        printf("%s: not now: %s\n", shown, why);
    }
}

/* Is the process that is about to be spoken to that domain's? */
static gboolean is_its_own(const VmPage *vm)
{
    g_autofree char *path = page_path(vm->domid);

    /* In the folder of the pages only who is privileged makes files. */
    return vm->owned && vm->pid && vm->sure &&
           (!strcmp(path, vm->file) ||
            xen_device_model(vm->domid) == vm->pid);
}

static void change_all_running(const Request *r)
{
    guint i;

    for (i = 0; i < r->vms->len; i++) {
        g_autoptr(VmPage) vm = lookup_page(r->vms->pdata[i], NULL);

        if (vm && is_its_own(vm)) {
            change_running(r, vm);
        }
    }
}

/* ---- VMs that are saved before they are started anew ------------------ */

/* How the option will be after the next start, as it is shown. */
static char *next_value(const PulsarOption *option, const char *value)
{
    PulsarOptions *o = pulsar_options_new();
    g_autofree char *arg = g_strdup_printf("%s=%s", option->name, value);
    char *text;

    pulsar_options_add_args(o, arg, NULL);
    text = g_strdup(pulsar_options_text(o, option - pulsar_option_table));
    pulsar_options_free(o);
    return text;
}

/*
 * Does it change hardware that a state cannot bring along? Not the tablet: it
 * changes while a VM runs, and comes back or stays away as it was saved.
 */
static gboolean is_hardware(const PulsarOption *option)
{
    return !option->running && !strcmp(option->value_default, "given");
}

/*
 * A state is taken only by a device model with the same hardware, and who
 * restores it reads the options anew.
 */
static void warn_of_saving(const Request *r, const VmPage *vm)
{
    g_autoptr(GPtrArray) list = settings_parse(page_text(vm->snapshot));
    g_autofree char *title = vmpage_title(vm);
    g_autofree char *shown = text_shown(title);
    guint i, k;

    for (i = 0; i < r->keys->len; i++) {
        const PulsarOption *option = r->keys->pdata[i];
        g_autofree char *next = next_value(option, r->values->pdata[i]);

        for (k = 0; is_hardware(option) && k < list->len; k++) {
            Setting *s = list->pdata[k];
            g_autofree char *shown_now = text_shown(s->value);

            /* The command line stays as it is, and is stronger. */
            if (strcmp(s->key, option->name) || !strcmp(s->value, next) ||
                !strcmp(s->source, "command line")) {
                continue;
            }
            printf("note: %s runs with %s=%s; what is saved of it before it "
                   "is started anew (save, suspend, migrate) is refused with "
                   "%s=%s\n", shown, option->name, shown_now, option->name,
                   next);
        }
    }
}

static void warn_all_of_saving(const Request *r)
{
    g_autoptr(GPtrArray) all = NULL;
    g_autoptr(GPtrArray) unread = NULL;
    guint i;

    if (!opt.all) {
        for (i = 0; i < r->vms->len; i++) {
            g_autoptr(VmPage) vm = lookup_page(r->vms->pdata[i], NULL);

            if (vm && vm->owned) {
                warn_of_saving(r, vm);
            }
        }
    } else if (lookup_all(&all, &unread, NULL)) {
        for (i = 0; i < all->len; i++) {
            if (((VmPage *)all->pdata[i])->owned) {
                warn_of_saving(r, all->pdata[i]);
            }
        }
    }
}

static gboolean run(gboolean unset, char **args, GError **errp)
{
    g_auto(Request) r = {
        .unset = unset,
        .vms = g_ptr_array_new(),
        .keys = g_ptr_array_new(),
        .values = g_ptr_array_new(),
    };
    gboolean xapi = toolstack_is_xapi(opt.toolstack);

    if (!parse(&r, args, xapi, errp) ||
        !(xapi ? run_xapi : run_conf)(&r, errp)) {
        return FALSE;
    }
    if (!opt.dry_run) {
        puts("It takes effect when a VM is started next.");
        if (!unset && !opt.later) {
            change_all_running(&r);
        }
    }
    if (!unset) {
        warn_all_of_saving(&r);
    }
    return cli_flush(errp);
}

static gboolean run_set(char **args, GError **errp)
{
    return run(FALSE, args, errp);
}

static gboolean run_unset(char **args, GError **errp)
{
    return run(TRUE, args, errp);
}

/* What can be set, from the table of options. */
static void print_keys(void)
{
    guint i;

    puts("\nWhat can be set:");
    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        const PulsarOption *option = &pulsar_option_table[i];
        g_autofree char *accepts = pulsar_option_accepts(option);
        g_autofree char *text = g_strdup_printf("%s; accepted: %s",
                                                option->help, accepts);

        if (option->in_conf) {
            printf("  %-10s  ", option->name);
            text_print(text, 14, 14);
        }
    }
}

const CliCommand cmd_set = {
    .name = "set",
    .args = "VM...|--all KEY=VALUE...",
    .summary = "say which virtual hardware VMs have",
    .text = "Sets options of VMs (names, UUIDs or, for those that run, domain "
            "ids), or of all of them. Under xapi they are kept in each VM's "
            "platform map, under xl in pulsar.conf. What can be changed while "
            "a VM runs is changed at once in those that are named. Every key "
            "and value is checked first; if one is wrong, nothing is "
            "changed.",
    .options = options,
    .more = print_keys,
    .run = run_set,
};

const CliCommand cmd_unset = {
    .name = "unset",
    .args = "VM...|--all KEY...",
    .summary = "take back what 'pulsar set' has set",
    .text = "Removes options of VMs (names, UUIDs or, for those that run, "
            "domain ids), or of all of them, from where 'pulsar set' keeps "
            "them.",
    .options = options,
    .more = print_keys,
    .run = run_unset,
};
