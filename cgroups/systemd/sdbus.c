/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/systemd/sdbus.h"

#include "spec/base/auto.h"
#include "spec/base/dl.h"

#define SYMBOL(name) { "sd_" #name, offsetof(struct sdbus, name) }

int sdbus_load(struct sdbus *lib, struct error *err)
{
	static const struct dl_symbol symbols[] = {
		SYMBOL(bus_new),
		SYMBOL(bus_set_address),
		SYMBOL(bus_start),
		SYMBOL(bus_open_system),
		SYMBOL(bus_flush_close_unref),
		SYMBOL(bus_call),
		SYMBOL(bus_process),
		SYMBOL(bus_wait),
		SYMBOL(bus_match_signal),
		SYMBOL(bus_get_property_string),
		SYMBOL(bus_path_encode),
		{ "sd_bus_message_new_method_call", offsetof(struct sdbus, message_new_method_call) },
		{ "sd_bus_message_append_basic", offsetof(struct sdbus, message_append_basic) },
		{ "sd_bus_message_append_array", offsetof(struct sdbus, message_append_array) },
		{ "sd_bus_message_open_container", offsetof(struct sdbus, message_open_container) },
		{ "sd_bus_message_close_container", offsetof(struct sdbus, message_close_container) },
		{ "sd_bus_message_read_basic", offsetof(struct sdbus, message_read_basic) },
		{ "sd_bus_message_unref", offsetof(struct sdbus, message_unref) },
		{ "sd_bus_error_free", offsetof(struct sdbus, error_free) },
	};

	return dl_load("libsystemd.so.0", "libsystemd0", symbols, ARRAY_SIZE(symbols), lib, err);
}
