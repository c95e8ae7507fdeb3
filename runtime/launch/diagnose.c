/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The post-mortem of an execve(): see diagnose.h. Everything read here belongs to
 * the container: bounded, by fd, never blocking.
 */
#include "runtime/launch/diagnose.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "runtime/launch/stub/stub.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"
#include "spec/base/proc.h"

#define HEAD_BYTES 4096 /* of the program: headers, program headers and a shebang fit */

struct program {
	const char *path;
	int root_fd;
	int code;
	struct stat st;
	char head[HEAD_BYTES + 1];
	size_t n;
};

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:       return "i386";
	case EM_X86_64:    return "x86_64";
	case EM_ARM:       return "arm";
	case EM_AARCH64:   return "aarch64";
	case EM_PPC64:     return "ppc64";
	case EM_S390:      return "s390x";
	case EM_RISCV:     return "riscv";
	case EM_MIPS:      return "mips";
	case 258:	   return "loongarch"; /* EM_LOONGARCH, newer than some headers */
	default:	   return "another architecture";
	}
}

static int says(const struct program *p, struct error *err, const char *what)
{
	return error_set(err, p->code, "exec \"%s\": %s", p->path, what);
}

static bool exists(const struct program *p, const char *path)
{
	auto_close int fd = path_try(p->root_fd, path, O_PATH);

	return fd >= 0;
}

/* PT_INTERP of a 64-bit or 32-bit ELF file in our byte order; false when there is none in reach. */
static bool elf_interpreter(const struct program *p, char *buf, size_t size)
{
	const Elf64_Ehdr *e64 = (const void *)p->head;
	const Elf32_Ehdr *e32 = (const void *)p->head;
	bool is64 = p->head[EI_CLASS] == ELFCLASS64;
	uint64_t table = is64 ? e64->e_phoff : e32->e_phoff;
	size_t entry = is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	unsigned count = is64 ? e64->e_phnum : e32->e_phnum;

	for (unsigned i = 0; i < count; i++) {
		uint64_t at = table + (uint64_t)i * entry;
		Elf64_Phdr h64;
		Elf32_Phdr h32;
		uint64_t from, len;

		if (table > HEAD_BYTES || at + entry > p->n)
			return false;
		if (is64) {
			memcpy(&h64, p->head + at, sizeof(h64));
			if (h64.p_type != PT_INTERP)
				continue;
			from = h64.p_offset;
			len = h64.p_filesz;
		} else {
			memcpy(&h32, p->head + at, sizeof(h32));
			if (h32.p_type != PT_INTERP)
				continue;
			from = h32.p_offset;
			len = h32.p_filesz;
		}
		if (from > p->n || len > p->n - from || len == 0 || len > size)
			return false;
		memcpy(buf, p->head + from, len);
		buf[len - 1] = '\0';
		return true;
	}
	return false;
}

static int diagnose_elf(const struct program *p, struct error *err)
{
	const Elf64_Ehdr *e = (const void *)p->head;
	char interpreter[512];
	char text[768];
	struct utsname u;

	if (p->n < sizeof(Elf64_Ehdr))
		return says(p, err, "the file is cut off in its ELF header");
	uname(&u);
	if (p->code == ENOEXEC) {
		snprintf(text, sizeof(text), "it is a program for %s, this machine is %s",
			 machine_name(e->e_machine), u.machine);

		int r = says(p, err, text);

		error_hint(err, "use an image for this architecture");
		return r;
	}
	if (p->code == ENOENT && elf_interpreter(p, interpreter, sizeof(interpreter)) &&
	    !exists(p, interpreter)) {
		snprintf(text, sizeof(text), "its interpreter %s does not exist in the container", interpreter);

		int r = says(p, err, text);

		error_hint(err, "a dynamically linked program needs its loader and libraries in the image (glibc or musl?)");
		return r;
	}
	return says(p, err, "the kernel refused it");
}

static int diagnose_script(struct program *p, struct error *err)
{
	char interpreter[256];
	char text[512];
	size_t n = strcspn(p->head, "\n");
	bool carriage_return = n > 0 && p->head[n - 1] == '\r';
	const char *start = p->head + 2;

	start += strspn(start, " \t");
	snprintf(interpreter, sizeof(interpreter), "%.*s", (int)strcspn(start, " \t\r\n"), start);

	if (carriage_return) {
		snprintf(text, sizeof(text),
			 "its first line ends with a carriage return (CRLF), so the interpreter would be \"%s\\r\"",
			 interpreter);

		int r = says(p, err, text);

		error_hint(err, "save the script with Unix line ends (dos2unix)");
		return r;
	}
	if (p->code == ENOENT && !exists(p, interpreter)) {
		snprintf(text, sizeof(text), "its interpreter \"%s\" (first line) does not exist in the container",
			 interpreter);
		return says(p, err, text);
	}
	if (p->code == EACCES) {
		snprintf(text, sizeof(text), "its interpreter \"%s\" (first line) cannot be executed", interpreter);
		return says(p, err, text);
	}
	return says(p, err, "the kernel refused the script");
}

