/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image's config as a config.json: image-spec, conversion.md, rule for rule, over the defaults of a person's
 * own container: writable root, the capabilities that images are made for, no privileges gained by execve.
 */
#include "spec/image.h"

#include <errno.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/default.h"
#include "spec/show.h"

#define KEY(name) "org.opencontainers.image." name

/* What images are built for, and expect. Neither of the two that make devices or raw packets reaches the host: the
 * device program and the network namespace stand before it. */
static const char *const capabilities[] = {
	"CAP_CHOWN",  "CAP_DAC_OVERRIDE",     "CAP_FSETID",  "CAP_FOWNER",  "CAP_MKNOD",
	"CAP_NET_RAW", "CAP_SETGID",	      "CAP_SETUID",  "CAP_SETFCAP", "CAP_SETPCAP",
	"CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
};

/* ---- process ---- */

static size_t name_length(const char *entry)
{
	return strcspn(entry, "=");
}

static bool same_name(const char *a, const char *b)
{
	size_t n = name_length(a);

	return n == name_length(b) && strncmp(a, b, n) == 0;
}

/* The caller's last word on a variable, or NULL. */
static const char *caller_says(char *const *env, const char *entry)
{
	const char *found = NULL;

	for (; env && *env; env++)
		if (same_name(*env, entry))
			found = *env;
	return found;
}

static bool has_name(char *const *env, size_t n, const char *entry)
{
	for (size_t i = 0; i < n; i++)
		if (same_name(env[i], entry))
			return true;
	return false;
}

static void write_default_env(struct json_w *w, const struct spec_image_run *run, const char *entry)
{
	if (!caller_says(run->env, entry) &&
	    !(run->image && has_name(run->image->env.v, run->image->env.n, entry)))
		json_w_str(w, NULL, entry);
}

/* In the image's order; what the caller changes stays in its place, what it adds comes last. */
static void write_env(struct json_w *w, const struct spec_image_run *run)
{
	const struct spec_image *image = run->image;
	size_t n = image ? image->env.n : 0;

	json_w_open(w, "env", '[');
	write_default_env(w, run, DEFAULT_PATH);
	if (run->terminal)
		write_default_env(w, run, "TERM=xterm");
	for (size_t i = 0; i < n; i++)
		json_w_str(w, NULL, caller_says(run->env, image->env.v[i]) ?: image->env.v[i]);
	for (char *const *e = run->env; e && *e; e++)
		if (caller_says(run->env, *e) == *e && !(n && has_name(image->env.v, n, *e)))
			json_w_str(w, NULL, *e);
	json_w_close(w, ']');
}

static void write_strings(struct json_w *w, const struct spec_strings *list)
{
	for (size_t i = 0; i < list->n; i++)
		json_w_str(w, NULL, list->v[i]);
}

/* An entrypoint of the caller's takes the image's cmd away with its entrypoint: it was written for the other. */
static int write_args(struct json_w *w, const struct spec_image_run *run, struct error *err)
{
	static const struct spec_image none;
	const struct spec_image *image = run->image ?: &none;
	bool has_own = run->args && *run->args;
	bool has_entry = run->entrypoint ? *run->entrypoint : image->entrypoint.n > 0;

	if (!has_own && !has_entry && (run->entrypoint || !image->cmd.n))
		return error_rule(err, EINVAL, run->image ? "there is no program to run: no COMMAND was given, and "
							    "the image has neither an entrypoint nor a command" :
							    "there is no program to run: no COMMAND was given, and "
							    "there is no image that could name one");
	json_w_open(w, "args", '[');
	if (run->entrypoint && *run->entrypoint)
		json_w_str(w, NULL, run->entrypoint);
	else if (!run->entrypoint)
		write_strings(w, &image->entrypoint);
	for (char *const *arg = run->args; arg && *arg; arg++)
		json_w_str(w, NULL, *arg);
	if (!has_own && !run->entrypoint)
		write_strings(w, &image->cmd);
	json_w_close(w, ']');
	return 0;
}

