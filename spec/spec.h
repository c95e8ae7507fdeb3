/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * spec - what the bundle says
 *
 * config.json of the OCI runtime specification (up to 1.3, Linux and vm members)
 * as typed structs, checked before anyone acts on it. Knows JSON and the rules
 * of the specification; knows no kernel object, opens nothing but the file it
 * is asked to read.
 *
 * Two steps, so that a reader sees which rule is whose:
 *   spec_parse()     types, ranges, required members, enumerations (spec_parse*.c)
 *   spec_validate()  rules between members and ours (spec_validate*.c)
 *
 * Every struct lives in the caller's arena. An absent object is a NULL pointer,
 * an absent scalar has a `has_` flag where absent and zero differ. Array index
 * i of a member is index i in config.json, so "/mounts/i" always names it.
 * Comments name the specification section (c = config.md, cl = config-linux.md,
 * vm = config-vm.md).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/base/arena.h"
#include "spec/base/error.h"
#include "spec/base/json.h"
#include "spec/base/log.h"

#define SPEC_VERSION     "1.3.0" /* highest we know; `features` says the same */
#define SPEC_VERSION_MIN "1.0.0"

/* n strings; v[n] is NULL, so v can be an argv or an environment. v is never NULL. */
struct spec_strings {
	char **v;
	size_t n;
};

struct spec_idmap { /* cl User namespace mappings */
	uint32_t container_id, host_id, size;
};

struct spec_idmaps {
	struct spec_idmap *v;
	size_t n;
};

struct spec_root { /* c Root */
	const char *path; /* NULL when absent: whether it may be is not for the config to say */
	bool readonly;
};

struct spec_mount { /* c Mounts */
	const char *destination;
	const char *source; /* NULL when absent */
	const char *type;   /* NULL when absent */
	struct spec_strings options;
	struct spec_idmaps uid_maps, gid_maps;
};

/* c User. additional_gids are the complete supplementary set. */
struct spec_user {
	uint32_t uid, gid;
	bool has_umask;
	uint32_t umask;
	uint32_t *additional_gids;
	size_t n_additional_gids;
};

enum spec_capset {
	SPEC_CAP_BOUNDING,
	SPEC_CAP_EFFECTIVE,
	SPEC_CAP_PERMITTED,
	SPEC_CAP_INHERITABLE,
	SPEC_CAP_AMBIENT,
	SPEC_CAPSETS
};

/* c Linux process. Bit n = capability n. Unknown names are in `unknown` (warned about, never an error since 1.1). */
struct spec_capabilities {
	uint64_t set[SPEC_CAPSETS];
	struct spec_strings unknown;
};

struct spec_rlimit { /* c POSIX process */
	int resource; /* RLIMIT_* of the kernel */
	const char *name;
	uint64_t soft, hard;
};

struct spec_scheduler { /* c Linux process; values as sched_setattr(2) wants them */
	uint32_t policy;
	int32_t nice, priority;
	uint64_t flags;
	uint64_t runtime, deadline, period; /* ns */
};

struct spec_io_priority {
	int ioprio_class; /* IOPRIO_CLASS_* */
	int priority;     /* 0 … 7 */
};

struct spec_exec_affinity { /* cpulists, syntax checked; NULL when absent or empty */
	const char *initial, *final;
};

struct spec_process { /* c Process */
	bool terminal;
	bool has_console_size;
	uint16_t console_height, console_width;
	const char *cwd;
	struct spec_strings env, args;
	struct spec_user user;
	struct spec_rlimit *rlimits;
	size_t n_rlimits;
	const char *apparmor_profile; /* NULL when absent or empty */
	const char *selinux_label;    /* likewise */
	struct spec_capabilities *capabilities;
	bool no_new_privileges;
	bool has_oom_score_adj;
	int oom_score_adj;
	struct spec_scheduler *scheduler;
	struct spec_io_priority *io_priority;
	struct spec_exec_affinity *exec_affinity;
};

enum spec_hook_kind { /* c Hooks, in lifecycle order */
	SPEC_HOOK_PRESTART,
	SPEC_HOOK_CREATE_RUNTIME,
	SPEC_HOOK_CREATE_CONTAINER,
	SPEC_HOOK_START_CONTAINER,
	SPEC_HOOK_POSTSTART,
	SPEC_HOOK_POSTSTOP,
	SPEC_HOOKS
};

struct spec_hook {
	const char *path;
	struct spec_strings args; /* the whole argv; n == 0: argv is { path } */
	struct spec_strings env;
	int timeout; /* seconds, 0: none given */
};

struct spec_hooks {
	struct spec_hook *v[SPEC_HOOKS];
	size_t n[SPEC_HOOKS];
};

