/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam: every function of ours that patched upstream code calls, and
 * nothing else. Who reads this header knows all of the fork.
 *
 * pulsar_<upstream function>() is called from that upstream function; where
 * the name differs the comment says who calls it. Each comment tells when it
 * is called and what it may do. Unless said otherwise the caller is the main
 * loop's thread and holds the big QEMU lock (BQL) and no other. Who holds more,
 * or less, is told; xen/pulsar-context.h has the rule for calls back into
 * upstream, and the check of it.
 */
#ifndef PULSAR_HOOKS_H
#define PULSAR_HOOKS_H

#include "exec/hwaddr.h"
#include "monitor/monitor.h"
#include "qemu/timer.h"

struct BlockDriverState;
struct Chardev;
struct DisplayChangeListener;
struct QIOChannel;
struct EHCIState;
struct IDEDMA;
struct IDEState;
struct MemoryRegion;
struct PCIDevice;
struct SpiceChannelEventInfo;
struct UHCIState;
struct USBEndpoint;
struct USBPacket;
struct VGACommonState;
struct VncConnection;
struct VncDisplay;
struct VncState;
struct XenDevice;
struct XenEventChannel;
struct XenIOState;
struct ioreq;
union blkif_back_rings;
union pixman_image;

/* ---- monitor/: who wakes the device model --------------------------- */

/**
 * pulsar_main_loop_sleep: from os_host_main_loop_wait() (util/main-loop.c)
 * @timeout_ns: what the poll that follows is given; 0 does not sleep
 *
 * Called before the BQL is released for poll; the default GMainContext is
 * acquired. Counts; may not block.
 */
void pulsar_main_loop_sleep(int64_t timeout_ns);

/**
 * pulsar_main_loop_woken: from os_host_main_loop_wait() (util/main-loop.c)
 * @timeout_ns: what the poll was given
 * @fds: GPollFD, what it was given to wait for and what it found
 *
 * Called when poll has returned and the BQL is held again, before anything
 * is dispatched; the default GMainContext is acquired. Counts; may not block.
 */
void pulsar_main_loop_woken(int64_t timeout_ns, const GArray *fds);

/**
 * pulsar_timerlist_run_timers: from timerlist_run_timers()
 * (util/qemu-timer.c)
 * @cb: callback of the timer that has expired and is run next
 *
 * Any thread, with or without the BQL, the timer list's lock not held.
 * Counts; may not block.
 */
void pulsar_timerlist_run_timers(QEMUTimerCB *cb);

/**
 * pulsar_aio_dispatch_handler: from aio_dispatch_handler()
 * (util/aio-posix.c)
 * @fn: the read or write handler that is called next
 *
 * Any thread with an AioContext, whose list_lock is counted; also inside
 * aio_poll(). With the BQL in the main thread only. Counts; may not block.
 */
void pulsar_aio_dispatch_handler(void *fn);

/**
 * pulsar_aio_bh_call: from aio_bh_call() (util/async.c)
 * @name: name of the bottom half that is run next; a constant string
 *
 * Any thread with an AioContext, whose list_lock may be counted; also inside
 * aio_poll(). With the BQL in the main thread only. Counts; may not block.
 */
void pulsar_aio_bh_call(const char *name);

/**
 * pulsar_qio_channel_dispatch: from qio_channel_fd_source_dispatch() and
 * qio_channel_fd_pair_source_dispatch() (io/channel-watch.c)
 * @name: the channel's name, or NULL
 *
 * Any thread with a GMainContext, which it has acquired. With the BQL in the
 * main thread only. Counts; may not block.
 */
void pulsar_qio_channel_dispatch(const char *name);

/**
 * pulsar_monitor_qmp_dispatch: from monitor_qmp_dispatch() (monitor/qmp.c)
 * @chr: the chardev of the monitor whose command is executed next
 *
 * Main loop thread, in the dispatcher's coroutine; or the monitors' I/O thread
 * without the BQL for an out-of-band command. No monitor's lock is held.
 * Counts; may not block.
 */
void pulsar_monitor_qmp_dispatch(struct Chardev *chr);

/**
 * pulsar_watch_event: from watch_event() (hw/xen/xen-operations.c)
 * @path: the xenstore node whose watch has fired
 *
 * Counts; may not block.
 */
void pulsar_watch_event(const char *path);

/**
 * pulsar_tap_send: from tap_send() (net/tap.c)
 * @nic: name of the network client that a packet may have come for
 *
 * Counts; may not block.
 */
void pulsar_tap_send(const char *nic);

