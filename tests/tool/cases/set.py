# SPDX-License-Identifier: GPL-2.0-or-later
"""pulsar set and unset: pulsar.conf under xl, xe under xapi."""

import ctypes
import json
import os
import shlex
import subprocess

from harness import (case, check, equal, Skip, NO_SUCH_VM, SYSTEM, USAGE)
from cases.real import Hall, standin

CLONE_NEWNET = 0x40000000
HEAD = '# of this host\n[defaults]\n# quiet\nparallel=none\n'


def conf(host, text=None):
    path = os.path.join(host.dir, 'pulsar.conf')
    if text is not None:
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
    return path


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def xl(host, *args, **more):
    return host.run(args[0], '-t', 'xl', '-f', conf(host), *args[1:], **more)


def groups(path):
    """{group: {key: value}}"""
    ret = {}
    for line in read(path).splitlines():
        if line.startswith('['):
            group = ret.setdefault(line.strip('[]'), {})
        elif '=' in line and not line.startswith('#'):
            key, value = line.split('=', 1)
            group[key] = value
    return ret


@case
def set_writes_pulsar_conf(host):
    path = conf(host)
    host.dm(5, name='web')
    out = xl(host, 'set', 'web', 'usb=false', 'dvd=none').out
    check('set usb=false dvd=none for web in ' + path in out and
          'started next' in out, out)
    equal(groups(path), {'vm web': {'usb': 'false', 'dvd': 'none'}}, 'file')
    xl(host, 'set', '5', 'usb=xhci')
    equal(groups(path), {'vm web': {'usb': 'xhci', 'dvd': 'none'}},
          'by domain id')
    out = xl(host, 'set', '--all', 'usb=false', 'serial=none').out
    check('[vm web] keeps its own usb=xhci' in out, out)
    equal(groups(path)['defaults'], {'usb': 'false', 'serial': 'none'},
          '--all')
    xl(host, 'unset', 'web', 'usb', 'dvd')
    check(not groups(path).get('vm web'), read(path))
    xl(host, 'unset', '--all', 'usb')
    equal(groups(path)['defaults'], {'serial': 'none'}, 'unset --all')
    out = xl(host, 'set', 'later', 'usb=no').out
    check("no VM 'later' is running" in out, out)
    equal(groups(path)['vm later'], {'usb': 'no'}, 'of one that is to come')
    equal(os.stat(path).st_mode & 0o777, 0o644, 'mode')


@case
def set_keeps_what_others_wrote(host):
    path = conf(host, HEAD + '\n[vm mail]\nusb = xhci\n# the end\n')
    xl(host, 'set', 'web', 'usb=false')
    text = read(path)
    for line in ('# of this host', '[defaults]', '# quiet', 'parallel=none',
                 '[vm mail]', '# the end', '[vm web]', 'usb=false'):
        check(line in text.splitlines(), f'{line!r} is not in {text!r}')


@case
def set_leaves_the_file_where_and_as_it_is(host):
    real = os.path.join(host.dir, 'of-the-host')
    with open(real, 'w', encoding='utf-8') as f:
        f.write(HEAD)
    os.chmod(real, 0o640)
    os.symlink(real, conf(host))
    xl(host, 'set', 'web', 'usb=false')
    check(os.path.islink(conf(host)), 'the link is gone')
    equal(groups(real)['vm web'], {'usb': 'false'}, 'file')
    equal(os.stat(real).st_mode & 0o777, 0o640, 'mode')


@case
def set_by_many_at_once(host):
    """Whoever writes the file waits for whoever does, and nothing is lost."""
    path = conf(host, HEAD)
    names = [f'vm{i}' for i in range(24)]
    children = [host.start('set', '-t', 'xl', '-f', path, name, 'usb=false')
                for name in names]
    for child in children:
        child.communicate()
        equal(child.returncode, 0, 'exit')
    equal(sorted(groups(path)), sorted(['defaults'] +
                                       [f'vm {n}' for n in names]), 'groups')


