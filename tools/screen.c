/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulsar top on a terminal. It waits for a key or for the next look, and
 * when frozen only for a key.
 */
#include <errno.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "screen.h"
#include "select.h"
#include "text.h"
#include "wait.h"

#define KEY_ESCAPE  27
#define HEAD_LINES  3       /* what we are, the summary, the titles */
#define FOOT_LINES  1
#define INPUT_MAX   64
#define HOT_RATE    10      /* wakes a second from which on it is serious */

enum {
    LOOK_AWAKE = 1,         /* colour pairs */
    LOOK_HOT,
    LOOK_ASLEEP,
    LOOK_GONE,
    LOOK_WARNING,
};

typedef enum Mode {
    MODE_LIST,
    MODE_HELP,
    MODE_INTERVAL,          /* a prompt for it */
    MODE_FILTER,
} Mode;

/* One line below the titles. */
typedef struct Line {
    const Vm *vm;
    const VmCause *cause;   /* NULL: the VM's own line */
    gboolean nothing;       /* it is unfolded, and nothing woke it */
} Line;

typedef struct Screen {
    VmSet *set;
    ScreenSettings *settings;
    GPtrArray *vms;         /* shown, in order */
    GArray *lines;          /* Line */
    GHashTable *unfolded;   /* set of VMs, see vm_key() */
    gint64 selected;        /* vm_key(), or -1 */
    gboolean chosen;        /* by the user; else it is the first one's */
    int first;              /* the first line shown */
    GRegex *filter;
    char *filter_text;
    gboolean awake_only;
    gboolean frozen;
    Mode mode;
    char input[INPUT_MAX + 1];
    char *message;          /* instead of the hints, until the next key */
    double next;            /* when to look again, CLOCK_MONOTONIC */
    sigset_t while_waiting; /* the signals that are blocked then */
    gboolean done;
} Screen;

static volatile sig_atomic_t ended_by;  /* a signal, or 0 */

static gboolean colours;    /* the terminal has them, and they are wanted */

static const char *const help_lines[] = {
    "up, down, PgUp, PgDn, Home, End   move",
    "Enter or x    unfold a VM into its causes, or fold it again",
    "X             fold all",
    "< and >       sort by the column to the left or right",
    "o             turn the order round",
    "f             show only VMs whose name fits a regular expression",
    "a             show only VMs that are awake, or all again",
    "c             show all VMs again",
    "space or p    freeze the figures, or go on",
    "s             set the interval",
    "h or ?        this help",
    "q             leave",
    "",
    "WAKES/s  returns from sleep of all threads; 5MIN/s of the main loop",
    "TIMER, READ, WRITE  timers run, reads and writes of the guest served",
    "PRIVATE  memory that only this device model uses; THR  its threads",
    "A stock device model does not say why: its wakes are context switches.",
};

static double now(void)
{
    return page_now() / 1e9;
}

/* Names a VM beyond the next sample. */
static gint64 vm_key(const Vm *vm)
{
    return ((gint64)vm->domid << 32) | (guint32)(vm->stock ? vm->pid : 0);
}

static gboolean is_unfolded(const Screen *s, const Vm *vm)
{
    gint64 key = vm_key(vm);

    return g_hash_table_contains(s->unfolded, &key);
}

/* ---- what is shown --------------------------------------------------- */

static gboolean is_shown(const Screen *s, const Vm *vm)
{
    return (!s->filter || g_regex_match(s->filter, vm->name, 0, NULL)) &&
           (!s->awake_only || vm->new_wakes);
}

static void make_lines(Screen *s)
{
    guint i, k;

    g_array_set_size(s->lines, 0);
    for (i = 0; i < s->vms->len; i++) {
        g_autoptr(GPtrArray) causes = NULL;
        Line line = { .vm = s->vms->pdata[i] };

        g_array_append_val(s->lines, line);
        if (!is_unfolded(s, line.vm)) {
            continue;
        }
        causes = vm_causes(line.vm, TRUE);
        for (k = 0; k < causes->len; k++) {
            line.cause = causes->pdata[k];
            g_array_append_val(s->lines, line);
        }
        if (!causes->len) {
            line.nothing = TRUE;
            g_array_append_val(s->lines, line);
        }
    }
}

