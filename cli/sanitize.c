/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Defaults of the sanitizers in a build with SANITIZE=1. The leak check stops the
 * program by ptrace at its end, which a program that is not dumpable, or whose
 * children belong to another pid namespace, does not allow: it would hang there.
 */

#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

/* ISO C wants a translation unit to declare something. */
extern int sanitize_c_is_not_empty;
