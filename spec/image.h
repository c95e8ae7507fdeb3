/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * image - the config of an image, and the config.json that comes of it
 *
 * An image says how it wants to be run: program, environment, user, directory (image-spec, config.md). That
 * is read here, within the bounds of every document (json.h), and turned into a config.json by the rules of
 * image-spec, conversion.md, together with what the caller wants otherwise. Image configs are written by
 * strangers: nothing in one reaches further than the container, and labels that would steer this runtime
 * are left out, with a warning.
 *
 * Names of users are resolved by who has the image's files (runtime/user.h).
 */

#include "spec/spec.h"

struct spec_image {
	const char *os, *os_version, *architecture, *variant, *author, *created; /* NULL: absent or "" */
	struct spec_strings os_features;
	const char *user, *working_dir, *stop_signal; /* likewise */
	struct spec_strings env, entrypoint, cmd;
	struct spec_strings exposed_ports, volumes; /* names of members, in the document's order */
	struct spec_key_value *labels;
	size_t n_labels;
};

/* Parses n bytes of an image config. -EINVAL with the pointer of what is wrong; also for another system's image. */
int spec_image_parse(const char *text, size_t n, struct arena *a, const struct spec_image **ret, struct error *err);

enum spec_image_volumes {
	SPEC_VOLUMES_IGNORED, /* plain directories of the image */
	SPEC_VOLUMES_TMPFS, /* a tmpfs at each, which begins with what the image has there */
};

/* Which filter of system calls it gets. */
struct spec_seccomp_wish {
	enum spec_seccomp_kind {
		SPEC_SECCOMP_NONE,
		SPEC_SECCOMP_DEFAULT, /* ours, for the capabilities it has */
		SPEC_SECCOMP_PROFILE, /* a file's: as linux.seccomp, or as engines have it, with conditions */
	} kind;
	const char *name, *text; /* the file */
	size_t n;
	const char *kernel; /* release, as in uname -r, for those conditions */
};

/* How it is to be run. What is NULL or zero leaves the choice to the image, or to the default. */
struct spec_image_run {
	const struct spec_image *image; /* NULL: there is none, only defaults */
	const char *entrypoint; /* in place of the image's, whose cmd then counts for nothing; "": none */
	char *const *args; /* in place of cmd; NULL-terminated */
	char *const *env; /* NAME=value; wins over the image's; NULL-terminated */
	const char *cwd;
	struct spec_user user; /* resolved: umask is not looked at */
	const char *hostname;
	const char *root_path; /* NULL: "rootfs" */
	const struct spec_mount *mounts; /* after the default ones */
	size_t n_mounts;
	const struct spec_key_value *annotations; /* the caller's own: in place of the image's of that name */
	size_t n_annotations;
	bool terminal;
	bool may_gain_privileges; /* noNewPrivileges: false */
	bool host_network;
	bool rootless; /* as in spec_default_options */
	uint32_t euid, egid;
	enum spec_image_volumes volumes;
	struct spec_seccomp_wish seccomp;
};

/*
 * Appends the config.json. Nothing that cannot be run is written: -EINVAL when neither the caller nor the
 * image names a program, or for a profile that is none. Warnings go to log.
 */
int spec_image_write(struct buf *out, const struct spec_image_run *run, const struct log *log, struct error *err);