/* The line of the selected VM; the first one when it is gone. */
static int selected_line(Screen *s)
{
    guint i;

    for (i = 0; s->chosen && i < s->lines->len; i++) {
        Line *line = &g_array_index(s->lines, Line, i);

        if (!line->cause && !line->nothing &&
            vm_key(line->vm) == s->selected) {
            return i;
        }
    }
    s->chosen = FALSE;
    s->selected = s->vms->len ? vm_key(s->vms->pdata[0]) : -1;
    return 0;
}

static void arrange(Screen *s)
{
    g_autoptr(GPtrArray) all = select_vms(s->set, s->settings->wanted);
    guint i;

    g_ptr_array_set_size(s->vms, 0);
    for (i = 0; i < all->len; i++) {
        if (is_shown(s, all->pdata[i])) {
            g_ptr_array_add(s->vms, all->pdata[i]);
        }
    }
    report_sort(s->vms, s->settings->sort, s->settings->reverse);
    make_lines(s);
}

/* ---- drawing --------------------------------------------------------- */

static attr_t look(int pair, attr_t without)
{
    return colours ? COLOR_PAIR(pair) | without : without;
}

/* Clean @text on line @y, filled up with blanks, in @attr. */
static void put_line(int y, const char *text, attr_t attr)
{
    /* The last column of the last line stays free: writing there scrolls. */
    int width = y == LINES - 1 ? COLS - 1 : COLS;
    g_autofree char *fit = text_fit(text, MAX(width, 0));

    if (y < 0 || y >= LINES) {
        return;
    }
    attrset(attr);
    mvaddstr(y, 0, fit);
    attrset(A_NORMAL);
}

static attr_t line_look(const Line *line)
{
    const Vm *vm = line->vm;

    if (line->cause || line->nothing) {
        return A_NORMAL;
    }
    if (vm->trouble || !strcmp(vm->state, "crashed")) {
        return look(LOOK_GONE, A_NORMAL);
    }
    if (!vm->new_wakes) {
        return look(LOOK_ASLEEP, A_DIM);
    }
    return vm_rate(vm, vm->new_wakes) >= HOT_RATE ? look(LOOK_HOT, A_BOLD)
                                                  : look(LOOK_AWAKE, A_BOLD);
}

static guint fit(const Screen *s)
{
    return report_fit(COLS, s->settings->sort);
}

static void draw_head(Screen *s)
{
    g_autofree char *summary = report_summary(s->vms);
    g_autofree char *titles = report_line(NULL, fit(s));
    g_autofree char *head = NULL;
    g_autofree char *filter = s->filter_text ? text_shown(s->filter_text)
                                             : NULL;
    char clock[32];
    time_t t = time(NULL);
    struct tm tm;

    localtime_r(&t, &tm);
    strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
    head = g_strdup_printf("pulsar top  %s  every %g s, by %s%s%s%s%s%s",
                           clock, s->settings->interval,
                           s->settings->sort->key,
                           s->settings->reverse ? " reversed" : "",
                           filter ? ", names like " : "",
                           filter ? filter : "",
                           s->awake_only ? ", only those awake" : "",
                           s->frozen ? ", FROZEN" : "");
    put_line(0, head, A_BOLD);
    put_line(1, summary, A_NORMAL);
    put_line(2, titles, A_REVERSE);
}

static int list_height(void)
{
    return MAX(LINES - HEAD_LINES - FOOT_LINES, 0);
}

