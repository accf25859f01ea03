/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The per-VM options: the table and how its sources are merged. See
 * options.h for the contract.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib.h>

#include "options.h"

#define SHOWN_MAX        64     /* bytes of a foreign key or value in a log */
#define SOURCE_TEXT_MAX  160

static const PulsarOptionWord monitor_words[] = {
    { "full", PULSAR_VALUE_FULL, "every monitor that the command line names" },
    { "qmp", PULSAR_VALUE_QMP, "only QMP; no human monitor, no console of it" },
    { "none", PULSAR_VALUE_CLOSED, "no monitor at all, not even QMP" },
    { }
};

static const PulsarOptionWord given_none_words[] = {
    { "given", PULSAR_VALUE_GIVEN, "as the command line says" },
    { "none", PULSAR_VALUE_CLOSED, "not there, whoever asks for it" },
    { }
};

static const PulsarOptionWord usb_words[] = {
    { "given", PULSAR_VALUE_GIVEN, "as the command line says" },
    { "true", PULSAR_VALUE_GIVEN, NULL },
    { "false", PULSAR_VALUE_CLOSED, "no controller and nothing plugged in" },
    { "uhci", PULSAR_VALUE_UHCI, "USB 1 in place of the controller asked for" },
    { "ehci", PULSAR_VALUE_EHCI, "USB 2 in place of the controller asked for" },
    { "xhci", PULSAR_VALUE_XHCI, "USB 3 in place of the controller asked for" },
    { }
};

static const PulsarOptionWord usb_tablet_words[] = {
    { "given", PULSAR_VALUE_GIVEN, "as the command line says" },
    { "true", PULSAR_VALUE_TRUE, "one is plugged in" },
    { "false", PULSAR_VALUE_CLOSED, "none is plugged in" },
    { "viewer", PULSAR_VALUE_VIEWER,
      "plugged in while somebody looks, by VNC or SPICE" },
    { }
};

static const PulsarOptionWord dvd_words[] = {
    { "given", PULSAR_VALUE_GIVEN, "as the command line says" },
    { "none", PULSAR_VALUE_CLOSED, "no CD or DVD drive" },
    { "loaded", PULSAR_VALUE_LOADED,
      "only the drives that have a medium at start" },
    { "ahci", PULSAR_VALUE_AHCI,
      "the drives stand on AHCI in place of PIIX IDE" },
    { "notify", PULSAR_VALUE_NOTIFY,
      "the same, and tell the guest of a new medium, so that it need not ask" },
    { }
};

static const PulsarOptionWord off_words[] = {
    { "off", PULSAR_VALUE_CLOSED, "never" },
    { }
};

static const PulsarOptionWord ledger_words[] = {
    { "auto", PULSAR_VALUE_AUTO, "DOMID.ledger in the run directory" },
    { "off", PULSAR_VALUE_CLOSED, "nowhere: nobody can watch this VM" },
    { }
};

static const PulsarOptionWord config_words[] = {
    { "auto", PULSAR_VALUE_AUTO, "the system's pulsar.conf, if there is one" },
    { "off", PULSAR_VALUE_CLOSED, "no file is read" },
    { }
};