/**
 * pulsar_xen_device_bind_event_channel: from
 * xen_device_bind_event_channel() (hw/xen/xen-bus.c)
 * @xendev: the PV back end
 * @channel: its new event channel; a freed one's address may come again
 *
 * Main loop thread. Remembers what wakes through @channel are for.
 */
void pulsar_xen_device_bind_event_channel(struct XenDevice *xendev,
                                          const void *channel);

/**
 * pulsar_xen_device_event: from xen_device_event() (hw/xen/xen-bus.c)
 * @channel: the event channel on which the guest's front end has called
 *
 * The thread that serves the back end, without the BQL when that is an
 * I/O thread. Counts; may not block.
 */
void pulsar_xen_device_event(const void *channel);

/**
 * pulsar_xen_pv_evtchn_event: from xen_pv_evtchn_event()
 * (hw/xen/xen_pvdev.c)
 * @name: name of the PV back end whose front end has called, "vkbd-0"
 *
 * Main loop thread. Counts; may not block.
 */
void pulsar_xen_pv_evtchn_event(const char *name);

/**
 * pulsar_blk_aio_complete: from blk_aio_complete() (block/block-backend.c)
 * @name: name of the drive whose request is done, empty when it has none
 * @bs: what the drive's data come from, or NULL for an empty drive
 *
 * The drive's thread, without the BQL when that is an I/O thread; also inside
 * aio_poll(). Counts; may not block.
 */
void pulsar_blk_aio_complete(const char *name, struct BlockDriverState *bs);

/**
 * hmp_info_wakeups: from the table of HMP commands (hmp-commands-info.hx)
 * @mon: the monitor to print to
 * @qdict: the command's arguments; it has none
 *
 * Main loop thread, no monitor's lock held.
 *
 * "info wakeups": prints what QMP query-wakeups tells.
 */
void hmp_info_wakeups(Monitor *mon, const QDict *qdict);

/* ---- xen/: waiting for the guest and serving it --------------------- */

typedef void PulsarIoreqHandler(struct XenIOState *state, struct ioreq *req);

/**
 * pulsar_xen_hvm_init_pc: from xen_hvm_init_pc() (hw/i386/xen/xen-hvm.c)
 * @shared_page: the page of synchronous requests, NULL when Xen gave no
 *               ioreq server
 *
 * Called when the domain's ioreq server should be there. Exits with a
 * sentence when it is not.
 */
void pulsar_xen_hvm_init_pc(const void *shared_page);

/**
 * pulsar_cpu_get_ioreq: from cpu_get_ioreq() (hw/xen/xen-hvm-common.c)
 * @state: the ioreq server
 *
 * Called by the main loop itself when the pending event channel is the
 * buffered ring's, in place of upstream's timer. Decides whether the port is
 * unmasked at once or polled for a while; the caller then drains the ring.
 */
void pulsar_cpu_get_ioreq(struct XenIOState *state);

/**
 * pulsar_handle_buffered_iopage: from handle_buffered_iopage()
 * (hw/xen/xen-hvm-common.c), in place of its body
 * @state: the ioreq server
 * @handler: upstream's handle_ioreq(), called for each sound entry
 *
 * Called after every event channel event, before a synchronous request is
 * served, for a guest's buffered writes come before its later requests.
 * Called by the main loop itself. Takes at most one ring of entries; what is
 * left is continued by the main loop, and taken when the machine stops. A
 * handler that comes back here finds nothing.
 *
 * Returns: the number of ring slots taken.
 */
unsigned int pulsar_handle_buffered_iopage(struct XenIOState *state,
                                           PulsarIoreqHandler *handler);

/**
 * pulsar_handle_ioreq: from cpu_handle_ioreq() (hw/xen/xen-hvm-common.c)
 * @state: the ioreq server
 * @req: a private copy of the guest's request
 * @handler: upstream's handle_ioreq()
 *
 * Called by the main loop itself in place of handle_ioreq() for a synchronous
 * request. Counts it by device. A request that upstream would abort for
 * (sizes, types and counts that Xen never sends) is answered with all ones and
 * logged instead.
 */
void pulsar_handle_ioreq(struct XenIOState *state, struct ioreq *req,
                         PulsarIoreqHandler *handler);

/**
 * pulsar_parse_option: from qemu_init() (system/vl.c)
 * @optarg: the argument of -pulsar
 *
 * Called while the command line is read, possibly several times; later
 * settings win. Wrong input ends the process with one sentence and exit 1;
 * "help" prints the table of options and exits 0.
 */
