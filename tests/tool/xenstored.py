# SPDX-License-Identifier: GPL-2.0-or-later
"""A xenstored that only answers reads: what toolstacks wrote about domains,
as a test says it."""

import os
import socket
import struct
import threading

XS_DIRECTORY, XS_READ, XS_ERROR = 1, 2, 16
HEADER = struct.Struct('<IIII')     # type, request, transaction, length


class Xenstored:
    def __init__(self, path):
        self.nodes = {}             # "/local/domain/7/name": bytes
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,),
                             daemon=True).start()

    def answer(self, kind, path):
        if kind == XS_READ and path in self.nodes:
            return kind, self.nodes[path]
        if kind == XS_DIRECTORY:
            children = {p[len(path) + 1:].split('/')[0] for p in self.nodes
                        if p.startswith(path + '/')}
            return kind, b''.join(os.fsencode(c) + b'\0'
                                  for c in sorted(children))
        return XS_ERROR, b'ENOENT\0'

    def serve(self, client):
        with client, client.makefile('rb') as f:
            while True:
                head = f.read(HEADER.size)
                if len(head) < HEADER.size:
                    return
                kind, request, transaction, length = HEADER.unpack(head)
                path = os.fsdecode(f.read(length).rstrip(b'\0'))
                kind, body = self.answer(kind, path)
                client.sendall(HEADER.pack(kind, request, transaction,
                                           len(body)) + body)

    def forget(self, domid):
        """As when the domain has gone."""
        home = f'/local/domain/{domid}/'
        for node in [n for n in self.nodes if n.startswith(home)]:
            del self.nodes[node]

    def name(self, domid, name=None, uuid=None):
        """What the toolstack calls a domain."""
        home = f'/local/domain/{domid}'
        self.nodes[home + '/domid'] = str(domid).encode()
        if name is not None:
            self.nodes[home + '/name'] = name
        if uuid is not None:
            self.nodes[home + '/vm'] = b'/vm/' + uuid

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