enum spec_ns_kind {
	SPEC_NS_USER, /* first: it is joined first */
	SPEC_NS_MOUNT,
	SPEC_NS_PID,
	SPEC_NS_NETWORK,
	SPEC_NS_IPC,
	SPEC_NS_UTS,
	SPEC_NS_CGROUP,
	SPEC_NS_TIME,
	SPEC_NAMESPACES
};

struct spec_namespace {
	bool listed;
	const char *path; /* NULL: make a new one */
	unsigned index;   /* in linux.namespaces[] */
};

struct spec_time_offset {
	bool set;
	int64_t secs;
	uint32_t nanosecs;
};

struct spec_device { /* cl Devices */
	char type; /* 'c' ('u' is read as 'c'), 'b', 'p' */
	const char *path;
	int64_t major, minor;
	bool has_mode;
	mode_t mode; /* permission bits only */
	bool has_uid, has_gid;
	uint32_t uid, gid;
};

struct spec_net_device { /* cl Network devices */
	const char *host_name;
	const char *name; /* inside; equals host_name when absent */
};

/* cl Allowed device list */
enum { SPEC_DEV_READ = 1, SPEC_DEV_WRITE = 2, SPEC_DEV_MKNOD = 4 };
struct spec_device_rule {
	bool allow;
	char type; /* 'a', 'b', 'c' */
	int64_t major, minor; /* -1: any */
	unsigned access;
};

struct spec_opt_i64 {
	bool set;
	int64_t v;
};
struct spec_opt_u64 {
	bool set;
	uint64_t v;
};

struct spec_memory { /* cl Memory, bytes; -1 = unlimited */
	struct spec_opt_i64 limit, reservation, swap, kernel, kernel_tcp;
	struct spec_opt_u64 swappiness;
	bool disable_oom_killer, use_hierarchy, check_before_update;
};

struct spec_cpu { /* cl CPU; microseconds */
	struct spec_opt_u64 shares, burst, period, realtime_period;
	struct spec_opt_i64 quota, realtime_runtime, idle;
	const char *cpus, *mems; /* lists; NULL when absent or "" */
};

struct spec_weight_device {
	int64_t major, minor;
	bool has_weight, has_leaf_weight;
	uint16_t weight, leaf_weight;
};

struct spec_throttle_device {
	int64_t major, minor;
	uint64_t rate;
};

enum spec_throttle { SPEC_READ_BPS, SPEC_WRITE_BPS, SPEC_READ_IOPS, SPEC_WRITE_IOPS, SPEC_THROTTLES };

struct spec_block_io { /* cl Block IO */
	struct spec_opt_u64 weight, leaf_weight;
	struct spec_weight_device *weight_devices;
	size_t n_weight_devices;
	struct spec_throttle_device *throttle[SPEC_THROTTLES];
	size_t n_throttle[SPEC_THROTTLES];
};

struct spec_hugepage_limit {
	const char *page_size; /* "2MB" */
	uint64_t limit;
};

struct spec_rdma {
	const char *device;
	bool has_handles, has_objects;
	uint32_t handles, objects;
};

struct spec_net_priority {
	const char *name;
	uint32_t priority;
};

struct spec_key_value {
	const char *key, *value;
};

struct spec_resources { /* cl Control groups */
	struct spec_device_rule *devices;
	size_t n_devices;
	struct spec_memory *memory;
	struct spec_cpu *cpu;
	struct spec_block_io *block_io;
	struct spec_opt_i64 pids_limit;
	struct spec_hugepage_limit *hugepages;
	size_t n_hugepages;
	struct spec_rdma *rdma;
	size_t n_rdma;
	struct spec_opt_u64 net_class_id;
	struct spec_net_priority *net_priorities;
	size_t n_net_priorities;
	struct spec_key_value *unified;
	size_t n_unified;
};

struct spec_intel_rdt { /* cl IntelRdt */
	const char *clos_id, *l3_cache_schema, *mem_bw_schema;
	struct spec_strings schemata;
	bool enable_monitoring;
};

struct spec_memory_policy { /* cl Memory policy; values as set_mempolicy(2) wants them */
	int mode;
	unsigned mode_flags; /* MPOL_F_* */
	const char *nodes;   /* list, NULL when absent or "" */
};

/* cl Seccomp. Actions and operators stay names; runtime/process turns them into libseccomp's values. */
struct spec_seccomp_arg {
	uint32_t index;
	uint64_t value, value_two;
	const char *op;
};

struct spec_seccomp_rule {
	struct spec_strings names;
	const char *action;
	bool has_errno;
	uint32_t errno_ret;
	struct spec_seccomp_arg *args;
	size_t n_args;
};

