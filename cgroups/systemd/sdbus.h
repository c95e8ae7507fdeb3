/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sdbus - the few functions of libsystemd that are used, by pointer
 *
 * Declared here so that building needs no header of systemd's, and loaded when a
 * command first talks to systemd, so that no other command pays for it. The types are those of
 * sd-bus(3); the ABI of libsystemd.so.0 has been stable since version 221.
 */

#include <stddef.h>
#include <stdint.h>

#include "spec/base/error.h"

typedef struct sd_bus sd_bus;
typedef struct sd_bus_message sd_bus_message;
typedef struct sd_bus_slot sd_bus_slot;

typedef struct {
	const char *name, *message;
	int need_free;
} sd_bus_error;

typedef int (*sd_bus_handler)(sd_bus_message *m, void *data, sd_bus_error *ret_error);

struct sdbus {
	int (*bus_new)(sd_bus **ret);
	int (*bus_set_address)(sd_bus *bus, const char *address);
	int (*bus_start)(sd_bus *bus);
	int (*bus_open_system)(sd_bus **ret);
	sd_bus *(*bus_flush_close_unref)(sd_bus *bus);
	int (*bus_call)(sd_bus *bus, sd_bus_message *m, uint64_t usec, sd_bus_error *e, sd_bus_message **reply);
	int (*bus_process)(sd_bus *bus, sd_bus_message **ret);
	int (*bus_wait)(sd_bus *bus, uint64_t usec);
	int (*bus_match_signal)(sd_bus *bus, sd_bus_slot **slot, const char *sender, const char *path,
				const char *interface, const char *member, sd_bus_handler handler, void *data);
	int (*bus_get_property_string)(sd_bus *bus, const char *destination, const char *path,
				       const char *interface, const char *member, sd_bus_error *e, char **ret);
	int (*bus_path_encode)(const char *prefix, const char *id, char **ret);
	int (*message_new_method_call)(sd_bus *bus, sd_bus_message **ret, const char *destination,
				       const char *path, const char *interface, const char *member);
	int (*message_append_basic)(sd_bus_message *m, char type, const void *value);
	int (*message_append_array)(sd_bus_message *m, char type, const void *values, size_t size);
	int (*message_open_container)(sd_bus_message *m, char type, const char *contents);
	int (*message_close_container)(sd_bus_message *m);
	int (*message_read_basic)(sd_bus_message *m, char type, void *value);
	sd_bus_message *(*message_unref)(sd_bus_message *m);
	void (*error_free)(sd_bus_error *e);
};

int sdbus_load(struct sdbus *lib, struct error *err);
