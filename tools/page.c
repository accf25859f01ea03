/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ledger pages as files. They are read with system calls and not mapped: a
 * device model that was broken into may cut its page short, and a mapping
 * would take its readers down with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "page.h"
#include "text.h"

const char *page_rundir(void)
{
    const char *dir = g_getenv("PULSAR_RUNDIR");

    return dir && *dir ? dir : PULSAR_RUNDIR;
}

int page_domid(const char *file)
{
    guint64 domid;
    char *end;

    if (!g_ascii_isdigit(*file)) {
        return -1;
    }
    domid = g_ascii_strtoull(file, &end, 10);
    return strcmp(end, PAGE_SUFFIX) || domid > G_MAXINT ||
           (*file == '0' && end != file + 1) ? -1 : (int)domid;
}

static gint compare_ints(gconstpointer a, gconstpointer b)
{
    return *(const int *)a < *(const int *)b ? -1 :
           *(const int *)a > *(const int *)b;
}

gboolean page_dir(DIR **ret, GError **errp)
{
    g_autofree char *shown = NULL;

    *ret = opendir(page_rundir());
    if (!*ret && errno != ENOENT) {
        shown = text_shown(page_rundir());
        g_set_error(errp, CLI_ERROR,
                    errno == EACCES ? CLI_PERMISSION : CLI_SYSTEM,
                    "cannot look into '%s': %s", shown, g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

gboolean page_list(GArray **ret, GError **errp)
{
    struct dirent *e;
    GArray *list;
    DIR *dir;
    int domid;

    if (!page_dir(&dir, errp)) {
        return FALSE;
    }
    list = g_array_new(FALSE, FALSE, sizeof(int));
    while (dir && (e = readdir(dir))) {
        domid = page_domid(e->d_name);
        if (domid >= 0) {
            g_array_append_val(list, domid);
        }
    }
    if (dir) {
        closedir(dir);
    }
    g_array_sort(list, compare_ints);
    *ret = list;
    return TRUE;
}

char *page_path(int domid)
{
    return g_strdup_printf("%s/%d" PAGE_SUFFIX, page_rundir(), domid);
}

static gboolean fail_page(const Page *p, int code, const char *what,
                          GError **errp)
{
    g_autofree char *shown = text_shown(p->path);

    g_set_error(errp, CLI_ERROR, code, "cannot read ledger page '%s': %s",
                shown, what);
    return FALSE;
}

Page *page_open(const char *path, GError **errp)
{
    g_autoptr(Page) p = g_new0(Page, 1);
    struct stat st;

    p->path = g_strdup(path);
    /* Not to be held up by something that is not a plain file. */
    p->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (p->fd < 0 || fstat(p->fd, &st)) {
        fail_page(p, errno == EACCES ? CLI_PERMISSION :
                  errno == ENOENT ? CLI_NO_SUCH_VM : CLI_SYSTEM,
                  g_strerror(errno), errp);
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        fail_page(p, CLI_BAD_PAGE, "not a plain file", errp);
        return NULL;
    }
    p->dev = st.st_dev;
    p->ino = st.st_ino;
    return g_steal_pointer(&p);
}

void page_close(Page *p)
{
    if (p) {
        if (p->fd >= 0) {
            close(p->fd);
        }
        g_free(p->path);
        g_free(p);
    }
}

static bool read_part(void *opaque, void *ret, size_t offset, size_t size)
{
    Page *p = opaque;
    ssize_t n;

    do {
        n = pread(p->fd, ret, size, offset);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)size;
}

gboolean page_read(Page *p, void *ret, GError **errp)
{
    PulsarLedgerError err;
    struct stat st;

    if (fstat(p->fd, &st)) {
        return fail_page(p, CLI_SYSTEM, g_strerror(errno), errp);
    }
    err = pulsar_ledger_read(read_part, p, st.st_size, !page_owned(p), ret);
    if (err == PULSAR_LEDGER_NEWER) {
        uint32_t major = pulsar_ledger_header(ret)->major;
        g_autofree char *what = g_strdup_printf(
            "it has format version %u, and this pulsar knows version %d",
            major, PULSAR_LEDGER_MAJOR);

        return fail_page(p, CLI_BAD_PAGE, what, errp);
    }
    if (err != PULSAR_LEDGER_OK) {
        return fail_page(p, CLI_BAD_PAGE, pulsar_ledger_strerror(err), errp);
    }
    return TRUE;
}

gboolean page_changed(Page *p, uint32_t seq)
{
    uint32_t now;

    return !read_part(p, &now, offsetof(PulsarLedgerHeader, seq),
                      sizeof(now)) || now != seq || (now & 1);
}

gboolean page_owned(Page *p)
{
    /*
     * The owner locked the file before anybody could see it and never locks
     * it again, so holding a shared lock for a moment is in nobody's way.
     */
    if (flock(p->fd, LOCK_SH | LOCK_NB)) {
        return errno == EWOULDBLOCK;
    }
    flock(p->fd, LOCK_UN);
    return FALSE;
}

gboolean page_ended(const PulsarLedgerHeader *h)
{
    return h->state == PULSAR_LEDGER_EXITED;
}

static char *owner_key(unsigned major_, unsigned minor_, guint64 ino)
{
    return g_strdup_printf("%u:%u:%" G_GUINT64_FORMAT, major_, minor_, ino);
}

GHashTable *page_owners(void)
{
    GHashTable *owners = g_hash_table_new_full(g_str_hash, g_str_equal,
                                               g_free, NULL);
    unsigned major_, minor_;
    char line[256];
    guint64 ino;
    FILE *f;
    int pid;

    f = fopen("/proc/locks", "re");
    if (!f) {
        return owners;
    }
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%*s FLOCK %*s WRITE %d %x:%x:%" G_GUINT64_FORMAT,
                   &pid, &major_, &minor_, &ino) == 4 && pid > 0) {
            g_hash_table_insert(owners, owner_key(major_, minor_, ino),
                                GINT_TO_POINTER(pid));
        }
    }
    fclose(f);
    return owners;
}

