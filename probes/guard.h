/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is done about an act at once. The programs that refuse are in guard.bpf.c and are loaded only when a
 * policy wants it; those that record an act ask here what became of it.
 */
#ifndef RUBICON_GUARD_H
#define RUBICON_GUARD_H

#include "kernel.h"
#include "emit.h"

#define SIGKILL 9

/* Of a policy section, set by user space. */
enum guard_mode {
	GUARD_OFF,
	GUARD_DENY,
	GUARD_KILL,		/* refuse, and kill who tried */
};

LOADED volatile u32 network_guard;

/* A connect or a message that was refused: the peer as the kernel had it, and what else is to come of it. */
struct refusal {
	struct rb_peer peer;
	u16 flags;		/* RB_REFUSED, RB_KILLED */
	u16 reserved;
};

/* By struct sock. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct refusal);
} refusals SEC(".maps");

/* Whether the call on `sk` that failed with `result` was refused by us; then `peer` is whom it was for. */
static __always_inline u16 refusal_of(struct sock *sk, s64 result, struct rb_peer *peer)
{
	u64 key = (u64)sk;
	struct refusal *found;
	u16 flags;

	if (!network_guard || result != -EPERM || !sk)
		return 0;
	found = bpf_map_lookup_elem(&refusals, &key);
	if (!found)
		return 0;
	*peer = found->peer;
	flags = found->flags;
	bpf_map_delete_elem(&refusals, &key);
	return flags;
}

/* The signal waits for the task on its way out of the kernel: no instruction of it runs any more. */
static __always_inline void kill_if(u16 flags)
{
	if (flags & RB_KILLED)
		bpf_send_signal(SIGKILL);
}

/* --- programs that are not allowed ------------------------------------------------------------ */

/*
 * What `process.exec` of a policy may allow, as far as it can be told here: never too little, so that nobody is
 * killed by mistake; what is left over user space judges. Hashes (FNV-1a) of names, each kind with a seed of its own;
 * tracer/actions/programs.py makes the same. A path is stored leaf first and hashed from its end, from the root on.
 */
enum program_kind {
	PROGRAM_PATH = 1,	/* a whole path */
	PROGRAM_BELOW = 2,	/* a directory: all that is below it */
	PROGRAM_NAME = 3,	/* the last name of a path */
	PROGRAM_NAME_BEGINS = 4,
};

#define GUARDED_PATH_MAX 256	/* longer ones are left to user space */
#define FNV_START 0xcbf29ce484222325
#define FNV_PRIME 0x100000001b3

LOADED volatile u32 exec_guard;

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u8);
} allowed_programs SEC(".maps");

struct guarded_path {
	u8 bytes[GUARDED_PATH_MAX];
	u64 from_root;
	u64 from_leaf;
	u32 len;
	u32 may_be_allowed;
	u32 in_name;
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct guarded_path);
} guarded_paths SEC(".maps");

static __always_inline u64 fnv(u64 hash, u8 byte)
{
	return (hash ^ byte) * FNV_PRIME;
}

static __always_inline void look_for(struct guarded_path *path, u64 hash, u8 kind)
{
	u64 key = fnv(hash, kind);

	if (bpf_map_lookup_elem(&allowed_programs, &key))
		path->may_be_allowed = 1;
}

static long hash_step(u32 i, void *context)
{
	u32 zero = 0;
	struct guarded_path *path = bpf_map_lookup_elem(&guarded_paths, &zero);
	u8 from_end, from_start;

	if (!path)
		return 1;
	from_end = path->bytes[(path->len - 1 - i) & (GUARDED_PATH_MAX - 1)];
	from_start = path->bytes[i & (GUARDED_PATH_MAX - 1)];
	if (from_end == '/')
		look_for(path, path->from_root, PROGRAM_BELOW);
	path->from_root = fnv(path->from_root, from_end);
	if (!path->in_name)
		return 0;
	if (from_start == '/') {
		look_for(path, path->from_leaf, PROGRAM_NAME);
		path->in_name = 0;
		return 0;
	}
	path->from_leaf = fnv(path->from_leaf, from_start);
	look_for(path, path->from_leaf, PROGRAM_NAME_BEGINS);
	return 0;
}

/* Whether a program, by its path as it is stored at `at`, is one that no entry can allow. */
static __noinline int is_program_refused(u64 at, u32 len)
{
	u32 zero = 0;
	struct guarded_path *path = bpf_map_lookup_elem(&guarded_paths, &zero);

	if (!path || !len || len > GUARDED_PATH_MAX)
		return 0;
	if (bpf_probe_read_kernel(path->bytes, bounded(len, GUARDED_PATH_MAX), (void *)at))
		return 0;
	path->from_root = path->from_leaf = FNV_START;
	path->len = len;
	path->may_be_allowed = 0;
	path->in_name = 1;
	bpf_loop(len, hash_step, NULL, 0);
	look_for(path, path->from_root, PROGRAM_PATH);
	look_for(path, path->from_root, PROGRAM_BELOW);
	return !path->may_be_allowed;
}

#endif