const PulsarOption pulsar_option_table[PULSAR_OPTION__MAX] = {
    [PULSAR_OPTION_MONITOR] = {
        .name = "monitor",
        .platform_key = "monitor",
        .words = monitor_words,
        .value_default = "full",
        .in_conf = true,
        .running = true,
        .at_start = "none",
        .help = "the monitors, by which the device model is controlled",
        .cost = "nothing; the administrator loses the human monitor",
    },
    [PULSAR_OPTION_SERIAL] = {
        .name = "serial",
        .platform_key = "hvm_serial",
        .words = given_none_words,
        .value_default = "given",
        .platform_own = "",
        .in_conf = true,
        .help = "the serial ports",
        .cost = "its serial ports, and with them the serial console",
    },
    [PULSAR_OPTION_PARALLEL] = {
        .name = "parallel",
        .platform_key = "parallel",
        .words = given_none_words,
        .value_default = "given",
        .platform_own = "/dev/parport",
        .in_conf = true,
        .help = "the parallel ports",
        .cost = "its parallel ports",
    },
    [PULSAR_OPTION_USB] = {
        .name = "usb",
        .platform_key = "usb",
        .platform_word = "pulsar_usb",
        .words = usb_words,
        .value_default = "given",
        .in_conf = true,
        .help = "the USB controllers and all that is plugged into them",
        .cost = "every USB device, the tablet included, so that the pointer "
                "of a VNC viewer is relative and may drift",
    },
    [PULSAR_OPTION_USB_TABLET] = {
        .name = "usb_tablet",
        .platform_key = "usb_tablet",
        .platform_word = "pulsar_usb_tablet",
        .words = usb_tablet_words,
        .value_default = "given",
        .in_conf = true,
        .running = true,
        .help = "the USB tablet, which aligns the pointer of a VNC viewer",
        .cost = "the tablet, so that the pointer of a VNC viewer is relative "
                "and may drift",
    },
    [PULSAR_OPTION_DVD] = {
        .name = "dvd",
        .platform_key = "dvd",
        .words = dvd_words,
        .value_default = "given",
        .in_conf = true,
        .help = "the CD and DVD drives",
        .cost = "its CD and DVD drives",
    },
    [PULSAR_OPTION_VNC_IDLE] = {
        .name = "vnc_idle",
        .platform_key = "vnc_idle",
        .kind = PULSAR_KIND_SECONDS,
        .words = off_words,
        .value_default = "off",
        .in_conf = true,
        .running = true,
        .help = "seconds of a still screen and no input after which VNC "
                "looks less often",
        .cost = "nothing; a viewer may see the first change later",
    },
    [PULSAR_OPTION_LEDGER] = {
        .name = "ledger",
        .kind = PULSAR_KIND_PATH,
        .words = ledger_words,
        .value_default = "auto",
        .in_conf = true,
        .help = "where the page with the wake counts is kept",
    },
    [PULSAR_OPTION_CONFIG] = {
        .name = "config",
        .kind = PULSAR_KIND_PATH,
        .words = config_words,
        .value_default = "auto",
        .help = "the file with the options of this host's VMs",
    },
};

typedef struct Setting {
    PulsarSource source;
    PulsarValue value;
    unsigned number;
    char *text;
    char *source_text;
} Setting;

struct PulsarOptions {
    Setting set[PULSAR_OPTION__MAX];
    Setting tablet_implied;     /* usb_tablet, as usb=false makes it */
};

static PulsarOptionId option_id(const PulsarOption *opt)
{
    return opt - pulsar_option_table;
}

/* Formats a sentence into @ret_error, if anybody wants it; always false. */
static bool G_GNUC_PRINTF(2, 3) fail(char **ret_error, const char *fmt, ...)
{
    va_list ap;

    if (ret_error) {
        va_start(ap, fmt);
        *ret_error = g_strdup_vprintf(fmt, ap);
        va_end(ap);
    }
    return false;
}

static bool is_plain_char(char c)
{
    return c >= 0x20 && c <= 0x7e && c != '\\';
}

static bool is_printable(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (!is_plain_char(text[i])) {
            return false;
        }
    }
    return true;
}

char *pulsar_printable(const char *text, long len, size_t max)
{
    GString *s = g_string_new(NULL);
    size_t n = len < 0 ? strlen(text) : (size_t)len;
    size_t i;

    for (i = 0; i < n && i < max; i++) {
        if (is_plain_char(text[i])) {
            g_string_append_c(s, text[i]);
        } else {
            g_string_append_printf(s, "\\x%02x", (unsigned char)text[i]);
        }
    }
    if (n > max) {
        g_string_append(s, "...");
    }
    return g_string_free(s, FALSE);
}

const PulsarOption *pulsar_option_find(const char *name)
{
    size_t i;

    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        if (!strcmp(pulsar_option_table[i].name, name)) {
            return &pulsar_option_table[i];
        }
    }
    return NULL;
}

