/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest out to leave its tree, or to make the server hold more than it may, gets for it. */
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

#include "tests/unit/vm/fs/evil.h"

Test(vm_fs_evil, a_name_is_one_component)
{
	struct evil *e = evil_start((struct vm_fs_options){ 0 });
	static const char *const bad[] = { "..", ".", "", "a/b", "/", "../canary", "/etc/passwd", "a/" };
	struct fuse_mkdir_in mkdir_in = { .mode = 0755 };
	struct fuse_mknod_in mknod_in = { .mode = S_IFREG | 0644 };
	struct fuse_create_in create_in = { .flags = O_RDWR, .mode = 0644 };
	struct fuse_rename_in rename_in = { .newdir = 1 };
	struct fuse_rename2_in rename2_in = { .newdir = 1 };
	char longest[300] = "";

	evil_write(evil_path(e, "file"), "x");

	struct fuse_link_in link_in = { .oldnodeid = evil_lookup(e, 1, "file") };

	cr_assert(link_in.oldnodeid != 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const char *b = bad[i];

		cr_expect_eq(evil_ask(e, FUSE_LOOKUP, 1, NULL, 0, EVIL_NAMES(b)), -EINVAL, "%s", b);
		cr_expect_eq(evil_ask(e, FUSE_UNLINK, 1, NULL, 0, EVIL_NAMES(b)), -EINVAL);
		cr_expect_eq(evil_ask(e, FUSE_RMDIR, 1, NULL, 0, EVIL_NAMES(b)), -EINVAL);
		cr_expect_eq(evil_ask(e, FUSE_SYMLINK, 1, NULL, 0, EVIL_NAMES(b, "t")), -EINVAL);
		cr_expect_eq(evil_ask(e, FUSE_MKDIR, 1, &mkdir_in, 8, EVIL_NAMES(b)), -EINVAL);
		cr_expect_eq(evil_ask(e, FUSE_MKNOD, 1, &mknod_in, 16, EVIL_NAMES(b)), -EINVAL);
		cr_expect_eq(evil_ask(e, FUSE_CREATE, 1, &create_in, 16, EVIL_NAMES(b)), -EINVAL);
		cr_expect_eq(evil_ask(e, FUSE_LINK, 1, &link_in, 8, EVIL_NAMES(b)), -EINVAL);
		cr_expect_eq(evil_ask(e, FUSE_RENAME, 1, &rename_in, 8, EVIL_NAMES("file", b)), -EINVAL);
		cr_expect_eq(evil_ask(e, FUSE_RENAME, 1, &rename_in, 8, EVIL_NAMES(b, "file")), -EINVAL);
		cr_expect_eq(evil_ask(e, FUSE_RENAME2, 1, &rename2_in, 16, EVIL_NAMES("file", b)), -EINVAL);
	}
	memset(longest, 'n', 256);
	cr_expect_eq(evil_ask(e, FUSE_LOOKUP, 1, NULL, 0, EVIL_NAMES(longest)), -ENAMETOOLONG);
	longest[255] = '\0';
	cr_expect_eq(evil_ask(e, FUSE_LOOKUP, 1, NULL, 0, EVIL_NAMES(longest)), 0);
	cr_expect_eq(EVIL_REPLY(e, fuse_entry_out)->nodeid, 0);
	evil_end(e);
}

