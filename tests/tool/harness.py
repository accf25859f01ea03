# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cases of the suite "tool" are written with.

A case is a function marked with @case; it gets a Host: an empty folder for
ledger pages, device models that are played by fakedm, and the command.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import traceback

from xenstored import Xenstored

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get('PULSAR_BUILD') or 'build')
TOOL = os.path.join(TOP, os.environ.get('PULSAR_TOOL') or
                    os.path.join(BUILD, 'pulsar'))
OUR_BUILD = os.path.join(BUILD, 'tool-tests')
SANITISED = os.path.join(OUR_BUILD, 'pulsar')
FAKEDM = os.path.join(OUR_BUILD, 'fakedm')

# How the command ends (tools/cli.h).
OK, EXCEEDED, USAGE, NO_SUCH_VM, NO_VM, PERMISSION, BAD_PAGE, SYSTEM = range(8)

CASES = []


class Failure(Exception):
    """A test has failed."""


class Skip(Exception):
    """A test cannot run here."""


def case(function=None, *, sanitised=False, alone=False):
    """Makes a function a case.

    sanitised: run it under ASAN and UBSAN too; alone: at no other's time.
    """
    def mark(f):
        CASES.append((f, sanitised, alone))
        return f
    return mark(function) if function else mark


def check(condition, what):
    if not condition:
        raise Failure(what)


def equal(have, want, what):
    check(have == want, f'{what}: {have!r}, wanted {want!r}')


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def jsons(self):
        return [json.loads(line) for line in self.out.splitlines()]


def settled(pid):
    """Until a process sleeps or has ended."""
    while True:
        with open(f'/proc/{pid}/stat', encoding='ascii',
                  errors='replace') as f:
            if f.read().rsplit(')', 1)[1].split()[0] in 'SZ':
                return
        os.sched_yield()


def unescaped(text):
    return re.sub(rb'\\x([0-9a-f]{2})', lambda m: bytes([int(m[1], 16)]),
                  text.encode('utf-8', 'surrogateescape'))


class Dm:
    """A device model that does what it is told, and sleeps when it is done:
    going to sleep is a context switch too, which nobody may see later."""

    def __init__(self, path, domid, args, argv0='fakedm', start=0.0,
                 xenstored=None, program=FAKEDM):
        self.path, self.domid, self.xenstored = path, domid, xenstored
        self.child = subprocess.Popen(
            [argv0, path, str(domid), *args], executable=program,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            errors='surrogateescape')
        self.pid = self.child.pid
        self.answer('start of fakedm')
        if start is not None:
            self.say(f'start {start}')

    def answer(self, about):
        line = self.child.stdout.readline()
        if line != 'ok\n':
            raise Failure(f'fakedm on "{about}": {line!r}')
        settled(self.pid)

    def say(self, *lines):
        """Does it; the toolstack knows names and UUIDs too."""
        for line in lines:
            verb, _, rest = line.partition(' ')
            if self.xenstored and verb in ('name', 'uuid'):
                self.xenstored.name(self.domid, **{verb: unescaped(rest)})
        return self.claim(*lines)

    def claim(self, *lines):
        """Does it, and nobody else says so."""
        for line in lines:
            self.child.stdin.write(line + '\n')
            self.child.stdin.flush()
            self.answer(line)
        return self

    def leave(self):
        """Ends as a device model ends cleanly."""
        self.child.stdin.close()
        self.child.wait()

    def crash(self):
        self.child.kill()
        self.child.wait()

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()