const PulsarOption *pulsar_option_find_platform(const char *key)
{
    size_t i;

    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        if (!g_strcmp0(pulsar_option_table[i].platform_key, key) ||
            !g_strcmp0(pulsar_option_table[i].platform_word, key)) {
            return &pulsar_option_table[i];
        }
    }
    return NULL;
}

/* "a, b and c", with @last before the last one. */
static char *join_words(GPtrArray *words, const char *last)
{
    GString *s = g_string_new(NULL);
    size_t i;

    for (i = 0; i < words->len; i++) {
        if (i) {
            g_string_append(s, i + 1 < words->len ? ", " : last);
        }
        g_string_append(s, words->pdata[i]);
    }
    return g_string_free(s, FALSE);
}

char *pulsar_option_accepts(const PulsarOption *opt)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    const PulsarOptionWord *w;

    for (w = opt->words; w->name; w++) {
        g_ptr_array_add(words, g_strdup(w->name));
    }
    if (opt->kind == PULSAR_KIND_SECONDS) {
        g_ptr_array_add(words, g_strdup_printf("a number of seconds from 1 "
                                               "to %d",
                                               PULSAR_OPTION_SECONDS_MAX));
    } else if (opt->kind == PULSAR_KIND_PATH) {
        g_ptr_array_add(words, g_strdup("an absolute file name"));
    }
    return join_words(words, " or ");
}

int pulsar_boolean(const char *value)
{
    static const char *const spellings[][2] = {
        { "false", "true" }, { "off", "on" }, { "no", "yes" }, { "0", "1" },
    };
    size_t i;
    int b;

    for (i = 0; i < G_N_ELEMENTS(spellings); i++) {
        for (b = 0; b < 2; b++) {
            if (!g_ascii_strcasecmp(value, spellings[i][b])) {
                return b;
            }
        }
    }
    return -1;
}

static const PulsarOptionWord *find_word(const PulsarOption *opt,
                                         const char *value)
{
    int boolean = pulsar_boolean(value);
    const PulsarOptionWord *w;

    for (w = opt->words; w->name; w++) {
        if (!g_ascii_strcasecmp(w->name, value)) {
            return w;
        }
        if (opt->kind != PULSAR_KIND_PATH && boolean >= 0 &&
            pulsar_boolean(w->name) == boolean) {
            return w;
        }
    }
    return NULL;
}

/* The word by which @value is shown. */
static const char *word_of_value(const PulsarOption *opt, PulsarValue value)
{
    const PulsarOptionWord *w;

    for (w = opt->words; w->name; w++) {
        if (w->value == value) {
            return w->name;
        }
    }
    g_assert_not_reached();
}

static bool parse_number(const char *value, unsigned *ret_number)
{
    guint64 n;

    if (!g_ascii_string_to_unsigned(value, 10, 1, PULSAR_OPTION_SECONDS_MAX,
                                    &n, NULL)) {
        return false;
    }
    *ret_number = n;
    return true;
}

static void setting_clear(Setting *s)
{
    g_free(s->text);
    g_free(s->source_text);
    *s = (Setting) { };
}

/*
 * Understand @value. @ret gets the setting without a source text; @where
 * says in the message where the value stands.
 */
