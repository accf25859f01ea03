/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rfb: a VNC viewer for scripts.
 *
 *   rfb ADDRESS        ADDRESS is HOST:PORT (numbers) or a unix socket's path
 *
 * Connects, without authentication, and obeys the lines of its input:
 *
 *   frame              ask for the whole screen and wait until it is there
 *   update             ask for what changed and wait until something did
 *   watch              ask for what changed, and do not wait
 *   save FILE          write the screen as it is known as a PPM picture
 *   pointer X Y MASK   the pointer is at X, Y with the buttons MASK down
 *   key SYM            press and release the X11 key symbol SYM (a number)
 *   quit               leave; the end of the input does the same
 *
 * Each line is answered by one line: "ok", or for frame and update
 * "WIDTHxHEIGHT LIT SUM MS": the size, how many pixels are not black, a sum
 * over the screen and the milliseconds it took. Exit 1 with a sentence when
 * the server says something unexpected or is gone.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { RAW = 0, DESKTOP_SIZE = -223 };

static int server = -1;
static uint32_t *screen;
static int width;
static int height;

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "rfb: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    exit(1);
}

static void take(void *buffer, size_t size)
{
    char *at = buffer;

    while (size) {
        ssize_t n = read(server, at, size);

        if (n == 0) {
            die("the server hung up");
        } else if (n < 0 && errno != EINTR) {
            die("reading from the server: %s", strerror(errno));
        } else if (n > 0) {
            at += n;
            size -= n;
        }
    }
}

static void give(const void *buffer, size_t size)
{
    if (write(server, buffer, size) != (ssize_t)size) {
        die("writing to the server: %s", strerror(errno));
    }
}

static uint8_t take_u8(void)
{
    uint8_t v;

    take(&v, 1);
    return v;
}

static uint16_t take_u16(void)
{
    uint16_t v;

    take(&v, 2);
    return ntohs(v);
}

static uint32_t take_u32(void)
{
    uint32_t v;

    take(&v, 4);
    return ntohl(v);
}

static void drop(size_t size)
{
    while (size--) {
        take_u8();
    }
}

static void put_u16(uint8_t *at, unsigned v)
{
    at[0] = v >> 8;
    at[1] = v;
}

static void set_size(int w, int h)
{
    free(screen);
    width = w;
    height = h;
    screen = calloc((size_t)w * h, sizeof(*screen));
    if (!screen) {
        die("no memory for a screen of %dx%d", w, h);
    }
}

static void connect_to(const char *address)
{
    const char *colon = strrchr(address, ':');
    int r;

    if (address[0] == '/') {
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        snprintf(un.sun_path, sizeof(un.sun_path), "%s", address);
        server = socket(AF_UNIX, SOCK_STREAM, 0);
        r = connect(server, (struct sockaddr *)&un, sizeof(un));
    } else {
        struct sockaddr_in in = { .sin_family = AF_INET };
        char host[32] = "";
        int one = 1;

        if (colon) {
            snprintf(host, sizeof(host), "%.*s", (int)(colon - address),
                     address);
            in.sin_port = htons(atoi(colon + 1));
        }
        if (!colon || inet_pton(AF_INET, host, &in.sin_addr) != 1) {
            die("'%s' is no address; give HOST:PORT in numbers or the path "
                "of a unix socket", address);
        }
        server = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        r = connect(server, (struct sockaddr *)&in, sizeof(in));
    }
    if (r < 0) {
        die("cannot connect to %s: %s", address, strerror(errno));
    }
}

static void greet(void)
{
    static const uint8_t pixel_format[20] = {
        0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0,
    };
    static const uint8_t encodings[12] = {
        2, 0, 0, 2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21,
    };
    char version[12];
    bool plain = false;
    int w;
    int h;

    take(version, sizeof(version));
    if (memcmp(version, "RFB 003.", 8)) {
        die("the server does not speak RFB 3");
    }
    give("RFB 003.008\n", 12);
    for (int n = take_u8(); n > 0; n--) {
        plain |= take_u8() == 1;
    }
    if (!plain) {
        die("the server wants authentication");
    }
    give("\1", 1);
    if (take_u32() != 0) {
        die("the server refuses us");
    }
    give("\1", 1);                      /* share the screen */
    w = take_u16();
    h = take_u16();
    set_size(w, h);
    drop(16);
    drop(take_u32());
    give(pixel_format, sizeof(pixel_format));
    give(encodings, sizeof(encodings));
}

