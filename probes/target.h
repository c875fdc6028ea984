/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The process an act is aimed at, from a pid as the caller means it, a pidfd, or a file of /proc. */
#ifndef RUBICON_TARGET_H
#define RUBICON_TARGET_H

#include "scope.h"
#include "fd.h"

#define XA_NODE_LEVELS 6	/* of 64 slots each; pid_max needs four */
#define XA_NODE_TAG 2		/* xa_is_node() in include/linux/xarray.h */
#define XA_TAG_BITS 3
#define XA_LAST_TAGGED 4096

/* idr_find(): helpers to look up a pid came with 6.2, and only for the initial pid namespace. */
static __always_inline struct pid *find_pid(struct pid_namespace *ns, u32 nr)
{
	u64 entry = (u64)BPF_CORE_READ(ns, idr.idr_rt.xa_head);
	u32 bits = 64;

	for (int level = 0; level < XA_NODE_LEVELS; level++) {
		struct xa_node *node = (void *)(entry - XA_NODE_TAG);
		u32 slot;

		if ((entry & XA_TAG_BITS) != XA_NODE_TAG || entry <= XA_LAST_TAGGED)
			break;
		bits = BPF_CORE_READ(node, shift);
		slot = nr >> (bits & 31);
		if (slot > 63 && !level)
			return NULL;	/* beyond the highest pid there is */
		slot &= 63;
		entry = 0;
		bpf_core_read(&entry, sizeof(entry), &node->slots[slot]);
	}
	return bits && bits < 64 ? NULL : (void *)entry;
}

/* The first task of a struct pid. */
static __always_inline struct task_struct *pid_task(struct pid *pid)
{
	struct hlist_node *first = NULL;

	bpf_core_read(&first, sizeof(first), &pid->tasks[0].first);
	return first ? (void *)first - bpf_core_field_offset(struct task_struct, pid_links) : NULL;
}

/* The address of the task that `nr` means to the current one, or 0. */
__noinline u64 task_by_pid(u32 nr)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct pid *own = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(own, level);
	struct pid_namespace *ns = NULL;
	struct pid *found;

	bpf_core_read(&ns, sizeof(ns), &own->numbers[level].ns);
	found = find_pid(ns, nr);
	return found ? (u64)pid_task(found) : 0;
}

/* Since 6.9 a pidfd has an inode of its own that holds the pid; before, the file did. */
static __always_inline u64 task_by_pidfd(struct file *file)
{
	bool is_pidfs = BPF_CORE_READ(file, f_inode, i_sb, s_magic) == PID_FS_MAGIC;
	struct pid *pid = is_pidfs ? BPF_CORE_READ(file, f_inode, i_private) : BPF_CORE_READ(file, private_data);

	return pid ? (u64)pid_task(pid) : 0;
}

static __always_inline bool is_pidfd(struct file *file)
{
	struct qstr name = BPF_CORE_READ(file, f_path.dentry, d_name);
	char text[8] = {};

	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) == PID_FS_MAGIC)
		return true;
	bpf_probe_read_kernel(text, sizeof(text), name.name);
	return !__builtin_memcmp(text, "[pidfd]", 8);
}

static __always_inline u64 task_of_proc_file(struct file *file)
{
	struct proc_inode *inode =
		(void *)BPF_CORE_READ(file, f_inode) - bpf_core_field_offset(struct proc_inode, vfs_inode);
	struct pid *pid = BPF_CORE_READ(inode, pid);

	return pid ? (u64)pid_task(pid) : 0;
}

static __always_inline u32 relation_to(u32 tgid, u32 scope)
{
	struct member *member = member_of(tgid);

	if (tgid == bpf_get_current_pid_tgid() >> 32)
		return RB_SELF;
	return member && member->scope == scope ? RB_INSIDE : RB_OUTSIDE;
}

static __always_inline void fill_target(struct rb_target *to, u64 task_at, u32 scope)
{
	struct task_struct *task = (void *)task_at;

	if (!task)
		return;
	task = BPF_CORE_READ(task, group_leader);
	to->pid = BPF_CORE_READ(task, tgid);
	to->start_ns = BPF_CORE_READ(task, start_boottime);
	to->relation = relation_to(to->pid, scope);
	BPF_CORE_READ_STR_INTO(&to->comm, task, comm);
}

#endif
