/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Talking to a device model through its QMP socket: one JSON object a line
 * in each direction, with events in between that are passed over.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli.h"
#include "outside.h"
#include "page.h"
#include "qmp.h"
#include "text.h"

#define GREETING_SECONDS  1     /* a socket that is free greets at once */
#define ANSWER_SECONDS    30
#define WORK_SECONDS      300   /* what may be much work, or a slow start */
#define LINE_MAX_BYTES    (1024 * 1024)

struct Qmp {
    int fd;
    GString *input;             /* what came beyond the last line */
};

void qmp_close(Qmp *q)
{
    if (q) {
        if (q->fd >= 0) {
            close(q->fd);
        }
        g_string_free(q->input, TRUE);
        g_free(q);
    }
}

/* The next object, or NULL when none comes in time. */
static json_object *receive(Qmp *q, int seconds)
{
    uint64_t end = page_now() + seconds * 1000000000ULL;
    struct pollfd ready = { .fd = q->fd, .events = POLLIN };
    json_object *o;
    char buf[4096];
    char *newline;
    ssize_t n;

    while (!(newline = memchr(q->input->str, '\n', q->input->len))) {
        uint64_t now = page_now();

        if (now >= end || q->input->len > LINE_MAX_BYTES ||
            poll(&ready, 1, (end - now) / 1000000 + 1) < 0) {
            return NULL;
        }
        n = recv(q->fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            return NULL;
        }
        if (n > 0) {
            g_string_append_len(q->input, buf, n);
        }
    }
    *newline = 0;
    o = json_tokener_parse(q->input->str);
    g_string_erase(q->input, 0, newline + 1 - q->input->str);
    return o;
}

/* All of @line, and with its first byte @fd unless that is -1. */
static gboolean send_line(Qmp *q, const char *line, int fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .head = {
        .cmsg_len = CMSG_LEN(sizeof(int)),
        .cmsg_level = SOL_SOCKET,
        .cmsg_type = SCM_RIGHTS,
    } };
    struct iovec part = { .iov_base = (char *)line, .iov_len = strlen(line) };
    struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

    if (fd >= 0) {
        memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
    }
    return sendmsg(q->fd, &msg, MSG_NOSIGNAL) == (ssize_t)part.iov_len;
}

/* Sends @request and returns what is answered, both ours. */
static json_object *ask_with(Qmp *q, json_object *request, int fd,
                             int seconds)
{
    const char *text = json_object_to_json_string_ext(
        request, JSON_C_TO_STRING_PLAIN);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    json_object *answer = NULL;

    json_object_put(request);
    if (!send_line(q, line, fd)) {
        return NULL;
    }
    while ((answer = receive(q, seconds)) &&
           !json_object_object_get_ex(answer, "return", NULL) &&
           !json_object_object_get_ex(answer, "error", NULL)) {
        json_object_put(answer); /* an event */
    }
    return answer;
}

static json_object *ask(Qmp *q, json_object *request)
{
    return ask_with(q, request, -1, ANSWER_SECONDS);
}

static json_object *new_request(const char *command)
{
    json_object *o = json_object_new_object();

    json_object_object_add(o, "execute", json_object_new_string(command));
    return o;
}

/*
 * Who answers at a path need not be who is said to: it lies in a folder where
 * another device model may have put a socket of its own.
 */
static gboolean is_served_by(int fd, pid_t pid)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
           len == sizeof(peer) && peer.pid == pid;
}

/*
 * Not to be waited for: where the queue of a server that has its only client
 * is full, this fails at once.
 */
static int connect_to(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof(un.sun_path)) {
        return -1;
    }
    strcpy(un.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof(un))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static Qmp *new_qmp(int fd)
{
    Qmp *q = g_new0(Qmp, 1);

    q->input = g_string_new(NULL);
    q->fd = fd;
    return q;
}

static gboolean greet(Qmp *q, int seconds)
{
    json_object *answer = receive(q, seconds);
    gboolean good = answer && json_object_object_get_ex(answer, "QMP", NULL);

    json_object_put(answer);
    return good && qmp_execute(q, "qmp_capabilities", NULL, -1, NULL, NULL);
}