@case(sanitised=True)
def set_checks_before_it_writes(host):
    path = conf(host, HEAD)
    host.dm(5, name='web')
    host.dm(6, name='a[b')
    for code, args, says in (
            (USAGE, ('set', 'web', 'usb=false', 'dvd=maybe'),
             ('dvd', 'maybe', 'ahci')),
            (USAGE, ('set', 'web', 'usb=false', 'ubs=false'), ('ubs',)),
            (USAGE, ('set', 'web', 'usb=\x1b[31m'), (r'\x1b[31m',)),
            (USAGE, ('set', 'web', '=x'), ()),
            (USAGE, ('set', 'web'), ('KEY=VALUE',)),
            (USAGE, ('set', 'usb=false'), ('--all',)),
            (USAGE, ('set', '--all', 'web', 'usb=false'), ('--all',)),
            (USAGE, ('set', 'a[b', 'usb=false'), ('a[b', 'UUID')),
            (USAGE, ('set', '6', 'usb=false'), ('a[b', 'UUID')),
            (USAGE, ('set', 'web ', 'usb=false'), ('web ', 'UUID')),
            (USAGE, ('set', ' web', 'usb=false'), (' web', 'UUID')),
            (USAGE, ('set', '', 'usb=false'), ('UUID',)),
            (NO_SUCH_VM, ('set', '31009', 'usb=false'), ('31009', 'name')),
            (NO_SUCH_VM, ('set', 'web', '31009', 'usb=false'), ('31009',)),
            (USAGE, ('unset', 'web', 'ubs'), ('name of an option',)),
            (USAGE, ('unset', 'usb'), ('--all',))):
        host.fails(code, args[0], '-t', 'xl', '-f', path, *args[1:],
                   says=says + (() if code == NO_SUCH_VM else
                                ('nothing was changed',)))
        equal(read(path), HEAD, f'file after {args}')
    xl(host, 'set', 'web', 'usb=false', '--dry-run')
    xl(host, 'unset', '-n', '--all', 'parallel')
    equal(read(path), HEAD, 'file after --dry-run')


@case
def set_does_not_touch_a_file_it_does_not_understand(host):
    for text in '[nonsense\n', '[vm]\nusb=false\n', 'usb=false\n', '[x]\n':
        path = conf(host, text)
        host.fails(SYSTEM, 'set', '-t', 'xl', '-f', path, 'web', 'usb=false',
                   says=(path, 'nothing was changed'))
        equal(read(path), text, 'file')
    host.fails(SYSTEM, 'set', '-t', 'xl', '-f', '/nowhere/pulsar.conf', 'web',
               'usb=false', says=('/nowhere/pulsar.conf',))


@case
def set_as_the_doctor_says(host):
    """The line that doctor prints is one that set takes."""
    dm = host.dm(5, name="it's a web")
    child = host.start('doctor', '5', '-jn', '-d', 0.4, '-t', 'xl')
    while child.poll() is None:
        dm.say('now', 'wake timer:uhci_frame_timer 5')
        try:
            child.wait(0.02)
        except Exception:               # pylint: disable=broad-except
            pass
    line = json.loads(child.communicate()[0])['findings'][0]['lines'][0]
    words = shlex.split(line)
    equal(words[0], 'pulsar', 'command')
    xl(host, *words[1:])
    equal(groups(conf(host)), {"vm it's a web": {'usb': 'false'}}, 'file')


