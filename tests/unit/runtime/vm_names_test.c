/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "runtime/vm_names.h"

static int read_it(const char *text, const char *wanted)
{
	uint8_t a[4] = { 0 };
	int r = vm_names_read(text, a);

	if (r)
		cr_assert_arr_eq(a, wanted, 4);
	return r;
}

Test(vm_names, an_engines_server_on_loopback_is_found)
{
	cr_assert(read_it("nameserver 127.0.0.11\noptions ndots:0\n", "\x7f\0\0\x0b"));
	cr_assert(read_it("# by hand\nsearch a b\nnameserver\t 127.0.0.53", "\x7f\0\0\x35"));
	cr_assert(read_it("nameserver 10.0.0.1\nnameserver 127.1.2.3\n", "\x7f\x01\x02\x03"));
}

Test(vm_names, others_are_the_networks_or_the_containers_own)
{
	static const char *const texts[] = {
		"", "\n\n", "nameserver 10.0.0.1\n", "nameserver 127.0.0.1\n", "nameserver ::1\n", "#nameserver 127.0.0.11\n",
		"nameserver 127.0.0.11.5\n", "nameserver 127.0.0\n", "nameserver", "nameserver127.0.0.11\n", " nameserver 127.0.0.300\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_assert_not(read_it(texts[i], ""), "%s", texts[i]);
}
