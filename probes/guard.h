/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is done about an act at once. The programs that refuse are in guard.bpf.c, resolved.bpf.c and lsm.bpf.c and are
 * loaded only with --enforce; those that record an act ask here what became of it.
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
LOADED volatile u32 exec_guard;		/* process.exec, by LIST_EXEC of allowed.h */
LOADED volatile u32 write_guard;	/* files.write, by LIST_WRITE */
LOADED volatile u32 mount_guard;	/* files.mounts, where nobody may; GUARD_DENY or off */

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

#endif
