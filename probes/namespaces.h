/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The namespaces that are a scope's own: those that its processes were in when they joined, and those that they have
 * made since. Entering any other is the way out.
 */
#ifndef RUBICON_NAMESPACES_H
#define RUBICON_NAMESPACES_H

#include "scope.h"

/* CLONE_NEW... */
#define NEW_TIME 0x80
#define NEW_MOUNT 0x20000
#define NEW_CGROUP 0x2000000
#define NEW_UTS 0x4000000
#define NEW_IPC 0x8000000
#define NEW_USER 0x10000000
#define NEW_PID 0x20000000
#define NEW_NET 0x40000000
#define NEW_ANY (NEW_TIME | NEW_MOUNT | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_USER | NEW_PID | NEW_NET)

/* Inode numbers of namespaces: no two of whatever kind share one, but one may be used again when its namespace is gone. */
struct own_namespace {
	u32 scope;
	u32 inum;
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct own_namespace);
	__type(value, u8);
} own_namespaces SEC(".maps");

static __always_inline void own_one(u32 scope, u32 inum)
{
	struct own_namespace key = { .scope = scope, .inum = inum };
	u8 yes = 1;

	if (inum)
		bpf_map_update_elem(&own_namespaces, &key, &yes, BPF_ANY);
}

static __always_inline bool is_own_namespace(u32 scope, u32 inum)
{
	struct own_namespace key = { .scope = scope, .inum = inum };

	return bpf_map_lookup_elem(&own_namespaces, &key) != NULL;
}

/* Those of these kinds that a task is in, or that its children will be in. */
static __noinline int own_all(u64 task_at, u32 scope, u32 kinds)
{
	struct task_struct *task = (void *)task_at;
	struct nsproxy *in = BPF_CORE_READ(task, nsproxy);

	if (kinds & NEW_USER)
		own_one(scope, BPF_CORE_READ(task, cred, user_ns, ns.inum));
	if (!in)
		return 0;
	if (kinds & NEW_MOUNT)
		own_one(scope, BPF_CORE_READ(in, mnt_ns, ns.inum));
	if (kinds & NEW_UTS)
		own_one(scope, BPF_CORE_READ(in, uts_ns, ns.inum));
	if (kinds & NEW_IPC)
		own_one(scope, BPF_CORE_READ(in, ipc_ns, ns.inum));
	if (kinds & NEW_NET)
		own_one(scope, BPF_CORE_READ(in, net_ns, ns.inum));
	if (kinds & NEW_CGROUP)
		own_one(scope, BPF_CORE_READ(in, cgroup_ns, ns.inum));
	if (kinds & NEW_PID)
		own_one(scope, BPF_CORE_READ(in, pid_ns_for_children, ns.inum));
	if (kinds & NEW_TIME)
		own_one(scope, BPF_CORE_READ(in, time_ns_for_children, ns.inum));
	return 0;
}

/* What a child was born into and its parent is not in. */
static __always_inline void own_new(struct task_struct *parent, struct task_struct *child, u32 scope)
{
	u32 kinds = 0;

	if (BPF_CORE_READ(parent, cred, user_ns) != BPF_CORE_READ(child, cred, user_ns))
		kinds = NEW_USER;
	if (BPF_CORE_READ(parent, nsproxy) != BPF_CORE_READ(child, nsproxy))
		kinds |= NEW_ANY & ~NEW_USER;
	if (kinds)
		own_all((u64)child, scope, kinds);
}

/* --- runtimes that build a container ------------------------------------------------------------ */

/* The scopes that are containers, or pods of such, but for those that are found (FIRST_FOUND_SCOPE): set by user space. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u8);
} container_scopes SEC(".maps");

static __always_inline u32 mount_namespace_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
}

/*
 * It was moved or born into the scope from outside. Into a container that is its runtime, with the namespaces of the
 * machine; until it runs another program than itself, what it does is the work of building (as `setting_up` in user
 * space).
 */
static __always_inline void came_from_outside(struct task_struct *task, struct member *member)
{
	u32 scope = member->scope;

	if (scope < FIRST_FOUND_SCOPE && !bpf_map_lookup_elem(&container_scopes, &scope)) {
		own_all((u64)task, scope, NEW_ANY);
		return;
	}
	member->is_building = 1;
	member->built_from = mount_namespace_of(task);
}

/* runc copies itself and runs the copy, "runc init", before it enters any namespace (CVE-2019-5736). */
static __always_inline bool ends_in_init(struct scratch *s, u32 args_len)
{
	u64 last = 0, size = 6;

	if (args_len < size)
		return false;
	bpf_probe_read_kernel(&last, size, s->data + bounded(s->len - size, RECORD_MAX - 8));
	return last == 0x74696e6900;	/* "\0init\0" */
}

/* Its arguments are the last in the buffer. */
static __always_inline void may_end_building(struct task_struct *task, struct member *member, struct scratch *s,
					     u32 args_len)
{
	if (!member->is_building)
		return;
	if (mount_namespace_of(task) == member->built_from && ends_in_init(s, args_len))
		return;
	member->is_building = 0;
	own_all((u64)task, member->scope, NEW_ANY);
}

#endif
