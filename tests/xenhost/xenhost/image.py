# SPDX-License-Identifier: GPL-2.0-or-later
"""What the emulated host boots: Xen, dom0's kernel and files, the guests.

All of it comes from Debian 12's packages and from the folders dom0/ and
guests/ beside this one. It is kept in build/xenhost/image and made anew when
a package's version or one of our files changed.
"""

import gzip
import hashlib
import lzma
import os
import re
import shutil
import struct
import subprocess
import zlib

from . import elf, packages
from .cpio import Cpio
from .elf import Elf, NotElf, closure, resolve
from .paths import HERE, WORK, Trouble, lock, say

ROOT = os.path.join(WORK, 'root')
IMAGE = os.path.join(WORK, 'image')
XEN = os.path.join(IMAGE, 'xen')
KERNEL = os.path.join(IMAGE, 'vmlinux')
DOM0 = os.path.join(IMAGE, 'dom0.cpio')
STAMP = os.path.join(IMAGE, 'key')
GUESTS = os.path.join(HERE, 'guests')
WINDOWS = os.path.join(GUESTS, 'windows')

# The guests' firmware is newer: the BIOS of Debian 12 takes a device model's
# refusal of a command on AHCI, as QEMU tells it since 8.1, for half a minute
# of silence.
FIRMWARE_SUITE = 'trixie'
NAMES = ['xen-hypervisor-4.17-amd64', 'xen-utils-4.17', 'xenstore-utils',
         'linux-image-amd64', 'busybox-static', 'ipxe-qemu',
         'qemu-system-xen', 'qemu-system-data', 'grub-pc-bin',
         'grub-efi-amd64-bin', 'ovmf', 'dosfstools', 'mtools']

DEBIAN_DM = 'usr/libexec/xen-qemu-system-i386'
XEN_BIN = 'usr/lib/xen-4.17/bin/'
PROGRAMS = [
    XEN_BIN + 'xl', XEN_BIN + 'xenstored', XEN_BIN + 'xenconsoled',
    XEN_BIN + 'xen-init-dom0', XEN_BIN + 'libxl-save-helper',
    XEN_BIN + 'xenconsole', XEN_BIN + 'xen-hvmctx', XEN_BIN + 'lsevtchn',
    'usr/bin/xenstore-ls', 'usr/bin/xenstore-read', 'usr/bin/xenstore-write',
    'usr/bin/xenstore-rm', 'usr/bin/xenstore-list', 'usr/bin/xenstore-watch',
    'usr/bin/xenstore-exists', 'usr/bin/xenstore-chmod', 'usr/bin/xenstore',
    DEBIAN_DM,
]
DATA = ['usr/lib/xen-4.17/boot/hvmloader', 'usr/share/seabios/bios-256k.bin',
        'usr/share/seabios/vgabios-stdvga.bin',
        'usr/share/seabios/vgabios-cirrus.bin',
        'usr/lib/ipxe/qemu/pxe-rtl8139.rom', 'usr/lib/ipxe/qemu/pxe-e1000.rom',
        'usr/lib/ipxe/qemu/efi-rtl8139.rom',
        'usr/lib/ipxe/qemu/efi-e1000.rom', 'usr/share/qemu/keymaps/en-us',
        'usr/share/ovmf/OVMF.fd']
DOM0_MODULES = ['xen-evtchn', 'xen-gntdev', 'xen-gntalloc', 'xen-privcmd',
                'xenfs', 'loop', 'xen-blkback', 'xen-netback', 'tun', 'nvme']
GUEST_BOOT_MODULES = ['xen-blkfront']
GUEST_MODULES = ['xen-blkfront', 'xen-netfront', 'xen-kbdfront', 'uhci-hcd',
                 'ehci-pci', 'xhci-pci', 'usbhid', 'hid-generic', 'evdev',
                 'usb-storage', 'uas', 'ahci', 'ata_piix', 'sd_mod', 'sr_mod',
                 'isofs', 'parport_pc', 'lp', 'psmouse', 'mousedev',
                 '8139cp', 'e1000', 'nvme', 'rtc-cmos', 'button']
HELPERS = ['wakecount', 'rfb', 'ttytalk', 'gone', 'depriv', 'qmp', 'xapi-dm']
SECTOR = 512
GRUB_SECTORS = 256
PARTITIONS_AT = 446     # in the first sector
WINDOWS_SECTORS = 2048
ESP_SECTORS = 2048      # an EFI system partition, for the smallest FAT


