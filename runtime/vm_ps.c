/* SPDX-License-Identifier: Apache-2.0 */
/* The processes in a guest, as its agent lists them. Text of the guest's is made fit for a terminal here. */
#include <errno.h>
#include <string.h>

#include "runtime/state.h"
#include "runtime/texts.h"
#include "runtime/vm_ask.h"
#include "spec/base/auto.h"

#define MOST_COMMAND 4096

/* One line, printable: blanks for the NULs between arguments, '?' for what a terminal could take for an order. */
static const char *clean(const char *text, size_t n, struct arena *a)
{
	while (n > 0 && !text[n - 1])
		n--;
	if (n > MOST_COMMAND)
		n = MOST_COMMAND;

	char *s = arena_alloc(a, n + 1);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		s[i] = !c ? ' ' : c < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) ? '?' : text[i];
	}
	s[n] = '\0';
	return s;
}

static void read_one(const struct wire_item *item, struct arena *a, struct rt_guest_process *ret)
{
	struct wire_ps p;
	const char *command = (const char *)item->bytes + sizeof(p);
	size_t n = item->n - sizeof(p);

	memcpy(&p, item->bytes, sizeof(p));
	*ret = (struct rt_guest_process){
		.pid = p.pid,
		.ppid = p.ppid,
		.uid = p.uid,
		.start_ms = p.start_ms,
		.cpu_ms = p.cpu_ms,
		.rss = p.rss,
		.tty = clean(p.tty, strnlen(p.tty, sizeof(p.tty)), a),
		.command = clean(command, n, a),
	};
	if (!ret->command[0])
		ret->command = arena_printf(a, "[%s]", clean(p.name, strnlen(p.name, sizeof(p.name)), a));
}

static int read_all(const void *payload, size_t n, struct arena *a, struct rt_guest_process **ret, size_t *ret_n,
		    struct error *err)
{
	struct wire_reader count = { .at = payload, .left = n }, reader = count;
	struct wire_item item;
	size_t most = 0;

	while (wire_next(&count, &item) > 0)
		most += item.tag == WIRE_T_PS && item.n >= sizeof(struct wire_ps);
	*ret = ARENA_NEW_N(a, struct rt_guest_process, most + 1);
	*ret_n = 0;
	while (wire_next(&reader, &item) > 0)
		if (item.tag == WIRE_T_PS && item.n >= sizeof(struct wire_ps))
			read_one(&item, a, &(*ret)[(*ret_n)++]);
	return count.left ? error_rule(err, EPROTO, "the guest's list of processes is broken") : 0;
}

int rt_guest_processes(const struct rt_context *ctx, const char *id, struct arena *a, bool *ret_is_vm,
		       struct rt_guest_process **ret, size_t *ret_n, struct error *err)
{
	auto_client struct vm_client c = VM_CLIENT_INIT;
	struct rt_state state;
	const void *payload;
	size_t n;
	int r = state_peek(ctx, id, a, &state, err);

	*ret_is_vm = r == 0 && state.is_vm;
	*ret = NULL;
	*ret_n = 0;
	if (r < 0 || !state.is_vm)
		return r;

	enum rt_status status = state_status(ctx, -1, &state);

	if (status == RT_STOPPED)
		return 0;
	if (status == RT_PAUSED)
		return error_rule(err, EAGAIN, "a paused virtual machine cannot say what runs in it");
	r = wall_meet(ctx, id, WALL_ASK_MS, &c, err);
	if (r == 0)
		r = vm_client_ask(&c, WIRE_PS, NULL, NULL, 0, WALL_ASK_MS, &payload, &n, err);
	return r < 0 ? r : read_all(payload, n, a, ret, ret_n, err);
}
