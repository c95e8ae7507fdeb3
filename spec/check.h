/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * check - the rules between members, one function per part of the config
 *
 * They read the structs and never the JSON, so that a runtime which changed a
 * member (exec --cwd, update --memory) can have the result checked as well.
 * Each returns 0, or -EINVAL with a sentence, a pointer and, where the remedy
 * is certain, a hint.
 */

#include "spec/spec.h"

/* Where a part stands: in config.json or as a document of its own. */
struct place {
	const char *name; /* before a member's name in a sentence: "process." */
	const char *at; /* before its pointer: "/process" */
};
#define ALONE ((struct place){ "", "" })
#define IN_PROCESS ((struct place){ "process.", "/process" })
#define IN_RESOURCES ((struct place){ "linux.resources.", "/linux/resources" })

int check_process(const struct spec_process *p, struct place place, const struct log *log,
		  struct error *err);
int check_mounts(const struct spec *spec, const struct log *log, struct error *err);
int check_idmaps(const struct spec_idmaps *maps, const char *name, const char *at,
		 struct error *err);
int check_linux(const struct spec_linux *l, const struct log *log, struct error *err);
int check_sysctl(const struct spec *spec, struct error *err);
int check_seccomp(const struct spec_seccomp *s, struct error *err);
int check_resources(const struct spec_resources *res, struct place place, struct error *err);

/* Gives r, the result of error_rule(), its pointer: return rule_at(error_rule(err, …), err, "/hostname"). */
int rule_at(int r, struct error *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As rule_at() with a remedy. */
int rule_hint(int r, struct error *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