void pulsar_parse_option(const char *optarg);

/**
 * pulsar_options_resolve: from qemu_init() (system/vl.c)
 *
 * Called once, when the command line has been read whole and nothing has
 * been created: no chardev, no device, no thread, no dropped privilege.
 * Opens the ledger's page, unless the process is to become a daemon. Wrong
 * input ends the process as above.
 */
void pulsar_options_resolve(void);

/**
 * pulsar_os_setup_post: from os_setup_post() (os-posix.c)
 *
 * Called once, when everything has been created and the process that serves
 * the guest exists, before root folder and user are changed (-run-with,
 * -chroot, -runas) and before a daemon leaves its folder. Has our modules give
 * up what must not survive; a daemon opens its ledger page. Other threads may
 * run. May end the process with one sentence and exit 1.
 */
void pulsar_os_setup_post(void);

/**
 * pulsar_launch_option: from qemu_init() (system/vl.c)
 * @option: name of an option that QEMU 10 does not have: "chroot", "runas",
 *          "no-acpi" or "vnc-clipboard-socket-fd"
 * @arg: its argument, or NULL
 * @machine_opts: what -machine says so far; may be changed
 *
 * Called while the command line is read. Does what the option once did.
 */
void pulsar_launch_option(const char *option, const char *arg,
                          QDict *machine_opts);

/**
 * pulsar_xen_be_get_xendev: from xen_be_get_xendev()
 * (hw/xen/xen-legacy-backend.c)
 * @type: kind of PV back end, for instance "vkbd"
 * @dev: its number
 *
 * Called before a back end is made, by upstream's watches of xenstore.
 *
 * Returns: true when this process has given up the privileges for it.
 */
bool pulsar_xen_be_get_xendev(const char *type, int dev);

/**
 * pulsar_xen_block_dataplane_start: from xen_block_dataplane_start()
 * (hw/block/dataplane/xen-block.c)
 * @xendev: the PV disk's back end
 * @rings: the ring that is shared with the front end, attached at its begin;
 *         what stands in it is the guest's
 * @channel: its event channel, or NULL when there is none
 * @errp: may be set to what is wrong with the ring; it is then given up
 *
 * Called before a thread may serve the ring. Where the disk is one that was
 * handed over it is attached where the guest stands, once.
 */
void pulsar_xen_block_dataplane_start(struct XenDevice *xendev,
                                      union blkif_back_rings *rings,
                                      struct XenEventChannel *channel,
                                      Error **errp);

/**
 * pulsar_qmp_xen_save_devices_state: from qmp_xen_save_devices_state()
 * (migration/savevm.c)
 * @errp: set to what is in the way
 *
 * Called before anything is opened or stopped.
 *
 * Returns: true when a device cannot be saved, and nothing may be.
 */
bool pulsar_qmp_xen_save_devices_state(Error **errp);

/**
 * pulsar_qmp_device_add: from qmp_device_add() (system/qdev-monitor.c)
 * @device: what a QMP client wants
 *
 * Returns: whether its properties have types; when all are strings they are
 * read as those of -device are.
 */
bool pulsar_qmp_device_add(const QDict *device);

/**
 * pulsar_qemu_ram_ptr_length: from qemu_ram_ptr_length() (system/physmem.c)
 * @mr: guest memory, or what the guest has granted
 * @addr: a guest's address in it; it decides
 * @len: how many bytes are wanted from there, 0 for a few; ends with @mr
 * @size: @len; may be lowered to what can be had in one piece. NULL: @len is 0
 * @block: where @mr begins
 * @lock: keep it mapped until it is given back
 * @is_write: whether it will be written
 *
 * Called in place of xen_map_cache(): maps memory, and stands in for what
 * cannot be mapped because the guest has no memory there. Any thread, in an
 * RCU critical section.
 *
 * Returns: where the bytes are; NULL with @lock when there are none.
 */
void *pulsar_qemu_ram_ptr_length(struct MemoryRegion *mr, hwaddr addr,
                                 hwaddr len, hwaddr *size, hwaddr block,
                                 bool lock, bool is_write);

/**
 * pulsar_address_space_map: from address_space_map() (system/physmem.c)
 * @mr: the memory that a device is to access by a pointer
 * @offset: where in it
 * @size: how many bytes; lowered to what ends with the frame
 *
 * Any thread, in an RCU critical section.
 *
 * Returns: true when the guest has no memory there, so that the caller has
 * the device access a buffer of its own.
 */
bool pulsar_address_space_map(struct MemoryRegion *mr, hwaddr offset,
                              hwaddr *size);