class Host:
    """A host of its own for one case."""

    def __init__(self, tool):
        self.tool = tool
        self.dir = tempfile.mkdtemp(prefix='pulsar-tool-')
        self.rundir = os.path.join(self.dir, 'run')
        os.mkdir(self.rundir)
        self.dms = []
        self.xenstored = Xenstored(os.path.join(self.dir, 'xenstored'))
        self.env = dict(os.environ, PULSAR_RUNDIR=self.rundir,
                        LC_ALL='C.UTF-8', TERM='screen-256color',
                        XENSTORED_PATH=os.path.join(self.dir, 'xenstored'),
                        XENSTORED_RUNDIR=self.dir, PULSAR_TOOLSTACK='xl')
        self.env.pop('NO_COLOR', None)

    def close(self):
        for dm in self.dms:
            dm.close()
        self.xenstored.close()
        shutil.rmtree(self.dir)

    def path(self, domid):
        return os.path.join(self.rundir, f'{domid}.ledger')

    def dm(self, domid, *lines, name=None, start=0.0, args=(), **more):
        """A device model with a ledger page, made START seconds ago."""
        dm = Dm(self.path(domid), domid, args, start=start,
                xenstored=self.xenstored, **more)
        self.xenstored.name(domid)
        self.dms.append(dm)
        if name is not None:
            dm.say('name ' + name)
        return dm.say(*lines)

    def process(self, domid, name, path, args=(), start=None):
        """A process with the command line of a device model."""
        dm = Dm(path, domid, ['-xen-domid', str(domid), '-name', name, *args],
                argv0='/usr/lib/xen/bin/qemu-system-i386', start=start,
                xenstored=self.xenstored)
        self.xenstored.name(domid, re.sub('^guest=|,.*', '', name).encode())
        self.dms.append(dm)
        return dm

    def stock(self, domid, name='stock', args=()):
        """A device model without a page, known by its command line only."""
        return self.process(domid, name, '-', args)

    def start(self, *args, env=(), prefix=(), **more):
        return subprocess.Popen([*prefix, self.tool, *map(str, args)],
                                env=dict(self.env, **dict(env)),
                                stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def run(self, *args, code=OK, **more):
        """Runs the command; whatever it prints has to be harmless."""
        child = self.start(*args, **more)
        try:
            out, err = child.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise Failure(f'pulsar {args}: hangs') from None
        words = ' '.join(map(str, args))
        if child.returncode < 0:
            raise Failure(f'pulsar {words}: '
                          f'{signal.Signals(-child.returncode).name}')
        result = Result(child.returncode, out.decode('utf-8'),
                        err.decode('utf-8'))
        if code is not None and child.returncode != code:
            raise Failure(f'pulsar {words}: exit {child.returncode}, wanted '
                          f'{code}\n{result.out}{result.err}')
        for text in result.out, result.err:
            bad = [c for c in text if c != '\n' and not c.isprintable()]
            check(not bad, f'pulsar {words}: prints {bad[:5]!r}')
        if child.returncode not in (OK, EXCEEDED):
            sentence(result.err, words)
        return result

    def fails(self, code, *args, says=(), **more):
        """Runs the command, which has to refuse, and to say why."""
        result = self.run(*args, code=code, **more)
        for word in says:
            check(word in result.err, f'pulsar {args}: "{result.err.strip()}" '
                                      f'does not say "{word}"')
        return result


def sentence(err, about):
    lines = err.splitlines()
    check(lines and lines[-1].startswith('pulsar: ') and
          'Sanitizer' not in err and 'runtime error' not in err,
          f'pulsar {about}: no sentence: {err!r}')


def run_case(function, tool, label):
    """Says how it went in TAP; whether it passed or was skipped."""
    name = f'{label}: {function.__name__.replace("_", " ")}'
    host = Host(tool)
    good, lines = True, [f'ok - {name}']
    try:
        function(host)
    except Skip as why:
        lines = [f'ok - {name} # SKIP {why}']
    except Exception as e:              # pylint: disable=broad-except
        text = str(e) if isinstance(e, Failure) else traceback.format_exc()
        good = False
        lines = [f'not ok - {name}'] + ['# ' + ascii(line)[1:-1]
                                        for line in text.splitlines()]
    finally:
        host.close()
    print('\n'.join(lines), flush=True)
    return good
