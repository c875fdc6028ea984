/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * From a struct path to its names: up through dentries and across mounts to the root of the mount
 * namespace, whatever root the process has (a chroot must not make /jail/etc/passwd look like
 * /etc/passwd). Names are appended leaf first; user space turns them round.
 */
#ifndef RUBICON_PATH_H
#define RUBICON_PATH_H

#include "emit.h"
#include "fd.h"

#define WALK_STEPS_MAX 4096	/* a path of RB_PATH_MAX has at most half as many names; mounts count too */
#define NAME_BYTES_MAX 255

struct walk {
	u64 dentry;
	u64 mnt;	/* struct mount */
	u64 mnt_root;
	u32 slot;
	u32 begin;
	u32 last;	/* where the name nearest to the root begins */
	u32 total;
	u32 limit;
	u32 complete;
	u32 nameless;
};

static __always_inline u64 mount_of(struct vfsmount *vfsmount)
{
	return (u64)vfsmount - bpf_core_field_offset(struct mount, mnt);
}

/*
 * Each read of kernel memory is a call of a helper, and the fields of a dentry that a walk wants lie behind one another:
 * so they are read at once. Where they are is known when the probes are loaded; one that lies elsewhere is read alone.
 */
#define BEHIND_PARENT(field) (bpf_core_field_offset(struct dentry, field) - bpf_core_field_offset(struct dentry, d_parent))
#define DENTRY_READ(s, dentry, type, field)							\
	((u64)BEHIND_PARENT(field) <= sizeof((s)->dentry) - sizeof(type) ?			\
		 *(type *)((u8 *)(s)->dentry + BEHIND_PARENT(field)) :				\
		 (type)BPF_CORE_READ(dentry, field))

static __always_inline void append_name(struct scratch *s, struct walk *w, struct dentry *dentry)
{
	const unsigned char *name = DENTRY_READ(s, dentry, const unsigned char *, d_name.name);
	u32 size = DENTRY_READ(s, dentry, u32, d_name.len) & NAME_BYTES_MAX;
	u64 len = s->len;

	w->total += size + 1;
	/*
	 * The first that does not fit ends it: a shorter name further up would close the gap unseen. Not a flag,
	 * as kernel 6.1 verifies a callback for its first call only, and takes a branch that is dead there out.
	 */
	if (len > STRINGS_MAX - 2 * NAME_BYTES_MAX || len - w->begin + size + 1 > w->limit) {
		w->limit = 0;
		return;
	}
	if (bpf_probe_read_kernel(s->data + len, size, name))
		record_flag(s, RB_UNREADABLE);
	w->last = len;
	len += size;
	if (len < STRINGS_MAX)
		s->data[len] = '/';
	s->len = len + 1;
}

static long walk_step(u32 index, struct walk *w)
{
	struct scratch *s = scratch_at(w->slot);
	struct dentry *dentry = (void *)w->dentry;
	struct mount *mnt = (void *)w->mnt;
	struct dentry *parent;

	if (!s)
		return 1;
	if (w->dentry == w->mnt_root) {
		u64 above = (u64)BPF_CORE_READ(mnt, mnt_parent);

		if (above == w->mnt || !above) {
			w->complete = 1;
			return 1;
		}
		w->dentry = (u64)BPF_CORE_READ(mnt, mnt_mountpoint);
		w->mnt = above;
		w->mnt_root = (u64)BPF_CORE_READ((struct mount *)above, mnt.mnt_root);
		return 0;
	}
	bpf_probe_read_kernel(s->dentry, sizeof(s->dentry), &dentry->d_parent);
	append_name(s, w, dentry);
	parent = DENTRY_READ(s, dentry, struct dentry *, d_parent);
	if (parent == dentry || !parent) {
		/* A memfd or pipe: on an internal mount, with a name but in no directory. */
		w->nameless = 1;
		w->complete = 1;
		return 1;
	}
	w->dentry = (u64)parent;
	return 0;
}

/*
 * A name in no directory may hold slashes: memfd_create("x/git/bin") would pass for a program in /bin/git.
 * They become '!', as in sysfs. Each call looks at a byte of the last name.
 */
static long hide_slash(u32 index, struct walk *w)
{
	struct scratch *s = scratch_at(w->slot);
	u64 byte = (u64)w->last + index;

	if (!s || byte + 1 >= s->len || byte >= STRINGS_MAX)
		return 1;
	if (s->data[byte] == '/')
		s->data[byte] = '!';
	return 0;
}

/* As d_unlinked() in the kernel: out of the hash, and not the root of a mount. */
static __always_inline bool is_unlinked(struct dentry *dentry)
{
	return !BPF_CORE_READ(dentry, d_hash.pprev) && BPF_CORE_READ(dentry, d_parent) != dentry;
}

/* Of a file that is no root of a mount: no directory has it, any more or ever. */
static __always_inline bool has_no_directory(struct dentry *dentry)
{
	return BPF_CORE_READ(dentry, d_parent) == dentry || is_unlinked(dentry);
}

/* Not static for the verifier's sake; see cgroup_scope(). */
__noinline u32 walk_path(struct scratch *s, u64 vfsmount, u64 dentry_at)
{
	struct dentry *dentry = (void *)dentry_at;
	struct walk w = {};

	if (!s)
		return 0;
	if (!dentry || !vfsmount) {
		record_flag(s, RB_UNREADABLE);
		return 0;
	}
	w.dentry = dentry_at;
	w.mnt = mount_of((void *)vfsmount);
	w.mnt_root = (u64)BPF_CORE_READ((struct vfsmount *)vfsmount, mnt_root);
	w.slot = s->slot;
	w.begin = s->len;
	w.limit = RB_PATH_MAX;
	bpf_loop(WALK_STEPS_MAX, walk_step, &w, 0);
	if (!w.complete || s->len - w.begin != w.total)
		record_cut(s, RB_PATH_CUT, w.total);
	if (w.nameless)
		bpf_loop(NAME_BYTES_MAX, hide_slash, &w, 0);
	if (w.nameless || is_unlinked(dentry))
		record_flag(s, RB_DELETED);
	return s->len - w.begin;
}

static __always_inline u32 put_path(struct scratch *s, struct vfsmount *vfsmount, struct dentry *dentry)
{
	return walk_path(s, (u64)vfsmount, (u64)dentry);
}

static __always_inline u32 put_file_path(struct scratch *s, struct file *file)
{
	return put_path(s, BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry));
}

/* What a relative name is relative to: the directory behind dirfd, or the working directory. */
__noinline u32 put_base(struct scratch *s, int dirfd, int absolute)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *dir;

	if (!s)
		return 0;
	if (absolute)
		return put_path(s, BPF_CORE_READ(task, fs, root.mnt), BPF_CORE_READ(task, fs, root.dentry));
	if (dirfd == AT_FDCWD)
		return put_path(s, BPF_CORE_READ(task, fs, pwd.mnt), BPF_CORE_READ(task, fs, pwd.dentry));
	dir = file_of(dirfd);
	if (!dir) {
		record_flag(s, RB_UNREADABLE);
		return 0;
	}
	return put_file_path(s, dir);
}

#endif
