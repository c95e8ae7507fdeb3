/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/image_config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/json.h"

static struct arena arena;
static struct error err;
static struct buf out;
static struct image_layer layers[3];
static struct ovl_commit options;
static struct image_plan plan;

static void init(void)
{
	arena = (struct arena)ARENA_INIT;
	out = (struct buf)BUF_INIT;
	for (int i = 0; i < 3; i++) {
		snprintf(layers[i].diff, sizeof(layers[i].diff), "%064d", i);
		snprintf(layers[i].blob, sizeof(layers[i].blob), "%064d", 10 + i);
		layers[i].size = (uint64_t)i;
		layers[i].media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
	}
	options = (struct ovl_commit){ .target = "oci:x" };
	plan = (struct image_plan){ .layers = layers, .o = &options, .created = "2020-01-01T00:00:00Z" };
}

static void fini(void)
{
	buf_release(&out);
	arena_release(&arena);
}

TestSuite(ovl_image_config, .init = init, .fini = fini);

static const struct json *made(void)
{
	const struct json *v;

	cr_assert_eq(image_config(&plan, &arena, &out, &err), 0, "%s", err.text);
	cr_assert_eq(json_parse(out.data, out.len, "config", &arena, &v, &err), 0, "%s\n%s", err.text, out.data);
	return v;
}

static const char *raw(const struct json *v)
{
	return v ? arena_strndup(&arena, out.data + v->begin, v->end - v->begin) : "absent";
}

static void set_base(const char *text, size_t n_base, size_t n_layers, bool has_new)
{
	plan.base = text;
	plan.base_n = strlen(text);
	plan.n_base = n_base;
	plan.n_layers = n_layers;
	plan.has_new = has_new;
}

#define ID0 "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" ID0 "\"]}"

Test(ovl_image_config, without_a_base_it_is_this_machines)
{
	plan.n_layers = 2;
	plan.has_new = true;

	const struct json *v = made();

	cr_expect_str_eq(raw(json_get(v, "os")), "\"linux\"");
	cr_expect_str_neq(raw(json_get(v, "architecture")), "absent");
	cr_expect_eq(json_get(json_get(v, "rootfs"), "diff_ids")->count, 2);
	cr_expect_eq(json_get(v, "history")->count, 2);
	cr_expect_str_eq(raw(json_get(v, "created")), "\"2020-01-01T00:00:00Z\"");
}

Test(ovl_image_config, what_is_not_ours_stays)
{
	set_base("{\"architecture\":\"riscv64\",\"os\":\"linux\",\"variant\":\"v9\",\"x\":{\"y\":[1, 2.50]},"
		 "\"config\":{\"Cmd\":[\"a\"],\"Odd\":1e3}," ROOTFS ",\"history\":[{\"created_by\":\"b\"}]}", 1, 2, true);

	const struct json *v = made();

	cr_expect_str_eq(raw(json_get(v, "x")), "{\"y\":[1, 2.50]}");
	cr_expect_str_eq(raw(json_get(v, "variant")), "\"v9\"");
	cr_expect_str_eq(raw(json_get(v, "config")), "{\"Cmd\":[\"a\"],\"Odd\":1e3}");
	cr_expect_eq(json_get(v, "history")->count, 2);
	cr_expect_str_eq(raw(json_get(json_get(v, "history")->first, "created_by")), "\"b\"");
}

Test(ovl_image_config, a_change_goes_over_it)
{
	set_base("{\"config\":{\"Env\":[\"A=1\",\"B=2\"],\"Cmd\":[\"x\"],\"Labels\":{\"k\":\"1\",\"l\":\"2\"},\"User\":\"u\"},"
		 ROOTFS "}", 1, 2, true);
	options.config = "{\"Env\":[\"C=3\",\"A=9\"],\"Cmd\":null,\"Labels\":{\"l\":\"7\",\"m\":\"8\"},\"WorkingDir\":\"/w\"}";

	const struct json *c = json_get(made(), "config");

	cr_expect_str_eq(raw(json_get(c, "Env")), "[\"A=9\",\"B=2\",\"C=3\"]");
	cr_expect_null(json_get(c, "Cmd"));
	cr_expect_str_eq(raw(json_get(c, "Labels")), "{\"k\":\"1\",\"l\":\"7\",\"m\":\"8\"}");
	cr_expect_str_eq(raw(json_get(c, "User")), "\"u\"");
	cr_expect_str_eq(raw(json_get(c, "WorkingDir")), "\"/w\"");
}

Test(ovl_image_config, a_history_that_is_missing_is_filled_up)
{
	set_base("{" ROOTFS "}", 1, 2, true);
	cr_expect_eq(json_get(made(), "history")->count, 2);
}

Test(ovl_image_config, a_history_with_empty_layers_counts_those_that_are_not)
{
	set_base("{" ROOTFS ",\"history\":[{\"empty_layer\":true},{},{\"empty_layer\":true}]}", 1, 2, true);
	cr_expect_eq(json_get(made(), "history")->count, 4);
}

Test(ovl_image_config, a_history_that_does_not_add_up_is_begun_anew)
{
	set_base("{" ROOTFS ",\"history\":[{},{},{}]}", 1, 2, true);
	cr_expect_eq(json_get(made(), "history")->count, 2);
}

Test(ovl_image_config, nothing_new_is_the_very_bytes)
{
	const char *text = "{ \"config\" : {}, " ROOTFS " }";

	set_base(text, 1, 1, false);
	cr_assert_eq(image_config(&plan, &arena, &out, &err), 0);
	cr_expect_str_eq(out.data, text);
}

Test(ovl_image_config, a_new_config_without_a_layer_is_an_empty_layer_of_the_history)
{
	set_base("{\"created\":\"2001-02-03T04:05:06Z\"," ROOTFS ",\"history\":[{}]}", 1, 1, false);
	options.author = "me \"quoted\"";
	plan.created = NULL;

	const struct json *v = made(), *last = json_get(v, "history")->first->next;

	cr_expect(json_get(last, "empty_layer")->boolean);
	cr_expect_str_eq(json_get(last, "author")->text, "me \"quoted\"");
	cr_expect_str_eq(json_get(v, "created")->text, "2001-02-03T04:05:06Z");
}

Test(ovl_image_config, a_base_that_is_no_object_is_refused)
{
	set_base("[1]", 1, 2, true);
	cr_expect_eq(image_config(&plan, &arena, &out, &err), -EINVAL);
}

Test(ovl_image_config, the_manifest_names_everything)
{
	const struct json *v;

	plan.n_layers = 3;
	image_manifest(&plan, layers[0].diff, 77, &out);
	cr_assert_eq(json_parse(out.data, out.len, "manifest", &arena, &v, &err), 0, "%s", err.text);
	cr_expect_eq(json_get(v, "layers")->count, 3);
	cr_expect_str_eq(json_get(json_get(v, "config"), "digest")->text, ID0);
	cr_expect_str_eq(json_get(json_get(v, "layers")->first->next, "digest")->text + 7, layers[1].blob);
}
