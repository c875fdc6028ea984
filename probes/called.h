/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who is watched by what it is called: a process whose name (comm) matches a glob joins when it becomes that
 * program. User space writes a glob as tables (tracer/capture/called.py): its single characters, of which a
 * name can match COMM_LEN - 1 at most, are tokens, and a set of bits says how many of them have been matched.
 */
#ifndef RUBICON_CALLED_H
#define RUBICON_CALLED_H

#include "scope.h"

#define GLOBS_MAX 16
#define COMM_LEN 16	/* TASK_COMM_LEN, with its NUL */

struct glob {
	u32 accepts[256];	/* by byte, the tokens that it matches: bit i is token i */
	u32 repeats;		/* bit i: any bytes may come before token i; or, past the last, at the end */
	u32 tokens;
	u32 scope;
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GLOBS_MAX);
	__type(key, u32);
	__type(value, struct glob);
} globs SEC(".maps");

LOADED volatile u32 glob_count;

/* The name in two words. The scope of a glob, or NO_SCOPE; not static, see cgroup_scope(). */
__noinline long glob_scope(u32 index, u64 first, u64 second)
{
	struct glob *glob = bpf_map_lookup_elem(&globs, &index);
	u32 matched = 1;

	if (!glob)
		return NO_SCOPE;
	for (int i = 0; i < COMM_LEN; i++) {
		u8 byte = i < 8 ? first >> (8 * i) : second >> (8 * (i - 8));

		if (!byte)
			break;
		matched = (matched & glob->accepts[byte]) << 1 | (matched & glob->repeats);
	}
	return matched >> (glob->tokens & 31) & 1 ? (long)glob->scope : NO_SCOPE;
}

/* The scope that its name gives a task, or NO_SCOPE. The engine, and what it starts, are not meant. */
static __always_inline long scope_by_name(struct task_struct *task)
{
	u64 comm[COMM_LEN / 8] = {};
	long scope = NO_SCOPE;

	if (!glob_count || (u32)BPF_CORE_READ(task, tgid) == engine.pid ||
	    (u32)BPF_CORE_READ(task, real_parent, tgid) == engine.pid)
		return NO_SCOPE;
	bpf_core_read(&comm, sizeof(comm), &task->comm);
	for (u32 i = 0; i < GLOBS_MAX && i < glob_count && scope == NO_SCOPE; i++)
		scope = glob_scope(i, comm[0], comm[1]);
	return scope;
}

#endif