static void draw_list(Screen *s)
{
    int selected = selected_line(s);
    int height = list_height();
    int i, last;

    /* With its causes, as far as they fit. */
    for (last = selected; last + 1 < (int)s->lines->len; last++) {
        if (g_array_index(s->lines, Line, last + 1).vm !=
            g_array_index(s->lines, Line, selected).vm) {
            break;
        }
    }
    s->first = CLAMP(s->first, MIN(last - height + 1, selected), selected);
    s->first = CLAMP(s->first, 0, MAX((int)s->lines->len - height, 0));
    for (i = 0; i < height && s->first + i < (int)s->lines->len; i++) {
        Line *line = &g_array_index(s->lines, Line, s->first + i);
        g_autofree char *text =
            line->nothing ? g_strdup("      nothing woke it") :
            line->cause ? report_cause_line(line->vm, line->cause, -1) :
            report_line(line->vm, fit(s));

        put_line(HEAD_LINES + i, text, s->first + i == selected ?
                 line_look(line) | A_REVERSE : line_look(line));
    }
    if (!s->lines->len && height) {
        put_line(HEAD_LINES, s->filter || s->awake_only ?
                 "No VM fits; 'c' shows all again." :
                 "No VM is running here. This waits for one.", A_NORMAL);
    }
}

static void draw_help(void)
{
    guint i;

    put_line(0, "pulsar top: keys", A_BOLD);
    for (i = 0; i < G_N_ELEMENTS(help_lines); i++) {
        if ((int)i + 2 < LINES - FOOT_LINES) {
            g_autofree char *text = g_strconcat("  ", help_lines[i], NULL);

            put_line(i + 2, text, A_NORMAL);
        }
    }
}

static void draw_foot(Screen *s)
{
    g_autofree char *prompt = NULL;

    if (s->mode == MODE_INTERVAL || s->mode == MODE_FILTER) {
        g_autofree char *input = text_shown(s->input);

        prompt = g_strdup_printf("%s: %s_", s->mode == MODE_INTERVAL ?
                                 "Seconds between two looks" :
                                 "Regular expression for names", input);
        put_line(LINES - 1, prompt, A_BOLD);
    } else if (s->message) {
        put_line(LINES - 1, s->message, look(LOOK_WARNING, A_BOLD));
    } else {
        put_line(LINES - 1, s->mode == MODE_HELP ? "any key: back" :
                 "h help  Enter unfold  <> sort  o order  f filter  a awake  "
                 "space freeze  s interval  q quit", A_DIM);
    }
}

static void draw(Screen *s)
{
    erase();
    if (s->mode == MODE_HELP) {
        draw_help();
    } else {
        draw_head(s);
        draw_list(s);
    }
    draw_foot(s);
    refresh();
}

/* ---- keys ------------------------------------------------------------ */

static void say(Screen *s, char *message)
{
    g_free(s->message);
    s->message = message;
}

/* To the VM @step VMs further down. */
static void move_by(Screen *s, int step)
{
    guint i;

    for (i = 0; i < s->vms->len; i++) {
        if (vm_key(s->vms->pdata[i]) == s->selected) {
            break;
        }
    }
    if (s->vms->len) {
        i = CLAMP((gint64)i + step, 0, (gint64)s->vms->len - 1);
        s->selected = vm_key(s->vms->pdata[i]);
        s->chosen = TRUE;
    }
}

static void toggle_unfolded(Screen *s)
{
    gint64 key = s->selected;

    s->chosen = TRUE;
    if (key != -1 && !g_hash_table_remove(s->unfolded, &key)) {
        g_hash_table_add(s->unfolded, g_memdup2(&key, sizeof(key)));
    }
}

static void sort_by_neighbour(Screen *s, int step)
{
    const Column *c = s->settings->sort + step;

    if (c >= report_columns && c->key) {
        s->settings->sort = c;
    }
}

static void show_all(Screen *s)
{
    g_clear_pointer(&s->filter, g_regex_unref);
    g_clear_pointer(&s->filter_text, g_free);
    s->awake_only = FALSE;
}

static void freeze(Screen *s)
{
    s->frozen = !s->frozen;
    s->next = now() + s->settings->interval;
}

static void ask(Screen *s, Mode mode)
{
    s->mode = mode;
    s->input[0] = 0;
}

static void set_interval(Screen *s)
{
    double value;

    if (!cli_number(s->input, WAIT_INTERVAL_MIN, WAIT_INTERVAL_MAX, &value)) {
        g_autofree char *shown = text_shown(s->input);

        say(s, g_strdup_printf("'%s' is no interval; accepted is a number "
                               "from %g to %d", shown, WAIT_INTERVAL_MIN,
                               WAIT_INTERVAL_MAX));
        return;
    }
    s->settings->interval = value;
    s->next = now() + value;
}

