/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources.blockIO (config-linux.md Block IO). */
#include "spec/parts.h"

static void parse_number(struct reader *rd, const struct json *v, int64_t *major, int64_t *minor)
{
	if (!rd_need(rd, v, "major") || !rd_need(rd, v, "minor"))
		return;
	rd_int(rd, v, "major", 0, SPEC_MAJOR_MAX, major);
	rd_int(rd, v, "minor", 0, SPEC_MINOR_MAX, minor);
}

/* 10 … 1000; engines write 0 for "unset". */
static bool parse_weight(struct reader *rd, const struct json *obj, const char *name, uint64_t *ret)
{
	if (!rd_uint(rd, obj, name, 1000, ret))
		return false;
	if (*ret > 0 && *ret < 10) {
		rd_not(rd, rd_get(obj, name), "an integer from 10 to 1000, or 0 for none");
		return false;
	}
	return true;
}

static void parse_weight_devices(struct reader *rd, const struct json *obj,
				 struct spec_block_io *io)
{
	const struct json *list = rd_list(rd, obj, "weightDevice", sizeof(*io->weight_devices),
					  &io->weight_devices, &io->n_weight_devices);
	struct spec_weight_device *device = io->weight_devices;

	json_each(v, list)
	{
		uint64_t weight = 0, leaf_weight = 0;

		if (!rd_is(rd, v, JSON_OBJECT))
			return;
		parse_number(rd, v, &device->major, &device->minor);
		device->has_weight = parse_weight(rd, v, "weight", &weight);
		device->has_leaf_weight = parse_weight(rd, v, "leafWeight", &leaf_weight);
		if (!device->has_weight && !device->has_leaf_weight)
			rd_fault(rd, v, "has neither weight nor leafWeight");
		device->weight = (uint16_t)weight;
		device->leaf_weight = (uint16_t)leaf_weight;
		device++;
	}
}

static void parse_throttle(struct reader *rd, const struct json *obj, enum spec_throttle kind,
			   struct spec_block_io *io)
{
	static const char *const names[SPEC_THROTTLES] = {
		[SPEC_READ_BPS] = "throttleReadBpsDevice",
		[SPEC_WRITE_BPS] = "throttleWriteBpsDevice",
		[SPEC_READ_IOPS] = "throttleReadIOPSDevice",
		[SPEC_WRITE_IOPS] = "throttleWriteIOPSDevice",
	};
	const struct json *list = rd_list(rd, obj, names[kind], sizeof(**io->throttle),
					  &io->throttle[kind], &io->n_throttle[kind]);
	struct spec_throttle_device *device = io->throttle[kind];

	json_each(v, list)
	{
		if (!rd_is(rd, v, JSON_OBJECT))
			return;
		parse_number(rd, v, &device->major, &device->minor);
		if (!rd_need(rd, v, "rate"))
			return;
		rd_uint(rd, v, "rate", UINT64_MAX, &device->rate);
		device++;
	}
}

void parse_block_io(struct reader *rd, const struct json *obj, struct spec_block_io *io)
{
	io->weight.set = parse_weight(rd, obj, "weight", &io->weight.v);
	io->leaf_weight.set = parse_weight(rd, obj, "leafWeight", &io->leaf_weight.v);
	parse_weight_devices(rd, obj, io);
	for (enum spec_throttle kind = 0; kind < SPEC_THROTTLES; kind++)
		parse_throttle(rd, obj, kind, io);
}