static void write_user(struct json_w *w, const struct spec_user *user)
{
	json_w_open(w, "user", '{');
	json_w_uint(w, "uid", user->uid);
	json_w_uint(w, "gid", user->gid);
	if (user->n_additional_gids) {
		json_w_open(w, "additionalGids", '[');
		for (size_t i = 0; i < user->n_additional_gids; i++)
			json_w_uint(w, NULL, user->additional_gids[i]);
		json_w_close(w, ']');
	}
	json_w_close(w, '}');
}

/* Root has them; anyone else can only come to them, as by a file's capabilities. Never inheritable (CVE-2022-24769). */
static void write_capabilities(struct json_w *w, uint32_t uid)
{
	json_w_open(w, "capabilities", '{');
	default_write_list(w, "bounding", capabilities, ARRAY_SIZE(capabilities));
	if (uid == 0) {
		default_write_list(w, "effective", capabilities, ARRAY_SIZE(capabilities));
		default_write_list(w, "permitted", capabilities, ARRAY_SIZE(capabilities));
	}
	json_w_close(w, '}');
}

/* Engines take a directory without the slash for one below /. */
static void write_cwd(struct json_w *w, const char *dir)
{
	auto_buf struct buf path = BUF_INIT;

	if (dir[0] != '/')
		buf_putc(&path, '/');
	buf_puts(&path, dir);
	json_w_str(w, "cwd", path.data);
}

static int write_process(struct json_w *w, const struct spec_image_run *run, struct error *err)
{
	json_w_open(w, "process", '{');
	json_w_bool(w, "terminal", run->terminal);
	write_user(w, &run->user);

	int r = write_args(w, run, err);

	if (r < 0)
		return r;
	write_env(w, run);
	write_cwd(w, run->cwd ?: run->image && run->image->working_dir ? run->image->working_dir : "/");
	write_capabilities(w, run->user.uid);
	json_w_bool(w, "noNewPrivileges", !run->may_gain_privileges);
	json_w_close(w, '}');
	return 0;
}

/* ---- mounts ---- */

static void write_mount(struct json_w *w, const struct spec_mount *m)
{
	json_w_open(w, NULL, '{');
	json_w_str(w, "destination", m->destination);
	if (m->type)
		json_w_str(w, "type", m->type);
	if (m->source)
		json_w_str(w, "source", m->source);
	if (m->options.n) {
		json_w_open(w, "options", '[');
		write_strings(w, &m->options);
		json_w_close(w, ']');
	}
	json_w_close(w, '}');
}

static void write_volumes(struct json_w *w, const struct spec_strings *volumes)
{
	static char *const options[] = { "nosuid", "nodev", "tmpcopyup", NULL };

	for (size_t i = 0; i < volumes->n; i++)
		write_mount(w, &(struct spec_mount){
			.destination = volumes->v[i], .type = "tmpfs", .source = "tmpfs",
			.options = { .v = (char **)options, .n = ARRAY_SIZE(options) - 1 },
		});
}

static void write_mounts(struct json_w *w, const struct spec_image_run *run)
{
	json_w_open(w, "mounts", '[');
	default_write_mounts(w, run->rootless);
	if (run->image && run->volumes == SPEC_VOLUMES_TMPFS)
		write_volumes(w, &run->image->volumes);
	for (size_t i = 0; i < run->n_mounts; i++)
		write_mount(w, &run->mounts[i]);
	json_w_close(w, ']');
}

/* ---- annotations ---- */

struct annotations {
	struct json_w *w;
	const struct spec_image_run *run;
	bool is_open; /* the member is written with its first annotation */
};

static bool caller_annotates(const struct spec_image_run *run, const char *key)
{
	for (size_t i = 0; i < run->n_annotations; i++)
		if (strcmp(run->annotations[i].key, key) == 0)
			return true;
	return false;
}

static bool is_label(const struct spec_image_run *run, const char *key)
{
	for (size_t i = 0; i < run->image->n_labels; i++)
		if (strcmp(run->image->labels[i].key, key) == 0)
			return true;
	return false;
}

static void annotate(struct annotations *a, const char *key, const char *value)
{
	if (!a->is_open)
		json_w_open(a->w, "annotations", '{');
	a->is_open = true;
	json_w_str(a->w, key, value);
}