Test(vm_fs_evil, a_link_out_of_the_tree_is_only_ever_read)
{
	struct evil *e = evil_start((struct vm_fs_options){ 0 });
	struct fuse_open_in open_in = { .flags = O_RDWR | O_TRUNC };
	struct fuse_setattr_in setattr_in = { .valid = FATTR_SIZE };
	struct fuse_write_in write_in = { .size = 4 };
	struct fuse_create_in create_in = { .flags = O_RDWR | O_TRUNC, .mode = 0600 };
	struct fuse_setattr_in chmod_in = { .valid = FATTR_MODE, .mode = 0777 };

	cr_assert_eq(symlink("../canary", evil_path(e, "out")), 0);
	cr_assert_eq(symlink("..", evil_path(e, "up")), 0);

	uint64_t out = evil_lookup(e, 1, "out"), up = evil_lookup(e, 1, "up");

	cr_assert(out && up);
	cr_expect_eq(evil_ask(e, FUSE_READLINK, out, NULL, 0, NULL), 0);
	cr_expect(e->len == 9 && memcmp(e->out, "../canary", 9) == 0);
	cr_expect_eq(evil_ask(e, FUSE_OPEN, out, &open_in, 8, NULL), -EINVAL);
	cr_expect_eq(evil_ask(e, FUSE_SETATTR, out, &setattr_in, sizeof(setattr_in), NULL), -EINVAL);
	cr_expect_lt(evil_ask(e, FUSE_SETATTR, out, &chmod_in, sizeof(chmod_in), NULL), 0);
	cr_expect_eq(evil_ask(e, FUSE_WRITE, out, &write_in, sizeof(write_in), EVIL_NAMES("bad")), -EINVAL);
	cr_expect_eq(evil_ask(e, FUSE_CREATE, 1, &create_in, 16, EVIL_NAMES("out")), -EEXIST);
	cr_expect_eq(evil_ask(e, FUSE_LOOKUP, up, NULL, 0, EVIL_NAMES("canary")), -ENOTDIR);
	cr_expect_eq(evil_ask(e, FUSE_OPENDIR, up, &open_in, 8, NULL), -ENOTDIR);
	cr_expect_eq(evil_ask(e, FUSE_UNLINK, up, NULL, 0, EVIL_NAMES("canary")), -ENOTDIR);
	evil_end(e);
}

/* Linux asks for 4,095 bytes (6.12), and no link is longer. */
Test(vm_fs_evil, the_longest_link_is_read_and_a_longer_one_than_there_is_room_for_is_not)
{
	struct evil *e = evil_start((struct vm_fs_options){ 0 });
	char text[4096];

	memset(text, 'l', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	cr_assert_eq(symlink(text, evil_path(e, "long")), 0);

	struct fuse_in_header head = { .len = sizeof(head), .opcode = FUSE_READLINK, .nodeid = evil_lookup(e, 1, "long") };

	cr_expect_eq(evil_raw(e, &head, sizeof(head), sizeof(struct fuse_out_header) + 4095), 0);
	cr_expect(e->len == 4095 && memcmp(e->out, text, 4095) == 0);
	cr_expect_eq(evil_raw(e, &head, sizeof(head), sizeof(struct fuse_out_header) + 4000), -ENAMETOOLONG);
	evil_end(e);
}

Test(vm_fs_evil, special_files_are_neither_made_nor_opened, .timeout = 20)
{
	struct evil *e = evil_start((struct vm_fs_options){ 0 });
	static const mode_t refused[] = { S_IFCHR | 0600, S_IFBLK | 0600, S_IFDIR | 0700, S_IFLNK | 0777, 0 };
	struct fuse_open_in open_in = { .flags = O_RDWR };
	struct fuse_create_in create_in = { .flags = O_RDWR, .mode = 0644 };
	struct fuse_mknod_in in = { .mode = S_IFIFO | 0600 };

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		in = (struct fuse_mknod_in){ .mode = refused[i], .rdev = i % 2 ? 0x103 : 0 };
		cr_expect_eq(evil_ask(e, FUSE_MKNOD, 1, &in, sizeof(in), EVIL_NAMES("n")), -EPERM);
	}
	in = (struct fuse_mknod_in){ .mode = S_IFIFO | 0600 };
	cr_expect_eq(evil_ask(e, FUSE_MKNOD, 1, &in, sizeof(in), EVIL_NAMES("fifo")), 0);
	cr_assert_eq(mknod(evil_path(e, "null"), S_IFCHR | 0666, makedev(1, 3)), 0);

	/* A FIFO would wait for the other end, a device would be the host's. */
	uint64_t fifo = evil_lookup(e, 1, "fifo"), null = evil_lookup(e, 1, "null");

	cr_assert(fifo && null);
	cr_expect_eq(EVIL_REPLY(e, fuse_entry_out)->attr.rdev, 0x103);
	cr_expect_eq(evil_ask(e, FUSE_OPEN, fifo, &open_in, 8, NULL), -EINVAL);
	cr_expect_eq(evil_ask(e, FUSE_OPEN, null, &open_in, 8, NULL), -EINVAL);
	cr_expect_eq(evil_ask(e, FUSE_CREATE, 1, &create_in, 16, EVIL_NAMES("fifo")), -EINVAL);
	cr_expect_eq(evil_ask(e, FUSE_CREATE, 1, &create_in, 16, EVIL_NAMES("null")), -EINVAL);
	evil_end(e);
}