/* ---- hw/: hardware that does not tick ------------------------------- */

/**
 * pulsar_pty_chr_rearm_timer: from pty_chr_rearm_timer() (chardev/char-pty.c)
 * @chr: a pty whose other side nobody has open
 * @ioc: its master; NULL when the pty could not be opened
 *
 * Called instead of arming the timer that polls for somebody to attach.
 * When the front end acts on somebody's coming, waits for that by inotify;
 * else opens the other side and waits for somebody to type. Sends no event.
 *
 * Any context that may send the chardev's events; for a chardev of the
 * monitors' I/O thread that thread without the BQL, and nothing is done.
 *
 * Returns: true when that will be an event (then no timer is needed); false
 * when upstream's timer has to do.
 */
bool pulsar_pty_chr_rearm_timer(struct Chardev *chr, struct QIOChannel *ioc);

/**
 * pulsar_pty_chr_update_read_handler: from pty_chr_update_read_handler()
 * (chardev/char-pty.c)
 * @chr: the pty that is about to be polled
 *
 * Closes our own open end, for upstream takes it for somebody attached. The
 * caller and its locks are those of pulsar_pty_chr_rearm_timer().
 */
void pulsar_pty_chr_update_read_handler(struct Chardev *chr);

/**
 * pulsar_char_pty_chr_write: from char_pty_chr_write() (chardev/char-pty.c)
 * @chr: a pty that is not connected, to which the guest writes
 *
 * Finds out whether somebody has attached who has not typed; if so the pty
 * is connected soon, by the main loop.
 *
 * Any thread, with or without the BQL; @chr's chr_write_lock is held, and
 * whatever its front end holds that writes, as a monitor's mon_lock. No event
 * may be sent.
 *
 * Returns: true when nobody is there, and what the guest writes is dropped.
 */
bool pulsar_char_pty_chr_write(struct Chardev *chr);

/**
 * pulsar_char_pty_finalize: from char_pty_finalize() (chardev/char-pty.c)
 * @chr: the pty that goes away; its master is still open
 *
 * Releases what pulsar_pty_chr_rearm_timer() set up. May be called for a
 * pty that never had anything set up. Also inside aio_poll().
 */
void pulsar_char_pty_finalize(struct Chardev *chr);

/**
 * pulsar_check_update_timer: from check_update_timer()
 * (hw/rtc/mc146818rtc.c)
 * @update_timer: the clock's once-a-second timer
 *
 * Called whenever upstream would (re)program it, also from inside a guest's
 * access and while a state is loaded. Under Xen the hypervisor
 * emulates this clock and no guest access reaches ours: the timer is
 * stopped.
 *
 * Returns: true when the timer has been dealt with.
 */
bool pulsar_check_update_timer(QEMUTimer *update_timer);

/**
 * pulsar_rtc_set_time: from rtc_set_time() (hw/rtc/mc146818rtc.c)
 *
 * Called when upstream would tell of a change of the emulated clock.
 *
 * Returns: true under Xen, which is the clock and tells it by an ioreq.
 */
bool pulsar_rtc_set_time(void);

/**
 * pulsar_vbe_ioport_read_data: from vbe_ioport_read_data()
 * (hw/display/vga.c)
 * @s: the display
 *
 * Called when the guest reads a VBE register that upstream does not have.
 *
 * Returns: what is read, 0 for what is not here either.
 */
uint32_t pulsar_vbe_ioport_read_data(struct VGACommonState *s);

/**
 * pulsar_ide_cancel_dma_sync: from ide_cancel_dma_sync() (hw/ide/core.c)
 * @dma: of a channel
 *
 * Called from a guest's access, when a transfer is under way that the guest
 * does not want any longer, before upstream drains the drives. Returns once it
 * is over; until then handles what belongs to disks, as draining does.
 */
void pulsar_ide_cancel_dma_sync(struct IDEDMA *dma);

/**
 * pulsar_unplug_disks: from unplug_disks() (hw/i386/xen/xen_platform.c)
 * @dev: a PCI device that is not passed through; may be gone afterwards
 * @flags: what the guest has written to port 0x10
 *
 * Called for each device when the guest unplugs disks.
 *
 * Returns: true when upstream has nothing to do with @dev any more.
 */
bool pulsar_unplug_disks(struct PCIDevice *dev, uint32_t flags);