def _wanted(name):
    """Whether a file of the packages is of any use here."""
    if '/modules/' in name:
        return '/kernel/' in name and re.search(
            r'/(drivers/(xen|block|net|usb|ata|scsi|input|hid|cdrom|parport|'
            r'char|nvme|rtc|acpi|virtio|video|i2c|ptp|pps)|lib|crypto|fs/isofs'
            r'|fs/nls|net/core|block|arch)/', name) is not None
    return name.startswith((
        'bin/', 'boot/', 'lib/', 'lib64/', 'sbin/', 'usr/bin/', 'usr/sbin/',
        'usr/lib/', 'usr/libexec/', 'usr/share/ovmf/', 'usr/share/qemu/',
        'usr/share/seabios/'))


def _own_files():
    for name in HELPERS:
        yield os.path.join(HERE, 'dom0', name + '.c')
    for folder in GUESTS, WINDOWS:
        for entry in sorted(os.scandir(folder), key=lambda e: e.name):
            if entry.is_file():
                yield entry.path
    for name in ('image.py', 'cpio.py', 'elf.py', 'packages.py'):
        yield os.path.join(HERE, 'xenhost', name)


def _key(listed):
    digest = hashlib.sha256()
    for package in listed:
        digest.update(f'{package.file} {package.digest}\n'.encode())
    for path in _own_files():
        digest.update(os.path.basename(path).encode() + b'\0')
        with open(path, 'rb') as f:
            digest.update(hashlib.sha256(f.read()).digest())
    return digest.hexdigest()


def _run(*command):
    run = subprocess.run(command, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode != 0:
        raise Trouble(f'{os.path.basename(command[0])} failed: '
                      f'{run.stdout.strip() or run.returncode}')


def _one(pattern):
    """The one file below ROOT whose path matches."""
    folder, expression = os.path.split(pattern)
    names = [n for n in os.listdir(os.path.join(ROOT, folder))
             if re.fullmatch(expression, n)]
    if len(names) != 1:
        raise Trouble(f'{len(names)} files in the packages match {pattern}, '
                      'not one')
    return os.path.join(ROOT, folder, names[0])


def _unpack_kernel(vmlinuz):
    """The ELF inside a bzImage, by the offset in its setup header."""
    with open(vmlinuz, 'rb') as f:
        image = f.read()
    if image[0x202:0x206] != b'HdrS':
        raise Trouble(f'{vmlinuz} is no Linux boot image')
    setup = (image[0x1f1] or 4) + 1
    offset, length = struct.unpack_from('<II', image, 0x248)
    start = setup * SECTOR + offset
    payload = image[start:start + length]
    if not payload.startswith(b'\xfd7zXZ'):
        raise Trouble(f'{vmlinuz} is not packed with xz, which is all that '
                      'can be unpacked here')
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload)


class _Modules:
    """The kernel modules of the packages, and what each needs first."""

    def __init__(self):
        self._paths = {}
        top = os.path.join(ROOT, 'lib/modules')
        self.version = os.listdir(top)[0]
        for folder, _, names in os.walk(top):
            for name in names:
                if name.endswith('.ko'):
                    self._paths[self._plain(name[:-3])] = os.path.join(
                        folder, name)

    @staticmethod
    def _plain(name):
        return name.replace('-', '_')

    def have(self, name):
        """Whether it is a file, and not built into the kernel."""
        return self._plain(name) in self._paths

    def closure(self, names):
        """Paths of the modules and of what they need, in loading order.

        A name without a file is built into the kernel.
        """
        order = []

        def visit(name):
            path = self._paths.get(self._plain(name))
            if path is None or path in order:
                return
            for other in filter(None, Elf(path).modinfo['depends'].split(',')):
                visit(other)
            order.append(path)

        for name in names:
            visit(name)
        return order


def _add_modules(archive, modules, names):
    """The modules as busybox's modprobe looks for them."""
    folder = f'lib/modules/{modules.version}'
    listing = []
    for path in modules.closure(names):
        archive.copy(f'{folder}/{os.path.basename(path)}', path)
        needs = modules.closure([os.path.basename(path)[:-3]])[-2::-1]
        listing.append(' '.join([os.path.basename(path) + ':', *(
            os.path.basename(p) for p in needs)]))
    archive.data(f'{folder}/modules.dep', '\n'.join([*listing, '']).encode())
    archive.data('lib/modules/wanted', ' '.join(
        name for name in names if modules.have(name)).encode() + b'\n')


def _add_programs(archive, programs):
    """Programs of the packages, with the libraries that they need."""
    todo = []
    for name in programs:
        path = resolve(os.path.join(ROOT, name), ROOT)
        archive.copy(name, path)
        try:
            todo.append(Elf(path).path)
        except NotElf:
            pass
    libraries = closure(todo, ROOT)
    for soname, path in sorted(libraries.items()):
        archive.copy('usr/lib/' + soname, path)
    archive.link('lib64', 'usr/lib')
    return libraries


