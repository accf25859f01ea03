/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wake ledger's shared page: its layout in memory and on disk.
 *
 * One device model writes it, any number of readers map it read-only. All
 * integers are little-endian (x86 only), all offsets are from the start of
 * the file. docs/ledger-page.md describes the same format in words.
 *
 * This header includes no QEMU header: the device model, the `pulsar`
 * command and the unit tests share it.
 */
#ifndef PULSAR_LEDGER_PAGE_H
#define PULSAR_LEDGER_PAGE_H

#include <stdint.h>

#define PULSAR_LEDGER_MAGIC        "PULSARLG"
#define PULSAR_LEDGER_MAJOR        1    /* raised when old readers must stop */
#define PULSAR_LEDGER_MINOR        2    /* raised when fields are added */

#define PULSAR_LEDGER_HEADER_SIZE  4096
#define PULSAR_LEDGER_CAUSES       512
#define PULSAR_LEDGER_ROWS         128
#define PULSAR_LEDGER_ROW_SECONDS  30
#define PULSAR_LEDGER_TEXT_SIZE    4096
#define PULSAR_LEDGER_CAUSE_NAME   72
#define PULSAR_LEDGER_THREADS      32

/* What a cause is; the first part of its name says the same in words. */
typedef enum PulsarCauseClass {
    PULSAR_CAUSE_TIMER,         /* a QEMU timer's callback */
    PULSAR_CAUSE_PIO_READ,      /* the guest read a port */
    PULSAR_CAUSE_PIO_WRITE,     /* the guest wrote a port */
    PULSAR_CAUSE_MMIO_READ,     /* the guest read device memory */
    PULSAR_CAUSE_MMIO_WRITE,    /* the guest wrote device memory */
    PULSAR_CAUSE_CONFIG_READ,   /* the guest read PCI configuration space */
    PULSAR_CAUSE_CONFIG_WRITE,  /* the guest wrote PCI configuration space */
    PULSAR_CAUSE_BUFIOREQ,      /* an entry of the buffered ioreq ring */
    PULSAR_CAUSE_FD,            /* a descriptor became ready */
    PULSAR_CAUSE_BH,            /* a bottom half */
    PULSAR_CAUSE_OTHER,         /* none of these; see the name */
    PULSAR_CAUSE__MAX,
} PulsarCauseClass;

/*
 * Life of the process that owns the page. EXITED comes as soon as its guest
 * has shut down, for who is killed then was not needed any more.
 */
typedef enum PulsarLedgerState {
    PULSAR_LEDGER_STARTING = 1,
    PULSAR_LEDGER_RUNNING  = 2,
    PULSAR_LEDGER_EXITED   = 3,
} PulsarLedgerState;

/* The columns that are kept both since start and for each 30-second row. */
typedef struct PulsarLedgerCounts {
    uint64_t wakes;     /* returns of the main loop from a blocking poll */
    uint64_t timer;     /* timer callbacks run */
    uint64_t read;      /* guest reads served (port, memory, configuration) */
    uint64_t write;     /* guest writes served, buffered ones included */
    uint64_t buffered;  /* of the writes: those from the buffered ring */
    uint64_t event;     /* descriptors and bottom halves dispatched */
} PulsarLedgerCounts;

typedef struct PulsarLedgerCause {
    char name[PULSAR_LEDGER_CAUSE_NAME]; /* "timer:gui_update", NUL padded */
    uint32_t class_;                     /* PulsarCauseClass */
    uint32_t reserved0;
    uint64_t wakes;                      /* wakes that this cause began */
    uint64_t events;                     /* times it was dispatched */
    uint64_t last_ns;                    /* of the last one, in whole ms */
    uint64_t busy_ns;                    /* from its wakes until sleep again */
    uint64_t reserved1[2];
} PulsarLedgerCause;

typedef struct PulsarLedgerRow {
    uint64_t index;     /* (time of event - start_ns) / row length, plus 1 */
    PulsarLedgerCounts n;
    uint64_t reserved;
} PulsarLedgerRow;