static bool parse_value(const PulsarOption *opt, const char *key,
                        const char *value, size_t len, PulsarSource source,
                        const char *where, Setting *ret, char **ret_error)
{
    g_autofree char *shown = pulsar_printable(value, len, SHOWN_MAX);
    g_autofree char *plain = NULL;
    g_autofree char *accepts = NULL;
    const PulsarOptionWord *word;
    const char *own = source == PULSAR_SOURCE_XENSTORE ? opt->platform_own :
                                                         NULL;
    Setting s = { .source = source };

    if (len > PULSAR_OPTION_VALUE_MAX) {
        return fail(ret_error, "%s: the value of %s, '%s', is %zu bytes long; "
                    "at most %d are accepted", where, key, shown, len,
                    PULSAR_OPTION_VALUE_MAX);
    }
    plain = g_strndup(value, len);
    if (!is_printable(value, len)) {
        return fail(ret_error, "%s: the value of %s, '%s', has characters that "
                    "are not printable ASCII or are a backslash", where, key,
                    shown);
    }

    word = find_word(opt, plain);
    if (word) {
        s.value = word->value;
        s.text = g_strdup(word_of_value(opt, word->value));
    } else if (opt->kind == PULSAR_KIND_SECONDS &&
               parse_number(plain, &s.number)) {
        s.value = PULSAR_VALUE_NUMBER;
        s.text = g_strdup_printf("%u", s.number);
    } else if (opt->kind == PULSAR_KIND_PATH && g_path_is_absolute(plain)) {
        s.value = PULSAR_VALUE_PATH;
        s.text = g_strdup(plain);
    } else if (own && *plain && g_str_has_prefix(plain, own)) {
        s.value = PULSAR_VALUE_GIVEN;
        s.text = g_strdup(word_of_value(opt, s.value));
    } else {
        accepts = pulsar_option_accepts(opt);
        return fail(ret_error, "%s: the value '%s' of %s is not accepted; "
                    "%s takes %s%s%s", where, shown, key, key, accepts,
                    own && *own ? ", and here what begins with " : "",
                    own ? own : "");
    }
    *ret = s;
    return true;
}

/* May an option of this row come from @source? */
static bool option_in_source(const PulsarOption *opt, PulsarSource source)
{
    switch (source) {
    case PULSAR_SOURCE_CONF_DEFAULTS:
    case PULSAR_SOURCE_CONF_NAME:
    case PULSAR_SOURCE_CONF_UUID:
        return opt->in_conf;
    case PULSAR_SOURCE_XENSTORE:
        return opt->platform_key != NULL;
    default:
        return true;
    }
}

/* The row that @key names in @source, or a sentence about it. */
static const PulsarOption *lookup(const char *key, size_t len,
                                  PulsarSource source, const char *where,
                                  char **ret_error)
{
    bool platform = source == PULSAR_SOURCE_XENSTORE;
    g_autofree char *shown = pulsar_printable(key, len, SHOWN_MAX);
    g_autofree char *plain = g_strndup(key, len);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *list = NULL;
    g_autofree char *hint = NULL;
    const PulsarOption *opt;
    size_t i;

    opt = platform ? pulsar_option_find_platform(plain) :
                     pulsar_option_find(plain);
    if (opt && len <= PULSAR_OPTION_KEY_MAX && option_in_source(opt, source)) {
        return opt;
    }
    if (!platform && opt) {
        fail(ret_error, "%s: %s cannot be given here, only on the command "
             "line", where, shown);
        return NULL;
    }

    opt = platform ? pulsar_option_find(plain) :
                     pulsar_option_find_platform(plain);
    if (opt && option_in_source(opt, source)) {
        hint = g_strdup_printf(" (here it is called %s)",
                               platform ? opt->platform_key : opt->name);
    }
    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        opt = &pulsar_option_table[i];
        if (option_in_source(opt, source)) {
            g_ptr_array_add(names, (char *)(platform ? opt->platform_key :
                                            opt->name));
        }
    }
    list = join_words(names, " and ");
    fail(ret_error, "%s: there is no option '%s'%s; the options are %s", where,
         shown, hint ? hint : "", list);
    return NULL;
}

/*
 * Takes @s over if it is at least as strong as what is there. @source_text
 * is printable.
 */
static void take(PulsarOptions *o, PulsarOptionId id, Setting *s,
                 const char *source_text)
{
    Setting *old = &o->set[id];

    if (s->source < old->source) {
        setting_clear(s);
        return;
    }
    s->source_text = g_strndup(source_text, SOURCE_TEXT_MAX);
    setting_clear(old);
    *old = *s;
    *s = (Setting) { };
}

/* Settings that are only taken once all of their source was understood. */
typedef struct Pending {
    PulsarOptionId id;
    Setting setting;
    const char *where;  /* the caller's */
} Pending;

static void pending_clear(void *data)
{
    setting_clear(&((Pending *)data)->setting);
}

static GArray *pending_new(void)
{
    GArray *a = g_array_new(FALSE, TRUE, sizeof(Pending));

    g_array_set_clear_func(a, pending_clear);
    return a;
}