/**
 * pulsar_platform_fixed_ioport_write: from platform_fixed_ioport_write()
 * (hw/i386/xen/xen_platform.c)
 * @addr: counted from port 0x10
 * @val: what the guest writes
 * @size: in bytes
 *
 * Called before upstream serves it. Tells the toolstack what the guest's PV
 * drivers say they are.
 */
void pulsar_platform_fixed_ioport_write(uint64_t addr, uint64_t val,
                                        unsigned size);

/* ---- hw/: USB controllers that rest --------------------------------- */

typedef void PulsarUhciFrame(struct UHCIState *s);

/**
 * pulsar_uhci_realize: from usb_uhci_common_realize() (hw/usb/hcd-uhci.c)
 * @s: the controller, whose frame timer exists
 *
 * Sets up what the other pulsar_uhci_ functions need.
 */
void pulsar_uhci_realize(struct UHCIState *s);

/**
 * pulsar_uhci_exit: from usb_uhci_exit() (hw/usb/hcd-uhci.c)
 * @s: the controller, whose frame timer still exists
 *
 * Releases what pulsar_uhci_realize() set up.
 */
void pulsar_uhci_exit(struct UHCIState *s);

/**
 * pulsar_uhci_port_read: from uhci_port_read() (hw/usb/hcd-uhci.c)
 * @s: the controller
 *
 * Called inside a guest's access, before a register is read. Has the frame
 * timer's handler do what is due: the frame number and the status are right
 * then. May run frames, raise the interrupt and program the frame timer.
 */
void pulsar_uhci_port_read(struct UHCIState *s);

/**
 * pulsar_uhci_port_write: from uhci_port_write() (hw/usb/hcd-uhci.c)
 * @s: the controller
 * @addr: the register
 * @val: what will be written
 *
 * Called inside a guest's access, before a register is written. Does what
 * pulsar_uhci_port_read() does; a write that changes something also ends the
 * rest.
 */
void pulsar_uhci_port_write(struct UHCIState *s, uint64_t addr, uint64_t val);

/**
 * pulsar_uhci_handle_td: from uhci_handle_td() (hw/usb/hcd-uhci.c)
 * @s: the controller
 * @packet: a packet that the device has done with: carried out or refused
 *
 * Called inside a frame, before the result is written to guest memory. Takes
 * note.
 */
void pulsar_uhci_handle_td(struct UHCIState *s, struct USBPacket *packet);

/**
 * pulsar_uhci_async_complete: from uhci_async_complete()
 * (hw/usb/hcd-uhci.c)
 * @s: the controller of a packet that was pending and is done
 *
 * Called from inside the device that is done, which may be anywhere in
 * aio_poll(). Ends the rest: programs the frame timer for the next frame.
 */
void pulsar_uhci_async_complete(struct UHCIState *s);

/**
 * pulsar_uhci_frame_timer: from uhci_frame_timer() (hw/usb/hcd-uhci.c)
 * @s: the controller, which is running
 * @process_frame: upstream's uhci_process_frame()
 *
 * Called at the beginning of a tick, which is a timer or inside a guest's
 * access. After a rest, brings frame number and time to
 * the last frame that is due; upstream goes on from there. Has @process_frame
 * do those before it that have something of their own.
 */
void pulsar_uhci_frame_timer(struct UHCIState *s,
                             PulsarUhciFrame *process_frame);

/**
 * pulsar_uhci_frame_timer_next: from uhci_frame_timer()
 * (hw/usb/hcd-uhci.c), at its end
 * @s: the controller
 * @next: when upstream would have its next tick
 *
 * Returns: when the next tick shall be, in nanoseconds of the virtual clock:
 * @next, or later when there is nothing to do until then. Reads guest
 * memory.
 */
int64_t pulsar_uhci_frame_timer_next(struct UHCIState *s, int64_t next);

/**
 * pulsar_usb_wakeup: from usb_wakeup() (hw/usb/core.c)
 * @ep: an endpoint that has data
 *
 * Called from inside the device, which may be in a viewer's input, a packet
 * or anywhere in aio_poll(). Ends the rest of the UHCI controllers that may
 * have to do with it; calls nothing back.
 */
void pulsar_usb_wakeup(struct USBEndpoint *ep);

/**
 * pulsar_ehci_work_bh: from ehci_work_bh() (hw/usb/hcd-ehci.c)
 * @s: the controller
 * @now: the present time
 * @next: when upstream would have its next tick
 *
 * Called in a bottom half that aio_poll() may run inside something else.
 *
 * Returns: when the next tick shall be: later when the controller has
 * stepped down as far as upstream goes, earlier when the guest wants an
 * interrupt for the frame index rolling over before. Takes note of when
 * that was.
 */
