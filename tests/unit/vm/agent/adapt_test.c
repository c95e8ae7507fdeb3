/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/mountapi.h"
#include "vm/agent/agent.h"

TestSuite(adapt);

static struct arena arena = ARENA_INIT;

static const char config[] =
	"{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
	"\"process\":{\"cwd\":\"/\",\"args\":[\"sh\"],\"apparmorProfile\":\"a\",\"selinuxLabel\":\"b\","
	"\"execCPUAffinity\":{\"initial\":\"7\"}},"
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
	"{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/srv\",\"options\":[\"rbind\",\"ro\",\"idmap\",\"nosuid\"],"
	"\"uidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":1}],\"gidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":1}]},"
	"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"ro\"]},"
	"{\"destination\":\"/again\",\"options\":[\"bind\",\"remount\",\"ro\"]}],"
	"\"hooks\":{\"prestart\":[{\"path\":\"/a\"}],\"startContainer\":[{\"path\":\"/b\"}],\"poststop\":[{\"path\":\"/c\"}]},"
	"\"linux\":{\"namespaces\":[{\"type\":\"pid\",\"path\":\"/proc/1/ns/pid\"},{\"type\":\"network\"},{\"type\":\"mount\"}%s],"
	"\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],"
	"\"gidMappings\":[{\"containerID\":0,\"hostID\":200000,\"size\":65536}],"
	"\"sysctl\":{\"net.ipv4.ip_forward\":\"1\",\"kernel/msgmax\":\"9\",\"net/core/somaxconn\":\"7\"},"
	"\"resources\":{\"cpu\":{\"shares\":5,\"quota\":7000},\"memory\":{\"limit\":1048576},\"pids\":{\"limit\":4},"
	"\"blockIO\":{\"weight\":10},\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":0}],"
	"\"unified\":{\"cpu.weight\":\"7\",\"memory.high\":\"9\",\"pids.max\":\"3\",\"io.weight\":\"1\"}},"
	"\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\"}}}";

static struct spec *adapted(const char *more_namespaces, struct agent_adapted *ret)
{
	struct error err = ERROR_INIT;
	struct spec *spec;
	char *text = arena_printf(&arena, config, more_namespaces); /* NOLINT: the format is ours */

	cr_assert(zero(int, spec_parse(text, strlen(text), &arena, &spec, &err)), "%s at %s", err.text, err.at);
	agent_adapt(spec, &arena, ret);
	return spec;
}

static const char user[] = ",{\"type\":\"user\"}";

Test(adapt, namespaces_are_new_and_there_is_one_network)
{
	struct agent_adapted a;
	struct spec *s = adapted(user, &a);

	cr_assert(s->linux_.ns[SPEC_NS_PID].listed);
	cr_assert(s->linux_.ns[SPEC_NS_PID].path == NULL);
	cr_assert(not(s->linux_.ns[SPEC_NS_NETWORK].listed));
	cr_assert(s->linux_.ns[SPEC_NS_USER].listed);
}

Test(adapt, ids_are_what_the_container_calls_them)
{
	struct agent_adapted a;
	struct spec *s = adapted(user, &a);

	cr_assert(eq(u32, s->linux_.uid_maps.v[0].host_id, 0));
	cr_assert(eq(u32, s->linux_.gid_maps.v[0].host_id, 0));
	cr_assert(eq(u32, s->linux_.gid_maps.v[0].size, 65536));
}

Test(adapt, binds_come_from_the_share_of_volumes_with_what_the_host_has_done_taken_off)
{
	struct agent_adapted a;
	struct spec *s = adapted(user, &a);
	const struct spec_mount *m = &s->mounts[1];

	cr_assert(a.has_volumes);
	cr_assert(eq(str, (char *)m->source, "/volumes/m1"));
	cr_assert(eq(sz, m->options.n, 3));
	cr_assert(eq(str, m->options.v[0], "rbind"));
	cr_assert(eq(str, m->options.v[1], "ro"));
	cr_assert(eq(str, m->options.v[2], "nosuid"));
	cr_assert(m->options.v[3] == NULL);
	cr_assert(eq(sz, m->uid_maps.n, 0));
	cr_assert(eq(str, (char *)s->mounts[0].source, "proc"));
	cr_assert(s->mounts[3].source == NULL); /* a remount has none */
}