pid_t page_owner(const Page *p, GHashTable *owners)
{
    g_autofree char *key = owner_key(major(p->dev), minor(p->dev), p->ino);

    return GPOINTER_TO_INT(g_hash_table_lookup(owners, key));
}

/* Is what this path opens a ledger page that somebody keeps? */
static gboolean is_page(const char *path, ino_t ino)
{
    char magic[sizeof(((PulsarLedgerHeader *)0)->magic)];
    g_autoptr(Page) p = NULL;
    struct stat st;

    if (stat(path, &st) || !S_ISREG(st.st_mode) || st.st_ino != ino ||
        st.st_size < (off_t)PULSAR_LEDGER_TOTAL_SIZE) {
        return FALSE;   /* nothing else is opened */
    }
    p = page_open(path, NULL);
    return p && read_part(p, magic, 0, sizeof(magic)) &&
           !memcmp(magic, PULSAR_LEDGER_MAGIC, sizeof(magic)) &&
           page_owned(p);
}

char *page_of_process(pid_t pid)
{
    g_autofree char *maps = g_strdup_printf("/proc/%d/maps", pid);
    FILE *f = fopen(maps, "re");
    char *line = NULL, *path = NULL;
    size_t size = 0;
    guint64 ino;
    int at;

    /* A mapping is all that it keeps of its page, and that is shared. */
    while (f && !path && getline(&line, &size, f) > 0) {
        if (sscanf(line, "%*s rw-s %*s %*s %" G_GUINT64_FORMAT " %n", &ino,
                   &at) == 1 && line[at] == '/') {
            path = g_strndup(line + at, strcspn(line + at, "\n"));
            if (!is_page(path, ino)) {
                g_clear_pointer(&path, g_free);
            }
        }
    }
    free(line);
    if (f) {
        fclose(f);
    }
    return path;
}

uint64_t page_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}