Test(vm_fs_evil, read_only_is_what_the_hosts_mount_says)
{
	struct evil *e = evil_prepare();
	struct fuse_create_in create_in = { .flags = O_RDWR, .mode = 0644 };
	struct fuse_mkdir_in mkdir_in = { .mode = 0755 };
	struct fuse_setattr_in setattr_in = { .valid = FATTR_SIZE };
	struct fuse_setattr_in chmod_in = { .valid = FATTR_MODE, .mode = 04777 };
	struct fuse_write_in write_in = { .size = 4 };
	struct fuse_open_in open_in = { .flags = O_WRONLY };
	struct fuse_rename_in rename_in;

	mkdir(evil_path(e, "rw"), 0755);
	mkdir(evil_path(e, "ro"), 0755);
	evil_write(evil_path(e, "rw/file"), "keep");
	cr_assert_eq(mount(evil_path(e, "rw"), evil_path(e, "ro"), NULL, MS_BIND, NULL), 0);
	cr_assert_eq(mount(NULL, evil_path(e, "ro"), NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	evil_serve(e, (struct vm_fs_options){ 0 });
	cr_assert_eq(evil_init(e, 38, FUSE_SUBMOUNTS), 0);

	uint64_t rw = evil_lookup(e, 1, "rw"), ro = evil_lookup(e, 1, "ro");

	cr_expect_eq(EVIL_REPLY(e, fuse_entry_out)->attr.flags, FUSE_ATTR_SUBMOUNT);

	uint64_t ro_file = evil_lookup(e, ro, "file"), rw_file = evil_lookup(e, rw, "file");

	cr_expect(ro_file && rw_file && ro_file != rw_file, "one inode on two mounts is two nodes");
	/* Opened for writing where that is allowed; the other node must not get hold of that. */
	cr_expect_eq(evil_ask(e, FUSE_WRITE, rw_file, &write_in, sizeof(write_in), EVIL_NAMES("new")), 0);
	cr_expect_eq(evil_ask(e, FUSE_WRITE, ro_file, &write_in, sizeof(write_in), EVIL_NAMES("bad")), -EROFS);
	cr_expect_eq(evil_ask(e, FUSE_OPEN, ro_file, &open_in, 8, NULL), -EROFS);
	cr_expect_eq(evil_ask(e, FUSE_SETATTR, ro_file, &setattr_in, sizeof(setattr_in), NULL), -EROFS);
	cr_expect_eq(evil_ask(e, FUSE_SETATTR, ro_file, &chmod_in, sizeof(chmod_in), NULL), -EROFS);
	cr_expect_eq(evil_ask(e, FUSE_CREATE, ro, &create_in, 16, EVIL_NAMES("x")), -EROFS);
	cr_expect_eq(evil_ask(e, FUSE_MKDIR, ro, &mkdir_in, 8, EVIL_NAMES("x")), -EROFS);
	cr_expect_eq(evil_ask(e, FUSE_UNLINK, ro, NULL, 0, EVIL_NAMES("file")), -EROFS);
	cr_expect_eq(evil_ask(e, FUSE_SYMLINK, ro, NULL, 0, EVIL_NAMES("x", "y")), -EROFS);
	rename_in.newdir = rw;
	cr_expect_eq(evil_ask(e, FUSE_RENAME, ro, &rename_in, 8, EVIL_NAMES("file", "f2")), -EXDEV);
	cr_expect_eq(evil_ask(e, FUSE_LOOKUP, rw, NULL, 0, EVIL_NAMES("file")), 0);
	cr_expect_eq(EVIL_REPLY(e, fuse_entry_out)->attr.size, 4);
	evil_end(e);
}

Test(vm_fs_evil, the_kernels_own_file_systems_are_empty)
{
	struct evil *e = evil_prepare();
	struct fuse_open_in open_in = { .flags = O_RDONLY };
	struct fuse_read_in read_in = { .size = 4096 };
	struct fuse_mkdir_in mkdir_in = { .mode = 0755 };

	mkdir(evil_path(e, "proc"), 0555);
	evil_write(evil_path(e, "maps"), "");
	cr_assert_eq(mount("proc", evil_path(e, "proc"), "proc", 0, NULL), 0);
	cr_assert_eq(mount("/proc/self/maps", evil_path(e, "maps"), NULL, MS_BIND, NULL), 0);
	evil_serve(e, (struct vm_fs_options){ 0 });
	cr_assert_eq(evil_init(e, 38, FUSE_SUBMOUNTS), 0);

	uint64_t proc = evil_lookup(e, 1, "proc"), maps = evil_lookup(e, 1, "maps");

	cr_assert(proc && maps);
	cr_expect_eq(evil_lookup(e, proc, "self"), 0);
	cr_expect_eq(evil_lookup(e, proc, "1"), 0);
	cr_expect_eq(evil_ask(e, FUSE_OPENDIR, proc, &open_in, 8, NULL), 0);
	cr_expect_eq(evil_ask(e, FUSE_READDIR, proc, &read_in, sizeof(read_in), NULL), 0);
	cr_expect_eq(e->len, 0);
	cr_expect_eq(evil_ask(e, FUSE_MKDIR, proc, &mkdir_in, 8, EVIL_NAMES("x")), -EACCES);
	cr_expect_eq(evil_ask(e, FUSE_OPEN, maps, &open_in, 8, NULL), -EACCES);
	cr_expect_eq(evil_ask(e, FUSE_READ, maps, &read_in, sizeof(read_in), NULL), -EACCES);
	evil_end(e);
}

Test(vm_fs_evil, forgetting_too_much_and_stale_ids_are_harmless)
{
	struct evil *e = evil_start((struct vm_fs_options){ 0 });
	struct fuse_forget_in forget = { .nlookup = 1u << 30 };
	struct fuse_getattr_in getattr_in = { 0 };
	static const uint64_t none[] = { 0, 2, 99, 1ull << 32 | 1, UINT64_MAX, 1ull << 63 };

	evil_write(evil_path(e, "file"), "x");

	uint64_t first = evil_lookup(e, 1, "file");

	cr_expect_eq(evil_ask(e, FUSE_FORGET, first, &forget, sizeof(forget), NULL), 1);
	cr_expect_eq(evil_ask(e, FUSE_FORGET, first, &forget, sizeof(forget), NULL), 1);
	cr_expect_eq(evil_ask(e, FUSE_FORGET, 1, &forget, sizeof(forget), NULL), 1);
	cr_expect_eq(evil_ask(e, FUSE_GETATTR, first, &getattr_in, sizeof(getattr_in), NULL), -ESTALE);
	cr_expect_eq(evil_ask(e, FUSE_GETATTR, 1, &getattr_in, sizeof(getattr_in), NULL), 0);

	uint64_t second = evil_lookup(e, 1, "file");

	cr_expect(second != 0 && second != first, "an id is never another file's");
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		cr_expect_eq(evil_ask(e, FUSE_GETATTR, none[i], &getattr_in, sizeof(getattr_in), NULL), -ESTALE);
	evil_end(e);
}

Test(vm_fs_evil, what_the_server_holds_is_bounded, .timeout = 60)
{
	struct evil *e = evil_prepare();
	struct fuse_open_in open_in = { .flags = O_RDWR };
	struct vm_fs_stats stats;
	char name[32];
	unsigned refused = 0, dirs = 0;

	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		evil_write(evil_path(e, name), "x");
	}

	unsigned before = evil_count_fds();

	evil_serve(e, (struct vm_fs_options){ .max_nodes = 2000, .max_fds = 64, .max_dirs = 10 });
	cr_assert_eq(evil_init(e, 38, 0), 0);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "f%u", i);

		uint64_t id = evil_lookup(e, 1, name);

		if (id == 0)
			refused++;
		for (unsigned k = 0; id && k < 5; k++)
			cr_assert_eq(evil_ask(e, FUSE_OPEN, id, &open_in, 8, NULL), 0);
	}
	vm_fs_stats_get(e->m.fs, &stats);
	cr_expect_eq(stats.nodes, 2000);
	cr_expect_eq(refused, 1001);
	cr_expect_leq(stats.node_fds, 64);
	cr_expect_leq(stats.io_fds, 1024);
	for (unsigned i = 0; i < 100; i++)
		dirs += evil_ask(e, FUSE_OPENDIR, 1, &open_in, 8, NULL) == 0;
	cr_expect_eq(dirs, 10);
	cr_expect_leq(evil_count_fds(), before + 64 + 1024 + 10 + 8);
	evil_end(e);
}

