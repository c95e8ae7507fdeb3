/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct arena arena;
static struct error err;

static void init(void)
{
	arena = (struct arena)ARENA_INIT;
	err = ERROR_INIT;
}

static void fini(void)
{
	arena_release(&arena);
}

TestSuite(cli_image_change, .init = init, .fini = fini);

#define EXPECT(wanted, ...) \
	do { \
		char *lines[] = { __VA_ARGS__ }; \
		const char *got; \
		cr_assert_eq(out_image_change(lines, sizeof(lines) / sizeof(*lines), &arena, &got, &err), 0, "%s", err.text); \
		cr_expect_str_eq(got, wanted, "%s", got); \
	} while (0)

#define REFUSE(line, why) \
	do { \
		char *lines[] = { line }; \
		const char *got; \
		cr_assert_eq(out_image_change(lines, 1, &arena, &got, &err), -EINVAL); \
		cr_expect(strstr(err.text, why), "%s", err.text); \
		cr_expect(strstr(err.text, line), "%s", err.text); \
	} while (0)

Test(cli_image_change, none_is_null)
{
	const char *got = "x";

	cr_assert_eq(out_image_change(NULL, 0, &arena, &got, &err), 0);
	cr_expect_null(got);
}

Test(cli_image_change, a_program_is_a_list_or_a_shells_line)
{
	EXPECT("{\"Cmd\":[\"a\",\"b c\"]}", "CMD [\"a\", \"b c\"]");
	EXPECT("{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo $X  y\"]}", "cmd echo $X  y ");
	EXPECT("{\"Cmd\":[\"/bin/sh\",\"-c\",\"[ -e x ]\"]}", "CMD [ -e x ]");
}

Test(cli_image_change, an_entry_point_takes_the_old_arguments_away)
{
	EXPECT("{\"Entrypoint\":[\"e\"],\"Cmd\":null}", "ENTRYPOINT [\"e\"]");
	EXPECT("{\"Entrypoint\":[\"e\"],\"Cmd\":[\"c\"]}", "CMD [\"c\"]", "ENTRYPOINT [\"e\"]");
	EXPECT("{\"Entrypoint\":[],\"Cmd\":null}", "ENTRYPOINT []");
}

Test(cli_image_change, variables_and_labels_are_words_with_quotes)
{
	EXPECT("{\"Env\":[\"A=1\",\"B=two words\",\"C=q\\\"\"]}", "ENV A=1 B=\"two words\" C=q\\\"");
	EXPECT("{\"Env\":[\"A=the rest of it\"]}", "ENV A the rest of it");
	EXPECT("{\"Env\":[\"A=2\"]}", "ENV A=1", "ENV A=2");
	EXPECT("{\"Labels\":{\"a.b\":\"x y\",\"c\":\"\"}}", "LABEL a.b='x y' c=");
}

Test(cli_image_change, sets_are_words_or_a_list)
{
	EXPECT("{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}}}", "EXPOSE 80 53/udp");
	EXPECT("{\"Volumes\":{\"/a b\":{},\"/c\":{}}}", "VOLUME [\"/a b\", \"/c\"]");
}

Test(cli_image_change, the_rest_is_text)
{
	EXPECT("{\"User\":\"1000:100\",\"WorkingDir\":\"/srv\",\"StopSignal\":\"SIGQUIT\"}", "USER 1000:100", "WORKDIR /srv",
	       "STOPSIGNAL SIGQUIT");
}

Test(cli_image_change, what_cannot_be_understood_is_named)
{
	REFUSE("RUN make", "the instructions are");
	REFUSE("CMD", "no argument");
	REFUSE("ENV =x", "NAME=VALUE");
	REFUSE("ENV A", "NAME=VALUE");
	REFUSE("LABEL a=\"x", "quote does not end");
	REFUSE("WORKDIR rel", "absolute");
}
