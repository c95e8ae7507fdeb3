/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes that stay, go, are emptied, and what a death leaves of them. */
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "tests/unit/overlay/sandbox_room.h"

TestSuite(ovl_sandbox_life, .init = begin, .fini = finish);

Test(ovl_sandbox_life, a_kept_one_goes_on_and_is_nobody_elses)
{
	make_layers(2);

	struct ovl_sandbox_options o = options("keep", 2);

	o.keep = true;

	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	put_text(fd, "common", "kept");
	close(fd);
	ovl_sandbox_close(&sb);

	/* Its container is there: nobody else's, and not to be thrown away. */
	struct ovl_sandbox_options other = o;

	other.holder = room_path;
	cr_expect_eq(ovl_sandbox_make(&store, &other, &arena, &sb, &err), -EBUSY, "%s", err.text);
	cr_expect_eq(ovl_sandbox_remove(&store, "keep", &err), -EBUSY);
	cr_expect(strstr(err.text, holder), "%s", err.text);

	cr_expect_eq(ovl_sandbox_end(&store, "keep", &err), 0, "%s", err.text);
	cr_assert_eq(rmdir(holder), 0);

	struct ovl_freed freed;

	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_eq(freed.layers, 0, "a kept sandbox holds its layers");

	other.keep = false;
	cr_expect_eq(ovl_sandbox_make(&store, &other, &arena, &sb, &err), -EEXIST);
	other.keep = true;
	other.n_lowers = 1;
	cr_expect_eq(ovl_sandbox_make(&store, &other, &arena, &sb, &err), -EINVAL);
	cr_expect(strstr(err.text, "over other layers"), "%s", err.text);
	other.n_lowers = 2;
	sb = make(&other);
	fd = mounted(&sb);
	expect_text(fd, "common", "kept");
	close(fd);
	cr_expect_str_eq(sb.holder, room_path);
	ovl_sandbox_close(&sb);

	cr_assert_eq(ovl_sandbox_open(&store, "keep", &arena, &sb, &err), 0, "%s", err.text);
	expect_text(sb.upper_fd, "common", "kept");
	cr_expect(sb.keep && sb.is_used && sb.n_lowers == 2);
	ovl_sandbox_close(&sb);
}

Test(ovl_sandbox_life, a_reset_empties_it_and_keeps_its_limits_and_root)
{
	struct stat st;

	make_layers(2);

	struct ovl_sandbox_options o = options("reset", 2);

	o.keep = true;

	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	put_text(fd, "common", "mine");
	cr_assert_eq(fchmodat(fd, ".", 0700, 0), 0);
	ovl_sandbox_close(&sb);
	cr_expect_eq(ovl_sandbox_reset(&store, "reset", &err), -EBUSY, "%s", err.text);
	expect_text(fd, "common", "mine");
	close(fd);
	cr_expect_eq(ovl_sandbox_reset(&store, "reset", &err), 0, "%s (%s)", err.text, err.hint);
	sb = make(&o);
	fd = mounted(&sb);
	expect_text(fd, "common", "1");
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0755);
	close(fd);
	ovl_sandbox_close(&sb);
}

Test(ovl_sandbox_life, what_a_dead_container_left_is_removed_with_its_layers)
{
	struct ovl_sandbox *all;
	struct ovl_freed freed;
	size_t n;

	make_layers(2);

	struct ovl_sandbox_options o = options("dead", 1);
	struct ovl_sandbox sb = make(&o), alive;
	int fd = mounted(&sb);

	put_text(fd, "new", "mine");
	close(fd);
	ovl_sandbox_close(&sb);
	o.name = "alive";
	o.holder = room_path;
	alive = make(&o);
	cr_assert_eq(ovl_sandboxes(&store, &arena, &all, &n, &err), 0, "%s", err.text);
	cr_assert_eq(n, 2);
	cr_expect_str_eq(all[0].name, "alive");
	cr_expect_str_eq(all[1].name, "dead");
	cr_expect(all[1].is_used && all[1].kind == OVL_SANDBOX_DIRECTORY);

	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_eq(freed.layers, 1, "layer 1 has no user");
	cr_expect(room_has("store/sandboxes/dead"));
	cr_assert_eq(rmdir(holder), 0);
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_not(room_has("store/sandboxes/dead"));
	cr_expect_eq(freed.leftovers, 1);
	cr_expect_eq(freed.layers, 0);
	ovl_sandbox_close(&alive);
	end("alive");
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_eq(freed.layers, 1);
}

