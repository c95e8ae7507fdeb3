/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * port - a port of the guest's consoles by its number (vm/wire/wire.h). Needs /dev and /sys.
 */

/* As open(2). ENOENT: its node is not there yet. A console without a driver is given one, if it is there. */
int port_open(unsigned number, int flags);
