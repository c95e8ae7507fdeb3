/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * parts - the objects of config.json, one parse function each
 *
 * Each takes its own object (never NULL unless said) and fills a zeroed struct.
 * Faults are in the reader.
 */

#include "spec/reader.h"

void parse_process(struct reader *rd, const struct json *obj, struct spec_process *process);
/* obj may be NULL: then everything is absent. */
void parse_linux(struct reader *rd, const struct json *obj, struct spec_linux *linux_);
void parse_resources(struct reader *rd, const struct json *obj, struct spec_resources *res);
void parse_block_io(struct reader *rd, const struct json *obj, struct spec_block_io *io);
void parse_seccomp(struct reader *rd, const struct json *obj, struct spec_seccomp *seccomp);
void parse_vm(struct reader *rd, const struct json *obj, struct spec_vm *vm);
void parse_idmaps(struct reader *rd, const struct json *obj, const char *name,
		  struct spec_idmaps *maps);

/* Device numbers as the kernel's dev_t holds them: 12 and 20 bits. Beyond, mknod(2) makes another device. */
#define SPEC_MAJOR_MAX 4095
#define SPEC_MINOR_MAX 1048575

extern const struct spec_word spec_ns_words[];
extern const struct spec_word spec_rlimit_words[];
extern const struct spec_word spec_scheduler_policies[], spec_scheduler_flags[];
extern const struct spec_word spec_ioprio_classes[];
extern const char *const spec_capset_names[SPEC_CAPSETS];
extern const struct spec_word spec_memory_policy_modes[], spec_memory_policy_flags[];
extern const struct spec_word spec_seccomp_actions[], spec_seccomp_archs[];
extern const struct spec_word spec_seccomp_flags[], spec_seccomp_operators[];
