/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who is watched. Membership is by process (tgid): children join at fork, before they can run,
 * and nobody leaves but by exiting, so setsid, double fork, reparenting and namespaces change
 * nothing. A cgroup scope also takes in whoever is moved or born into its cgroup.
 */
#ifndef RUBICON_SCOPE_H
#define RUBICON_SCOPE_H

#include "emit.h"

#define CGROUP_DEPTH_MAX 32
#define FIRST_FOUND_SCOPE 0x10000	/* of containers that nobody named; numbers below are given by user space */

struct member {
	u64 start_ns;
	u32 scope;
	u8 has_requests;	/* it has used io_uring */
	u8 is_building;		/* see came_from_outside(); children are, too, until they run a program of their own */
	u16 reserved;
	u64 look;		/* the look round at an attach that found it, or its parent; else 0 */
	u32 built_from;		/* the mount namespace that it came from */
	u32 reserved2;
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, struct member);
} members SEC(".maps");

#define V1_CGROUP (1ULL << 63)	/* a bit that ids, which count from 1, never have */

/* cgroup id -> scope; of version 1 those of the hierarchy of the pids controller, with V1_CGROUP */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u32);
} scope_cgroups SEC(".maps");

/* Set by user space: without cgroup scopes the forks of strangers cost one branch. */
LOADED volatile bool has_cgroup_scopes;
LOADED volatile bool has_v1_scopes;

/*
 * Inode number of a container's mount, pid or network namespace -> who keeps it from being another's: the entry holds
 * while that process, the container's first, is a member. Who comes in from outside without a move between cgroups
 * (nsenter, or an exec of a runtime that has no cgroups to its containers) is found by these; who is in the network
 * alone does not join, see network_entered().
 */
struct namespace_holder {
	u32 pid;
	u32 scope;
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u32);
	__type(value, struct namespace_holder);
} scope_namespaces SEC(".maps");

LOADED volatile bool has_namespaces;

/* Counts the attaches: whose open files are looked at in this one. */
LOADED volatile u64 look_now;

/* The process that loaded the probes and drains them. */
struct engine {
	u64 start_ns;
	u32 pid;
	u32 reserved;
};

LOADED volatile struct engine engine;

static __always_inline struct member *member_of(u32 tgid)
{
	return bpf_map_lookup_elem(&members, &tgid);
}

static __always_inline struct member *current_member(void)
{
	return member_of(bpf_get_current_pid_tgid() >> 32);
}

static __always_inline u64 process_start_ns(struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, start_boottime);
}

/*
 * NULL when it has joined already or there is no room. A child is in the kernel's table before its fork is
 * traced, so the look round at the attach and the fork may both find it; only the first takes it in.
 */
static __always_inline struct member *join(struct task_struct *task, u32 scope)
{
	struct member new = { .start_ns = process_start_ns(task), .scope = scope };
	u32 tgid = BPF_CORE_READ(task, tgid);
	int error = map_update(&members, &tgid, &new, BPF_NOEXIST);
	struct member *old;

	if (error == -EEXIST) {
		old = member_of(tgid);
		if (old && old->start_ns == new.start_ns)
			return NULL;
		error = map_update(&members, &tgid, &new, BPF_ANY);
	}
	if (error) {
		count_loss(RB_LOST_MEMBER);
		return NULL;
	}
	return member_of(tgid);
}

/* The threads of its process that have not begun to exit. */
static __always_inline int threads_alive(struct task_struct *task)
{
	return BPF_CORE_READ(task, signal, live.counter);
}

/*
 * For a task that is not the current one. If it exits meanwhile, on_exit may have looked for it too early,
 * and nobody else would ever take it out.
 */
static __always_inline struct member *join_running(struct task_struct *task, u32 scope)
{
	u32 tgid = BPF_CORE_READ(task, tgid);
	struct member *member;

	if (!threads_alive(task))
		return NULL;
	member = join(task, scope);
	if (member && !threads_alive(task)) {
		bpf_map_delete_elem(&members, &tgid);
		return NULL;
	}
	return member;
}

#define NO_SCOPE (-1L)

static __always_inline u64 ancestor_cgroup_id(struct cgroup *cgroup, int level)
{
	struct cgroup___ids *old = (void *)cgroup;
	u64 id = 0;

	if (bpf_core_field_exists(cgroup->ancestors)) {
		struct cgroup *ancestor = NULL;

		bpf_core_read(&ancestor, sizeof(ancestor), &cgroup->ancestors[level]);
		return BPF_CORE_READ(ancestor, kn, id);
	}
	bpf_core_read(&id, sizeof(id), &old->ancestor_ids[level]);
	return id;
}

struct cgroup_walk {
	u64 cgroup;
	u64 version;
	long found;
	int level;
};

/* From the root down, so that the innermost is what stays. */
static long cgroup_step(u32 index, struct cgroup_walk *w)
{
	u32 *scope;
	u64 id;

	if ((int)index > w->level)
		return 1;
	id = ancestor_cgroup_id((void *)w->cgroup, index) | w->version;
	scope = bpf_map_lookup_elem(&scope_cgroups, &id);
	if (scope)
		w->found = *scope;
	return 0;
}

/*
 * The scope of the innermost watched cgroup around `cgroup_at`, or NO_SCOPE. Not static, so that the verifier
 * looks at it once, on its own, and not again for each call; a kernel pointer goes in as a number.
 */
__noinline long cgroup_scope(u64 cgroup_at, u64 version)
{
	struct cgroup_walk w = {
		.cgroup = cgroup_at,
		.version = version,
		.found = NO_SCOPE,
		.level = BPF_CORE_READ((struct cgroup *)cgroup_at, level),
	};

	bpf_loop(CGROUP_DEPTH_MAX, cgroup_step, &w, 0);
	return w.found;
}

static __always_inline struct cgroup *v1_cgroup(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *state = NULL;

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		return NULL;
	bpf_core_read(&state, sizeof(state), &set->subsys[bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id)]);
	return BPF_CORE_READ(state, cgroup);
}

/* The scope that a task's place among the cgroups gives it, or NO_SCOPE. */
static __always_inline long scope_by_cgroup(struct task_struct *task)
{
	long scope;

	if (!has_cgroup_scopes)
		return NO_SCOPE;
	scope = cgroup_scope((u64)BPF_CORE_READ(task, cgroups, dfl_cgrp), 0);
	if (scope == NO_SCOPE && has_v1_scopes)
		scope = cgroup_scope((u64)v1_cgroup(task), V1_CGROUP);
	return scope;
}

/* The scope that a namespace is of, as far as a container's first process holds it; or NO_SCOPE. */
static __always_inline long scope_by_namespace(u32 inode)
{
	struct namespace_holder *holder;
	struct member *member;

	if (!has_namespaces)
		return NO_SCOPE;
	holder = bpf_map_lookup_elem(&scope_namespaces, &inode);
	member = holder ? member_of(holder->pid) : NULL;
	return member && member->scope == holder->scope ? (long)holder->scope : NO_SCOPE;
}

#endif