Test(adapt, what_the_mount_of_a_volume_forbids_on_the_host_its_mount_in_the_guest_forbids_last)
{
	struct agent_adapted a;
	struct spec *s = adapted("", &a);
	struct wire_volume sent = { .number = 1, .attr = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC }, got;
	struct wire_item item = { .tag = WIRE_T_VOLUME, .bytes = &sent, .n = sizeof(sent) };
	struct spec_mount *m = &s->mounts[1];

	cr_assert(zero(int, agent_read_volume(&item, &got)));
	cr_assert(eq(u32, got.number, 1));
	agent_add_attributes(m, got.attr, &arena);
	cr_assert(eq(sz, m->options.n, 5));
	cr_assert(eq(str, m->options.v[2], "nosuid"));
	cr_assert(eq(str, m->options.v[3], "nodev"));
	cr_assert(eq(str, m->options.v[4], "noexec"));
	item.n--;
	cr_assert(eq(int, agent_read_volume(&item, &got), -EPROTO));
}

Test(adapt, a_container_with_a_user_namespace_gets_the_sysfs_of_the_guest)
{
	struct agent_adapted a;
	struct spec *with = adapted(user, &a);
	struct spec *without = adapted("", &a);

	cr_assert(eq(str, (char *)with->mounts[2].source, "/sys"));
	cr_assert(eq(str, with->mounts[2].options.v[1], "bind"));
	cr_assert(eq(str, (char *)without->mounts[2].type, "sysfs"));
	cr_assert(eq(sz, without->mounts[2].options.n, 1));
}

Test(adapt, limits_of_memory_and_pids_stay_and_others_are_of_the_host)
{
	struct agent_adapted a;
	const struct spec_resources *r = adapted(user, &a)->linux_.resources;

	cr_assert(eq(i64, r->memory->limit.v, 1048576));
	cr_assert(eq(i64, r->pids_limit.v, 4));
	cr_assert(r->cpu == NULL);
	cr_assert(r->block_io == NULL);
	cr_assert(eq(sz, r->n_hugepages, 0));
	cr_assert(eq(sz, r->n_unified, 2));
	cr_assert(eq(str, (char *)r->unified[0].key, "memory.high"));
	cr_assert(eq(str, (char *)r->unified[1].key, "pids.max"));
}

Test(adapt, sysctls_of_the_network_are_the_guests_own)
{
	struct agent_adapted a;
	struct spec *s = adapted(user, &a);

	cr_assert(eq(sz, a.n_net_sysctls, 2));
	cr_assert(eq(str, (char *)a.net_sysctls[0].key, "net.ipv4.ip_forward"));
	cr_assert(eq(str, (char *)a.net_sysctls[1].key, "net/core/somaxconn"));
	cr_assert(eq(sz, s->linux_.n_sysctl, 1));
	cr_assert(eq(str, (char *)s->linux_.sysctl[0].key, "kernel/msgmax"));
}

Test(adapt, of_hooks_and_labels_what_belongs_inside_is_left)
{
	struct agent_adapted a;
	struct spec *s = adapted(user, &a);

	cr_assert(eq(sz, s->hooks.n[SPEC_HOOK_PRESTART], 0));
	cr_assert(eq(sz, s->hooks.n[SPEC_HOOK_POSTSTOP], 0));
	cr_assert(eq(sz, s->hooks.n[SPEC_HOOK_START_CONTAINER], 1));
	cr_assert(s->process.apparmor_profile == NULL);
	cr_assert(s->process.selinux_label == NULL);
	cr_assert(s->process.exec_affinity == NULL);
	cr_assert(s->linux_.seccomp == NULL);
	cr_assert(eq(str, (char *)s->root.path, "/root"));
	cr_assert(s->root.readonly);
}

Test(adapt, a_kernel_without_swap_is_asked_for_none)
{
	static const struct {
		int64_t limit, swap, wanted;
	} rows[] = { { 100, 200, 100 }, { 100, 100, 100 }, { 100, 50, 50 }, { 100, -1, -1 }, { 0, 200, 200 }, { -1, 200, 200 } };

	agent_limit_swap(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct spec_memory m = { .limit = { rows[i].limit != 0, rows[i].limit }, .swap = { true, rows[i].swap } };
		struct spec_resources res = { .memory = &m };

		agent_limit_swap(&res);
		cr_assert(eq(i64, m.swap.v, rows[i].wanted), "row %zu", i);
	}
}