@case
def set_now_or_at_the_next_start(host):
    """Every option of a VM that runs, by its domain id."""
    path = conf(host)
    with Hall(host) as hall:
        m = hall.machine()
        logged = 0
        for words, now in (
                ('monitor=qmp', 'the human monitors are closed'),
                ('monitor=full', 'the human monitors are open'),
                ('usb_tablet=false', 'the tablet is unplugged'),
                ('usb_tablet=true', 'the tablet is plugged in'),
                ('usb_tablet=viewer', 'while somebody looks'),
                ('usb_tablet=given', 'the tablet is plugged in'),
                ('vnc_idle=60', 'the guest sees no difference'),
                ('vnc_idle=off', 'the guest sees no difference'),
                ('dvd=given', 'the guest sees no difference'),
                ('dvd=none', None), ('dvd=loaded', None), ('dvd=ahci', None),
                ('monitor=none', None), ('serial=none', None),
                ('parallel=none', None), ('usb=false', None),
                ('usb=xhci', None), ('ledger=off', None)):
            out = xl(host, 'set', m.domid, words).out
            about = f'standin-{m.domid} (domain {m.domid}): {words} '
            if now:
                check(about + 'now: ' in out and now in out, out)
            else:
                check(about + 'not now: ' in out and 'next start' in out, out)
            changed = m.output().count('info: options: ') - logged
            equal(changed, 2 if not logged else 1 if now or
                  words == 'dvd=none' else 0, f'lines in the log for {words}')
            logged += changed
            key, value = words.split('=')
            equal(groups(path)[f'vm standin-{m.domid}'][key], value, 'kept')
        out = xl(host, 'set', m.domid, 'serial=none', 'vnc_idle=9').out
        check('serial=none not now' in out and 'vnc_idle=9 now' in out, out)


# Looked up before the fork: other threads may be at it then.
unshare = ctypes.CDLL(None).unshare


def own_network():
    """As xapi starts a device model: in a network namespace of its own."""
    if unshare(CLONE_NEWNET):
        raise OSError('unshare')


@case
def set_reaches_a_device_model_in_its_own_network(host):
    with Hall(host) as hall:
        try:
            subprocess.run(['true'], preexec_fn=own_network, check=True)
        except subprocess.SubprocessError as e:
            raise Skip('no network namespaces here') from e
        m = standin.Machine(hall.world, standin.QEMU, None, memory=32,
                            env={'PULSAR_RUNDIR': host.rundir})
        m.start(standin.xenopsd_command(), preexec=own_network)
        out = xl(host, 'set', m.domid, 'vnc_idle=30').out
        check('vnc_idle=30 now' in out, out)


XE = r'''#!/usr/bin/python3
import json, os, sys
state = os.path.join(os.path.dirname(sys.argv[0]), 'xapi.json')
with open(state) as f:
    vms = json.load(f)
with open(state + '.log', 'a') as f:
    f.write(json.dumps(sys.argv[1:]) + '\n')
args = dict(a.split('=', 1) for a in sys.argv[2:])
if sys.argv[1] == 'vm-list':
    for uuid, vm in vms.items():
        print(f'uuid ( RO)                : {uuid}')
        for key in args['params'].split(',')[1:]:
            if key in ('platform', 'other-config'):
                value = '; '.join(f'{k}: {v}' for k, v in
                                  vm.setdefault(key, {}).items())
                print(f'            {key} (MRW): {value}')
            else:
                print(f'          {key} ( RO): {vm.get(key, "")}'.rstrip())
        print('\n')
    sys.exit()
if sys.argv[1] == 'pool-list':
    print('restrictions ( RO)    : restrict_vlan: false; ' + vms['u-0'].get(
        'restrictions', 'platform_filter: false') + '; restrict_ha: true\n\n')
    sys.exit()
hosts = vms['u-0'].get('hosts', {})
if sys.argv[1] == 'host-list':
    for name in hosts:
        print(f'uuid ( RO)                : h-{name}')
        print(f'          name-label ( RW): {name}\n\n')
    sys.exit()
if sys.argv[1] == 'host-call-plugin':
    if (args['plugin'], args['fn']) != ('pulsar', 'status'):
        sys.exit('The requested plugin could not be found.')
    answer = hosts[args['host-uuid'].removeprefix('h-')]
    if answer is None:
        sys.exit('The requested plugin could not be found.\nname: pulsar')
    print(answer)
    sys.exit()
if sys.argv[1] == 'vgpu-list':
    for uuid, vm in vms.items():
        for model in vm.get('vgpus', ()):
            print(f'uuid ( RO)               : g-{uuid}')
            print(f'            vm-uuid ( RO): {uuid}')
            print(f'    type-model-name ( RO): {model}\n\n')
    sys.exit()
vm = vms[args['uuid']]
if vm.get('refuses'):
    sys.exit('Your current role is not authorized to perform this action.')
if sys.argv[1] == 'vm-param-set':
    for key, value in args.items():
        if ':' in key:
            field, key = key.split(':', 1)
            vm.setdefault(field, {})[key] = value
elif sys.argv[1] == 'vm-param-remove':
    del vm[args['param-name']][args['param-key']]
else:
    sys.exit('unknown command')
with open(state, 'w') as f:
    json.dump(vms, f)
'''


