# SPDX-License-Identifier: GPL-2.0-or-later
# The promise itself: with guests idle no thread of their device models runs.

check 'idle boot-sector and Linux guests: no wake in 60 s' \
    asleep 60 tiny linux
