/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The per-VM options: one table that names each option, its values, its
 * platform key and what it costs the guest, and the rules by which the
 * command line, xenstore and pulsar.conf are merged into one set.
 *
 * Pure C on glib, no QEMU header: the device model, the `pulsar` command and
 * the unit tests share it. docs/options.md says the same in words.
 */
#ifndef PULSAR_OPTIONS_H
#define PULSAR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <glib.h>

/* Rows of the table, in the order in which they are shown. */
typedef enum PulsarOptionId {
    PULSAR_OPTION_MONITOR,
    PULSAR_OPTION_SERIAL,
    PULSAR_OPTION_PARALLEL,
    PULSAR_OPTION_USB,
    PULSAR_OPTION_USB_TABLET,
    PULSAR_OPTION_DVD,
    PULSAR_OPTION_VNC_IDLE,
    PULSAR_OPTION_LEDGER,
    PULSAR_OPTION_CONFIG,
    PULSAR_OPTION__MAX,
} PulsarOptionId;

/* What a value means; each option accepts some of them. */
typedef enum PulsarValue {
    PULSAR_VALUE_GIVEN,     /* the hardware is as the command line says */
    PULSAR_VALUE_CLOSED,    /* "none", "false", "off": it is not there */
    PULSAR_VALUE_TRUE,
    PULSAR_VALUE_FULL,
    PULSAR_VALUE_QMP,
    PULSAR_VALUE_UHCI,
    PULSAR_VALUE_EHCI,
    PULSAR_VALUE_XHCI,
    PULSAR_VALUE_VIEWER,
    PULSAR_VALUE_LOADED,
    PULSAR_VALUE_AHCI,
    PULSAR_VALUE_NOTIFY,
    PULSAR_VALUE_AUTO,      /* the built-in place */
    PULSAR_VALUE_NUMBER,    /* see pulsar_options_number() */
    PULSAR_VALUE_PATH,      /* see pulsar_options_text() */
} PulsarValue;

/* Where a value came from; a greater one is stronger. */
typedef enum PulsarSource {
    PULSAR_SOURCE_DEFAULT,
    PULSAR_SOURCE_CONF_DEFAULTS,    /* pulsar.conf [defaults] */
    PULSAR_SOURCE_CONF_NAME,        /* pulsar.conf [vm NAME] */
    PULSAR_SOURCE_CONF_UUID,        /* pulsar.conf [vm UUID] */
    PULSAR_SOURCE_XENSTORE,
    PULSAR_SOURCE_COMMAND_LINE,
    PULSAR_SOURCE_RUNNING,          /* changed while the VM runs */
    PULSAR_SOURCE_IMPLIED,          /* follows from another option */
} PulsarSource;

/* What an option takes besides the words that its row lists. */
typedef enum PulsarOptionKind {
    PULSAR_KIND_WORDS,      /* nothing */
    PULSAR_KIND_SECONDS,    /* 1 … PULSAR_OPTION_SECONDS_MAX */
    PULSAR_KIND_PATH,       /* an absolute file name */
} PulsarOptionKind;

#define PULSAR_OPTION_SECONDS_MAX  86400
#define PULSAR_OPTION_KEY_MAX      64      /* bytes in a key */
#define PULSAR_OPTION_VALUE_MAX    1023    /* bytes in a value */
#define PULSAR_OPTION_CONF_MAX     (1024 * 1024)

typedef struct PulsarOptionWord {
    const char *name;       /* NULL ends the list */
    PulsarValue value;      /* the first word of a value is how it is shown */
    const char *help;       /* NULL: a synonym, not listed in the help */
} PulsarOptionWord;

/*
 * One row. An option that has the word "true" or "false" ("off" for
 * PULSAR_KIND_SECONDS) takes all of true/false/on/off/yes/no/1/0 for it.
 */
typedef struct PulsarOption {
    const char *name;           /* in -pulsar and in pulsar.conf */
    const char *platform_key;   /* in xenstore; NULL: not read from there */
    /*
     * xapi makes the values of that key true or false, whatever was set. This
     * one it leaves alone; it counts unless the other says false. Or NULL.
     */
    const char *platform_word;
    PulsarOptionKind kind;
    const PulsarOptionWord *words;
    const char *value_default;  /* the word it has when nobody says else */
    /*
     * The toolstack gives this platform key values of its own, which mean
     * "as given" here: those that begin with this. "" is any, NULL is none.
     */
    const char *platform_own;
    bool in_conf;               /* may stand in pulsar.conf */
    bool running;               /* can be changed while the VM runs */
    const char *at_start;       /* but to this word only at the next start */
    const char *help;           /* one line: what it is about */
    const char *cost;           /* what the guest loses by the cure, or NULL */
} PulsarOption;

/**
 * pulsar_boolean: true, on, yes, 1 or false, off, no, 0 in any case
 *
 * Returns: 1 or 0; -1 for anything else.
 */
int pulsar_boolean(const char *value);

/** pulsar_option_table: PULSAR_OPTION__MAX rows, by PulsarOptionId. */
extern const PulsarOption pulsar_option_table[PULSAR_OPTION__MAX];

/** pulsar_option_find: the row called @name, or NULL. */
const PulsarOption *pulsar_option_find(const char *name);

/** pulsar_option_find_platform: the row that reads a platform key, or NULL. */
const PulsarOption *pulsar_option_find_platform(const char *key);

/**
 * pulsar_option_accepts: what an option takes, as the end of a sentence
 * @opt: a row of the table
 *
 * Returns: "given, true, false, uhci, ehci or xhci"; g_free() it.
 */
char *pulsar_option_accepts(const PulsarOption *opt);