static void set_filter(Screen *s)
{
    g_autoptr(GError) err = NULL;
    GRegex *regex = NULL;

    if (*s->input) {
        /* Names are valid UTF-8; what was typed may not be. */
        g_autofree char *text = g_utf8_make_valid(s->input, -1);

        regex = g_regex_new(text, G_REGEX_CASELESS, 0, &err);
        if (!regex) {
            g_autofree char *shown = text_shown(err->message);

            say(s, g_strdup(shown));
            return;
        }
    }
    show_all(s);
    s->filter = regex;
    s->filter_text = regex ? g_strdup(s->input) : NULL;
}

static void prompt_key(Screen *s, int key)
{
    size_t len = strlen(s->input);
    Mode mode = s->mode;

    if (key == '\n' || key == '\r' || key == KEY_ENTER) {
        s->mode = MODE_LIST;
        (mode == MODE_INTERVAL ? set_interval : set_filter)(s);
    } else if (key == KEY_ESCAPE) {
        s->mode = MODE_LIST;
    } else if (key == KEY_BACKSPACE || key == 127 || key == '\b') {
        while (len && (s->input[--len] & 0xc0) == 0x80) {
            /* the whole of a character */
        }
        s->input[len] = 0;
    } else if (key >= ' ' && key < 256 && len < INPUT_MAX) {
        s->input[len] = key;
        s->input[len + 1] = 0;
    }
}

static void list_key(Screen *s, int key)
{
    switch (key) {
    case 'q':
        s->done = TRUE;
        break;
    case 'h':
    case '?':
        s->mode = MODE_HELP;
        break;
    case KEY_UP:
    case 'k':
        move_by(s, -1);
        break;
    case KEY_DOWN:
    case 'j':
        move_by(s, 1);
        break;
    case KEY_PPAGE:
        move_by(s, -MAX(list_height() - 1, 1));
        break;
    case KEY_NPAGE:
        move_by(s, MAX(list_height() - 1, 1));
        break;
    case KEY_HOME:
        move_by(s, -(int)s->vms->len);
        break;
    case KEY_END:
        move_by(s, s->vms->len);
        break;
    case '\n':
    case '\r':
    case KEY_ENTER:
    case 'x':
        toggle_unfolded(s);
        break;
    case 'X':
        g_hash_table_remove_all(s->unfolded);
        break;
    case '<':
    case KEY_LEFT:
        sort_by_neighbour(s, -1);
        break;
    case '>':
    case KEY_RIGHT:
        sort_by_neighbour(s, 1);
        break;
    case 'o':
        s->settings->reverse = !s->settings->reverse;
        break;
    case 'f':
        ask(s, MODE_FILTER);
        break;
    case 's':
        ask(s, MODE_INTERVAL);
        break;
    case 'a':
        s->awake_only = !s->awake_only;
        break;
    case 'c':
        show_all(s);
        break;
    case ' ':
    case 'p':
        freeze(s);
        break;
    case KEY_RESIZE:
    case KEY_ESCAPE:
        break;
    default:
        say(s, g_strdup("No such key; 'h' tells them."));
        break;
    }
}

/* All keys that are there. FALSE when the terminal is gone. */
static gboolean take_keys(Screen *s, gboolean readable)
{
    gboolean any = FALSE;
    int key;

    while (!s->done && (key = getch()) != ERR) {
        any = TRUE;
        if (key == KEY_RESIZE) {
            continue;
        }
        say(s, NULL);
        if (s->mode == MODE_HELP) {
            s->mode = MODE_LIST;
        } else if (s->mode == MODE_LIST) {
            list_key(s, key);
        } else {
            prompt_key(s, key);
        }
    }
    return any || !readable;
}

/* ---- the terminal ---------------------------------------------------- */

