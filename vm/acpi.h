/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * acpi - the tables that tell a kernel what machine this is (ACPI 6.5)
 *
 * RSDP, XSDT, FADT (hardware-reduced), MADT and a DSDT with the virtio-mmio devices. Bytes in, bytes
 * out; no AML compiler.
 */

#include <stddef.h>
#include <stdint.h>

enum {
	ACPI_RSDP_AT = 0xe0000, /* in the range that kernels search, too (§5.2.5.1) */
	ACPI_SPACE = 0x10000,

	/* I/O ports of the sleep control and status registers (§4.8.3.7). */
	ACPI_SLEEP_PORT = 0x600,
	ACPI_SLEEP_STATUS_PORT = 0x601,
	ACPI_S5 = 5,
	ACPI_SLEEP_ENABLE = 0x20,
	ACPI_MAX_DEVICES = 18,
};

struct acpi_device {
	uint32_t at; /* guest-physical, VIRTIO_MMIO_BYTES of it */
	uint32_t gsi;
};

struct acpi_machine {
	unsigned cpus;
	uint32_t lapic_at, ioapic_at;
	unsigned n_devices;
	struct acpi_device devices[ACPI_MAX_DEVICES];
};

/* Writes the tables to `to`, which is the guest's ACPI_RSDP_AT and has ACPI_SPACE bytes of zero. Returns how many. */
size_t acpi_write(const struct acpi_machine *machine, uint8_t *to);