class Xapi:
    """A xapi that is played by a script."""

    def __init__(self, host):
        self.host = host
        self.dir = os.path.join(host.dir, 'bin')
        os.mkdir(self.dir)
        with open(os.path.join(self.dir, 'xe'), 'w', encoding='ascii') as f:
            f.write(XE)
        os.chmod(f.name, 0o755)
        self.file = os.path.join(self.dir, 'xapi.json')
        hvm = {'HVM-boot-policy': 'BIOS order', 'is-control-domain': 'false',
               'is-a-template': 'false', 'is-a-snapshot': 'false'}
        self.write({
            'u-0': dict(hvm, **{'name-label': 'Control domain',
                                'is-control-domain': 'true',
                                'platform': {}}),
            'u-1': dict(hvm, **{'name-label': 'web', 'platform':
                                {'timeoffset': '0', 'usb': 'true'}}),
            'u-2': dict(hvm, **{'name-label': 'mail', 'platform': {}}),
            'u-3': dict(hvm, **{'name-label': 'Windows 10',
                                'is-a-template': 'true', 'platform': {}}),
            'u-4': dict(hvm, **{'name-label': 'web yesterday',
                                'is-a-template': 'true',
                                'is-a-snapshot': 'true', 'platform': {}}),
            'u-5': dict(hvm, **{'name-label': 'pv', 'HVM-boot-policy': '',
                                'platform': {}}),
            'u-6': dict(hvm, **{'name-label': 'twin', 'platform': {}}),
            'u-7': dict(hvm, **{'name-label': 'twin', 'platform': {}}),
        })

    def write(self, vms):
        with open(self.file, 'w', encoding='ascii') as f:
            json.dump(vms, f)

    def vms(self):
        with open(self.file, encoding='ascii') as f:
            return json.load(f)

    def platforms(self):
        return {u: vm['platform'] for u, vm in self.vms().items()}

    def env(self):
        return {'PATH': self.dir + ':' + os.environ['PATH']}

    def run(self, *args, **more):
        return self.host.run(*args, env=self.env(), **more)

    def fails(self, *args, **more):
        return self.host.fails(*args, env=self.env(), **more)


@case(sanitised=True)
def set_by_xapi(host):
    xapi = Xapi(host)
    before = xapi.platforms()
    out = xapi.run('set', 'web', 'u-2', 'usb=false', 'dvd=none').out
    check('set usb=false dvd=none for web (u-1)\n' in out and
          'for mail (u-2)\n' in out, out)
    want = dict(before, **{
        'u-1': {'timeoffset': '0', 'usb': 'false', 'dvd': 'none'},
        'u-2': {'usb': 'false', 'dvd': 'none'}})
    equal(xapi.platforms(), want, 'platform maps')
    out = xapi.run('unset', 'web', 'mail', 'usb', 'serial').out
    want['u-1']['usb'] = 'true'     # as it was before
    del want['u-2']['usb']
    equal(xapi.platforms(), want, 'after unset')
    # One that runs may be called by its domain.
    host.dm(31007, 'uuid u-6', name='renamed')
    out = xapi.run('set', 31007, 'dvd=loaded').out
    check('set dvd=loaded for twin (u-6)\n' in out, out)
    want['u-6'] = {'dvd': 'loaded'}
    equal(xapi.platforms(), want, 'by domain id')


