/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ledger page without a device model: makes one with the real core, holds
 * its lock as a device model does, and counts what the test says, at times
 * that the test says. Tests of the `pulsar` command need no QEMU this way.
 *
 *   fakedm PATH DOMID [-name NAME …]
 *
 * Arguments after DOMID are not looked at: they are there for programs that
 * look at command lines. With PATH "-" there is no page: it plays a stock
 * device model.
 *
 * Commands on standard input, one a line, each answered by "ok" (or a line
 * that begins with "error"):
 *   start AGO             begin: the page was made AGO seconds ago
 *   name TEXT             \xNN is a byte
 *   uuid TEXT
 *   version TEXT
 *   option KEY=VALUE SOURCE…
 *   state starting|running|exited
 *   at SECOND             the time of what follows, since the start
 *   wake CAUSE [TIMES [BUSY_NS]]   TIMES wakes, each begun by CAUSE
 *   event CAUSE TIMES     in a pass that did not sleep: no wake
 *   unclaimed             a wake that nothing claims
 *   now                   what follows happens now
 *   spin MILLISECONDS     use the processor
 *   sleep TIMES           sleep and wake for a moment, TIMES times
 *   thread NAME TIMES     the same in a thread of that name, which stays
 *   pty                   open a pseudo terminal, as for a serial port
 *   serve PATH            listen on a UNIX socket …
 *   serve PORT            … or on that port of 127.0.0.1
 *   accept                wait for a client there, and keep it
 *   poke OFFSET VALUE     a 32-bit number into the page, as it is
 *   fill OFFSET LENGTH BYTE
 *   cut LENGTH            truncate the file
 *   exit                  as a device model exits cleanly
 * End of file is a clean exit too; SIGKILL is a crash.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "monitor/ledger.h"

#define SECOND 1000000000ULL

static PulsarLedger ledger;
static char *page;
static const char *path;
static uint64_t at_ns;
static int domid, fd = -1, listener = -1;

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * SECOND + ts.tv_nsec;
}

static void fail(const char *what)
{
    printf("error: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* As a device model does it: seen by others only when locked and whole. */
static void make_page(double ago)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    PulsarLedgerHeader *h;
    char tmp[4096];

    if (ago * SECOND > now) {
        errno = ERANGE; /* the machine is not that old */
        fail("start");
    }
    snprintf(tmp, sizeof(tmp), "%s.%d", path, getpid());
    fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, PULSAR_LEDGER_TOTAL_SIZE) ||
        flock(fd, LOCK_EX | LOCK_NB)) {
        fail(tmp);
    }
    page = mmap(NULL, PULSAR_LEDGER_TOTAL_SIZE, PROT_READ | PROT_WRITE,
                MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        fail(tmp);
    }
    pulsar_ledger_init(&ledger, page, now - (uint64_t)(ago * SECOND));
    h = pulsar_ledger_header(page);
    h->domid = domid;
    h->pid = getpid();
    h->start_real_ns = clock_ns(CLOCK_REALTIME) - (uint64_t)(ago * SECOND);
    pulsar_ledger_set_state(&ledger, PULSAR_LEDGER_RUNNING);
    at_ns = h->start_ns;
    if (rename(tmp, path)) {
        fail(path);
    }
}

/* Turns \xNN into bytes, in place. */
static void unescape(char *s)
{
    unsigned byte;
    char *to = s;

    while (*s) {
        if (sscanf(s, "\\x%2x", &byte) == 1) {
            *to++ = byte;
            s += 4;
        } else {
            *to++ = *s++;
        }
    }
    *to = 0;
}

