/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * cpugroup - named collections of containers and VMs that share CPU limits
 *
 *	/sys/fs/cgroup/
 *	└─ cpugroups/            the base
 *	   ├─ gold/              a group: cpu.max, cpuset.cpus, cpu.weight … for everybody below; never holds a process
 *	   │  ├─ web/            a leaf: one container or VM, with limits of its own (both hold)
 *	   │  └─ batch/          a nested group
 *	   │     └─ job7/        a leaf
 *	   └─ silver/
 *
 * The cgroup tree is the only truth. What a group was asked to be (its policy,
 * which the kernel's files cannot say: "50 % of my CPUs", a reservation) is an
 * extended attribute of its directory (CPG_XATTR, JSON, one atomic setxattr):
 * it cannot outlive or miss the group, and every state root and engine sees the
 * same one. Membership is the path and nothing else, so
 * `docker run --cgroup-parent=/cpugroups/gold` makes a member.
 *
 * A directory below the base without the attribute is a leaf when its name is a
 * container's or it holds processes, and foreign otherwise: never changed, never
 * removed, until cpg_adopt().
 *
 * Changes to one group are serialised by flock(2) on its directory, taken from
 * the base downwards, -ETIMEDOUT after CPG_LOCK_MS.
 *
 * Sources: kernel Documentation/admin-guide/cgroup-v2.rst (CPU, cpuset, core
 * interface files), sched-bwc.rst (bandwidth, burst), psi.rst (triggers).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroups/cgroups.h"
#include "spec/base/arena.h"
#include "spec/base/buf.h"
#include "spec/base/error.h"
#include "spec/base/json.h"
#include "spec/base/log.h"

#define CPG_XATTR        "user.bulkhead.cpugroup"
#define CPG_DEFAULT_BASE "/cpugroups"
#define CPG_ANNOTATION   "dev.bulkhead.cpu-group"
#define CPG_LOCK_MS      10000
#define CPG_MAX_CPUS     8192 /* of a CPU or node list */
#define CPG_MASK_WORDS   (CPG_MAX_CPUS / 64)

/* ---- errors: the code of an error says its kind, for scripts ------------------------------------------------- */

/*
 *	EEXIST exists        ENOENT not-found       ENOTEMPTY not-empty    EINVAL, ERANGE, ENAMETOOLONG invalid-value
 *	ENOTSUP no-controller EBUSY conflict        EDQUOT admission       EPERM, EACCES, EROFS permission
 *	ETIMEDOUT timeout    any other: internal
 */
const char *cpg_error_kind(int code);

/* ---- the place ------------------------------------------------------------------------------------------------ */

struct cpg {
	struct cg_host *host; /* open; layout CG_HYBRID works for what needs no controller */
	const char *base;     /* path in the tree without slashes at the ends: "cpugroups", "a.slice/groups" */
	const struct log *log; /* each change is one line at info: what, old and new values */
};

/*
 * A group's name is its path below the base: components of [A-Za-z0-9_+.-], at most 255 bytes, not "." or "..", not
 * like a kernel file ("cpu.max", "cgroup.…"), separated by single slashes. "/" names "no group", the base's parent.
 * -EINVAL says what is wrong and where.
 */
int cpg_name_check(const char *name, struct error *err);
/* The base as an option or variable spells it, checked and without its slashes. */
int cpg_base_clean(const char *base, char *buf, size_t size, struct error *err);
/* "cpugroups/gold" for "gold"; with id: the leaf's path. Pure. -ENAMETOOLONG. */
int cpg_path(const struct cpg *cpg, const char *name, const char *id, char *buf, size_t size, struct error *err);
/*
 * The group that a cgroup path lies in: "gold" for "cpugroups/gold/web" or "/cpugroups/gold/web". Pure. NULL outside
 * of the base or directly below it. The text is in `buf`.
 */
const char *cpg_of_path(const struct cpg *cpg, const char *cgroup_path, char *buf, size_t size);

/* ---- policy: what a group is asked to be (pure) --------------------------------------------------------------- */

enum cpg_cap_form {
	CPG_CAP_MAX,     /* no cap */
	CPG_CAP_PERCENT, /* of the group's CPUs: recomputed when these change */
	CPG_CAP_CPUS,
	CPG_CAP_RAW,     /* quota and period as given */
};
struct cpg_cap {
	enum cpg_cap_form form;
	uint64_t milli;    /* PERCENT: thousandths of a percent; CPUS: thousandths of a CPU */
	uint64_t quota_us; /* RAW */
	uint64_t period_us; /* 1000 … 1000000; 100000 unless given */
};

enum cpg_exclusive { CPG_SHARED, CPG_ROOT, CPG_ISOLATED }; /* cpuset.cpus.partition: member, root, isolated */
enum cpg_share { CPG_BY_WEIGHT, CPG_BY_NICE, CPG_BY_IDLE };
enum cpg_over { CPG_REFUSE, CPG_WARN };

/* Members in .set are given, the others keep their value (set) or take the default (create). */
enum {
	CPG_SET_CPUS = 1 << 0, CPG_SET_MEMS = 1 << 1, CPG_SET_CAP = 1 << 2, CPG_SET_BURST = 1 << 3,
	CPG_SET_SHARE = 1 << 4, CPG_SET_EXCLUSIVE = 1 << 5, CPG_SET_UCLAMP_MIN = 1 << 6, CPG_SET_UCLAMP_MAX = 1 << 7,
	CPG_SET_RESERVE = 1 << 8, CPG_SET_OVERCOMMIT = 1 << 9, CPG_SET_OVER_PARENT = 1 << 10, CPG_SET_REALTIME = 1 << 11,
	CPG_SET_WHOLE_CORES = 1 << 12, CPG_SET_PRESSURE = 1 << 13, CPG_SET_MEMORY = 1 << 14, CPG_SET_PIDS = 1 << 15,
};
struct cpg_policy {
	unsigned set;
	const char *cpus;          /* kernel list; "" = inherit */
	const char *mems;          /* kernel list, "" = inherit, "auto" = nodes of the CPUs */
	struct cpg_cap cap;
	uint64_t burst_us;         /* 0 … quota */
	enum cpg_share share;
	uint64_t weight;           /* 1 … 10000, default 100; remembered while idle. In cpg_set() 0: the remembered one */
	int nice;                  /* -20 … 19 */
	enum cpg_exclusive exclusive;
	uint32_t uclamp_min, uclamp_max; /* hundredths of a percent, 0 … 10000 */
	uint64_t reserve_milli;    /* thousandths of a CPU promised to this group; 0: none */
	uint64_t overcommit_milli; /* children's sum may be this/1000 times what there is; default 1000 */
	enum cpg_over over_parent; /* a cap above the parent's: default refuse */
	enum cpg_over realtime;    /* members that ask for a real-time scheduler: default warn (cpu.max does not bind them) */
	bool whole_cores;          /* refuse lists that split thread siblings */
	uint32_t pressure_limit;   /* refuse new members while cpu.pressure some avg10 exceeds this many hundredths of a percent; 0: no gate */
	int64_t memory_max;        /* bytes for the whole group; -1: none */
	int64_t pids_max;          /* -1: none */
};

/*
 * "50%", "12.5%" → percent; "2.5", "0.05" → CPUs; "250000/100000" → raw; "max". "hcs:32768" (0 … 65536 = share of the
 * group's CPUs, as Windows' CpuGroups count) → percent. -EINVAL names the forms, -ERANGE the kernel's bounds.
 */
int cpg_cap_parse(const char *text, struct cpg_cap *ret, struct error *err);
/* quota and period for a group with n CPUs; *ret_quota UINT64_MAX: no cap. -ERANGE below 1000 us, with the numbers. */
int cpg_cap_resolve(const struct cpg_cap *cap, unsigned n_cpus, uint64_t *ret_quota_us, uint64_t *ret_period_us,
		    struct error *err);
/* "50%", "2.5", "250000/100000", "max": what cpg_cap_parse() reads. */
void cpg_cap_print(const struct cpg_cap *cap, struct buf *out);
/*
 * A decimal number with at most `digits` (0 … 6) places after the point, as an integer of that unit: "1.5" with 3 is
 * 1500. -EINVAL for any other text, -ERANGE above max (of the unit). No message: the caller knows what it is.
 */
int cpg_decimal_parse(const char *text, unsigned digits, uint64_t max, uint64_t *ret);
/* realtime, high, normal, low, idle → weight or idle. -EINVAL lists the classes. */
int cpg_class_parse(const char *text, struct cpg_policy *p, struct error *err);
void cpg_policy_default(struct cpg_policy *ret);
/* Every member against its range and the others (burst > quota, nice with weight). Pure; no host. */
int cpg_policy_check(const struct cpg_policy *p, struct error *err);
/* Lays `over`'s given members over `base`. */
void cpg_policy_merge(struct cpg_policy *base, const struct cpg_policy *over);
/* The JSON object of the attribute, of `show`, of `export`, of `apply`: the same names everywhere. */
void cpg_policy_write(struct json_w *w, const char *name, const struct cpg_policy *p);
/* Strict: an unknown member is -EINVAL with its pointer. */
int cpg_policy_read(const struct json *j, struct arena *a, struct cpg_policy *ret, struct error *err);

/* ---- topology -------------------------------------------------------------------------------------------------- */

struct cpg_cpu {
	unsigned cpu;
	int node, package, die, core; /* -1: the kernel does not say */
	const char *siblings;         /* kernel list of the core's threads, itself included */
	bool online, isolated;        /* isolated: isolcpus= of the boot, or in an isolated partition */
	const char *group;            /* whose exclusive partition it is in, or NULL */
};
struct cpg_topology {
	struct cpg_cpu *cpu;
	size_t n, n_online;
};
/* sysfs_fd: a directory that looks like /sys/devices/system (tests), or -1. cpg may be NULL: then no groups. */
int cpg_topology(struct cpg *cpg, int sysfs_fd, struct arena *a, struct cpg_topology *ret, struct error *err);

/* ---- groups ----------------------------------------------------------------------------------------------------- */

struct cpg_drift {
	const char *member;           /* "cap", "cpus" … */
	const char *wanted, *actual;  /* as the kernel's file spells it */
};
struct cpg_group {
	const char *name;             /* "gold", "gold/batch" */
	const char *uuid, *created;   /* "" for a foreign directory */
	const char *path;             /* in the tree, no leading slash */
	uid_t owner;                  /* of the directory */
	bool adopted;                 /* not made by us: delete leaves the directory */
	bool foreign;                 /* no attribute: only looked at */
	struct cpg_policy policy;
	/* What the kernel says now; "" where the controller is missing. */
	const char *cpus_effective, *mems_effective, *partition, *cpu_max, *cpu_max_burst, *cpu_weight, *cpu_idle;
	unsigned n_cpus;              /* in cpus_effective, else online */
	bool populated, frozen, freezing; /* freezing: its own cgroup.freeze is 1 */
	uint64_t cgroup_id;           /* inode: a new group of the same name has another */
	size_t n_members, n_groups;   /* direct ones */
	struct cpg_drift *drift;      /* policy and kernel differ */
	size_t n_drift;
};

/* Flags of create, set, delete and of members' admission. */
enum {
	CPG_IF_NOT_EXISTS = 1 << 0, /* create: an existing group with the same policy is success, another one -EEXIST */
	CPG_FORCE = 1 << 1,         /* although a partition becomes invalid, somebody below loses CPUs, or memory.max kills */
	CPG_CHECK = 1 << 2,         /* verdict only; nothing is touched */
	CPG_KILL = 1 << 3,          /* delete: SIGKILL to everybody first */
	CPG_RECURSIVE = 1 << 4,     /* delete: the groups below, too */
	CPG_ALLOW_DIFFERENCE = 1 << 5, /* effective cpus/mems may be fewer than asked for (a warning) */
};

/*
 * All or nothing: a failed create leaves no directory it made, a failed set the old values. Parents of a nested group
 * must exist. Values are written in the order the kernel wants (burst shrinks before the quota and grows after it;
 * weight after idle), read back, and compared: cpus that are not effective, a partition that is "invalid (reason)" are
 * errors with the kernel's words; a recovered partition goes through member first.
 */
int cpg_create(struct cpg *cpg, const char *name, const struct cpg_policy *policy, unsigned flags, struct error *err);
int cpg_set(struct cpg *cpg, const char *name, const struct cpg_policy *over, unsigned flags, struct error *err);
/* -ENOTEMPTY names the members. An adopted group loses its attribute and keeps its directory. */
int cpg_delete(struct cpg *cpg, const char *name, unsigned flags, struct error *err);
/* Makes a directory that is there (by hand, a systemd slice) a group, its policy read from its files. */
int cpg_adopt(struct cpg *cpg, const char *name, struct error *err);
int cpg_get(struct cpg *cpg, const char *name, struct arena *a, struct cpg_group *ret, struct error *err);
/* Parents before children, sorted. below: only those below that group; NULL: all. The base missing: none. */
int cpg_list(struct cpg *cpg, const char *below, struct arena *a, struct cpg_group **ret, size_t *ret_n,
	     struct error *err);

/* Opens a group's directory and checks the attribute (-ENOENT, and -EBUSY for a foreign one). locked: with the lock. */
int cpg_open(struct cpg *cpg, const char *name, bool locked, struct error *err);

/* ---- members ---------------------------------------------------------------------------------------------------- */

struct cpg_member {
	const char *id;         /* name of the leaf */
	const char *group;      /* the group it is directly in */
	const char *path;       /* in the tree */
	bool populated, frozen, freezing;
	uint64_t n_pids;
	uint64_t usage_usec;    /* cpu.stat */
	const char *cpu_max;    /* its own */
	uint64_t memory_current; /* UINT64_MAX: no controller */
};
/* The leaves of a group; deep: of those below it, too. One openat and one read per file, no fork. */
int cpg_members(struct cpg *cpg, const char *name, bool deep, struct arena *a, struct cpg_member **ret, size_t *ret_n,
		struct error *err);

/*
 * May a container with these resources enter the group? Its cpus must lie in the group's effective ones (the kernel
 * would silently ignore them: -EINVAL), its CPU quota counts against the group's reservation or cap when the group
 * reserves (-EDQUOT with the numbers), the pressure gate (-EDQUOT), a real-time scheduler in a capped group
 * (policy.realtime). leaf: its present path when it is in the tree already (not counted twice), or NULL.
 */
int cpg_admit(struct cpg *cpg, const char *name, const struct spec_resources *res, bool is_realtime,
	      const char *leaf, struct error *err);

/* ---- admission arithmetic (pure) -------------------------------------------------------------------------------- */

struct cpg_claim {
	const char *name;
	uint64_t milli;     /* CPUs, thousandths */
	bool exclusive;     /* whole CPUs taken out of the shared pool */
};
struct cpg_verdict {
	uint64_t capacity_milli; /* of the parent: reservation, else cap, else CPUs; times overcommit, less exclusive */
	uint64_t claimed_milli;  /* by the others */
	uint64_t asked_milli;
	bool admitted;
};
void cpg_verdict(uint64_t capacity_milli, uint64_t overcommit_milli, const struct cpg_claim *others, size_t n,
		 const struct cpg_claim *asked, struct cpg_verdict *ret);
/*
 * The numbers behind cpg_create() (when there is no such group) or cpg_set() with CPG_CHECK. *ret is filled also when
 * the answer is -EDQUOT; without a reservation or exclusive CPUs nothing is asked and .asked_milli is 0.
 */
int cpg_judge(struct cpg *cpg, const char *name, const struct cpg_policy *policy, unsigned flags,
	      struct cpg_verdict *ret, struct error *err);

/* ---- the whole group at once ------------------------------------------------------------------------------------ */

/* One write on the group and the wait for "frozen 1"; thawed again on -ETIMEDOUT. Members frozen on their own stay so. */
int cpg_freeze(struct cpg *cpg, const char *name, bool freeze, int timeout_ms, struct error *err);
int cpg_kill(struct cpg *cpg, const char *name, struct error *err);
/* Until nobody lives in it. timeout_ms < 0: for ever. -ETIMEDOUT names who is left. */
int cpg_wait(struct cpg *cpg, const char *name, int timeout_ms, struct error *err);
/* Who froze this cgroup: "" when nobody above the leaf did, else the group's name, for "thaw the group first". */
int cpg_frozen_above(struct cpg *cpg, const char *cgroup_path, char *buf, size_t size, struct error *err);

/* ---- statistics --------------------------------------------------------------------------------------------------- */

struct cpg_psi {
	bool has;
	uint32_t some10, some60, some300, full10, full60, full300; /* hundredths of a percent */
	uint64_t some_total, full_total; /* us */
};
struct cpg_stat {
	const char *name;      /* group name, or id of a member */
	const char *group;     /* of a member, else NULL */
	const char *path;
	bool is_group, populated, frozen;
	bool has_cpu;          /* the controller is there: the members below count */
	uint64_t usage_usec, user_usec, system_usec;
	uint64_t nr_periods, nr_throttled, throttled_usec, nr_bursts, burst_usec;
	uint64_t quota_us, period_us; /* UINT64_MAX: no cap */
	struct cpg_psi cpu, memory, io;
	bool has_memory, has_pids;
	uint64_t memory_current, memory_peak, memory_max, swap_current; /* UINT64_MAX: none */
	uint64_t pids_current, pids_max;
	uint64_t oom_kills;
	uint64_t residual;     /* bytes still charged to leaves that a move left behind */
	int64_t taken_ns;      /* CLOCK_MONOTONIC */
};
/*
 * The group and, with members, those below it (deep) in one walk: per cgroup one openat(dir) and one openat + read for
 * each file, nothing else, no fork. Rows are in tree order, groups before their members.
 */
int cpg_stats(struct cpg *cpg, const char *name, bool members, struct arena *a, struct cpg_stat **ret, size_t *ret_n,
	      struct error *err);
/* The same for one cgroup that is open, e.g. a container's leaf outside every group. */
int cpg_stat_fd(int cg_fd, struct cpg_stat *ret, struct error *err);
void cpg_stat_write(struct json_w *w, const char *name, const struct cpg_stat *s);

/* Percent of the cap used between two readings, hundredths of a percent; of one CPU without a cap. */
uint64_t cpg_utilisation(const struct cpg_stat *before, const struct cpg_stat *after);

/* ---- watching ------------------------------------------------------------------------------------------------------ */

enum cpg_event_kind { CPG_EV_PARTITION, CPG_EV_CPUS, CPG_EV_POPULATED, CPG_EV_FROZEN, CPG_EV_OOM, CPG_EV_PRESSURE, CPG_EV_GONE };
struct cpg_event {
	enum cpg_event_kind kind;
	const char *group;           /* name of the group or path below it that it happened to */
	const char *before, *after;  /* as the kernel spells it; NULL where there is none */
	int64_t time_ns;             /* CLOCK_REALTIME */
};
/*
 * Calls emit for each change of the group (NULL: of all) until emit returns non-zero (that is returned), stop_fd
 * becomes readable (-1: never) or the group is gone. psi: a kernel trigger such as "some 150000 1000000", or NULL.
 */
int cpg_watch(struct cpg *cpg, const char *name, const char *psi, int stop_fd,
	      int (*emit)(const struct cpg_event *ev, void *data), void *data, struct error *err);
/* "some 150ms/1s" → "some 150000 1000000". -EINVAL, -ERANGE with the kernel's bounds (window 500 ms … 10 s). */
int cpg_psi_trigger_parse(const char *text, char *buf, size_t size, struct error *err);

/* ---- moving ---------------------------------------------------------------------------------------------------------- */

/*
 * Moves every process below cgroup `from` to cgroup `to`, which must not exist or be an empty leaf of the same name:
 *
 *	1. `to` and its sub-cgroups are made like those of `from`: same controllers handed down, same limits (every
 *	   writable interface file that differs from the default, read back), same owner and mode, device program as
 *	   `attach` says; then frozen
 *	2. `from` is frozen, wait until it is a fact
 *	3. all pids of each sub-cgroup go over, until from is empty
 *	4. `to` gets the freezer state `from` had
 *	5. `from` is removed, unless memory stays charged there
 *
 * Nobody runs while split over both, nobody is ever without limits: those of `to` stand before the first arrives, those
 * of `from` until the last has left. A failure before the end of 3 moves everybody back, thaws, removes `to`.
 * Threaded sub-cgroups are rebuilt, threads put back before the thaw.
 */
enum cpg_move_step {
	CPG_MOVE_PREPARED, /* `to` stands, frozen */
	CPG_MOVE_FROZEN,   /* `from` stands still */
	CPG_MOVE_MOVED,    /* everybody is over, still frozen */
	CPG_MOVE_THAWED,   /* done but for the removal of `from` */
};
struct cpg_move {
	const char *from, *to;       /* paths in the tree */
	int timeout_ms;              /* for the freezer; default 10000 */
	uint64_t residual_limit;     /* bytes that may stay charged behind without keeping `from` as a residual leaf; hardly
				      * a leaf has none: the kernel's own structures are a few hundred KiB */
	bool require_clean;          /* -EBUSY with the numbers when more than residual_limit would stay */
	/* Writes what only the caller knows (device program) to the new leaf, before anybody is in it; may be NULL. */
	int (*attach)(int to_fd, void *data, struct error *err);
	/* Called between the steps, for the intent record; a failure undoes the move. May be NULL. */
	int (*step)(enum cpg_move_step step, void *data, struct error *err);
	void *data;
	bool *ret_residual;          /* may be NULL: `from` was kept because of its charge */
	uint64_t *ret_residual_bytes; /* may be NULL */
	size_t *ret_processes;       /* may be NULL */
};
int cpg_migrate(struct cpg *cpg, const struct cpg_move *move, struct error *err);
/*
 * After a crash: finishes (when the record says MOVED or later, or everybody is over already) or undoes what
 * cpg_migrate() began, whatever was done of it; idempotent. *ret_moved: where everybody is now.
 */
int cpg_migrate_repair(struct cpg *cpg, const struct cpg_move *move, bool was_frozen, bool *ret_moved, struct error *err);
/* Is this leaf one that a move left behind for the memory charged to it? */
bool cpg_is_residual(int cg_fd);

/* ---- the host's own processes ------------------------------------------------------------------------------------------ */

/* Confines the siblings of the base (system.slice, user.slice …) to `cpus`; "" lifts it. Never fewer than one CPU. */
int cpg_reserve_host(struct cpg *cpg, const char *cpus, unsigned flags, struct error *err);

/* ---- declarations --------------------------------------------------------------------------------------------------------- */

/* {"version": 1, "groups": [{"name", "policy"}…]}: every group (or those below `name`), parents first. */
int cpg_export(struct cpg *cpg, const char *name, struct json_w *w, struct error *err);
struct cpg_change {
	const char *action; /* "create", "set", "delete", "keep" */
	const char *name;
	const char *detail; /* "cap 50% -> 75%" or "" */
};
/*
 * Makes the groups be as the document says, parents first; groups it does not name stay, unless prune (only empty ones
 * that we made). CPG_CHECK: only the list of changes. A failure undoes what this call did, last first.
 */
int cpg_apply(struct cpg *cpg, const struct json *doc, bool prune, unsigned flags, struct arena *a,
	      struct cpg_change **ret, size_t *ret_n, struct error *err);