Test(vm_fs_evil, requests_cut_short_or_lying_about_their_length_are_refused)
{
	struct evil *e = evil_start((struct vm_fs_options){ 0 });
	_Alignas(8) char in[300];

	evil_write(evil_path(e, "file"), "x");

	uint64_t id = evil_lookup(e, 1, "file");

	/* Every operation, cut at every length, with room for a reply of every length. */
	for (uint32_t op = 0; op < 64; op++) {
		if (op == FUSE_INIT || op == FUSE_DESTROY)
			continue;
		for (size_t len = 0; len <= 140; len++) {
			memset(in, 0, sizeof(in));
			struct fuse_in_header head = { .len = (uint32_t)len, .opcode = op, .nodeid = id };
			memcpy(in, &head, sizeof(head));
			for (size_t room = 0; room < 200; room += 23)
				evil_raw(e, in, len, room);
			/* Claims more than there is. */
			head.len = (uint32_t)len + 1000;
			memcpy(in, &head, sizeof(head));
			if (len >= sizeof(head) && op != FUSE_FORGET && op != FUSE_BATCH_FORGET)
				cr_expect_eq(evil_raw(e, in, len, 300), -EINVAL);
		}
	}

	struct fuse_write_in write_in = { .size = 1u << 20 };
	struct fuse_read_in read_in = { .size = UINT32_MAX };

	cr_expect_eq(evil_ask(e, FUSE_WRITE, id, &write_in, sizeof(write_in), EVIL_NAMES("abc")), -EINVAL);
	write_in = (struct fuse_write_in){ .size = 4, .offset = INT64_MAX };
	cr_expect_eq(evil_ask(e, FUSE_WRITE, id, &write_in, sizeof(write_in), EVIL_NAMES("abc")), -EINVAL);
	write_in.offset = UINT64_MAX;
	cr_expect_eq(evil_ask(e, FUSE_WRITE, id, &write_in, sizeof(write_in), EVIL_NAMES("abc")), -EINVAL);
	cr_expect_eq(evil_ask(e, FUSE_READ, id, &read_in, sizeof(read_in), NULL), 0, "as much as there is room for");
	cr_expect_eq(e->len, 1);
	evil_end(e);
}

