# SPDX-License-Identifier: GPL-2.0-or-later
"""The patch series: read it, take a patch apart, apply it exactly.

Shared by patch-tree, quilt-tree, check-patches and rebase-rehearsal.
"""

import os
import re
import subprocess


class Error(Exception):
    """Something the user has to mend, in one sentence."""


class Hunk:
    """One hunk: where it stands and its lines with their first column."""

    def __init__(self, number, start, section):
        self.number = number
        self.start = start
        self.section = section
        self.lines = []

    def old(self):
        return [line[1:] for line in self.lines if line[0] in ' -']

    def new(self):
        return [line[1:] for line in self.lines if line[0] in ' +']

    def removed(self):
        return [line[1:] for line in self.lines if line[0] == '-']

    def added(self):
        return [line[1:] for line in self.lines if line[0] == '+']


class Patch:
    """A patch file: its header's fields and, by file, its hunks."""

    HUNK = re.compile(r'@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)')

    def __init__(self, folder, name):
        self.name = name
        self.path = os.path.join(folder, name)
        self.fields = {}
        self.hunks = {}
        try:
            with open(self.path, encoding='utf-8') as file:
                self._parse(file.read().split('\n'))
        except OSError as e:
            raise Error(f'patches/{name} is listed in patches/series but '
                        f'cannot be read: {e.strerror}') from None

    def _parse(self, lines):
        at = 0
        field = None
        while at < len(lines) and not lines[at].startswith('--- '):
            line = lines[at]
            match = re.match(r'([A-Za-z][A-Za-z-]*):\s*(.*)', line)
            if match:
                field = match.group(1)
                self.fields[field] = match.group(2).strip()
            elif line.startswith(' ') and field:
                self.fields[field] += '\n' + line.strip()
            else:
                field = None
            at += 1

        name = None
        while at < len(lines):
            line = lines[at]
            if line.startswith('--- ') and at + 1 < len(lines) and \
                    lines[at + 1].startswith('+++ '):
                name = self._file(line, lines[at + 1])
                self.hunks.setdefault(name, [])
                at += 2
                continue
            match = self.HUNK.match(line)
            if match is None or name is None:
                at += 1
                continue
            old, new = (int(match.group(n) or 1) for n in (2, 4))
            hunk = Hunk(len(self.hunks[name]) + 1, int(match.group(1)),
                        match.group(5))
            at += 1
            while at < len(lines) and (old > 0 or new > 0):
                line = lines[at] or ' '
                if line[0] not in ' +-\\':
                    break
                if line[0] != '\\':
                    hunk.lines.append(line)
                old -= line[0] in ' -'
                new -= line[0] in ' +'
                at += 1
            self.hunks[name].append(hunk)

    def _file(self, old, new):
        for line in (new, old):
            name = line[4:].split('\t')[0].strip()
            if name != '/dev/null':
                break
        parts = name.split('/')
        if len(parts) < 2 or '..' in parts or name.startswith('/'):
            raise Error(f'patches/{self.name} changes "{name}", which is no '
                        f'path below the source; make it with -p ab')
        return '/'.join(parts[1:])

    def context(self):
        """The most lines of context that a hunk begins or ends with."""
        def leading(lines):
            return next((n for n, line in enumerate(lines)
                         if line[0] != ' '), len(lines))
        return max((max(leading(hunk.lines), leading(hunk.lines[::-1]))
                    for hunks in self.hunks.values() for hunk in hunks),
                   default=1)

    def locate(self, name, lines):
        """Where each of its hunks for a file goes in these lines of it.

        Yields: the hunk, the places that match (counted from 0), and which of
        them patch(1) takes, the nearest to where it looks first; None if it
        fits nowhere.
        """
        offset = 0
        for hunk in self.hunks[name]:
            old = hunk.old()
            places = [at for at in range(len(lines) - len(old) + 1)
                      if lines[at:at + len(old)] == old]
            guess = hunk.start - 1 + offset
            at = min(places, key=lambda place: abs(place - guess),
                     default=None)
            if at is not None:
                offset = at - hunk.start + 1
            yield hunk, places, guess, at

    def changed(self):
        """How many lines the patch adds and removes."""
        return sum(len(hunk.added()) + len(hunk.removed())
                   for hunks in self.hunks.values() for hunk in hunks)

    def run(self, tree, reverse=False):
        """Apply the patch to a tree without any fuzz, or take it off.

        Returns: nothing when that was done, else what stood in the way.
        """
        cmd = ['patch', '-p1', '-F0', '-f', '--no-backup-if-mismatch',
               '-r', '-', '-R' if reverse else '-N',
               '-d', tree, '-i', os.path.abspath(self.path)]
        done = subprocess.run(cmd, stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT, text=True,
                              env=dict(os.environ, LC_ALL='C'))
        if done.returncode == 0:
            return None
        reasons = []
        file = None
        for line in done.stdout.splitlines():
            if line.startswith('patching file '):
                file = line[14:]
            elif re.match(r'\|\+\+\+ ', line):
                file = line.split()[1].split('/', 1)[-1]
            elif line.startswith('No file to patch'):
                reasons.append(f'there is no file {file}')
            elif line.startswith('Hunk #') and 'succeeded' not in line:
                number = line.split()[1]
                reasons.append(f'hunk {number[1:]} of {file} fits nowhere')
        return ', '.join(reasons) or done.stdout.strip().replace('\n', '; ')


def names(folder):
    """The patches that the file series lists, in its order."""
    path = os.path.join(folder, 'series')
    try:
        with open(path, encoding='utf-8') as file:
            lines = [line.split('#')[0].strip() for line in file]
    except OSError as e:
        raise Error(f'{path} cannot be read: {e.strerror}') from None
    return [line for line in lines if line]


def read(folder, only=''):
    """The patches of the series, or those of one role (folder)."""
    return [Patch(folder, name) for name in names(folder)
            if name.startswith(only)]


def files(patches):
    """The files that some patches change."""
    return sorted({name for patch in patches for name in patch.hunks})


def copy(pristine, scratch, wanted):
    """Copy just some files of a tree, so that patching them is quick."""
    for name in wanted:
        source = os.path.join(pristine, name)
        if not os.path.exists(source):
            continue
        target = os.path.join(scratch, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(source, 'rb') as file, open(target, 'wb') as out:
            out.write(file.read())
        os.chmod(target, os.stat(source).st_mode)


def without_comments(text):
    return re.sub(r'/\*.*?\*/|//[^\n]*', ' ', text, flags=re.DOTALL)


def definition(text, function):
    """A function in upstream's style: the match of its whole definition, and
    as the first group what stands between its braces; None if there is none.
    """
    return re.search(r'^(?:\w[\w\s*]*?[\s*])?' + function +
                     r'\([^;{]*\)\n\{\n(.*?)^\}', text,
                     re.DOTALL | re.MULTILINE)


def function_at(lines, at):
    """The name of the function that a line (from 0) stands in, or None."""
    brace = next((n for n in range(at, -1, -1) if lines[n][:1] in ('{', '}')
                  and (n < at or lines[n] == '{')), None)
    if brace is None or lines[brace] != '{':
        return None
    head = []
    for line in lines[brace - 1::-1] if brace else []:
        if not line or line[-1] in ';}' or line.startswith(('#', ' *', '/*')):
            break
        head.insert(0, line)
    name = re.search(r'(\w+)\s*\(', ' '.join(head))
    return name[1] if name else None


def version(tree):
    with open(os.path.join(tree, 'VERSION'), encoding='utf-8') as file:
        return file.read().strip()