Test(ovl_sandbox_life, what_a_kill_left_half_made_is_no_obstacle)
{
	struct ovl_freed freed;

	make_layers(1);
	cr_assert_eq(mkdirat(room_fd, "store/sandboxes", 0700), 0);
	cr_assert_eq(mkdirat(room_fd, "store/sandboxes/a", 0700), 0);
	cr_assert_eq(mkdirat(room_fd, "store/sandboxes/b", 0700), 0);
	room_file("store/sandboxes/b/sandbox.json", "{\"name\":\"b\",\"hol");
	cr_assert_eq(mkdirat(room_fd, "store/sandboxes/c", 0700), 0);

	struct ovl_sandbox_options o = options("a", 1);
	struct ovl_sandbox sb = make(&o);

	close(mounted(&sb));
	ovl_sandbox_close(&sb);
	o.name = "b";
	sb = make(&o);
	close(mounted(&sb));
	ovl_sandbox_close(&sb);
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_not(room_has("store/sandboxes/c"));
	end("a");
	end("b");
}

Test(ovl_sandbox_life, a_record_of_old_has_objects)
{
	struct ovl_sandbox *v;
	size_t n;

	cr_assert_eq(mkdirat(room_fd, "store/sandboxes", 0700), 0);
	cr_assert_eq(mkdirat(room_fd, "store/sandboxes/a", 0700), 0);
	room_file("store/sandboxes/a/sandbox.json",
		  "{\"name\":\"a\",\"holder\":\"/h\",\"created\":\"x\",\"keep\":true,\"kind\":\"directory\",\"maxBytes\":0,"
		  "\"maxInodes\":0,\"project\":0,\"lowers\":[{\"layer\":\"sha256:"
		  "0000000000000000000000000000000000000000000000000000000000000001\"},{\"directory\":\"/d\"}]}");
	cr_assert_eq(ovl_sandboxes(&store, &arena, &v, &n, &err), 0, "%s", err.text);
	cr_assert_eq(n, 1);
	cr_assert_eq(v[0].n_lowers, 2);
	cr_expect_eq(strtoul(v[0].lowers[0].hex, NULL, 16), 1);
	cr_expect_null(v[0].lowers[0].dir);
	cr_expect_str_eq(v[0].lowers[1].dir, "/d");
}

static void set_flag(int dir_fd, const char *name, unsigned flag)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	unsigned flags;

	cr_assert_geq(fd, 0);
	cr_assert_eq(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
	flags |= flag;
	cr_assert_eq(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0, "%d", errno);
	close(fd);
}

Test(ovl_sandbox_life, files_that_a_container_made_immutable_go_as_well)
{
	make_layers(1);

	struct ovl_sandbox_options o = options("immutable", 1);
	struct ovl_sandbox sb = make(&o);

	cr_assert_eq(mkdirat(sb.upper_fd, "d", 0755), 0);
	cr_assert_eq(mkdirat(sb.upper_fd, "d/e", 0755), 0);
	put_text(sb.upper_fd, "d/e/file", "x");
	put_text(sb.upper_fd, "log", "x");
	set_flag(sb.upper_fd, "d/e/file", FS_IMMUTABLE_FL);
	set_flag(sb.upper_fd, "d/e", FS_IMMUTABLE_FL);
	set_flag(sb.upper_fd, "d", FS_APPEND_FL);
	set_flag(sb.upper_fd, "log", FS_APPEND_FL);
	set_flag(sb.upper_fd, ".", FS_IMMUTABLE_FL);
	ovl_sandbox_close(&sb);
	end("immutable");
}