struct spec_seccomp {
	const char *default_action;
	bool has_default_errno;
	uint32_t default_errno;
	struct spec_strings architectures;
	bool has_flags; /* an absent array and an empty one differ */
	struct spec_strings flags;
	const char *listener_path, *listener_metadata;
	struct spec_seccomp_rule *rules;
	size_t n_rules;
	const char *raw; /* the object's own bytes in config.json: the cache key */
	size_t raw_len;
};

struct spec_linux {
	struct spec_namespace ns[SPEC_NAMESPACES];
	struct spec_idmaps uid_maps, gid_maps;
	struct spec_time_offset monotonic, boottime;
	struct spec_device *devices;
	size_t n_devices;
	struct spec_net_device *net_devices;
	size_t n_net_devices;
	const char *cgroups_path; /* NULL when absent */
	struct spec_resources *resources;
	struct spec_intel_rdt *intel_rdt;
	struct spec_memory_policy *memory_policy;
	struct spec_key_value *sysctl;
	size_t n_sysctl;
	struct spec_seccomp *seccomp;
	const char *rootfs_propagation; /* NULL when absent */
	struct spec_strings masked_paths, readonly_paths;
	const char *mount_label;        /* NULL when absent or empty */
	bool has_personality;
	bool has_personality_flags; /* none is defined: warned about */
	unsigned long personality;  /* PER_LINUX, PER_LINUX32 */
};

struct spec_vm { /* vm; only read when the VM wall is asked for, after spec_validate_vm() */
	bool has_hypervisor, has_image; /* the objects are there */
	const char *hypervisor_path;
	struct spec_strings hypervisor_parameters;
	const char *kernel_path, *kernel_initrd;
	struct spec_strings kernel_parameters;
	const char *image_path, *image_format;
	bool has_vcpus;
	uint32_t vcpus;
	bool has_memory;
	uint64_t memory; /* bytes */
	const char *device_tree;
	bool has_passthrough; /* dtdevs, iomems or irqs were given */
};

struct spec {
	const char *oci_version;
	struct spec_root root;
	bool has_process; /* may be absent at create, needed at start */
	struct spec_process process;
	const char *hostname, *domainname; /* NULL when absent or empty */
	struct spec_mount *mounts;
	size_t n_mounts;
	struct spec_hooks hooks;
	struct spec_key_value *annotations;
	size_t n_annotations;
	struct spec_linux linux_; /* zeroed when the object is absent */
	struct spec_vm *vm;
	const char *raw; /* the document's bytes (kept in the arena) */
	size_t raw_len;
};

/* Is the cgroup the container's to manage: has it a writable mount of it in a cgroup namespace of its own? */
bool spec_wants_cgroup(const struct spec *spec);

/* Reads dir_fd/name (bounded, no fifo, no device), parses and validates. `what` is for messages. */
int spec_load(int dir_fd, const char *name, struct arena *a, const struct log *log,
	      struct spec **ret, struct error *err);

/* Parses n bytes. Types, ranges, required members, enumerations. */
int spec_parse(const char *text, size_t n, struct arena *a, struct spec **ret, struct error *err);

/*
 * Rules between members, and rules of ours, before any side effect. Warnings
 * (unknown capability, deprecated relative destination) go to log.
 */
int spec_validate(const struct spec *spec, const struct log *log, struct error *err);

/*
 * The rules of the vm object, for the VM wall only: a vm object never disturbs a
 * container of processes. Success when there is no vm object.
 */
int spec_validate_vm(const struct spec *spec, struct error *err);

/* The rules of a process whose members were changed since it was parsed (exec --cwd, --env). */
int spec_validate_process(const struct spec_process *process, const struct log *log, struct error *err);

/* A bare `process` object, as `exec --process FILE` gets it: parsed and validated alone. */
int spec_parse_process(const char *text, size_t n, struct arena *a, const struct log *log,
		       struct spec_process **ret, struct error *err);

/* The same object, written: what spec_parse_process() reads is what *process says. */
void spec_write_process(struct json_w *w, const char *name, const struct spec_process *process);

/* A bare `linux.resources` object, as `update -r FILE` gets it. */
int spec_parse_resources(const char *text, size_t n, struct arena *a, const struct log *log,
			 struct spec_resources **ret, struct error *err);

/* The value of an annotation, or NULL. */
const char *spec_annotation(const struct spec *spec, const char *key);

/* The host's number of a container id; the id itself where no map has it. */
uint32_t spec_host_id(const struct spec_idmaps *maps, uint32_t id);

/* "mount" for SPEC_NS_MOUNT, as config.json spells it. */
const char *spec_ns_name(enum spec_ns_kind kind);
/* CLONE_NEWNS for SPEC_NS_MOUNT, and so on. */
unsigned long spec_ns_flag(enum spec_ns_kind kind);
/* "prestart" … "poststop". */
const char *spec_hook_name(enum spec_hook_kind kind);

