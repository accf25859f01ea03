# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of the stand-in, in groups.

A group is a function that takes a Bench (the world, the report, the binary
to judge) and opens report.case() for each test.  Groups whose figures depend
on having the processors to themselves run one after the other; groups that
mostly wait for a window to pass run side by side after them; groups that do
nothing but start one device model after another come last, for they keep the
processors busy.
"""

import functools

GROUPS = []


def group(alone=True, busy=False, early=False):
    """Register a group; alone says that nothing else may run meanwhile, busy
    that it is no company for groups that measure time, early that it waits
    for so long that it should begin before the others."""
    def register(function):
        GROUPS.insert(0 if early else len(GROUPS), (function, alone, busy))
        return function
    return register


def ours(function):
    """For a group that has nothing to judge in stock: it has no -pulsar, or
    not what else the group starts it with."""
    @functools.wraps(function)
    def judge(b):
        if not b.report.stock:
            function(b)
    return judge