static bool pending_add(GArray *pending, const char *key, size_t key_len,
                        const char *value, size_t value_len,
                        PulsarSource source, const char *where,
                        char **ret_error)
{
    const PulsarOption *opt = lookup(key, key_len, source, where, ret_error);
    Pending p = { .where = where };

    if (!opt ||
        !parse_value(opt, opt->name, value, value_len, source, where,
                     &p.setting, ret_error)) {
        return false;
    }
    p.id = option_id(opt);
    g_array_append_val(pending, p);
    return true;
}

static void pending_take(PulsarOptions *o, GArray *pending)
{
    size_t i;

    for (i = 0; i < pending->len; i++) {
        Pending *p = &g_array_index(pending, Pending, i);

        take(o, p->id, &p->setting, p->where);
    }
}

bool pulsar_option_check(const char *key, const char *value,
                         PulsarSource source, char **ret_error)
{
    bool platform = source == PULSAR_SOURCE_XENSTORE;
    const char *where = platform ? "platform key" : "option";
    const PulsarOption *opt = lookup(key, strlen(key), source, where,
                                     ret_error);
    Setting s = { };

    if (!opt || !parse_value(opt, key, value, strlen(value), source, where, &s,
                             ret_error)) {
        return false;
    }
    setting_clear(&s);
    return true;
}

PulsarOptions *pulsar_options_new(void)
{
    PulsarOptions *o = g_new0(PulsarOptions, 1);
    size_t i;

    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        const PulsarOption *opt = &pulsar_option_table[i];
        const char *text = opt->value_default;
        Setting s = { };

        parse_value(opt, opt->name, text, strlen(text), PULSAR_SOURCE_DEFAULT,
                    "default", &s, NULL);
        take(o, i, &s, "default");
    }
    o->tablet_implied = (Setting) {
        .source = PULSAR_SOURCE_IMPLIED,
        .value = PULSAR_VALUE_CLOSED,
        .text = g_strdup(word_of_value(
            &pulsar_option_table[PULSAR_OPTION_USB_TABLET],
            PULSAR_VALUE_CLOSED)),
        .source_text = g_strdup("implied by usb=false"),
    };
    return o;
}

static Setting setting_copy(const Setting *s)
{
    Setting ret = *s;

    ret.text = g_strdup(s->text);
    ret.source_text = g_strdup(s->source_text);
    return ret;
}

PulsarOptions *pulsar_options_copy(const PulsarOptions *o)
{
    PulsarOptions *ret = g_new(PulsarOptions, 1);
    size_t i;

    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        ret->set[i] = setting_copy(&o->set[i]);
    }
    ret->tablet_implied = setting_copy(&o->tablet_implied);
    return ret;
}

void pulsar_options_free(PulsarOptions *o)
{
    size_t i;

    if (!o) {
        return;
    }
    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        setting_clear(&o->set[i]);
    }
    setting_clear(&o->tablet_implied);
    g_free(o);
}

bool pulsar_options_add_args(PulsarOptions *o, const char *args,
                             char **ret_error)
{
    static const char where[] = "-pulsar";
    g_autoptr(GArray) pending = pending_new();
    const char *p = args;

    do {
        g_autoptr(GString) item = g_string_new(NULL);
        g_autofree char *shown = NULL;
        const char *equals;

        while (*p && (p[0] != ',' || p[1] == ',')) {
            g_string_append_c(item, *p);
            p += *p == ',' ? 2 : 1;
        }
        equals = strchr(item->str, '=');
        if (!equals) {
            shown = pulsar_printable(item->str, item->len, SHOWN_MAX);
            return fail(ret_error, "%s: '%s' is not of the form KEY=VALUE "
                        "(-pulsar help lists the options)", where, shown);
        }
        if (!pending_add(pending, item->str, equals - item->str, equals + 1,
                         item->str + item->len - equals - 1,
                         PULSAR_SOURCE_COMMAND_LINE, where, ret_error)) {
            return false;
        }
    } while (*p++ == ',');

    for (size_t i = 0; i < pending->len; i++) {
        g_array_index(pending, Pending, i).where = "command line";
    }
    pending_take(o, pending);
    return true;
}

