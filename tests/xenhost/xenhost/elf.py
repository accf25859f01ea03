# SPDX-License-Identifier: GPL-2.0-or-later
"""Just enough ELF: what a program needs beside it, and kernel modules."""

import os
import struct

LIB_DIRS = (
    'lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu',
    'lib64', 'usr/lib64', 'lib', 'usr/lib',
    'usr/lib/xen-4.17/lib/x86_64-linux-gnu',
)

DT_NEEDED = 1
DT_STRTAB = 5
PT_LOAD = 1
PT_DYNAMIC = 2
PT_INTERP = 3


class NotElf(Exception):
    """The file is not a 64-bit little-endian ELF file."""


class Elf:
    """One 64-bit ELF file, read whole."""

    def __init__(self, path):
        self.path = path
        with open(path, 'rb') as f:
            self.data = f.read()
        if self.data[:6] != b'\x7fELF\x02\x01':
            raise NotElf(f'{path} is not a 64-bit ELF file')
        fields = struct.unpack_from('<16xHHIQQQIHHHHHH', self.data)
        (_, _, _, _, phoff, shoff, _, _,
         phentsize, phnum, shentsize, shnum, shstrndx) = fields
        self.segments = [
            struct.unpack_from('<IIQQQQQQ', self.data, phoff + i * phentsize)
            for i in range(phnum)]
        self._sections = [
            struct.unpack_from('<IIQQQQIIQQ', self.data, shoff + i * shentsize)
            for i in range(shnum)]
        self._shstrndx = shstrndx

    def _string(self, offset):
        return self.data[offset:self.data.index(b'\0', offset)].decode()

    def section(self, name):
        """The bytes of the section called name, or None."""
        names = self._sections[self._shstrndx][4]
        for sec in self._sections:
            if self._string(names + sec[0]) == name:
                return self.data[sec[4]:sec[4] + sec[5]]
        return None

    def _file_offset(self, address):
        for kind, _, offset, vaddr, _, filesz, _, _ in self.segments:
            if kind == PT_LOAD and vaddr <= address < vaddr + filesz:
                return offset + address - vaddr
        raise NotElf(f'{self.path} has no bytes at address {address:#x}')

    @property
    def interpreter(self):
        """(file offset, length, path) of the program interpreter, or None."""
        for kind, _, offset, _, _, filesz, _, _ in self.segments:
            if kind == PT_INTERP:
                return offset, filesz, self._string(offset)
        return None

    @property
    def needed(self):
        """The sonames that the dynamic section asks for."""
        tags = []
        for kind, _, offset, _, _, filesz, _, _ in self.segments:
            if kind == PT_DYNAMIC:
                tags = list(struct.iter_unpack(
                    '<QQ', self.data[offset:offset + filesz // 16 * 16]))
        strtab = [value for tag, value in tags if tag == DT_STRTAB]
        if not strtab:
            return []
        base = self._file_offset(strtab[0])
        return [self._string(base + value)
                for tag, value in tags if tag == DT_NEEDED]

    @property
    def modinfo(self):
        """A kernel module's .modinfo as a dictionary."""
        pairs = (self.section('.modinfo') or b'').split(b'\0')
        return dict(p.decode().split('=', 1) for p in pairs if b'=' in p)


def find_library(soname, root):
    """Where the library stands below root; links are resolved inside it."""
    for folder in LIB_DIRS:
        path = os.path.join(root, folder, soname)
        if os.path.lexists(path):
            return resolve(path, root)
    raise FileNotFoundError(f'library {soname} is not below {root}')


def resolve(path, root):
    """Follow links of the last component, absolute ones from root."""
    while os.path.islink(path):
        target = os.readlink(path)
        if target.startswith('/'):
            path = os.path.join(root, target.lstrip('/'))
        else:
            path = os.path.join(os.path.dirname(path), target)
    return path


def command(program, root):
    """The words that run a program of another system's folder as it is there,
    with that system's loader and libraries and none of this one's."""
    folders = {os.path.dirname(path)
               for path in closure([program], root).values()}
    # The link is absolute: followed here, it would be this system's loader.
    loader = resolve(os.path.join(root, 'lib64/ld-linux-x86-64.so.2'), root)
    return [loader, '--library-path', ':'.join(sorted(folders)), program]


def closure(programs, root='/'):
    """{soname: path} of every library that the programs need."""
    found = {}
    todo = list(programs)
    while todo:
        elf = Elf(todo.pop())
        for soname in elf.needed:
            if soname not in found:
                found[soname] = find_library(soname, root)
                todo.append(found[soname])
    return found
