/* SPDX-License-Identifier: Apache-2.0 */

/*
 * inmate - the program in the measured container, without a libc: it ends at once with
 * status 0, or with -DPAUSE sleeps until it is killed. What a container's own program
 * costs is thus next to nothing.
 */

#include <sys/syscall.h>

static long call(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	long r;
	register long r10 __asm__("r10") = d;
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return r;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#else
#error "system calls of this machine are missing"
#endif
}

_Noreturn void _start(void);
void _start(void)
{
#ifdef PAUSE
	for (;;)
		call(SYS_ppoll, 0, 0, 0, 0);
#else
	for (;;)
		call(SYS_exit_group, 0, 0, 0, 0);
#endif
}