@case(sanitised=True)
def set_by_xapi_what_xapi_rewrites(host):
    """It makes platform:usb and usb_tablet true or false; others it keeps."""
    xapi = Xapi(host)

    def web(*args):
        xapi.run(args[0], 'web', *args[1:])
        platform = xapi.platforms()['u-1']
        equal(platform.pop('timeoffset'), '0', 'what is not ours')
        return platform

    equal(web('set', 'usb=xhci', 'usb_tablet=viewer'),
          {'usb': 'true', 'pulsar_usb': 'xhci', 'usb_tablet': 'true',
           'pulsar_usb_tablet': 'viewer'}, 'words')
    equal(web('set', 'usb=no'),
          {'usb': 'false', 'usb_tablet': 'true',
           'pulsar_usb_tablet': 'viewer'}, 'a boolean takes the word away')
    for no in 'off', 'No', '0':
        web('set', 'usb=true')
        equal(web('set', f'usb={no}')['usb'], 'false', no)
    equal(web('set', 'usb=EHCI', 'usb_tablet=0'),
          {'usb': 'true', 'pulsar_usb': 'EHCI', 'usb_tablet': 'false'},
          'one of each')
    equal(web('unset', 'usb', 'usb_tablet'), {'usb': 'true'},
          'unset puts back what there was')


@case
def set_all_by_xapi(host):
    xapi = Xapi(host)
    out = xapi.run('set', '--all', 'serial=none', '--dry-run').out
    check('would set serial=none for web (u-1)' in out, out)
    check(all('hvm_serial' not in p for p in xapi.platforms().values()),
          'dry run')
    out = xapi.run('set', '--all', 'serial=none').out
    equal([u for u, p in xapi.platforms().items()
           if p.get('hvm_serial') == 'none'], ['u-1', 'u-2', 'u-6', 'u-7'],
          'changed')
    for words in ('Control domain (u-0): it is a control domain',
                  'Windows 10 (u-3): it is a template',
                  'web yesterday (u-4): it is a snapshot',
                  'pv (u-5): it is not an HVM guest', 'pool-admin'):
        check(words in out, f'"{words}" is not in {out}')
    vms = xapi.vms()
    vms['u-2']['refuses'] = True
    xapi.write(vms)
    r = xapi.fails(SYSTEM, 'set', '--all', 'dvd=none', says=('1 of 4',))
    check('skipped mail (u-2)' in r.out and 'not authorized' in r.out, r.out)
    equal([u for u, p in xapi.platforms().items() if 'dvd' in p],
          ['u-1', 'u-6', 'u-7'], 'the others are changed')


@case
def set_by_xapi_checks_first(host):
    xapi = Xapi(host)
    before = xapi.platforms()
    for code, args, says in (
            (USAGE, ('web', 'usb=maybe'), ('maybe', 'xhci')),
            (USAGE, ('web', 'ubs=false'), ('ubs',)),
            (USAGE, ('web', 'ledger=off'), ('ledger', 'pulsar.conf')),
            (NO_SUCH_VM, ('web', 'nix', 'usb=false'), ('nix',)),
            (NO_SUCH_VM, ('web', 'twin', 'usb=false'), ('twin', 'UUID')),
            (USAGE, ('web', 'u-4', 'usb=false'), ('u-4', 'snapshot')),
            (USAGE, ('Windows 10', 'usb=false'), ('template',))):
        xapi.fails(code, 'set', *args, says=says)
        equal(xapi.platforms(), before, f'after {args}')
    host.fails(SYSTEM, 'set', '-t', 'xapi', 'web', 'usb=false', says=('xe',),
               env={'PATH': '/nowhere'})


