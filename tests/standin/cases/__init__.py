# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of the stand-in, in groups.

A group is a function that takes a Bench (the world, the report, the binary
to judge) and opens report.case() for each test.  Groups whose figures depend
on having the processors to themselves run one after the other; groups that
mostly wait for a window to pass run side by side after them.
"""

GROUPS = []


def group(alone=True):
    """Register a group; alone says that nothing else may run meanwhile."""
    def register(function):
        GROUPS.append((function, alone))
        return function
    return register