/*
 * "net/ipv4/ip_forward" for a key of linux.sysctl, in either spelling: when its first
 * separator is a dot, dots and slashes change places ("net.ipv4.conf.eth0/7.x").
 * -EINVAL for a key with an empty component, "." or "..", -ENAMETOOLONG. The path
 * spec_validate() judged is the one to write.
 */
int spec_sysctl_path(const char *key, char *buf, size_t size);
/* The namespace that has the setting of such a path for itself (namespaces(7)); SPEC_NAMESPACES: none, it is the host's. */
enum spec_ns_kind spec_sysctl_owner(const char *path);

/* Capability number of "CAP_KILL" (exact spelling), or -1. */
int spec_cap_number(const char *name);
/* "CAP_KILL" for 5, NULL above SPEC_CAP_LAST. */
const char *spec_cap_name(unsigned n);
#define SPEC_CAP_LAST 40 /* CAP_CHECKPOINT_RESTORE */

/* RLIMIT_* number of "RLIMIT_NOFILE", or -1. */
int spec_rlimit_number(const char *name);

/*
 * Every generic mount option that config.json may use (c Linux mount options),
 * one table for the mount planner and for `features`.
 */
enum spec_mopt_kind {
	MOPT_IGNORE,      /* "defaults", "loud", "mand" …: known, no effect with mount attributes */
	MOPT_ATTR,        /* set or clear a MOUNT_ATTR_* of this mount */
	MOPT_ATTR_REC,    /* the same for the whole tree: "rro", "rnosuid" … */
	MOPT_SB,          /* set or clear a superblock flag: "sync", "dirsync", "lazytime"; value is fsconfig's flag name */
	MOPT_BIND,        /* "bind", "rbind" */
	MOPT_PROPAGATION, /* "private", "rslave" … */
	MOPT_REMOUNT,
	MOPT_IDMAP,       /* "idmap", "ridmap" */
	MOPT_COPYUP,      /* "tmpcopyup" */
	MOPT_DATA,        /* listed by features, handed to the filesystem: "acl", "noacl" */
};

struct spec_mopt {
	const char *name;
	enum spec_mopt_kind kind;
	bool recursive;     /* rbind, rslave, ridmap … */
	bool clear;         /* the option clears `value` */
	uint64_t value;     /* MOUNT_ATTR_* or MS_SHARED … for propagation */
	const char *sb_flag; /* MOPT_SB: the flag fsconfig(2) takes: "sync", "async", "dirsync", "lazytime", "nolazytime" */
};

/* The entry of a generic option, or NULL: then it is filesystem data. */
const struct spec_mopt *spec_mount_option(const char *name);
/* All of them, sorted by name. */
const struct spec_mopt *spec_mount_options(size_t *ret_n);

/* Device rules that every container gets after its own (cl Default devices; runc's specconv). */
const struct spec_device_rule *spec_default_device_rules(size_t *ret_n);

/* Nodes that every container has in /dev: null zero full random urandom tty. */
const struct spec_device *spec_default_devices(size_t *ret_n);

/* The default bundle of `spec`: a config.json as text, tabs for indentation. */
struct spec_default_options {
	bool rootless; /* user namespace, no network namespace, no resources */
	uint32_t euid, egid;
	const char *hostname;
	bool seccomp; /* with the default filter */
};
void spec_write_default(struct buf *out, const struct spec_default_options *opt);

/* What this build knows of seccomp; filled by runtime/process, NULL fields when seccomp is unknown. */
struct spec_features_seccomp {
	const char *const *actions, *const *operators, *const *archs;
	const char *const *known_flags, *const *supported_flags; /* NULL-terminated, sorted */
};

/* The document of `features` (features.md, features-linux.md), 4 blanks of indentation. */
void spec_write_features(struct buf *out, const struct spec_features_seccomp *seccomp,
			 const char *version, const char *commit, const char *libseccomp_version);

/* The writable layer of a root that is made of layers. */
struct spec_sandbox {
	const char *store, *name, *kind;
	bool keep;
};

/* The state document (runtime.md State), as `state` prints it, hooks read it and seccomp listeners get it. */
struct spec_state {
	const char *id, *status, *bundle;
	pid_t pid; /* written when > 0 or when status is not "creating" */
	const char *rootfs, *created, *owner; /* NULL: left out */
	const struct spec_key_value *annotations;
	size_t n_annotations;
	const char *isolation; /* likewise: "vm" */
	const char *cpu_group; /* NULL: left out */
	const char *image;     /* likewise: what the root is made of */
	const struct spec_sandbox *sandbox;
};
void spec_write_state(struct json_w *w, const char *name, const struct spec_state *state);
