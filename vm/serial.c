/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial - a 16550 that only writes, for the messages of a kernel that does not get as far as its console
 *
 * Made on demand (vm_config.serial_fd): each byte costs exits. Nothing is ever received.
 */
#include <unistd.h>

#include "vm/machine.h"

enum { DATA, INTERRUPT_ENABLE, INTERRUPT_ID, LINE_CONTROL, MODEM_CONTROL, LINE_STATUS, MODEM_STATUS };
enum { DIVISOR_LATCH = 0x80, NO_INTERRUPT = 1, TRANSMITTER_EMPTY = 0x60, CONNECTED = 0xb0 };

static uint8_t read_register(const struct vm *vm, unsigned offset)
{
	switch (offset) {
	case DATA:
		return 0;
	case INTERRUPT_ID:
		return NO_INTERRUPT;
	case LINE_STATUS:
		return TRANSMITTER_EMPTY;
	case MODEM_STATUS:
		return CONNECTED;
	}
	return vm->serial[offset];
}

void serial_access(struct vm *vm, unsigned offset, uint8_t *data, bool is_write)
{
	if (!is_write)
		*data = read_register(vm, offset);
	else if (offset == DATA && !(vm->serial[LINE_CONTROL] & DIVISOR_LATCH))
		(void)!write(vm->config.serial_fd, data, 1); /* what is not taken is lost */
	else
		vm->serial[offset] = *data;
}