static void request(bool incremental)
{
    uint8_t message[10] = { 3, incremental };

    put_u16(message + 6, width);
    put_u16(message + 8, height);
    give(message, sizeof(message));
}

/* One rectangle of an update; true when it brought pixels. */
static bool take_rectangle(void)
{
    int x = take_u16();
    int y = take_u16();
    int w = take_u16();
    int h = take_u16();
    int32_t encoding = take_u32();

    if (encoding == DESKTOP_SIZE) {
        set_size(w, h);
        return false;
    }
    if (encoding != RAW) {
        die("the server uses encoding %d, which nobody asked for", encoding);
    }
    if (x + w > width || y + h > height) {
        die("a rectangle %dx%d at %d,%d reaches past the screen", w, h, x, y);
    }
    for (int line = y; line < y + h; line++) {
        take(screen + (size_t)line * width + x, (size_t)w * 4);
    }
    return w && h;
}

/* Wait for an update with pixels; the screen may change its size before. */
static void take_update(void)
{
    for (;;) {
        uint8_t type = take_u8();

        if (type == 0) {
            bool pixels = false;

            drop(1);
            for (int n = take_u16(); n > 0; n--) {
                pixels |= take_rectangle();
            }
            if (pixels) {
                return;
            }
            request(false);
        } else if (type == 3) {
            drop(3);
            drop(take_u32());
        } else if (type != 2) {
            die("the server sent a message of the unknown type %d", type);
        }
    }
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void report(double since)
{
    uint32_t sum = 0;
    long lit = 0;

    for (long i = 0; i < (long)width * height; i++) {
        lit += (screen[i] & 0xffffff) != 0;
        sum = sum * 31 + (screen[i] & 0xffffff);
    }
    printf("%dx%d %ld %08x %.1f\n", width, height, lit, sum,
           now_ms() - since);
}

static void save(const char *path)
{
    FILE *f = fopen(path, "wb");

    if (!f) {
        die("cannot write %s: %s", path, strerror(errno));
    }
    fprintf(f, "P6 %d %d 255\n", width, height);
    for (long i = 0; i < (long)width * height; i++) {
        uint8_t rgb[3] = { screen[i] >> 16, screen[i] >> 8, screen[i] };

        fwrite(rgb, 3, 1, f);
    }
    if (fclose(f)) {
        die("cannot write %s: %s", path, strerror(errno));
    }
}

static void pointer(unsigned x, unsigned y, unsigned mask)
{
    uint8_t message[6] = { 5, mask };

    put_u16(message + 2, x);
    put_u16(message + 4, y);
    give(message, sizeof(message));
}

static void key(unsigned symbol)
{
    for (int down = 1; down >= 0; down--) {
        uint8_t message[8] = { 4, down };

        put_u16(message + 4, symbol >> 16);
        put_u16(message + 6, symbol);
        give(message, sizeof(message));
    }
}

/* Obey one line; false when it says to leave. */
static bool obey(const char *line)
{
    double since = now_ms();
    char path[256];
    unsigned a;
    unsigned b;
    unsigned c;

    if (!strcmp(line, "quit")) {
        return false;
    } else if (!strcmp(line, "frame") || !strcmp(line, "update")) {
        request(line[0] == 'u');
        take_update();
        report(since);
        return true;
    } else if (!strcmp(line, "watch")) {
        request(true);
    } else if (sscanf(line, "save %255s", path) == 1) {
        save(path);
    } else if (sscanf(line, "pointer %u %u %u", &a, &b, &c) == 3) {
        pointer(a, b, c);
    } else if (sscanf(line, "key %i", (int *)&a) == 1) {
        key(a);
    } else {
        die("'%s' is no command; frame, update, watch, save FILE, pointer "
            "X Y MASK, key SYM and quit are", line);
    }
    printf("ok\n");
    return true;
}

int main(int argc, char **argv)
{
    char line[512];

    if (argc != 2) {
        fprintf(stderr, "Usage: rfb ADDRESS <COMMANDS\n");
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    connect_to(argv[1]);
    greet();
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (!obey(line)) {
            break;
        }
    }
    return 0;
}
