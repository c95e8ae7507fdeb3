/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "vm/acpi.h"

static uint8_t space[ACPI_SPACE];

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static size_t write_tables(unsigned cpus, unsigned devices)
{
	struct acpi_machine m = {
		.cpus = cpus, .lapic_at = 0xfee00000, .ioapic_at = 0xfec00000, .n_devices = devices,
	};

	for (unsigned i = 0; i < devices; i++)
		m.devices[i] = (struct acpi_device){ .at = 0xd0000000 + 0x1000 * i, .gsi = 5 + i };
	memset(space, 0, sizeof(space));
	return acpi_write(&m, space);
}

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	while (n--)
		s += *p++;
	return s;
}

static const uint8_t *at(uint64_t address)
{
	cr_assert(address >= ACPI_RSDP_AT && address < ACPI_RSDP_AT + ACPI_SPACE);
	return space + (address - ACPI_RSDP_AT);
}

/* A table by its signature, with its length checked and its bytes summed. */
static const uint8_t *table(const char *signature)
{
	const uint8_t *xsdt = at(get64(space + 24));

	for (uint32_t i = 36; i < get32(xsdt + 4); i += 8) {
		const uint8_t *t = at(get64(xsdt + i));

		if (memcmp(t, signature, 4) == 0) {
			cr_assert_eq(sum(t, get32(t + 4)), 0);
			return t;
		}
	}
	cr_assert_fail("no table %s", signature);
	return NULL;
}

Test(acpi, the_root_points_to_tables_that_add_up)
{
	write_tables(2, 3);
	cr_assert_eq(memcmp(space, "RSD PTR ", 8), 0);
	cr_assert_eq(sum(space, 20), 0);
	cr_assert_eq(sum(space, 36), 0);
	cr_assert_eq(sum(at(get64(space + 24)), get32(at(get64(space + 24)) + 4)), 0);

	const uint8_t *fadt = table("FACP");

	cr_assert_eq(get32(fadt + 4), 276);
	cr_assert(get32(fadt + 112) & 1u << 20); /* HW_REDUCED_ACPI */
	cr_assert_eq(get64(fadt + 248), ACPI_SLEEP_PORT);

	const uint8_t *dsdt = at(get64(fadt + 140));

	cr_assert_eq(memcmp(dsdt, "DSDT", 4), 0);
	cr_assert_eq(sum(dsdt, get32(dsdt + 4)), 0);
}

Test(acpi, every_cpu_has_an_interrupt_controller)
{
	write_tables(5, 1);

	const uint8_t *madt = table("APIC");
	unsigned cpus = 0, ioapics = 0;

	cr_assert_eq(get32(madt + 36), 0xfee00000);
	for (uint32_t i = 44; i < get32(madt + 4); i += madt[i + 1]) {
		cr_assert_gt(madt[i + 1], 0);
		if (madt[i] == 0)
			cr_assert_eq(madt[i + 3], cpus++);
		else if (madt[i] == 1)
			ioapics += get32(madt + i + 4) == 0xfec00000;
	}
	cr_assert_eq(cpus, 5);
	cr_assert_eq(ioapics, 1);
}

Test(acpi, devices_are_named_with_their_place_and_interrupt)
{
	size_t n = write_tables(1, ACPI_MAX_DEVICES);
	const uint8_t *dsdt = at(get64(table("FACP") + 140));
	unsigned found = 0;

	cr_assert_leq(n, ACPI_SPACE);
	for (uint32_t i = 36; i + 12 < get32(dsdt + 4); i++) {
		static const uint8_t memory[] = { 0x86, 9, 0, 1 }, interrupt[] = { 0x89, 6, 0, 3, 1 };

		if (memcmp(dsdt + i, memory, sizeof(memory)))
			continue;
		cr_assert_eq(get32(dsdt + i + 4), 0xd0000000 + 0x1000 * found);
		cr_assert_eq(get32(dsdt + i + 8), 0x1000);
		cr_assert_eq(memcmp(dsdt + i + 12, interrupt, sizeof(interrupt)), 0);
		cr_assert_eq(get32(dsdt + i + 17), 5 + found);
		found++;
	}
	cr_assert_eq(found, ACPI_MAX_DEVICES);
}

/* Name (_S5, Package () { 5, 0 }), without which a kernel does not know how to switch off. */
Test(acpi, there_is_a_way_to_switch_off)
{
	static const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x46, 0x00, 0x02, 0x0a, 0x05, 0x00 };

	write_tables(1, 0);
	cr_assert_eq(memcmp(at(get64(table("FACP") + 140)) + 36, s5, sizeof(s5)), 0);
}