def _build_helpers():
    for name in HELPERS:
        _run('gcc', '-D_GNU_SOURCE', '-std=gnu11', '-O2', '-Wall', '-Wextra',
             '-Werror', '-static', '-s', '-o', os.path.join(IMAGE, name),
             os.path.join(HERE, 'dom0', name + '.c'))


def _build_boot_sector_guest():
    unlinked = os.path.join(IMAGE, 'bootsector.o')
    _run('as', '--32', '-o', unlinked, os.path.join(GUESTS, 'bootsector.S'))
    _run('ld', '-m', 'elf_i386', '-Ttext=0x7c00', '-e', '_start',
         '--oformat', 'binary', '-o', os.path.join(IMAGE, 'bootsector.img'),
         unlinked)


def _build_windows_guest():
    sources = sorted(os.path.join(WINDOWS, name)
                     for name in os.listdir(WINDOWS)
                     if name.endswith(('.S', '.c')))
    disk = os.path.join(IMAGE, 'windows.img')
    _run('gcc', '-m32', '-march=i686', '-mgeneral-regs-only', '-std=gnu11',
         '-Os', '-ffreestanding', '-fno-pic', '-no-pie',
         '-fno-stack-protector', '-fno-asynchronous-unwind-tables',
         '-fcf-protection=none', '-Wall', '-Wextra', '-Werror', '-nostdlib',
         '-Wl,--build-id=none', '-Wl,-T,' + os.path.join(WINDOWS, 'guest.ld'),
         '-o', disk, *sources)
    # What is read as if for drivers lies before the partition.
    start = WINDOWS_SECTORS
    loaded = -(-os.path.getsize(disk) // SECTOR) - 1
    efi = _grub_image(f'multiboot (hd0)1+{loaded}\nboot\n', 'x86_64-efi',
                      'multiboot')
    os.truncate(disk, (start + ESP_SECTORS) * SECTOR)
    with open(disk, 'r+b') as f:
        f.seek(PARTITIONS_AT)
        f.write(_partition_table(start))
        f.seek(start * SECTOR)
        f.write(_efi_partition(efi))


def _packaged(program, *args):
    """Run a program of the packages."""
    _run(*elf.command(os.path.join(ROOT, program), ROOT), *args)


def _grub_image(config, target, *modules):
    """GRUB for a target, with its configuration and modules inside."""
    image = os.path.join(IMAGE, 'grub.' + target)
    path = os.path.join(IMAGE, 'grub.cfg')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(config)
    _packaged('usr/bin/grub-mkimage', '-O', target, '-d',
              os.path.join(ROOT, 'usr/lib/grub', target), '-p', '/',
              '-c', path, '-o', image, *modules)
    with open(image, 'rb') as f:
        return f.read()


def _grub(config):
    """GRUB's first sector and core image for a BIOS disk."""
    with open(os.path.join(ROOT, 'usr/lib/grub/i386-pc/boot.img'), 'rb') as f:
        image = f.read() + _grub_image(config, 'i386-pc', 'biosdisk', 'linux')
    if len(image) > GRUB_SECTORS * SECTOR:
        raise Trouble(f'GRUB takes {len(image)} bytes, more than the '
                      f'{GRUB_SECTORS} sectors kept for it')
    return image


def _efi_partition(program):
    """An EFI system partition whose firmware finds the program."""
    path = os.path.join(IMAGE, 'esp')
    source = os.path.join(IMAGE, 'BOOTX64.EFI')
    with open(source, 'wb') as f:
        f.write(program)
    with open(path, 'wb') as f:
        f.truncate(ESP_SECTORS * SECTOR)
    _packaged('sbin/mkfs.fat', path)
    for folder in '::/EFI', '::/EFI/BOOT':
        _packaged('usr/bin/mmd', '-i', path, folder)
    _packaged('usr/bin/mcopy', '-i', path, source, '::/EFI/BOOT/')
    with open(path, 'rb') as f:
        return f.read()


def _partition_table(start):
    """A PC's table of partitions, with an EFI system partition and no more."""
    return struct.pack('<B3sB3sII48x', 0, b'\xfe\xff\xff', 0xef,
                       b'\xfe\xff\xff', start, ESP_SECTORS)


def _sectors(data):
    return -(-len(data) // SECTOR)


def _build_linux_guest(modules, vmlinuz):
    """A raw disk: GRUB, the kernel, an initramfs, modules; all by place.

    Only what the firmware has to read stands in the initramfs: its reads are
    slow. UEFI finds GRUB in a partition.
    """
    scratch = os.path.join(IMAGE, 'scratch.cpio')
    with Cpio(scratch) as archive:
        _add_modules(archive, modules, GUEST_MODULES)
    with open(scratch, 'rb') as f:
        loadable = f.read()
    with open(vmlinuz, 'rb') as f:
        kernel = f.read()
    modules_at = GRUB_SECTORS + _sectors(kernel)
    initrd_at = modules_at + _sectors(loadable)
    with Cpio(scratch) as archive:
        archive.node('dev/console', 5, 1)
        archive.copy('bin/busybox', os.path.join(ROOT, 'bin/busybox'))
        archive.link('bin/sh', 'busybox')
        archive.copy('init', os.path.join(GUESTS, 'linux-init'), 0o755)
        archive.data('modules.place',
                     f'{modules_at} {_sectors(loadable)}\n'.encode())
        _add_modules(archive, modules, GUEST_BOOT_MODULES)
    with open(scratch, 'rb') as f:
        initrd = gzip.compress(f.read(), mtime=0)
    with open(os.path.join(GUESTS, 'grub.cfg'), encoding='utf-8') as f:
        # GRUB's first parser knows no comments.
        config = ''.join(line for line in f if not line.startswith('#'))
    config = config.replace('@KERNEL@', f'{GRUB_SECTORS}+{_sectors(kernel)}')
    config = config.replace('@INITRD@', f'{initrd_at}+{_sectors(initrd)}')
    efi = _grub_image(config, 'x86_64-efi', 'linux')
    esp_at = initrd_at + _sectors(initrd)
    end = esp_at + ESP_SECTORS
    with open(os.path.join(IMAGE, 'linux.img'), 'wb') as disk:
        for at, data in ((0, _grub(config)), (GRUB_SECTORS, kernel),
                         (modules_at, loadable), (initrd_at, initrd),
                         (esp_at, _efi_partition(efi))):
            disk.seek(at * SECTOR)
            disk.write(data)
        disk.truncate(-(-end // 2048) * 2048 * SECTOR)
        disk.seek(PARTITIONS_AT)
        disk.write(_partition_table(esp_at))
    # The same with all but itself on the second disk.
    with open(os.path.join(IMAGE, 'grub-second.img'), 'wb') as f:
        f.write(_grub(config.replace('(hd0)', '(hd1)')))


def _build_dom0(modules):
    with Cpio(DOM0) as archive:
        archive.node('dev/console', 5, 1)
        archive.node('dev/null', 1, 3, 0o666)
        archive.copy('bin/busybox', os.path.join(ROOT, 'bin/busybox'))
        archive.link('bin/sh', 'busybox')
        for name in HELPERS:
            archive.copy('usr/local/bin/' + name, os.path.join(IMAGE, name))
        _add_programs(archive, PROGRAMS)
        for name in DATA:
            archive.copy(name, resolve(os.path.join(ROOT, name), ROOT))
        _add_modules(archive, modules, DOM0_MODULES)
        archive.data('etc/passwd', b'root:x:0:0:root:/root:/bin/sh\n')
        archive.data('etc/group', b'root:x:0:\n')
        archive.data('etc/xen/xl.conf', b'autoballoon="0"\n')
        for name in ('bootsector.img', 'linux.img', 'windows.img',
                     'grub-second.img'):
            archive.copy('guests/' + name, os.path.join(IMAGE, name), 0o644)


def _build(key):
    shutil.rmtree(IMAGE, ignore_errors=True)
    os.makedirs(IMAGE)
    with open(_one('boot/xen-4\\.17-.*\\.gz'), 'rb') as f:
        xen = zlib.decompress(f.read(), wbits=31)
    with open(XEN, 'wb') as f:
        f.write(xen)
    vmlinuz = _one('boot/vmlinuz-.*')
    with open(KERNEL, 'wb') as f:
        f.write(_unpack_kernel(vmlinuz))
    modules = _Modules()
    _build_helpers()
    _build_boot_sector_guest()
    _build_windows_guest()
    _build_linux_guest(modules, vmlinuz)
    _build_dom0(modules)
    shutil.rmtree(ROOT)
    with open(STAMP, 'w', encoding='utf-8') as f:
        f.write(key)


def ensure():
    """Have the images, whatever it takes; quick when nothing changed."""
    with lock(os.path.join(WORK, 'image.lock'), 'another build of the images'):
        listed = [p for p in packages.resolve('image', NAMES)
                  if p.name in NAMES or re.match(
                      r'lib(?!python|pam|perl)|zlib1g|grub-common|'
                      r'xen-utils-common|linux-image', p.name)]
        listed += packages.resolve('firmware', ['seabios'], FIRMWARE_SUITE)
        key = _key(listed)
        if os.path.exists(STAMP):
            with open(STAMP, encoding='utf-8') as f:
                if f.read() == key:
                    return
        packages.fetch(listed)
        say('unpacking the packages')
        packages.unpack(listed, ROOT, _wanted)
        say('building the images of Xen, dom0 and the guests')
        _build(key)
        say('the images are ready')