/* A thread of the owner, as the kernel counted it at thread_ns. */
typedef struct PulsarLedgerThread {
    char name[32];          /* NUL padded */
    int32_t tid;            /* as the owner sees it */
    uint32_t reserved0;
    uint64_t voluntary;     /* context switches: it slept, and was woken */
    uint64_t involuntary;   /* it had to make room */
    uint64_t reserved1;
} PulsarLedgerThread;

/*
 * @seq is even while the page is at rest and odd while it is written. A
 * reader copies the page, and keeps the copy only when @seq was even before
 * and unchanged after. Fields above @seq are written once before @state
 * leaves STARTING, except @state, @name and @uuid.
 */
typedef struct PulsarLedgerHeader {
    char magic[8];
    uint32_t major;
    uint32_t minor;
    uint32_t header_size;
    uint32_t total_size;
    uint32_t cause_offset;
    uint32_t cause_size;
    uint32_t cause_max;
    uint32_t row_offset;
    uint32_t row_size;
    uint32_t row_max;
    uint32_t row_seconds;
    uint32_t text_offset;   /* effective options, "key=value source\n"… */
    uint32_t text_size;
    int32_t domid;
    int32_t pid;            /* as the process itself sees it */
    uint32_t reserved0;
    uint64_t start_ns;      /* CLOCK_MONOTONIC when the page was made */
    uint64_t start_real_ns; /* CLOCK_REALTIME of the same moment */
    char name[64];          /* the VM's name, NUL padded */
    char uuid[40];
    char version[56];       /* of the device model */

    uint32_t state;         /* PulsarLedgerState */
    uint32_t seq;
    uint32_t cause_count;
    uint32_t reserved1;
    uint64_t last_ns;       /* of the last change, in whole ms */
    uint64_t row_last;      /* index of the newest row, 0 for none */
    PulsarLedgerCounts total;

    /* All zero before minor version 1. */
    uint32_t thread_offset;
    uint32_t thread_size;
    uint32_t thread_max;
    uint32_t thread_count;  /* entries in use */
    uint32_t thread_total;  /* threads it could see, room or not */
    uint32_t reserved2;
    uint64_t thread_ns;     /* CLOCK_MONOTONIC when they were looked at */
} PulsarLedgerHeader;

#define PULSAR_LEDGER_THREAD_OFFSET                                     \
    (PULSAR_LEDGER_HEADER_SIZE -                                        \
     PULSAR_LEDGER_THREADS * sizeof(PulsarLedgerThread))
#define PULSAR_LEDGER_CAUSE_OFFSET  PULSAR_LEDGER_HEADER_SIZE
#define PULSAR_LEDGER_ROW_OFFSET                                        \
    (PULSAR_LEDGER_CAUSE_OFFSET +                                       \
     PULSAR_LEDGER_CAUSES * sizeof(PulsarLedgerCause))
#define PULSAR_LEDGER_TEXT_OFFSET                                       \
    (PULSAR_LEDGER_ROW_OFFSET +                                         \
     PULSAR_LEDGER_ROWS * sizeof(PulsarLedgerRow))
#define PULSAR_LEDGER_TOTAL_SIZE                                        \
    (PULSAR_LEDGER_TEXT_OFFSET + PULSAR_LEDGER_TEXT_SIZE)

_Static_assert(sizeof(PulsarLedgerCause) == 128, "cause entry is 128 bytes");
_Static_assert(sizeof(PulsarLedgerRow) == 64, "row is 64 bytes");
_Static_assert(sizeof(PulsarLedgerThread) == 64, "thread is 64 bytes");
_Static_assert(sizeof(PulsarLedgerHeader) <= PULSAR_LEDGER_THREAD_OFFSET,
               "header and threads fit the first page");
_Static_assert(PULSAR_LEDGER_TOTAL_SIZE < 256 * 1024,
               "the page stays below RLIMIT_FSIZE as xenopsd sets it");

#endif /* PULSAR_LEDGER_PAGE_H */
