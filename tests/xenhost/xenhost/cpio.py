# SPDX-License-Identifier: GPL-2.0-or-later
"""Write "newc" archives, as the kernel takes them for its initramfs.

Written here and not by cpio(1) so that device nodes need no root and the
same input gives the same bytes.
"""

import os
import stat


class Cpio:
    """An archive that is being written to a file."""

    def __init__(self, path):
        self._file = open(path, 'wb')
        self._dirs = set()
        self._inode = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self._entry('TRAILER!!!', 0, b'')
            self._file.write(bytes(-self._file.tell() % 512))
        self._file.close()

    def _entry(self, name, mode, data, rdev=(0, 0)):
        self._inode += 1
        raw = name.encode() + b'\0'
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0,
                  rdev[0], rdev[1], len(raw), 0)
        head = b'070701' + b''.join(b'%08X' % f for f in fields) + raw
        self._file.write(head + bytes(-len(head) % 4))
        self._file.write(data + bytes(-len(data) % 4))

    def _parents(self, name):
        parent = os.path.dirname(name)
        if parent:
            self.folder(parent)

    def folder(self, name, mode=0o755):
        """Add a folder and those above it."""
        name = name.strip('/')
        if name in self._dirs:
            return
        self._parents(name)
        self._dirs.add(name)
        self._entry(name, stat.S_IFDIR | mode, b'')

    def data(self, name, data, mode=0o644):
        """Add a file with the given bytes."""
        name = name.strip('/')
        self._parents(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def copy(self, name, source, mode=None):
        """Add a file of this system; its execute bit is kept."""
        with open(source, 'rb') as f:
            if mode is None:
                mode = os.fstat(f.fileno()).st_mode & 0o111 | 0o644
            self.data(name, f.read(), mode)

    def link(self, name, target):
        """Add a symbolic link."""
        name = name.strip('/')
        self._parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, major, minor, mode=0o600):
        """Add a character device."""
        name = name.strip('/')
        self._parents(name)
        self._entry(name, stat.S_IFCHR | mode, b'', (major, minor))