static int diagnose_content(struct program *p, struct error *err)
{
	if (p->n >= 4 && memcmp(p->head, ELFMAG, SELFMAG) == 0)
		return diagnose_elf(p, err);
	if (p->n >= 2 && memcmp(p->head, "#!", 2) == 0)
		return diagnose_script(p, err);
	if (p->code == ENOEXEC && p->n == 0)
		return says(p, err, "the file is empty");
	if (p->code == ENOEXEC) {
		int r = says(p, err, "it is neither an ELF program nor a script with a \"#!\" line");

		error_hint(err, "a shell script needs a first line such as #!/bin/sh");
		return r;
	}
	return says(p, err, "the kernel refused it");
}

static int diagnose_permission(struct program *p, int fd, struct error *err)
{
	struct statvfs fs;
	char text[128];

	if (S_ISDIR(p->st.st_mode))
		return says(p, err, "it is a directory");
	if (!S_ISREG(p->st.st_mode))
		return says(p, err, "it is not a regular file");
	if (fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_NOEXEC)
		return says(p, err, "it lies on a filesystem that is mounted noexec");
	if (!(p->st.st_mode & 0111)) {
		snprintf(text, sizeof(text), "it is not executable (mode %04o)",
			 (unsigned)p->st.st_mode & 07777);

		int r = says(p, err, text);

		error_hint(err, "chmod +x it in the image");
		return r;
	}
	return 1;
}

int diagnose_exec(int root_fd, const char *program, int code, struct error *err)
{
	struct program p = { .path = program, .root_fd = root_fd, .code = code };
	auto_close int fd = path_try(root_fd, program, O_PATH);

	if (fd < 0 || fstat(fd, &p.st) < 0)
		return says(&p, err, fd == -ENOENT ? "it does not exist in the container" : "it cannot be opened");
	if (code == E2BIG)
		return says(&p, err, "its arguments and environment are too long");
	if (code == ETXTBSY)
		return says(&p, err, "some process has it open for writing");
	if (code == EACCES || !S_ISREG(p.st.st_mode)) {
		int r = diagnose_permission(&p, fd, err);

		if (r <= 0)
			return r;
	}

	auto_close int file = path_try(root_fd, program, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	ssize_t n = file < 0 ? -1 : read(file, p.head, HEAD_BYTES);

	if (n < 0)
		return says(&p, err, "it cannot be read to find out why");
	p.n = (size_t)n;
	return diagnose_content(&p, err);
}

static int look(pid_t pid, const char *program, const struct stub_report *report, struct error *err)
{
	char path[64];

	if (report->step == STUB_STEP_LABEL)
		return error_set(err, report->err, "give \"%s\" its security label", program);
	if (report->step != STUB_STEP_EXEC)
		return error_set(err, report->err, "close the runtime's descriptors before executing \"%s\"", program);

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);

	auto_close int root_fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0)
		return error_set(err, report->err, "exec \"%s\"", program);
	return diagnose_exec(root_fd, program, report->err, err);
}

int diagnose_wait(int fd, pid_t pid, int pidfd, const char *program, int timeout_ms, struct error *err)
{
	struct stub_report report;

	for (;;) {
		struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
		int ready = poll(p, 2, timeout_ms);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready < 0)
			return error_set(err, errno, "wait for the execution of \"%s\"", program);
		if (ready == 0)
			return error_rule(err, ETIMEDOUT, "executing \"%s\" did not happen within %d seconds",
					  program, timeout_ms / 1000);
		break;
	}

	/*
	 * The program may have run and ended by now, so a dead process is no
	 * failure: only a report is. A stub that was killed before its execve
	 * ends like a program killed by the same signal, and is reported as that.
	 */
	ssize_t n = read(fd, &report, sizeof(report));

	if (n != (ssize_t)sizeof(report) || report.magic != STUB_REPORT_MAGIC)
		return 0;
	if (report.err <= 0 || report.err > 4095)
		report.err = EIO;
	return look(pid, program, &report, err);
}