Test(vm_fs_evil, attributes_of_the_host_do_not_exist)
{
	struct evil *e = evil_start((struct vm_fs_options){ 0 });
	static const char *const hidden[] = { "trusted.overlay.opaque", "trusted.x", "user.overlay.redirect",
					      "security.selinux", "system.nfs4_acl", "nothing" };
	struct fuse_getxattr_in get = { .size = 4096 };
	struct fuse_setxattr_in set = { .size = 2 };

	evil_write(evil_path(e, "file"), "x");
	cr_assert_eq(setxattr(evil_path(e, "file"), "trusted.x", "1", 1, 0), 0);

	uint64_t id = evil_lookup(e, 1, "file");

	for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++) {
		cr_expect_eq(evil_ask(e, FUSE_GETXATTR, id, &get, 8, EVIL_NAMES(hidden[i])), -EOPNOTSUPP);
		cr_expect_eq(evil_ask(e, FUSE_SETXATTR, id, &set, 16, EVIL_NAMES(hidden[i], "v")), -EOPNOTSUPP);
		cr_expect_eq(evil_ask(e, FUSE_REMOVEXATTR, id, NULL, 0, EVIL_NAMES(hidden[i])), -EOPNOTSUPP);
	}
	cr_expect_eq(evil_ask(e, FUSE_LISTXATTR, id, &get, 8, NULL), 0);
	cr_expect_eq(e->len, 0);
	get.size = 0;
	cr_expect_eq(evil_ask(e, FUSE_LISTXATTR, id, &get, 8, NULL), 0);
	cr_expect_eq(EVIL_REPLY(e, fuse_getxattr_out)->size, 0);
	evil_end(e);
}