/* Is it a QMP monitor of that process, and has it time for us? */
static Qmp *try_socket(const char *path, pid_t pid)
{
    g_autoptr(Qmp) q = new_qmp(connect_to(path));

    return q->fd >= 0 && is_served_by(q->fd, pid) &&
           greet(q, GREETING_SECONDS) ? g_steal_pointer(&q) : NULL;
}

Qmp *qmp_attach(int fd, GError **errp)
{
    g_autoptr(Qmp) q = new_qmp(fd);

    if (!greet(q, WORK_SECONDS)) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "it ended before it was ready");
        return NULL;
    }
    return g_steal_pointer(&q);
}

Qmp *qmp_connect(pid_t pid, GError **errp)
{
    g_autoptr(GPtrArray) busy = NULL;
    g_autoptr(GPtrArray) paths = outside_monitor_sockets(pid, &busy);
    Qmp *q;
    guint i;

    for (i = 0; i < paths->len; i++) {
        q = try_socket(paths->pdata[i], pid);
        if (q) {
            return q;
        }
    }
    g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                "no QMP socket of process %d answers (%u tried, %u others "
                "have a client)", pid, paths->len, busy->len);
    return NULL;
}

const char *qmp_text(json_object *o, const char *key)
{
    json_object *value;
    const char *text = NULL;

    if (json_object_object_get_ex(o, key, &value)) {
        text = json_object_get_string(value); /* NULL for JSON's null */
    }
    return text ? text : "";
}

gboolean qmp_execute(Qmp *q, const char *command, json_object *args, int fd,
                     json_object **ret, GError **errp)
{
    json_object *request = new_request(command);
    json_object *answer, *body;
    gboolean good;

    if (args) {
        json_object_object_add(request, "arguments", args);
    }
    answer = ask_with(q, request, fd, WORK_SECONDS);
    good = answer && json_object_object_get_ex(answer, "return", &body);
    if (good && ret) {
        *ret = json_object_get(body);
    } else if (!answer) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "the device model did not answer to %s", command);
    } else if (!good) {
        g_autofree char *why = NULL;

        json_object_object_get_ex(answer, "error", &body);
        why = text_clean(qmp_text(body, "desc"));
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM, "%s: %s", command, why);
    }
    json_object_put(answer);
    return good;
}

gboolean qmp_await_migration(Qmp *q, GError **errp)
{
    json_object *event, *data;
    gboolean completed = FALSE, failed = FALSE;

    while (!completed && !failed && (event = receive(q, WORK_SECONDS))) {
        if (!strcmp(qmp_text(event, "event"), "MIGRATION") &&
            json_object_object_get_ex(event, "data", &data)) {
            completed = !strcmp(qmp_text(data, "status"), "completed");
            failed = !strcmp(qmp_text(data, "status"), "failed");
        }
        json_object_put(event);
    }
    if (!completed) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "it does not take the saved state");
    }
    return completed;
}

gboolean qmp_set(Qmp *q, const char *key, const char *value,
                 gboolean *ret_changed, char **ret_note, GError **errp)
{
    json_object *request = new_request("pulsar-set");
    json_object *args = json_object_new_object();
    json_object *answer, *body, *changed;

    json_object_object_add(args, "key", json_object_new_string(key));
    json_object_object_add(args, "value", json_object_new_string(value));
    json_object_object_add(request, "arguments", args);
    answer = ask(q, request);
    if (!answer) {
        g_set_error(errp, CLI_ERROR, CLI_SYSTEM,
                    "the device model did not answer");
        return FALSE;
    }
    *ret_changed = FALSE;
    if (json_object_object_get_ex(answer, "return", &body)) {
        *ret_changed = json_object_object_get_ex(body, "changed", &changed) &&
                       json_object_get_boolean(changed);
        *ret_note = text_clean(qmp_text(body, "note"));
    } else {
        json_object_object_get_ex(answer, "error", &body);
        *ret_note = text_clean(qmp_text(body, "desc"));
    }
    json_object_put(answer);
    return TRUE;
}
