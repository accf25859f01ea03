# SPDX-License-Identifier: GPL-2.0-or-later
"""Real Xen under emulation: images, the emulated host, test output."""