int64_t pulsar_ehci_work_bh(struct EHCIState *s, int64_t now, int64_t next);

/**
 * pulsar_ehci_opreg_read: from ehci_opreg_read() (hw/usb/hcd-ehci.c)
 * @s: the controller
 * @addr: the register
 *
 * Called inside a guest's access, before a register is read. For the frame
 * index, has upstream do the
 * frames that are due, which brings it to the present.
 */
void pulsar_ehci_opreg_read(struct EHCIState *s, uint64_t addr);

/**
 * pulsar_ehci_vm_state_change: from usb_ehci_vm_state_change()
 * (hw/usb/hcd-ehci.c)
 * @s: the controller
 *
 * Called when the machine starts or stops. Brings the timer to where
 * upstream could have set it.
 */
void pulsar_ehci_vm_state_change(struct EHCIState *s);

/* ---- ui/: a display refreshed only for somebody who looks ----------- */

/**
 * pulsar_gui_setup_refresh: from gui_setup_refresh() (ui/console.c)
 * @dcl: a display listener that has a refresh callback
 *
 * Called for each listener when the refresh timer is set up or torn down;
 * the list of listeners is being walked. Changes nothing.
 *
 * Returns: whether @dcl needs it now: false for a display of VNC or SPICE
 * that no client has asked for a picture of.
 */
bool pulsar_gui_setup_refresh(struct DisplayChangeListener *dcl);

/**
 * pulsar_vnc_connect: from vnc_connect() (ui/vnc.c)
 * @vc: a client that has just been accepted, all zeros; freed on failure
 *
 * Starts the thread that encodes pictures, with the first client and not with
 * the device model. Without one the client is not taken, and the guest, which
 * upstream would end, runs on. Main loop's thread, BQL held.
 *
 * Returns: whether the client can be served.
 */
bool pulsar_vnc_connect(struct VncConnection *vc);

/**
 * pulsar_vnc_disconnect_start: from vnc_disconnect_start() (ui/vnc.c)
 * @vd: a display of which a client is about to be dropped
 *
 * Called from inside a read or write of the client. Makes the refresh due at
 * once, for that is what drops the client.
 */
void pulsar_vnc_disconnect_start(struct VncDisplay *vd);

/**
 * pulsar_vnc_disconnect_finish: from vnc_disconnect_finish() (ui/vnc.c)
 * @vs: the client that has just been taken off its display's list
 *
 * @vs's output_mutex is held. Forgets it, and stops the refresh timer after
 * the last client.
 */
void pulsar_vnc_disconnect_finish(struct VncState *vs);

/**
 * pulsar_framebuffer_update_request: from framebuffer_update_request()
 * (ui/vnc.c)
 * @vs: the client
 * @incremental: it wants changes only
 * @x, @y, @w, @h: the area it asks for, in pixels
 *
 * Called from inside the client's read handler. Makes the refresh due at once
 * when the client has something to get: a full
 * frame, another area than before, or changes that it has not been sent.
 */
void pulsar_framebuffer_update_request(struct VncState *vs, int incremental,
                                       int x, int y, int w, int h);

/**
 * pulsar_vnc_refresh: from vnc_refresh() (ui/vnc.c)
 * @vd: a display with clients that has just been refreshed
 * @changed: something was sent to a client
 *
 * Called inside the display's refresh, its lock no longer held. Sets the
 * refresh interval; upstream bounds it.
 */
void pulsar_vnc_refresh(struct VncDisplay *vd, bool changed);

/**
 * pulsar_vga_draw_text: from vga_draw_text() (hw/display/vga.c)
 * @cursor_visible: the phase of the blinking text cursor
 *
 * Called inside the display's refresh when the cursor is due to blink. When
 * nothing has happened for a while the cursor stays on, or a viewer would be
 * sent its blinking for ever.
 *
 * Returns: whether to go on blinking.
 */
bool pulsar_vga_draw_text(bool *cursor_visible);

/**
 * pulsar_update_displaychangelistener: from update_displaychangelistener()
 * (ui/console.c)
 * @dcl: a display listener that is to be refreshed more often from now on
 *
 * Called for a viewer's key or pointer, among others, also inside a refresh;
 * no display's lock is held. A display that
 * rests by the option vnc_idle is refreshed again.
 */
void pulsar_update_displaychangelistener(struct DisplayChangeListener *dcl);