static PulsarCauseClass class_of(const char *name)
{
    static const struct {
        const char *prefix;
        PulsarCauseClass class_;
    } known[] = {
        { "timer:", PULSAR_CAUSE_TIMER },
        { "pio-read:", PULSAR_CAUSE_PIO_READ },
        { "pio-write:", PULSAR_CAUSE_PIO_WRITE },
        { "mmio-read:", PULSAR_CAUSE_MMIO_READ },
        { "mmio-write:", PULSAR_CAUSE_MMIO_WRITE },
        { "config-read:", PULSAR_CAUSE_CONFIG_READ },
        { "config-write:", PULSAR_CAUSE_CONFIG_WRITE },
        { "bufioreq", PULSAR_CAUSE_BUFIOREQ },
        { "fd:", PULSAR_CAUSE_FD },
        { "bh:", PULSAR_CAUSE_BH },
    };
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!strncmp(name, known[i].prefix, strlen(known[i].prefix))) {
            return known[i].class_;
        }
    }
    return PULSAR_CAUSE_OTHER;
}

static void wake(const char *name, unsigned times, uint64_t busy_ns)
{
    int cause = name ? pulsar_ledger_cause(&ledger, class_of(name), name) : -1;

    while (times--) {
        pulsar_ledger_woken(&ledger, at_ns, true, 1);
        if (cause >= 0) {
            pulsar_ledger_event(&ledger, cause, 1, true);
        }
        pulsar_ledger_sleep(&ledger, at_ns + busy_ns);
    }
}

static void spin(unsigned ms)
{
    uint64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ms * 1000000ULL;

    while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end) {
        /* on purpose */
    }
}

static void nap(unsigned times)
{
    struct timespec ts = { .tv_nsec = 100000 };

    while (times--) {
        nanosleep(&ts, NULL);
    }
}

typedef struct Napper {
    char name[16];
    unsigned times;
    pthread_barrier_t done;
} Napper;

static void *napper(void *opaque)
{
    Napper *n = opaque;

    prctl(PR_SET_NAME, n->name);
    nap(n->times);
    pthread_barrier_wait(&n->done);
    pause();
    return NULL;
}

static void start_thread(const char *name, unsigned times)
{
    Napper *n = calloc(1, sizeof(*n));
    pthread_t thread;

    snprintf(n->name, sizeof(n->name), "%s", name);
    n->times = times;
    pthread_barrier_init(&n->done, NULL, 2);
    errno = pthread_create(&thread, NULL, napper, n);
    if (errno) {
        fail("thread");
    }
    pthread_barrier_wait(&n->done); /* n stays: the thread may still use it */
}

static bool open_pty(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    return master >= 0 && !grantpt(master) && !unlockpt(master);
}

