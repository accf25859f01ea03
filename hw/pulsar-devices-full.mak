# SPDX-License-Identifier: GPL-2.0-or-later
#
# The virtual hardware of all builds but ./configure --lean's. What stands on
# libusb and usbredir needs no line: it comes with them.

include pulsar.mak

# libxl: vga (with SPICE)
CONFIG_QXL=y