/**
 * pulsar_qemu_input_event_sync: from qemu_input_event_sync() (ui/input.c)
 *
 * Called at the end of each key or movement that a viewer or a monitor sends,
 * with the BQL. Displays that somebody looks at are refreshed at full rate,
 * and not too seldom for a while: see ui/pace.h.
 */
void pulsar_qemu_input_event_sync(void);

/**
 * pulsar_channel_event: from channel_event() (ui/spice-core.c)
 * @event: SPICE_CHANNEL_EVENT_…
 * @info: the channel, whose address stays the same while it is connected
 *
 * Called in the main loop's thread or in that of the SPICE server's worker,
 * with the BQL. Takes note of display channels; acts on it in the main loop.
 */
void pulsar_channel_event(int event, const struct SpiceChannelEventInfo *info);

/**
 * pulsar_qemu_spice_display_refresh: from qemu_spice_display_refresh()
 * (ui/spice-display.c)
 * @dcl: the display that has just been refreshed
 * @changed: there is something for the SPICE server's worker
 *
 * Main loop's thread, with the BQL, the display's lock not held. Sets the
 * interval until the next refresh.
 */
void pulsar_qemu_spice_display_refresh(struct DisplayChangeListener *dcl,
                                       bool changed);

/**
 * pulsar_create_displaysurface_from: from qemu_create_displaysurface_from()
 * (ui/console.c), in place of qemu_pixman_image_new_shareable()
 * @image: gets the picture, all zero
 * @handle: gets the descriptor by which it is shared: none
 * @name: what the descriptor would be called
 * @format: a pixman_format_code_t
 * @width, @height: in pixels
 * @linesize: in bytes
 * @errp: set when there is no memory
 *
 * Called also inside a guest's access or a refresh.
 */
bool pulsar_create_displaysurface_from(union pixman_image **image, int *handle,
                                       const char *name, int format,
                                       int width, int height, int linesize,
                                       Error **errp);

/**
 * gui_setup_refresh: upstream's own, of ui/console.c, made public by a patch
 * @ds: the display state whose listeners changed their minds
 *
 * Starts or stops the refresh timer, asking pulsar_gui_setup_refresh().
 */
struct DisplayState;
void gui_setup_refresh(struct DisplayState *ds);

/* ---- hw/: the CD drive that notifies its guest ------------------------ */

/**
 * pulsar_ide_atapi_identify: from ide_atapi_identify() (hw/ide/core.c)
 * @s: a CD drive
 *
 * Called inside a guest's access, when the answer to IDENTIFY PACKET DEVICE
 * has been put together for the first time. Adds what the drive can.
 */
void pulsar_ide_atapi_identify(struct IDEState *s);

/**
 * pulsar_cmd_set_features: from cmd_set_features() (hw/ide/core.c)
 * @s: a drive, whose command registers say what it is asked for
 *
 * Called inside a guest's access, for a feature that upstream does not know.
 *
 * Returns: true when it is known here; false has the command aborted.
 */
bool pulsar_cmd_set_features(struct IDEState *s);

/**
 * pulsar_cmd_get_event_status_notification: from
 * cmd_get_event_status_notification() (hw/ide/atapi.c)
 * @s: a CD drive
 * @answer: upstream's, 8 bytes, or 4 when the guest asked for no class of
 *          events that there is
 * @max_len: how much of it the guest takes, in bytes
 *
 * Called inside a guest's access. Puts the drive's own event there.
 */
void pulsar_cmd_get_event_status_notification(struct IDEState *s,
                                              uint8_t *answer,
                                              unsigned int max_len);

/**
 * pulsar_ide_cd_change_cb: from ide_cd_change_cb() (hw/ide/core.c)
 * @s: a CD drive whose tray was opened or closed by a monitor's command
 *
 * Called in the coroutine of that command, when @s knows of the medium. May
 * write to the guest's memory and raise the drive's interrupt.
 */
void pulsar_ide_cd_change_cb(struct IDEState *s);

/**
 * pulsar_ide_cd_eject_request_cb: from ide_cd_eject_request_cb()
 * (hw/ide/core.c)
 * @s: a CD drive whose medium is locked and shall be ejected
 *
 * The same, for a request to the guest.
 */
void pulsar_ide_cd_eject_request_cb(struct IDEState *s);

/* ---- gates: hardware that the options close or move ------------------ */

/**
 * pulsar_add_device_config: from add_device_config() (system/vl.c)
 * @serial: it is for -serial
 * @parallel: it is for -parallel
 * @cmdline: the argument of one of these or of -gdb, -debugcon and the like
 *
 * Called while the command line is read; the defaults come after it. Notes
 * who uses the back end that "chardev:…" names.
 */
