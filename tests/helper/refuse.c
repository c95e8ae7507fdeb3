/* SPDX-License-Identifier: Apache-2.0 */

/*
 * refuse - a kernel, or a sandbox around us, that does not know some system calls
 *
 *	refuse ERRNO NR[,NR…] PROGRAM [ARG…]
 *
 * Executes the program under a filter that answers these calls with that errno, as an old
 * kernel (ENOSYS) or an old container profile (EPERM) does. Everything it starts inherits it.
 */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_CALLS 64

/* <linux/filter.h> and <linux/seccomp.h>, of which musl's wrapper has no path to. */
struct insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

struct program {
	unsigned short len;
	struct insn *insns;
};

int main(int argc, char **argv)
{
	struct insn code[2 * MAX_CALLS + 2] = { { 0x20 /* BPF_LD|W|ABS */, 0, 0, 0 /* seccomp_data.nr */ } };
	unsigned short n = 1;

	if (argc < 4)
		return 2;

	unsigned number = (unsigned)strtoul(argv[1], NULL, 0);
	char *p = argv[2];

	for (int i = 0; i < MAX_CALLS; i++) {
		unsigned nr = (unsigned)strtoul(p, &p, 0);

		code[n++] = (struct insn){ 0x15 /* BPF_JMP|JEQ|K */, 0, 1, nr };
		code[n++] = (struct insn){ 0x06 /* BPF_RET */, 0, 0, 0x00050000 /* SECCOMP_RET_ERRNO */ | number };
		if (*p++ != ',')
			break;
	}
	code[n++] = (struct insn){ 0x06, 0, 0, 0x7fff0000 /* SECCOMP_RET_ALLOW */ };

	struct program program = { n, code };

	/* Without no_new_privs: that would be inherited, and show in the container. Needs root. */
	if (syscall(SYS_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, 0, &program) < 0) {
		perror("seccomp");
		return 2;
	}
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 127;
}
