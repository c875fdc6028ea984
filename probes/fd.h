/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* From a descriptor of the current task to the struct file behind it, and what that is. */
#ifndef RUBICON_FD_H
#define RUBICON_FD_H

#include "loader.h"

static __always_inline struct file *file_in(struct fdtable *fdt, u32 fd)
{
	struct file *file = NULL;
	struct file **slots;

	if (fd >= BPF_CORE_READ(fdt, max_fds))
		return NULL;
	slots = BPF_CORE_READ(fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
	return file;
}

static __always_inline struct file *file_of(int fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (fd < 0)
		return NULL;
	return file_in(BPF_CORE_READ(task, files, fdt), fd);
}

static __always_inline u16 file_type(struct file *file)
{
	return BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;
}

/* The kernel's dev_t has 20 minor bits; user space gets it as stat(2) gives it. */
static __always_inline u32 user_device(u32 dev)
{
	u32 major = dev >> 20, minor = dev & 0xfffff;

	return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

static __always_inline u32 file_device(struct file *file)
{
	return user_device(BPF_CORE_READ(file, f_inode, i_sb, s_dev));
}

static __always_inline bool is_terminal(u32 rdev)
{
	u32 major = rdev >> 20;

	return major == TTY_MAJOR || major == TTYAUX_MAJOR ||
	       (major >= UNIX98_PTY_FIRST_MAJOR && major <= UNIX98_PTY_LAST_MAJOR);
}

/* /dev/null, zero, full, random and urandom: writing there changes nothing. */
static __always_inline bool is_sink(u32 rdev)
{
	u32 minor = rdev & 0xfffff;

	return rdev >> 20 == MEMORY_MAJOR && (minor == 3 || minor == 5 || (minor >= 7 && minor <= 9));
}

/* Whether a write to it can change what others read. */
static __always_inline bool is_lasting(struct file *file)
{
	u16 type = file_type(file);
	struct dentry *dentry;
	u32 rdev;

	/* eventfd and the like: of no type, and since 6.16 (cfd86ef7e8e7) regular but private. */
	if (!type || type == S_IFSOCK || type == S_IFDIR || BPF_CORE_READ(file, f_inode, i_flags) & S_PRIVATE)
		return false;
	if (type == S_IFIFO) {
		/* A pipe without a name has no directory; it is opened through /proc/self/fd. */
		dentry = BPF_CORE_READ(file, f_path.dentry);
		return BPF_CORE_READ(dentry, d_parent) != dentry;
	}
	if (type != S_IFCHR)
		return true;
	rdev = BPF_CORE_READ(file, f_inode, i_rdev);
	return !is_sink(rdev) && !is_terminal(rdev);
}

#endif