Test(adapt, a_user_namespace_without_maps_is_none)
{
	static const char text[] = "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
				   "\"linux\":{\"namespaces\":[{\"type\":\"user\",\"path\":\"/x\"}]}}";
	struct error err = ERROR_INIT;
	struct agent_adapted a;
	struct spec *spec;

	cr_assert(zero(int, spec_parse(text, sizeof(text) - 1, &arena, &spec, &err)));
	agent_adapt(spec, &arena, &a);
	cr_assert(not(spec->linux_.ns[SPEC_NS_USER].listed));
	cr_assert(not(a.has_volumes));
}

/* ---- items ---- */

Test(items, a_mount_is_its_destination_and_its_options)
{
	static const char bytes[] = "/there\0ro\0idmap\0rslave"; /* and its NUL */
	struct wire_item item = { .bytes = bytes, .n = sizeof(bytes) };
	struct spec_mount m;

	cr_assert(zero(int, agent_read_mount(&item, 3, &arena, &m)));
	cr_assert(eq(str, (char *)m.destination, "/there"));
	cr_assert(eq(str, (char *)m.source, "/volumes/x3"));
	cr_assert(eq(sz, m.options.n, 3));
	cr_assert(eq(str, m.options.v[0], "ro"));
	cr_assert(eq(str, m.options.v[1], "rslave"));
	cr_assert(eq(str, m.options.v[2], "rbind"));
	item.n--;
	cr_assert(eq(int, agent_read_mount(&item, 3, &arena, &m), -EPROTO));
	item.n = 0;
	cr_assert(eq(int, agent_read_mount(&item, 3, &arena, &m), -EPROTO));
}

Test(items, a_filter_is_its_flags_and_whole_instructions)
{
	auto_buf struct buf b = BUF_INIT;
	struct proc_seccomp f;
	char bytes[4 + 2 * sizeof(struct sock_filter)] = { 2, 0, 0, 0, 6 };

	cr_assert(zero(int, agent_read_filter(NULL, 0, &arena, &f)));
	cr_assert(f.insns == NULL);
	wire_add(&b, WIRE_T_FILTER, bytes, sizeof(bytes));
	cr_assert(zero(int, agent_read_filter(b.data, b.len, &arena, &f)));
	cr_assert(eq(u32, f.n_insns, 2));
	cr_assert(eq(u32, f.flags, 2));
	buf_reset(&b);
	wire_add(&b, WIRE_T_FILTER, bytes, sizeof(bytes) - 4);
	cr_assert(eq(int, agent_read_filter(b.data, b.len, &arena, &f), -EPROTO));
	buf_reset(&b);
	wire_add(&b, WIRE_T_FILTER, bytes, 3);
	cr_assert(eq(int, agent_read_filter(b.data, b.len, &arena, &f), -EPROTO));
}

Test(items, the_environment_is_all_of_its_items)
{
	auto_buf struct buf b = BUF_INIT;

	wire_add_text(&b, WIRE_T_ENV, "A=1");
	wire_add_text(&b, WIRE_T_ID, "x");
	wire_add_text(&b, WIRE_T_ENV, "B=2");

	char **env = agent_read_env(b.data, b.len, &arena);

	cr_assert(eq(str, env[0], "A=1"));
	cr_assert(eq(str, env[1], "B=2"));
	cr_assert(env[2] == NULL);
}

Test(items, arguments_are_bytes)
{
	auto_buf struct buf b = BUF_INIT;
	char word[] = "-", *words[] = { word, NULL };
	struct spec_process p = { .args = { .v = words, .n = 1 }, .cwd = "/" };

	agent_read_bytes(b.data, b.len, &arena, &p);
	cr_assert(p.args.v == words, "a request without them leaves what the object says");
	wire_add_text(&b, WIRE_T_ARG, "/bin/\xff");
	wire_add_text(&b, WIRE_T_ARG, "");
	wire_add_text(&b, WIRE_T_VARIABLE, "\xc3=\x80");
	wire_add_text(&b, WIRE_T_CWD, "/\xe9t\xe9");
	agent_read_bytes(b.data, b.len, &arena, &p);
	cr_assert(eq(sz, p.args.n, 2));
	cr_assert(eq(str, p.args.v[0], "/bin/\xff"));
	cr_assert(eq(str, p.args.v[1], ""));
	cr_assert(p.args.v[2] == NULL);
	cr_assert(eq(sz, p.env.n, 1));
	cr_assert(eq(str, p.env.v[0], "\xc3=\x80"));
	cr_assert(eq(str, (char *)p.cwd, "/\xe9t\xe9"));
}
