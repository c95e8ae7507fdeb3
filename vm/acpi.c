/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See acpi.h. Sections are those of ACPI 6.5.
 */
#include "vm/acpi.h"

#include <stdio.h>
#include <string.h>

#include "vm/virtio/virtio.h"

enum {
	HEADER = 36, /* §5.2.6 */
	FADT_BYTES = 276,
	AML_BYTES = 8192,
	IO_SPACE = 1,
	BYTE_ACCESS = 1,
};

static void put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum += *p++;
	return (uint8_t)-sum;
}

/* ---- AML (§20) ---- */

struct aml {
	uint8_t bytes[AML_BYTES];
	size_t n;
};

static void byte(struct aml *a, uint8_t b)
{
	if (a->n < sizeof(a->bytes))
		a->bytes[a->n++] = b;
}

static void bytes(struct aml *a, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		byte(a, ((const uint8_t *)p)[i]);
}

/* A length that counts itself, in two bytes (§20.2.4), set when what it spans is complete. */
static size_t open_span(struct aml *a)
{
	size_t at = a->n;

	bytes(a, "\0\0", 2);
	return at;
}

static void close_span(struct aml *a, size_t at)
{
	size_t n = a->n - at;

	a->bytes[at] = (uint8_t)(0x40 | (n & 0xf));
	a->bytes[at + 1] = (uint8_t)(n >> 4);
}

static void name(struct aml *a, const char four[static 4])
{
	byte(a, 0x08);
	bytes(a, four, 4);
}

/*
 * Device (V000) { _HID "LNRO0005", _UID i, _CCA 1, _CRS { Memory32Fixed, Interrupt } }: the id that Linux'
 * virtio_mmio driver answers to. Edge-triggered, active high, as an irqfd gives it.
 */
static void virtio_device(struct aml *a, unsigned i, const struct acpi_device *d)
{
	char id[5];
	uint8_t memory[12] = { 0x86, 9, 0, 1 }; /* §6.4.3.4 */
	uint8_t interrupt[9] = { 0x89, 6, 0, 0x03, 1 }; /* §6.4.3.6 */

	snprintf(id, sizeof(id), "V%03u", i % 1000);
	put32(memory + 4, d->at);
	put32(memory + 8, VIRTIO_MMIO_BYTES);
	put32(interrupt + 5, d->gsi);

	bytes(a, "\x5b\x82", 2);

	size_t device = open_span(a);

	bytes(a, id, 4);
	name(a, "_HID");
	byte(a, 0x0d);
	bytes(a, "LNRO0005", 9);
	name(a, "_UID");
	byte(a, 0x0a);
	byte(a, (uint8_t)i);
	name(a, "_CCA");
	byte(a, 0x01);
	name(a, "_CRS");
	byte(a, 0x11);

	size_t resources = open_span(a);

	byte(a, 0x0a);
	byte(a, sizeof(memory) + sizeof(interrupt) + 2);
	bytes(a, memory, sizeof(memory));
	bytes(a, interrupt, sizeof(interrupt));
	bytes(a, "\x79\0", 2); /* end tag */
	close_span(a, resources);
	close_span(a, device);
}

static void write_aml(struct aml *a, const struct acpi_machine *m)
{
	/* Name (_S5, Package (2) { 5, 0 }): what to write to be switched off (§7.4.2.6). */
	name(a, "_S5_");
	byte(a, 0x12);

	size_t package = open_span(a);

	bytes(a, "\x02\x0a\x05\x00", 4);
	close_span(a, package);

	bytes(a, "\x10", 1);

	size_t scope = open_span(a);

	bytes(a, "_SB_", 4);
	for (unsigned i = 0; i < m->n_devices; i++)
		virtio_device(a, i, &m->devices[i]);
	close_span(a, scope);
}

/* ---- tables ---- */

struct tables {
	uint8_t *to;
	size_t n;
};

/* Appends a table and returns its guest address. */
static uint64_t add_table(struct tables *t, const char *signature, uint8_t revision, const void *body,
			  size_t n)
{
	uint8_t *p = t->to + t->n;
	uint64_t at = ACPI_RSDP_AT + t->n;

	memcpy(p, signature, 4);
	put32(p + 4, (uint32_t)(HEADER + n));
	p[8] = revision;
	memcpy(p + 10, "BLKHD ", 6);
	memcpy(p + 16, "BULKHEAD", 8);
	put32(p + 24, 1);
	memcpy(p + 28, "BLKH", 4);
	put32(p + 32, 1);
	memcpy(p + HEADER, body, n);
	p[9] = checksum(p, HEADER + n);
	t->n += (HEADER + n + 63) & ~(size_t)63;
	return at;
}

static void io_register(uint8_t *p, uint16_t port) /* §5.2.3.2 */
{
	p[0] = IO_SPACE;
	p[1] = 8;
	p[3] = BYTE_ACCESS;
	put64(p + 4, port);
}

/* §5.2.9. Offsets are those of the table. */
static uint64_t add_fadt(struct tables *t, uint64_t dsdt)
{
	uint8_t fadt[FADT_BYTES] = { 0 };

	put32(fadt + 40, (uint32_t)dsdt);
	/* No VGA, no MSI, no CMOS clock; nothing of ISA, and no keyboard controller. */
	put16(fadt + 109, 1 << 2 | 1 << 3 | 1 << 5);
	/* WBINVD; buttons, if any, are devices; HW_REDUCED_ACPI. No reset register: boot.c says reboot=t. */
	put32(fadt + 112, 1u << 0 | 1u << 4 | 1u << 5 | 1u << 20);
	fadt[131] = 5;
	put64(fadt + 140, dsdt);
	io_register(fadt + 244, ACPI_SLEEP_PORT);
	io_register(fadt + 256, ACPI_SLEEP_STATUS_PORT);
	memcpy(fadt + 268, "BULKHEAD", 8);
	return add_table(t, "FACP", 6, fadt + HEADER, sizeof(fadt) - HEADER);
}

/* §5.2.12 */
static uint64_t add_madt(struct tables *t, const struct acpi_machine *m)
{
	uint8_t madt[8 + 8 * 256 + 12] = { 0 };
	size_t n = 8;

	put32(madt, m->lapic_at);
	for (unsigned i = 0; i < m->cpus && i < 255; i++, n += 8) {
		madt[n] = 0;
		madt[n + 1] = 8;
		madt[n + 2] = madt[n + 3] = (uint8_t)i;
		put32(madt + n + 4, 1);
	}
	madt[n] = 1;
	madt[n + 1] = 12;
	put32(madt + n + 4, m->ioapic_at);
	return add_table(t, "APIC", 5, madt, n + 12);
}

size_t acpi_write(const struct acpi_machine *m, uint8_t *to)
{
	struct tables t = { .to = to, .n = 64 };
	struct aml aml = { .n = 0 };
	uint64_t list[2];

	write_aml(&aml, m);

	uint64_t dsdt = add_table(&t, "DSDT", 2, aml.bytes, aml.n);

	list[0] = add_fadt(&t, dsdt);
	list[1] = add_madt(&t, m);

	uint64_t xsdt = add_table(&t, "XSDT", 1, list, sizeof(list));

	memcpy(to, "RSD PTR ", 8); /* §5.2.5.3 */
	memcpy(to + 9, "BLKHD ", 6);
	to[15] = 2;
	put32(to + 20, HEADER);
	put64(to + 24, xsdt);
	to[8] = checksum(to, 20);
	to[32] = checksum(to, HEADER);
	return t.n;
}