/* What conversion.md makes of a member: a label of the same key is the image's own word on it. */
static void annotate_member(struct annotations *a, const char *key, const char *value)
{
	if (value && !is_label(a->run, key) && !caller_annotates(a->run, key))
		annotate(a, key, value);
}

static void annotate_list(struct annotations *a, const char *key, const struct spec_strings *list)
{
	auto_buf struct buf text = BUF_INIT;

	for (size_t i = 0; i < list->n; i++)
		buf_printf(&text, "%s%s", i ? "," : "", list->v[i]);
	annotate_member(a, key, text.data);
}

/*
 * An annotation of the config is the admin's word, a label is a stranger's: one that a room of ours acts upon would let
 * an image choose its own cgroup, wall or unit properties (CVE-2024-3154 is of this kind).
 */
static bool is_steering(const char *key)
{
	static const char *const prefixes[] = { "dev.bulkhead.", "org.systemd.property." };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static void annotate_image(struct annotations *a, const struct spec_image *image, const struct log *log)
{
	annotate_member(a, KEY("os"), image->os);
	annotate_member(a, KEY("os.version"), image->os_version);
	annotate_list(a, KEY("os.features"), &image->os_features);
	annotate_member(a, KEY("architecture"), image->architecture);
	annotate_member(a, KEY("variant"), image->variant);
	annotate_member(a, KEY("author"), image->author);
	annotate_member(a, KEY("created"), image->created);
	annotate_member(a, KEY("stopSignal"), image->stop_signal);
	annotate_list(a, KEY("exposedPorts"), &image->exposed_ports);
	for (size_t i = 0; i < image->n_labels; i++) {
		const struct spec_key_value *label = &image->labels[i];

		if (is_steering(label->key))
			log_warn(log, "label %s of the image is left out: as an annotation it would steer this runtime",
				 show(label->key).text);
		else if (!caller_annotates(a->run, label->key))
			annotate(a, label->key, label->value);
	}
}

static void write_annotations(struct json_w *w, const struct spec_image_run *run, const struct log *log)
{
	struct annotations a = { .w = w, .run = run };

	if (run->image)
		annotate_image(&a, run->image, log);
	for (size_t i = 0; i < run->n_annotations; i++)
		annotate(&a, run->annotations[i].key, run->annotations[i].value);
	if (a.is_open)
		json_w_close(w, '}');
}

static int write_seccomp(struct buf *out, const struct spec_seccomp_wish *wish, struct error *err)
{
	uint64_t caps = default_caps(capabilities, ARRAY_SIZE(capabilities));

	if (wish->kind == SPEC_SECCOMP_PROFILE)
		return default_write_profile(out, wish, caps, err);
	if (wish->kind == SPEC_SECCOMP_DEFAULT)
		default_write_seccomp(out, caps);
	return 0;
}

int spec_image_write(struct buf *out, const struct spec_image_run *run, const struct log *log, struct error *err)
{
	auto_buf struct buf seccomp = BUF_INIT;
	const struct default_linux linux_ = {
		.rootless = run->rootless, .euid = run->euid, .egid = run->egid,
		.host_network = run->host_network, .masks_more = true,
		.seccomp = run->seccomp.kind == SPEC_SECCOMP_NONE ? NULL : &seccomp,
	};
	struct json_w w = { .out = out, .indent = "\t" };
	int r = write_seccomp(&seccomp, &run->seccomp, err);

	json_w_open(&w, NULL, '{');
	json_w_str(&w, "ociVersion", SPEC_VERSION);
	if (r == 0)
		r = write_process(&w, run, err);

	if (r < 0)
		return r;
	json_w_open(&w, "root", '{');
	json_w_str(&w, "path", run->root_path ?: "rootfs");
	json_w_bool(&w, "readonly", false);
	json_w_close(&w, '}');
	if (run->hostname)
		json_w_str(&w, "hostname", run->hostname);
	write_mounts(&w, run);
	write_annotations(&w, run, log);
	default_write_linux(&w, &linux_);
	json_w_close(&w, '}');
	return 0;
}
