/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as config.json, as an exec file, an update file and an image's config: taken, or
 * refused with a sentence; never a crash, a hang or a read beyond the input.
 */

#include "spec/image.h"
#include "tests/fuzz/fuzz.h"

/* A refusal names its cause in one line; a success leaves the error alone. */
static void check(int r, const struct error *err)
{
	char line[4096];

	if (r == 0) {
		if (err->code)
			abort();
		return;
	}
	if (r > 0 || err->code != -r || !err->used)
		abort();
	error_line(err, line, sizeof(line));
	if (strpbrk(line, "\n\r\033"))
		abort();
}

static void fuzz_config(const char *text, size_t size, struct arena *a)
{
	struct error err = ERROR_INIT;
	struct spec *spec = NULL;
	int r = spec_parse(text, size, a, &spec, &err);

	check(r, &err);
	if (r < 0)
		return;
	r = spec_validate(spec, NULL, &err);
	check(r, &err);
	if (r == 0 && spec->has_process)
		check(spec_validate_process(&spec->process, NULL, &err), &err);
	err = ERROR_INIT;
	check(spec_validate_vm(spec, &err), &err);
	spec_annotation(spec, "dev.bulkhead.isolation");
}

/* What comes of an image is a config. */
static void fuzz_image(const char *text, size_t size, struct arena *a)
{
	struct error err = ERROR_INIT;
	struct buf out = BUF_INIT;
	struct spec_image_run run = { .entrypoint = "/x", .volumes = SPEC_VOLUMES_TMPFS };
	struct spec *spec;
	int r = spec_image_parse(text, size, a, &run.image, &err);

	check(r, &err);
	if (r == 0 && (spec_image_write(&out, &run, NULL, &err) < 0 ||
		       spec_parse(out.data, out.len, a, &spec, &err) < 0))
		abort();
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct spec_process *process;
	struct spec_resources *res;
	/* A heap copy of exactly this size, so that a sanitizer sees a read beyond. */
	char *text = malloc(size ? size : 1);

	memcpy(text, data, size);
	fuzz_config(text, size, &a);
	fuzz_image(text, size, &a);
	check(spec_parse_process(text, size, &a, NULL, &process, &err), &err);
	err = ERROR_INIT;
	check(spec_parse_resources(text, size, &a, NULL, &res, &err), &err);
	arena_release(&a);
	free(text);
	return 0;
}