bool pulsar_options_add_platform(PulsarOptions *o, const PulsarOption *opt,
                                 const char *path, const char *value,
                                 size_t len, char **ret_error)
{
    g_autofree char *shown = pulsar_printable(path, -1, SHOWN_MAX);
    g_autofree char *where = g_strdup_printf("xenstore %s", shown);
    g_autofree char *key = g_path_get_basename(shown);
    const Setting *old = &o->set[option_id(opt)];
    Setting s = { };

    if (!parse_value(opt, key, value, len, PULSAR_SOURCE_XENSTORE, where, &s,
                     ret_error)) {
        return false;
    }
    if (!g_strcmp0(key, opt->platform_word) &&
        old->source == PULSAR_SOURCE_XENSTORE &&
        old->value == PULSAR_VALUE_CLOSED) {
        setting_clear(&s);
        return true;
    }
    take(o, option_id(opt), &s, where);
    return true;
}

/*
 * The whole file in @ret_text; NULL when it is empty, or may be missing and is.
 * In small pieces: the C library keeps more in its heap, of all that comes
 * later, when a large block has been freed.
 */
static bool read_conf(const char *path, const char *shown, bool must_exist,
                      char **ret_text, size_t *ret_len, char **ret_error)
{
    g_autoptr(GByteArray) text = g_byte_array_new();
    guint8 some[4096];
    struct stat st;
    ssize_t n;
    int fd;

    /* Not to hang on a FIFO that somebody put there. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ENOENT && !must_exist) {
            *ret_text = NULL;
            return true;
        }
        return fail(ret_error, "%s cannot be read: %s", shown,
                    g_strerror(errno));
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return fail(ret_error, "%s cannot be read: it is not a regular file",
                    shown);
    }
    do {
        n = read(fd, some, sizeof(some));
        g_byte_array_append(text, some, MAX(n, 0));
    } while ((n > 0 && text->len <= PULSAR_OPTION_CONF_MAX) ||
             (n < 0 && errno == EINTR));
    if (n < 0) {
        fail(ret_error, "%s cannot be read: %s", shown, g_strerror(errno));
    } else if (text->len > PULSAR_OPTION_CONF_MAX) {
        fail(ret_error, "%s cannot be read: it is longer than %d bytes", shown,
             PULSAR_OPTION_CONF_MAX);
    }
    close(fd);
    if (n < 0 || text->len > PULSAR_OPTION_CONF_MAX) {
        return false;
    }
    *ret_len = text->len;
    *ret_text = (char *)g_byte_array_free(g_steal_pointer(&text), false);
    return true;
}

/*
 * How strong a group is for this VM: DEFAULT when it is another VM's.
 * False when it is no group that pulsar.conf may have.
 */
static bool conf_group_source(const char *group, const char *vm_name,
                              const char *vm_uuid, PulsarSource *ret_source)
{
    g_autofree char *vm = NULL;

    if (!strcmp(group, "defaults")) {
        *ret_source = PULSAR_SOURCE_CONF_DEFAULTS;
        return true;
    }
    if (!g_str_has_prefix(group, "vm") || !g_ascii_isspace(group[2])) {
        return false;
    }
    vm = g_strstrip(g_strdup(group + 2));
    if (!*vm) {
        return false;
    }
    if (vm_uuid && !g_ascii_strcasecmp(vm, vm_uuid)) {
        *ret_source = PULSAR_SOURCE_CONF_UUID;
    } else if (vm_name && !strcmp(vm, vm_name)) {
        *ret_source = PULSAR_SOURCE_CONF_NAME;
    } else {
        *ret_source = PULSAR_SOURCE_DEFAULT;
    }
    return true;
}

/*
 * Hands a fault on: to @warnings, when there are any to be had and the fault
 * is no VM's own, else to @ret_error. Returns: whether to go on.
 */
static bool pass_over(GPtrArray *warnings, char **why, char **ret_error)
{
    if (warnings) {
        g_ptr_array_add(warnings, g_steal_pointer(why));
        return true;
    }
    return fail(ret_error, "%s", *why);
}

bool pulsar_options_add_conf(PulsarOptions *o, const char *path,
                             bool must_exist, const char *vm_name,
                             const char *vm_uuid, GPtrArray *warnings,
                             char **ret_error)
{
    g_autofree char *file = pulsar_printable(path, -1, SHOWN_MAX);
    g_autoptr(GPtrArray) wheres = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) pending = pending_new();
    g_autoptr(GKeyFile) kf = g_key_file_new();
    g_autoptr(GError) err = NULL;
    g_autofree char *text = NULL;
    g_auto(GStrv) groups = NULL;
    size_t len = 0;
    char **g, **k;

    if (!read_conf(path, file, must_exist, &text, &len, ret_error)) {
        return false;
    }
    if (!text) {
        return true;
    }
    if (memchr(text, 0, len)) {
        return fail(ret_error, "%s cannot be read: it is not a text file",
                    file);
    }
    if (len && !g_key_file_load_from_data(kf, text, len,
                                          G_KEY_FILE_KEEP_TRANSLATIONS, &err)) {
        /* GLib quotes the file as it is, and its next call reads UTF-8. */
        g_autofree char *valid = g_utf8_make_valid(err->message, -1);
        g_autofree char *ascii = g_str_to_ascii(valid, "C");
        g_autofree char *why = pulsar_printable(ascii, -1, 3 * SHOWN_MAX);

        return fail(ret_error, "%s cannot be read: %s", file, why);
    }

    groups = g_key_file_get_groups(kf, NULL);
    for (g = groups; *g; g++) {
        g_autofree char *group = pulsar_printable(*g, -1, SHOWN_MAX);
        g_auto(GStrv) keys = NULL;
        g_autofree char *why = NULL;
        PulsarSource source;
        char *where;

        if (!conf_group_source(*g, vm_name, vm_uuid, &source)) {
            fail(&why, "%s: the group [%s] is not accepted; a group is "
                 "[defaults], [vm NAME] or [vm UUID]", file, group);
            if (!pass_over(warnings, &why, ret_error)) {
                return false;
            }
            continue;
        }
        if (source == PULSAR_SOURCE_DEFAULT) {
            continue;
        }
        where = g_strdup_printf("%s [%s]", file, group);
        g_ptr_array_add(wheres, where);
        keys = g_key_file_get_keys(kf, *g, NULL, NULL);
        for (k = keys; *k; k++) {
            g_autofree char *value = g_key_file_get_value(kf, *g, *k, NULL);

            g_strchomp(value);
            if (!pending_add(pending, *k, strlen(*k), value, strlen(value),
                             source, where, &why) &&
                !pass_over(source == PULSAR_SOURCE_CONF_DEFAULTS ? warnings :
                           NULL, &why, ret_error)) {
                return false;
            }
        }
    }
    pending_take(o, pending);
    return true;
}

