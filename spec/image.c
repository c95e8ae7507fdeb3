/* SPDX-License-Identifier: Apache-2.0 */
/* The config of an image, as far as running it goes. image_write.c makes a config.json of it. */
#include "spec/image.h"

#include <errno.h>
#include <string.h>

#include "spec/reader.h"
#include "spec/show.h"

/* {"80/tcp":{},"443/tcp":{}}: a set, as Go writes a map without values. */
static void parse_set(struct reader *rd, const struct json *obj, const char *name,
		      struct spec_strings *ret)
{
	const struct json *set = rd_object(rd, obj, name);
	size_t n = 0;

	ret->v = ARENA_NEW_N(rd->a, char *, (set ? set->count : 0) + 1);
	json_each(v, set)
	{
		if (!*v->name) {
			rd_fault(rd, set, "has an empty key");
			return;
		}
		/* The name is arena memory of ours. */
		ret->v[n++] = (char *)v->name;
	}
	ret->n = n;
}

static void parse_env(struct reader *rd, const struct json *obj, struct spec_strings *ret)
{
	rd_strings(rd, obj, "Env", ret);
	json_each(v, rd_array(rd, obj, "Env"))
	{
		const char *equals = strchr(v->text, '=');

		if (!equals || equals == v->text) {
			rd_not(rd, v, "NAME=value");
			return;
		}
	}
}

/* The program's name, wherever it comes from, is the first of these. */
static void parse_command(struct reader *rd, const struct json *obj, const char *name,
			  struct spec_strings *ret)
{
	const struct json *list = rd_array(rd, obj, name);

	rd_strings(rd, obj, name, ret);
	if (rd->r == 0 && ret->n && !*ret->v[0])
		rd_fault(rd, list->first, "is empty, where a program's name belongs");
}

static void parse_volumes(struct reader *rd, const struct json *obj, struct spec_strings *ret)
{
	parse_set(rd, obj, "Volumes", ret);
	json_each(v, rd_object(rd, obj, "Volumes")) if (v->name[0] != '/')
	{
		rd_fault(rd, v, "does not begin with /: a volume's place is an absolute path");
		return;
	}
}

/* The member "config"; obj may be NULL. */
static void parse_execution(struct reader *rd, const struct json *obj, struct spec_image *image)
{
	rd_text(rd, obj, "User", &image->user);
	rd_text(rd, obj, "WorkingDir", &image->working_dir);
	rd_text(rd, obj, "StopSignal", &image->stop_signal);
	parse_env(rd, obj, &image->env);
	parse_command(rd, obj, "Entrypoint", &image->entrypoint);
	parse_command(rd, obj, "Cmd", &image->cmd);
	parse_set(rd, obj, "ExposedPorts", &image->exposed_ports);
	parse_volumes(rd, obj, &image->volumes);
	rd_map(rd, obj, "Labels", &image->labels, &image->n_labels);
}

static void parse_image(struct reader *rd, const struct json *doc, struct spec_image *image)
{
	rd_text(rd, doc, "os", &image->os);
	rd_text(rd, doc, "os.version", &image->os_version);
	rd_text(rd, doc, "architecture", &image->architecture);
	rd_text(rd, doc, "variant", &image->variant);
	rd_text(rd, doc, "author", &image->author);
	rd_text(rd, doc, "created", &image->created);
	rd_strings(rd, doc, "os.features", &image->os_features);
	if (rd->r == 0 && image->os && strcmp(image->os, "linux") != 0)
		rd_not(rd, rd_get(doc, "os"), "\"linux\": nothing of this image can run here");
	parse_execution(rd, rd_object(rd, doc, "config"), image);
}

int spec_image_parse(const char *text, size_t n, struct arena *a, const struct spec_image **ret, struct error *err)
{
	struct reader rd = { .a = a, .err = err, .root = "the image config" };
	const struct json *doc;
	int r = json_parse(text, n, "the image config", a, &doc, err);

	if (r < 0)
		return r;

	struct spec_image *image = ARENA_NEW(a, struct spec_image);

	if (rd_is(&rd, doc, JSON_OBJECT))
		parse_image(&rd, doc, image);
	if (rd.r == 0)
		*ret = image;
	return rd.r;
}