/**
 * pulsar_option_check: would this key and value be accepted?
 * @key: an option's name
 * @value: the value, not NULL
 * @source: whom to ask as: PULSAR_SOURCE_XENSTORE (@key is then a platform
 *          key), one of PULSAR_SOURCE_CONF_* or PULSAR_SOURCE_COMMAND_LINE
 * @ret_error: a sentence without a full stop, to g_free(); may be NULL
 *
 * For programs that are about to write a value where a device model will
 * find it.
 *
 * Returns: whether it would.
 */
bool pulsar_option_check(const char *key, const char *value,
                         PulsarSource source, char **ret_error);

/**
 * pulsar_option_help: the text of -pulsar help
 *
 * Returns: lines of at most 79 columns, each ended; g_free() it.
 */
char *pulsar_option_help(void);

/**
 * pulsar_printable: make foreign text fit to be logged
 * @text: @len bytes from anywhere; a NUL among them is text as well
 * @len: their number, or -1 for a string
 * @max: at most so many bytes of @text are shown, "..." says there are more
 *
 * Bytes that are not printable ASCII, and the backslash, become \xNN.
 *
 * Returns: a string to g_free().
 */
char *pulsar_printable(const char *text, long len, size_t max);

/**
 * struct PulsarOptions: a set of values, each with its source
 *
 * The pulsar_options_add_*() functions may be called in any order: the
 * stronger source wins, and of equals the later one. All of them check
 * everything they are given, also what a stronger source overrides, and
 * change nothing when they fail.
 */
typedef struct PulsarOptions PulsarOptions;

/** pulsar_options_new: every option at its default. */
PulsarOptions *pulsar_options_new(void);

/** pulsar_options_copy: a set of its own with the same values. */
PulsarOptions *pulsar_options_copy(const PulsarOptions *o);

/** pulsar_options_free: free @o, which may be NULL. */
void pulsar_options_free(PulsarOptions *o);

/**
 * pulsar_options_add_args: the argument of one -pulsar on the command line
 * @o: the set
 * @args: "key=value,key=value"; ",," stands for one comma in a value
 * @ret_error: on failure a sentence without a full stop, to g_free()
 */
bool pulsar_options_add_args(PulsarOptions *o, const char *args,
                             char **ret_error);

/**
 * pulsar_options_add_platform: one node below a domain's platform directory
 * @o: the set
 * @opt: the row whose platform key was read
 * @path: the node's whole path, for messages
 * @value: @len bytes as xenstore gave them, not necessarily ended by a NUL
 * @len: their number
 * @ret_error: as above
 *
 * Of a row's two keys platform_word has to come last.
 */
bool pulsar_options_add_platform(PulsarOptions *o, const PulsarOption *opt,
                                 const char *path, const char *value,
                                 size_t len, char **ret_error);

/**
 * pulsar_options_add_conf: what pulsar.conf says about one VM
 * @o: the set
 * @path: the file
 * @must_exist: that it is missing is an error
 * @vm_name: the VM's name, or NULL
 * @vm_uuid: the VM's UUID, or NULL
 * @warnings: gets a sentence to g_free() for each line of [defaults] and each
 *            kind of group that is not accepted, which are then passed over;
 *            NULL: they are errors
 * @ret_error: as above
 *
 * Group [vm UUID] is stronger than [vm NAME], which is stronger than
 * [defaults]. The groups of other VMs are not looked into; a group of any
 * other kind is a fault.
 */
bool pulsar_options_add_conf(PulsarOptions *o, const char *path,
                             bool must_exist, const char *vm_name,
                             const char *vm_uuid, GPtrArray *warnings,
                             char **ret_error);

/**
 * pulsar_options_change: change a value while the VM runs
 * @o: the set
 * @key: an option's name
 * @value: its new value
 * @ret_id: which option it was
 * @ret_error: as above; also for an option that changes only at next start,
 *             unless it has the value already
 *
 * The hardware is the caller's to change.
 */
bool pulsar_options_change(PulsarOptions *o, const char *key,
                           const char *value, PulsarOptionId *ret_id,
                           char **ret_error);

/**
 * pulsar_options_value: the effective value
 *
 * What one option implies for another is already in it: with usb=false,
 * usb_tablet is PULSAR_VALUE_CLOSED whatever was asked.
 */
PulsarValue pulsar_options_value(const PulsarOptions *o, PulsarOptionId id);

/** pulsar_options_closed: is the value PULSAR_VALUE_CLOSED? */
static inline bool pulsar_options_closed(const PulsarOptions *o,
                                         PulsarOptionId id)
{
    return pulsar_options_value(o, id) == PULSAR_VALUE_CLOSED;
}

/** pulsar_options_number: the number, or 0 when the value is a word. */
unsigned pulsar_options_number(const PulsarOptions *o, PulsarOptionId id);

/** pulsar_options_text: the value as it would be typed, until @o changes. */
const char *pulsar_options_text(const PulsarOptions *o, PulsarOptionId id);

/** pulsar_options_source: where the effective value came from. */
PulsarSource pulsar_options_source(const PulsarOptions *o, PulsarOptionId id);

/**
 * pulsar_options_source_text: the same for people, until @o changes
 *
 * "default", "command line", "xenstore /local/domain/7/platform/usb",
 * "/etc/pulsar.conf [defaults]", "running", "implied by usb=false";
 * printable, at most 160 bytes.
 */
const char *pulsar_options_source_text(const PulsarOptions *o,
                                       PulsarOptionId id);

/**
 * pulsar_options_render: all effective values for the ledger page
 * @o: the set
 *
 * Returns: "key=value\tsource\n" for each option, at most 4095 bytes;
 * g_free() it.
 */
char *pulsar_options_render(const PulsarOptions *o);

#endif /* PULSAR_OPTIONS_H */