static void fail_terminal(GError **errp, const char *what)
{
    const char *term = g_getenv("TERM");
    g_autofree char *shown = text_shown(term ? term : "");

    g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                "this terminal, TERM='%s', %s; set TERM to what it is, or use "
                "--once or --batch", shown, what);
}

static SCREEN *open_terminal(GError **errp)
{
    SCREEN *terminal = newterm(NULL, stdout, stdin);

    if (!terminal) {
        fail_terminal(errp, "is not known");
        return NULL;
    }
    if (!tigetstr("cup")) {
        endwin();
        delscreen(terminal);
        fail_terminal(errp, "has no way to place the cursor");
        return NULL;
    }
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    colours = has_colors() && !g_getenv("NO_COLOR");
    if (colours) {
        start_color();
        use_default_colors();
        init_pair(LOOK_AWAKE, COLOR_YELLOW, -1);
        init_pair(LOOK_HOT, COLOR_RED, -1);
        init_pair(LOOK_ASLEEP, COLOR_GREEN, -1);
        init_pair(LOOK_GONE, COLOR_MAGENTA, -1);
        init_pair(LOOK_WARNING, COLOR_YELLOW, -1);
    }
    return terminal;
}

/* Until a key, the next look, or the end of the terminal. */
static gboolean wait_for_something(Screen *s)
{
    struct pollfd stdin_ready = { .fd = STDIN_FILENO, .events = POLLIN };
    double left = MAX(s->next - now(), 0);
    struct timespec timeout = {
        .tv_sec = (time_t)left,
        .tv_nsec = (long)((left - (time_t)left) * 1e9),
    };
    int n = ppoll(&stdin_ready, 1, s->frozen ? NULL : &timeout,
                  &s->while_waiting);

    /* A signal may be a change of size, of which getch() knows. */
    return (n >= 0 || errno == EINTR) && !ended_by && take_keys(s, n > 0);
}

static const int ends[] = { SIGINT, SIGTERM, SIGHUP };

static void note_end(int sig)
{
    ended_by = sig;
}

/*
 * Signals that end it come while it waits and at no other time, and ncurses
 * has no say in how.
 */
static void catch_ends(Screen *s)
{
    struct sigaction note = { .sa_handler = note_end };
    sigset_t set;
    guint i;

    sigemptyset(&set);
    for (i = 0; i < G_N_ELEMENTS(ends); i++) {
        sigaddset(&set, ends[i]);
        sigaction(ends[i], &note, NULL);
    }
    sigprocmask(SIG_BLOCK, &set, &s->while_waiting);
}

/* The terminal is as it was: end as who does not catch the signal. */
static void end_by_signal(const Screen *s)
{
    if (ended_by) {
        signal(ended_by, SIG_DFL);
        raise(ended_by);
        sigprocmask(SIG_SETMASK, &s->while_waiting, NULL);
    }
}

static gboolean follow(Screen *s, GError **errp)
{
    /* The first look was only the beginning: the next one shows rates. */
    s->next = now() + MIN(s->settings->interval, 1);
    for (;;) {
        if (!s->frozen && now() >= s->next) {
            if (!vmset_sample(s->set, errp)) {
                return FALSE;
            }
            s->next = now() + s->settings->interval;
        }
        arrange(s);
        draw(s);
        if (!wait_for_something(s) || s->done) {
            return TRUE;
        }
    }
}

gboolean screen_run(VmSet *set, ScreenSettings *settings, GError **errp)
{
    Screen s = {
        .set = set,
        .settings = settings,
        .vms = g_ptr_array_new(),
        .lines = g_array_new(FALSE, TRUE, sizeof(Line)),
        .unfolded = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                          NULL),
        .selected = -1,
    };
    SCREEN *terminal;
    gboolean ok = FALSE;

    catch_ends(&s);
    terminal = open_terminal(errp);
    if (terminal) {
        ok = follow(&s, errp);
        endwin();
        delscreen(terminal);
        end_by_signal(&s);
    }
    show_all(&s);
    g_free(s.message);
    g_hash_table_unref(s.unfolded);
    g_array_unref(s.lines);
    g_ptr_array_unref(s.vms);
    return ok;
}