static bool serve(const char *where)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct sockaddr_in in = {
        .sin_family = AF_INET,
        .sin_port = htons(atoi(where)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    bool tcp = where[0] != '/';
    struct sockaddr *sa = tcp ? (struct sockaddr *)&in
                              : (struct sockaddr *)&un;

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", where);
    listener = socket(sa->sa_family, SOCK_STREAM, 0);
    return listener >= 0 &&
           !bind(listener, sa, tcp ? sizeof(in) : sizeof(un)) &&
           !listen(listener, 1);
}

static void set_text(char *to, size_t size, char *text)
{
    unescape(text);
    memset(to, 0, size);
    memcpy(to, text, strlen(text) < size ? strlen(text) : size);
}

static void add_option(char *line)
{
    char *text = page + PULSAR_LEDGER_TEXT_OFFSET;
    size_t used = strlen(text);
    char *space = strchr(line, ' ');

    unescape(line);
    if (space) {
        *space = '\t';
    }
    snprintf(text + used, PULSAR_LEDGER_TEXT_SIZE - used, "%s\n", line);
}

static void set_state(const char *name)
{
    static const char *const names[] = {
        "", "starting", "running", "exited",
    };
    int i;

    for (i = PULSAR_LEDGER_STARTING; i <= PULSAR_LEDGER_EXITED; i++) {
        if (!strcmp(name, names[i])) {
            pulsar_ledger_set_state(&ledger, i);
        }
    }
}

static void leave(void)
{
    if (page) {
        pulsar_ledger_set_state(&ledger, PULSAR_LEDGER_EXITED);
        unlink(path);
    }
    exit(0);
}

/* Commands that change the page. */
static bool page_command(const char *verb, char *rest)
{
    PulsarLedgerHeader *h = pulsar_ledger_header(page);
    unsigned long a, b, c;
    char cause[128];

    a = b = 0;
    if (!strcmp(verb, "name")) {
        set_text(h->name, sizeof(h->name), rest);
    } else if (!strcmp(verb, "uuid")) {
        set_text(h->uuid, sizeof(h->uuid), rest);
    } else if (!strcmp(verb, "version")) {
        set_text(h->version, sizeof(h->version), rest);
    } else if (!strcmp(verb, "option")) {
        add_option(rest);
    } else if (!strcmp(verb, "state")) {
        set_state(rest);
    } else if (!strcmp(verb, "at")) {
        at_ns = h->start_ns + (uint64_t)(atof(rest) * SECOND);
    } else if (!strcmp(verb, "now")) {
        at_ns = clock_ns(CLOCK_MONOTONIC);
    } else if (!strcmp(verb, "wake")) {
        a = 1;
        if (sscanf(rest, "%127s %lu %lu", cause, &a, &b) < 1) {
            return false;
        }
        unescape(cause);
        wake(cause, a, b);
    } else if (!strcmp(verb, "event")) {
        if (sscanf(rest, "%127s %lu", cause, &a) != 2) {
            return false;
        }
        pulsar_ledger_woken(&ledger, at_ns, false, 1);
        pulsar_ledger_event(&ledger, pulsar_ledger_cause(&ledger,
                            class_of(cause), cause), a, true);
    } else if (!strcmp(verb, "unclaimed")) {
        wake(NULL, 1, 0);
    } else if (!strcmp(verb, "poke")) {
        if (sscanf(rest, "%lu %lu", &a, &b) != 2) {
            return false;
        }
        *(volatile uint32_t *)(page + a) = b;
    } else if (!strcmp(verb, "fill")) {
        if (sscanf(rest, "%lu %lu %lu", &a, &b, &c) != 3) {
            return false;
        }
        memset(page + a, c, b);
    } else if (!strcmp(verb, "cut")) {
        return !ftruncate(fd, atol(rest));
    } else {
        return false;
    }
    return true;
}

static bool command(char *line)
{
    char *rest = strchr(line, ' ');
    char name[16];
    unsigned n;

    line[strcspn(line, "\n")] = 0;
    if (rest) {
        *rest++ = 0;
    } else {
        rest = line + strlen(line);
    }
    if (!strcmp(line, "start")) {
        make_page(atof(rest));
    } else if (!strcmp(line, "spin")) {
        spin(atoi(rest));
    } else if (!strcmp(line, "sleep")) {
        nap(atoi(rest));
    } else if (!strcmp(line, "thread")) {
        if (sscanf(rest, "%15s %u", name, &n) != 2) {
            return false;
        }
        start_thread(name, n);
    } else if (!strcmp(line, "pty")) {
        return open_pty();
    } else if (!strcmp(line, "serve")) {
        return serve(rest);
    } else if (!strcmp(line, "accept")) {
        return accept(listener, NULL, NULL) >= 0;
    } else if (!strcmp(line, "exit")) {
        leave();
    } else {
        return page && page_command(line, rest);
    }
    return true;
}

int main(int argc, char **argv)
{
    char line[8192];

    if (argc < 3) {
        fprintf(stderr, "usage: fakedm PATH|- DOMID [ARGUMENT...]\n");
        return 2;
    }
    path = argv[1];
    domid = atoi(argv[2]);
    prctl(PR_SET_PDEATHSIG, 9);
    puts("ok");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        puts(command(line) ? "ok" : "error: bad command");
        fflush(stdout);
    }
    leave();
}