void pulsar_add_device_config(bool serial, bool parallel,
                              const char *cmdline);

/**
 * pulsar_serial_parse: from serial_parse() (system/vl.c)
 * @devname: the argument of -serial, given or by default
 *
 * Called before the chardev is made.
 *
 * Returns: what to use instead: @devname, "none", or what is left of "mon:…"
 * without the monitor.
 */
const char *pulsar_serial_parse(const char *devname);

/** pulsar_parallel_parse: the same from parallel_parse() for -parallel. */
const char *pulsar_parallel_parse(const char *devname);

/**
 * pulsar_usb_parse: from usb_parse() (system/vl.c)
 * @cmdline: the argument of -usbdevice; stays valid
 *
 * Returns: true when the device is left out, or will be made later.
 */
bool pulsar_usb_parse(const char *cmdline);

/**
 * pulsar_json_device: from qemu_init() (system/vl.c)
 * @device: what a -device in JSON says; it stays where it is
 *
 * Called while the command line is read. Notes which back ends it uses.
 */
void pulsar_json_device(QDict *device);

/**
 * pulsar_qdev_device_add_from_qdict: from qdev_device_add_from_qdict()
 * (system/qdev-monitor.c)
 * @device: "driver", "id", "bus" and properties
 * @from_json: the properties have types of their own
 * @ret_own: gets what is made in place of @device, the caller's; untouched
 *           when @device is
 * @errp: set when it must not be made
 *
 * Called first of all for each -device, each [device] of a configuration
 * file, each device_add, and what upstream adds by itself (a PV USB back
 * end's ports). May look at other devices; creates none.
 *
 * Returns: what to make, @device or *@ret_own. NULL with @errp set when
 * nothing may be made. Only between pulsar_qemu_create_cli_devices_begin()
 * and pulsar_qemu_create_cli_devices(), whose callers take it, NULL without
 * an error: it is left out, or made later.
 */
const QDict *pulsar_qdev_device_add_from_qdict(const QDict *device,
                                               bool from_json,
                                               QDict **ret_own, Error **errp);

/**
 * pulsar_qemu_create_cli_devices_begin: from qmp_x_exit_preconfig()
 * (system/vl.c), before qemu_create_cli_devices()
 *
 * The board is made; the devices of the command line come next, from the
 * start of the program or from QMP's x-exit-preconfig.
 */
void pulsar_qemu_create_cli_devices_begin(void);

/**
 * pulsar_qemu_create_cli_devices: from qmp_x_exit_preconfig()
 * (system/vl.c), after qemu_create_cli_devices()
 *
 * Called when every device that the command line names was seen. Makes those
 * that had to wait and those that options add.
 */
void pulsar_qemu_create_cli_devices(void);

/**
 * pulsar_monitor_init_hmp: from monitor_init_hmp() (monitor/hmp.c)
 * @chr: where the human monitor would be
 * @use_readline: false for the one inside the gdb stub
 *
 * Returns: true when there is to be none.
 */
bool pulsar_monitor_init_hmp(struct Chardev *chr, bool use_readline);

/**
 * pulsar_qmp_get_blk: from qmp_get_blk() (block/qapi-system.c)
 * @name: the drive or device that a command names, or NULL
 * @errp: set when a gate is the reason that it is not there
 *
 * Returns: whether it was set.
 */
bool pulsar_qmp_get_blk(const char *name, Error **errp);

/**
 * pulsar_qemu_loadvm_state: from qemu_loadvm_state() (migration/savevm.c)
 *
 * Called before a state is read, perhaps in a coroutine: whatever was read
 * before is another one.
 */
void pulsar_qemu_loadvm_state(void);

/**
 * pulsar_qemu_loadvm_section_start_full: from
 * qemu_loadvm_section_start_full() (migration/savevm.c)
 * @section: the name of the section that begins
 * @known: there is something here that can read it
 * @errp: set when the state must not be loaded; NULL: reported then
 *
 * Called for each section before it is read, perhaps in a coroutine. When
 * nothing can read it, may move or remove devices; the caller looks again.
 *
 * Returns: true when the state must not be loaded.
 */
bool pulsar_qemu_loadvm_section_start_full(const char *section, bool known,
                                           Error **errp);

/* The caller's own @errp, where it has one: since QEMU 10.2. */
#if QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR < 2
#define PULSAR_LOADVM_ERRP NULL
#else
#define PULSAR_LOADVM_ERRP errp
#endif

#endif /* PULSAR_HOOKS_H */