Test(vm_fs_evil, files_belong_to_the_guests_user_and_set_id_bits_go_with_a_write)
{
	struct evil *e = evil_start((struct vm_fs_options){ 0 });
	struct fuse_create_in create_in = { .flags = O_RDWR, .mode = 0666, .umask = 027 };
	struct fuse_mkdir_in mkdir_in = { .mode = 0777, .umask = 022 };
	struct fuse_write_in write_in = { .size = 2, .write_flags = FUSE_WRITE_KILL_SUIDGID };
	struct stat st;

	e->uid = 1234;
	e->gid = 567;
	cr_expect_eq(evil_ask(e, FUSE_CREATE, 1, &create_in, 16, EVIL_NAMES("mine")), 0);
	cr_expect_eq(evil_ask(e, FUSE_MKDIR, 1, &mkdir_in, 8, EVIL_NAMES("dir")), 0);
	cr_expect_eq(evil_ask(e, FUSE_SYMLINK, 1, NULL, 0, EVIL_NAMES("link", "mine")), 0);
	cr_assert_eq(stat(evil_path(e, "mine"), &st), 0);
	cr_expect(st.st_uid == 1234 && st.st_gid == 567 && (st.st_mode & 07777) == 0640);
	cr_assert_eq(stat(evil_path(e, "dir"), &st), 0);
	cr_expect(st.st_uid == 1234 && st.st_gid == 567 && (st.st_mode & 07777) == 0755);
	cr_assert_eq(lstat(evil_path(e, "link"), &st), 0);
	cr_expect(st.st_uid == 1234 && st.st_gid == 567);

	uint64_t id = evil_lookup(e, 1, "mine");

	cr_assert_eq(chmod(evil_path(e, "mine"), 06755), 0);
	e->uid = UINT32_MAX;
	cr_expect_eq(evil_ask(e, FUSE_MKDIR, 1, &mkdir_in, 8, EVIL_NAMES("nobodys")), -EOVERFLOW);
	e->uid = e->gid = 0;
	write_in.write_flags = 0;
	cr_expect_eq(evil_ask(e, FUSE_WRITE, id, &write_in, sizeof(write_in), EVIL_NAMES("x")), 0);
	cr_assert_eq(stat(evil_path(e, "mine"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 06755);
	write_in.write_flags = FUSE_WRITE_KILL_SUIDGID;
	cr_expect_eq(evil_ask(e, FUSE_WRITE, id, &write_in, sizeof(write_in), EVIL_NAMES("x")), 0);
	cr_assert_eq(stat(evil_path(e, "mine"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0755);
	cr_expect_eq(evil_ask(e, FUSE_MKDIR, 1, &mkdir_in, 8, EVIL_NAMES("roots")), 0);
	cr_assert_eq(stat(evil_path(e, "roots"), &st), 0);
	cr_expect_eq(st.st_uid, 0, "and then root is root again");
	evil_end(e);
}

struct flipper {
	char *name;
	_Atomic int stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;

	while (!f->stop) {
		memcpy(f->name, "ok", 3);
		memcpy(f->name, "..", 3);
		memcpy(f->name, "/a", 3);
	}
	return NULL;
}

/* A server that looks twice would open the parent sooner or later. */
Test(vm_fs_evil, a_name_that_changes_while_it_is_read_is_still_checked, .timeout = 60)
{
	struct evil *e = evil_start((struct vm_fs_options){ 0 });
	_Alignas(8) char in[43];
	struct fuse_in_header head = { .len = sizeof(in), .opcode = FUSE_LOOKUP, .nodeid = 1 };
	struct flipper f = { .name = in + sizeof(head) };
	struct stat st;
	pthread_t thread;
	unsigned found = 0, refused = 0;
	time_t end = time(NULL) + 30;

	cr_assert_eq(mkdir(evil_path(e, "ok"), 0755), 0);
	cr_assert_eq(stat(evil_path(e, "ok"), &st), 0);
	memcpy(in, &head, sizeof(head));
	pthread_create(&thread, NULL, flip, &f);
	/* Until both were seen, which a busy machine may take long for. */
	for (unsigned i = 0; i < 50000 || ((found < 100 || refused < 100) && time(NULL) < end); i++) {
		int r = evil_raw(e, in, sizeof(in), 300);

		if (r == 0 && EVIL_REPLY(e, fuse_entry_out)->nodeid) {
			cr_assert_eq(EVIL_REPLY(e, fuse_entry_out)->attr.ino, st.st_ino);
			found++;
		} else {
			refused++;
		}
	}
	f.stop = 1;
	pthread_join(thread, NULL);
	cr_expect(found > 0 && refused > 0, "%u found, %u refused", found, refused);
	evil_end(e);
}

Test(vm_fs_evil, nothing_is_answered_before_init_and_old_protocols_never)
{
	struct evil *e = evil_prepare();
	struct fuse_getattr_in getattr_in = { 0 };

	evil_serve(e, (struct vm_fs_options){ 0 });
	cr_expect_eq(evil_ask(e, FUSE_GETATTR, 1, &getattr_in, sizeof(getattr_in), NULL), -EPERM);
	cr_expect_eq(evil_init(e, 30, UINT32_MAX), -EPROTO);
	cr_expect_eq(evil_ask(e, FUSE_GETATTR, 1, &getattr_in, sizeof(getattr_in), NULL), -EPERM);
	cr_expect_eq(evil_init(e, 31, FUSE_WRITEBACK_CACHE | FUSE_DO_READDIRPLUS), 0);

	const struct fuse_init_out *out = EVIL_REPLY(e, fuse_init_out);

	cr_expect_eq(out->major, 7);
	cr_expect_eq(out->max_write, VM_FS_MAX_WRITE);
	cr_expect_eq(out->flags, FUSE_DO_READDIRPLUS, "only what was offered, and what the options ask for");
	cr_expect_eq(evil_ask(e, FUSE_GETATTR, 1, &getattr_in, sizeof(getattr_in), NULL), 0);
	cr_expect_eq(evil_ask(e, FUSE_DESTROY, 1, NULL, 0, NULL), 0);
	cr_expect_eq(evil_ask(e, FUSE_GETATTR, 1, &getattr_in, sizeof(getattr_in), NULL), -EPERM);
	evil_end(e);
}
