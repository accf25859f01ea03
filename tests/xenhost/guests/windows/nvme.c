/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's NVMe driver: what a boot driver does before PV
 * drivers take over. It identifies controller and namespace 1, makes a pair of
 * queues, and reads sectors as if for drivers. Registers and commands as in
 * the NVM Express base specification, 1.4.
 */
#include "guest.h"

#define CAP         0x00
#define CC          0x14
#define CSTS        0x1c
#define AQA         0x24
#define ASQ         0x28
#define ACQ         0x30
#define DOORBELLS   0x1000

#define ENABLE      0x00460001u /* entries of 64 and 16 bytes, pages of 4 KiB */
#define READY       0x01
#define ENTRIES     8
#define PAGE        4096
#define SECTORS     16

#define CREATE_SQ   0x01
#define CREATE_CQ   0x05
#define IDENTIFY    0x06
#define READ        0x02

struct nvme_command {
    uint32_t opcode, namespace, reserved[4];
    uint64_t data[2];
    uint32_t words[6];
};

struct nvme_completion {
    volatile uint32_t result, reserved, queue, status;
};

/* Pair 0 is for administration, pair 1 for input and output. */
static struct {
    struct nvme_command commands[PAGE / sizeof(struct nvme_command)];
    struct nvme_completion
        completions[PAGE / sizeof(struct nvme_completion)];
} queues[2] __attribute__((aligned(PAGE)));

static struct {
    unsigned tail, head, phase;
    volatile bool done;
    volatile uint16_t status;
} pairs[2];

static uint8_t data[2 * PAGE] __attribute__((aligned(PAGE)));
static uint32_t base, stride;

static void doorbell(unsigned pair, bool completion, uint32_t value)
{
    write32(base + DOORBELLS + (2 * pair + completion) * stride, value);
}

static void nvme_irq(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
        bool any = false;

        for (;;) {
            uint32_t status = queues[i].completions[pairs[i].head].status;

            if (((status >> 16) & 1) == pairs[i].phase) {
                break;
            }
            pairs[i].status = status >> 17;
            if (++pairs[i].head == ENTRIES) {
                pairs[i].head = 0;
                pairs[i].phase ^= 1;
            }
            any = true;
        }
        if (any) {
            doorbell(i, true, pairs[i].head);
            pairs[i].done = true;
        }
    }
}

/* One command, and what becomes of it. */
static bool run(unsigned pair, const struct nvme_command *command)
{
    queues[pair].commands[pairs[pair].tail] = *command;
    pairs[pair].tail = (pairs[pair].tail + 1) % ENTRIES;
    pairs[pair].done = false;
    barrier();
    doorbell(pair, false, pairs[pair].tail);
    return wait_for(&pairs[pair].done) && !pairs[pair].status;
}

static bool identify(uint32_t namespace, uint32_t what)
{
    return run(0, &(struct nvme_command){
        .opcode = IDENTIFY, .namespace = namespace, .data = { ADDRESS(data) },
        .words = { what },
    });
}

static bool make_queues(void)
{
    return run(0, &(struct nvme_command){
        .opcode = CREATE_CQ, .data = { ADDRESS(queues[1].completions) },
        .words = { (ENTRIES - 1) << 16 | 1, 3 },    /* with interrupts */
    }) && run(0, &(struct nvme_command){
        .opcode = CREATE_SQ, .data = { ADDRESS(queues[1].commands) },
        .words = { (ENTRIES - 1) << 16 | 1, 1 << 16 | 1 },
    });
}

static bool load_drivers(void)
{
    uint16_t sum = 0;

    if (!run(1, &(struct nvme_command){
            .opcode = READ, .namespace = 1,
            .data = { ADDRESS(data), ADDRESS(data) + PAGE },
            .words = { 0, 0, SECTORS - 1 },
        })) {
        return false;
    }
    for (unsigned i = 0; i < SECTORS * 512; i += 2) {
        sum += data[i] | data[i + 1] << 8;
    }
    say("NVMe: %u sectors read from the disk, sum %x", SECTORS, sum);
    return true;
}

static bool controller_becomes(uint32_t ready)
{
    for (unsigned i = 0; i < 50; i++) {
        if ((read32(base + CSTS) & READY) == ready) {
            return true;
        }
        delay(10);
    }
    return false;
}

void nvme_start(void)
{
    const struct pci_device *device = pci_find(0x010802, 0xffffff, 0);

    if (!device) {
        return;
    }
    if (pci_read(device, 0x14)) {
        say("NVMe: its registers are beyond 4 GiB");
        return;
    }
    base = pci_enable(device, 0);
    stride = 4u << (read32(base + CAP + 4) & 15);
    write32(base + CC, 0);              /* the firmware lets go of it */
    if (!controller_becomes(0)) {
        say("NVMe: the controller does not stop");
        return;
    }
    irq_attach(device->line, nvme_irq);
    write32(base + AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
    write32(base + ASQ, ADDRESS(queues[0].commands));
    write32(base + ASQ + 4, 0);
    write32(base + ACQ, ADDRESS(queues[0].completions));
    write32(base + ACQ + 4, 0);
    write32(base + CC, ENABLE);
    if (!controller_becomes(READY) || !identify(0, 1) || !identify(1, 0) ||
        !make_queues() || !load_drivers()) {
        say("NVMe: the disk does not answer");
    }
}