@case(sanitised=True)
def set_by_xapi_leaves_the_serial_port_alone(host):
    """The word "given" is none of xapi's: the key goes. What somebody has
    connected (as with hvm_serial=tcp:HOST:PORT) is nobody else's."""
    xapi = Xapi(host)
    out = xapi.run('set', 'mail', 'serial=none').out
    equal(xapi.platforms()['u-2'], {'hvm_serial': 'none'}, 'none')
    xapi.run('set', 'mail', 'serial=given', 'parallel=given')
    equal(xapi.platforms()['u-2'], {}, 'given')
    vms = xapi.vms()
    vms['u-1']['platform']['hvm_serial'] = 'tcp:192.0.2.7:4444,nowait'
    xapi.write(vms)
    before = xapi.platforms()
    xapi.run('set', 'web', 'serial=given')
    equal(xapi.platforms(), before, 'given, of one that is connected')
    r = xapi.fails(SYSTEM, 'set', 'web', 'serial=none', says=('1 of 1',))
    check('kept platform:hvm_serial=tcp:192.0.2.7:4444,nowait of web' in r.out,
          r.out)
    equal(xapi.platforms(), before, 'none, of one that is connected')
    xapi.run('unset', 'web', 'serial')
    equal(xapi.platforms(), before, 'unset')
    out = xapi.run('set', '--all', 'serial=none', 'usb=false').out
    check('kept platform:hvm_serial=tcp' in out and
          'set usb=false for web (u-1)\n' in out and
          'set serial=none usb=false for mail (u-2)\n' in out, out)
    have = xapi.platforms()
    equal((have['u-1']['hvm_serial'], have['u-1']['usb'],
           have['u-2']['hvm_serial']),
          ('tcp:192.0.2.7:4444,nowait', 'false', 'none'), 'all')


@case(sanitised=True)
def set_by_xapi_is_undone(host):
    """One command for all VMs, and one that puts back what was."""
    xapi = Xapi(host)
    vms = xapi.vms()
    vms['u-1']['platform'].update(parallel='/dev/parport0', dvd='loaded')
    vms['u-6']['other-config'] = {'mine': 'stays'}
    xapi.write(vms)
    before = xapi.platforms()
    keys = 'serial', 'parallel', 'usb', 'usb_tablet', 'dvd'
    change = ('serial=none', 'parallel=none', 'usb=xhci', 'usb_tablet=off',
              'dvd=none')
    out = xapi.run('set', '--all', '--dry-run', *change).out
    equal(xapi.platforms(), before, 'dry run')
    equal(out.count('would set'), 4, out)
    xapi.run('set', '--all', *change)
    xapi.run('set', 'web', 'usb=false')         # and once more
    check(xapi.platforms() != before, 'changed')
    xapi.run('unset', '--all', '-n', *keys)
    check(xapi.platforms() != before, 'dry run of unset')
    xapi.run('unset', '--all', *keys)
    equal(xapi.platforms(), before, 'undone')
    for vm in xapi.vms().values():
        check(vm.get('other-config', {}) in ({}, {'mine': 'stays'}), vm)


@case
def set_by_xapi_says_what_is_handed_on(host):
    """xapi hands on what it knows, and the rest where its feature
    no_platform_filter is on, as in XCP-ng ("xe pool-list
    params=restrictions": platform_filter is false)."""
    xapi = Xapi(host)
    for told, words in (
            ('platform_filter: false', 'note: xapi hands platform:dvd on'),
            ('platform_filter: true', 'note: xapi drops platform:dvd here'),
            ('x: y', 'note: xapi does not say whether')):
        vms = xapi.vms()
        vms['u-0']['restrictions'] = told
        xapi.write(vms)
        out = xapi.run('set', 'web', 'dvd=none', 'usb=off', 'serial=none').out
        check(words in out, f'{told}: {out}')
        for key in 'usb', 'hvm_serial':
            check(f'hands platform:{key} on' in out, out)
        out = xapi.run('set', 'web', 'usb=xhci', '-n').out
        check('platform:pulsar_usb' in out and 'platform:usb ' not in out, out)