/* usb=false takes the tablet with it. */
static const Setting *effective(const PulsarOptions *o, PulsarOptionId id)
{
    if (id == PULSAR_OPTION_USB_TABLET &&
        o->set[id].value != PULSAR_VALUE_CLOSED &&
        o->set[PULSAR_OPTION_USB].value == PULSAR_VALUE_CLOSED) {
        return &o->tablet_implied;
    }
    return &o->set[id];
}

bool pulsar_options_change(PulsarOptions *o, const char *key,
                           const char *value, PulsarOptionId *ret_id,
                           char **ret_error)
{
    static const char where[] = "running VM";
    const PulsarOption *opt = lookup(key, strlen(key), PULSAR_SOURCE_RUNNING,
                                     where, ret_error);
    Setting s = { };
    PulsarOptionId id;

    if (!opt || !parse_value(opt, opt->name, value, strlen(value),
                             PULSAR_SOURCE_RUNNING, where, &s, ret_error)) {
        return false;
    }
    id = option_id(opt);
    if (!opt->running || !g_strcmp0(opt->at_start, s.text)) {
        if (!strcmp(s.text, effective(o, id)->text)) {
            setting_clear(&s);
            *ret_id = id;
            return true;    /* it is so already */
        }
        fail(ret_error, "%s: %s=%s takes effect at the next start only; it is "
             "%s=%s until then", where, opt->name, s.text, opt->name,
             effective(o, id)->text);
        setting_clear(&s);
        return false;
    }
    if (id == PULSAR_OPTION_USB_TABLET && s.value != PULSAR_VALUE_CLOSED &&
        effective(o, id) == &o->tablet_implied) {
        fail(ret_error, "%s: %s=%s needs a USB controller, and with usb=false "
             "there is none", where, opt->name, s.text);
        setting_clear(&s);
        return false;
    }
    take(o, id, &s, "running");
    *ret_id = id;
    return true;
}

PulsarValue pulsar_options_value(const PulsarOptions *o, PulsarOptionId id)
{
    return effective(o, id)->value;
}

unsigned pulsar_options_number(const PulsarOptions *o, PulsarOptionId id)
{
    return effective(o, id)->number;
}

const char *pulsar_options_text(const PulsarOptions *o, PulsarOptionId id)
{
    return effective(o, id)->text;
}

PulsarSource pulsar_options_source(const PulsarOptions *o, PulsarOptionId id)
{
    return effective(o, id)->source;
}

const char *pulsar_options_source_text(const PulsarOptions *o,
                                       PulsarOptionId id)
{
    return effective(o, id)->source_text;
}

char *pulsar_options_render(const PulsarOptions *o)
{
    GString *s = g_string_new(NULL);
    size_t i;

    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        g_string_append_printf(s, "%s=%s\t%s\n", pulsar_option_table[i].name,
                               pulsar_options_text(o, i),
                               pulsar_options_source_text(o, i));
    }
    return g_string_free(s, FALSE);
}

/* @head, then @text beside it, wrapped at column 79. */
static void help_wrap(GString *s, unsigned column, const char *head,
                      const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    size_t at, i;

    g_string_append_printf(s, "%-*s", column, head);
    at = MAX(column, strlen(head));
    for (i = 0; words[i]; i++) {
        size_t len = strlen(words[i]);

        if (i && at + 1 + len > 79) {
            g_string_append_printf(s, "\n%*s", column, "");
            at = column;
        } else if (i) {
            g_string_append_c(s, ' ');
            at++;
        }
        g_string_append(s, words[i]);
        at += len;
    }
    g_string_append_c(s, '\n');
}

char *pulsar_option_help(void)
{
    GString *s = g_string_new(
        "-pulsar KEY=VALUE[,KEY=VALUE]... says which hardware this VM has.\n"
        "What is not said there is looked for in xenstore, below\n"
        "/local/domain/DOMID/platform, and then in pulsar.conf.\n");
    const PulsarOptionWord *w;
    size_t i;

    for (i = 0; i < PULSAR_OPTION__MAX; i++) {
        const PulsarOption *opt = &pulsar_option_table[i];
        g_autofree char *head = g_strdup_printf("%s  ", opt->name);

        g_string_append_c(s, '\n');
        help_wrap(s, 12, head, opt->help);
        if (opt->platform_key && strcmp(opt->platform_key, opt->name)) {
            g_string_append_printf(s, "%12s(platform key %s)\n", "",
                                   opt->platform_key);
        } else if (opt->platform_word) {
            g_string_append_printf(s, "%12s(platform key %s, under xapi too)\n",
                                   "", opt->platform_word);
        }
        for (w = opt->words; w->name; w++) {
            bool usual = !strcmp(w->name, opt->value_default);
            g_autofree char *word = g_strdup_printf("    %s  ", w->name);
            g_autofree char *text = NULL;

            if (w->help) {
                text = g_strdup_printf("%s%s", w->help,
                                       usual ? " (default)" : "");
                help_wrap(s, 12, word, text);
            }
        }
        if (opt->kind == PULSAR_KIND_SECONDS) {
            g_string_append_printf(s, "    N       1 to %d\n",
                                   PULSAR_OPTION_SECONDS_MAX);
        } else if (opt->kind == PULSAR_KIND_PATH) {
            g_string_append(s, "    PATH    an absolute file name\n");
        }
    }
    return g_string_free(s, FALSE);
}
