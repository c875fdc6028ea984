/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Tier A: hooks inside the calls that change a name or an attribute, where the kernel has found the directory and the
 * name and is about to act on them. No other thread of the caller can change them any more, and no symbolic link is
 * left to follow. What they see is reported when the call returns.
 *
 * The places are those where security modules are asked (security/security.c), whether or not there is one.
 */
#include "acting.h"
#include "path.h"
#include "syscalls.h"

/* The watched process, if this is a system call of its own that is reported by name, and not a request of io_uring. */
static __always_inline struct member *member_in_call(u32 first, u32 last)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct member *member = current_member();
	bool compat = false;
	u32 act;

	if (!member || task->flags & PF_IO_WORKER)
		return NULL;
	act = act_of((void *)bpf_task_pt_regs((void *)task), &compat);
	return act >= first && act <= last ? member : NULL;
}

/* Which argument of the function is what; 0 is none. */
struct places {
	u32 dir;	/* struct path of the directory */
	u32 name;	/* struct dentry in it */
	u32 dir2;
	u32 name2;
	u32 path;	/* struct path of the file, instead of all these */
	u32 text;	/* the target of a symbolic link */
};

static __always_inline int act_on(void *ctx, u32 kind, struct places at)
{
	struct member *member = member_in_call(ACT_FIRST_BY_NAME, ACT_LAST_BY_NAME);
	struct scratch *s;
	struct rb_path *r;
	u64 path, dentry;

	if (!member)
		return 0;
	s = acting_begin(sizeof(struct rb_path));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, kind, member->scope, member->start_ns, 0);
	path = argument(ctx, at.path ? at.path : at.dir);
	dentry = at.path ? (u64)BPF_CORE_READ((struct path *)path, dentry) : argument(ctx, at.name);
	fill_inode(r, dentry);
	r->path_len = walk_path(s, mount_in(path), dentry);
	if (at.name2)
		r->path2_len = walk_path(s, mount_in(argument(ctx, at.dir2)), argument(ctx, at.name2));
	if (at.text)
		r->name2_len = put_kernel_name(s, (void *)argument(ctx, at.text));
	if (!at.path)	/* a name that is not taken yet looks like one that was removed */
		r->head.flags &= ~RB_DELETED;
	mark_writer(s);
	return acting_end(s, (u32)bpf_get_current_pid_tgid());
}

SEC("fentry/security_path_unlink")
int on_path_unlink(void *ctx)
{
	return act_on(ctx, RB_UNLINK, (struct places){ .dir = 1, .name = 2 });
}

SEC("fentry/security_path_rmdir")
int on_path_rmdir(void *ctx)
{
	return act_on(ctx, RB_RMDIR, (struct places){ .dir = 1, .name = 2 });
}

SEC("fentry/security_path_mkdir")
int on_path_mkdir(void *ctx)
{
	return act_on(ctx, RB_MKDIR, (struct places){ .dir = 1, .name = 2 });
}

SEC("fentry/security_path_symlink")
int on_path_symlink(void *ctx)
{
	return act_on(ctx, RB_SYMLINK, (struct places){ .dir = 1, .name = 2, .text = 3 });
}

SEC("fentry/security_path_rename")
int on_path_rename(void *ctx)
{
	return act_on(ctx, RB_RENAME, (struct places){ .dir = 1, .name = 2, .dir2 = 3, .name2 = 4 });
}

/* Its first argument is the old dentry, on the mount of the new directory: else the call has failed before. */
SEC("fentry/security_path_link")
int on_path_link(void *ctx)
{
	return act_on(ctx, RB_LINK, (struct places){ .dir = 2, .name = 1, .dir2 = 2, .name2 = 3 });
}

SEC("fentry/security_path_truncate")
int on_path_truncate(void *ctx)
{
	return act_on(ctx, RB_TRUNCATE, (struct places){ .path = 1 });
}

SEC("fentry/security_path_chmod")
int on_path_chmod(void *ctx)
{
	return act_on(ctx, RB_CHMOD, (struct places){ .path = 1 });
}

SEC("fentry/security_path_chown")
int on_path_chown(void *ctx)
{
	return act_on(ctx, RB_CHOWN, (struct places){ .path = 1 });
}

static __always_inline struct rb_open *open_begin(struct scratch *s, struct member *member)
{
	struct rb_open *r = (void *)s->data;

	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_OPEN, member->scope, member->start_ns, 0);
	return r;
}

/* Also asked when open(2) makes a file; that is reported from the file. */
SEC("fentry/security_path_mknod")
int on_path_mknod(void *ctx)
{
	struct member *member = member_in_call(ACT_MKNOD, ACT_MKNODAT);
	struct scratch *s;
	struct rb_open *r;

	if (!member)
		return 0;
	s = acting_begin(sizeof(struct rb_open));
	if (!s)
		return 0;
	r = open_begin(s, member);
	r->path_len = walk_path(s, mount_in(argument(ctx, 1)), argument(ctx, 2));
	r->head.flags &= ~RB_DELETED;
	mark_writer(s);
	return acting_end(s, (u32)bpf_get_current_pid_tgid());
}

/*
 * do_filp_open(dirfd, name, how) -> file. An open that fails has no file; but the kernel has its own copy of the name
 * by then, with the links in it.
 */
SEC("fexit/do_filp_open")
int on_open_failed(u64 *ctx)
{
	struct open_flags *how = (void *)argument(ctx, 3);
	struct member *member;
	const char *name;
	struct scratch *s;
	struct rb_open *r;

	if (argument(ctx, 4) < (u64)-ERRNO_MAX || !may_write(BPF_CORE_READ(how, open_flag)))
		return 0;
	member = member_in_call(ACT_OPEN, ACT_LAST_OPEN);
	if (!member || was_refused(RB_OPEN))	/* lsm.bpf.c knows more of it */
		return 0;
	s = acting_begin(sizeof(struct rb_open));
	if (!s)
		return 0;
	r = open_begin(s, member);
	name = BPF_CORE_READ((struct filename *)argument(ctx, 2), name);
	r->path_len = put_base(s, argument(ctx, 1), is_absolute(name));
	r->name_len = put_kernel_name(s, name);
	return acting_end(s, (u32)bpf_get_current_pid_tgid());
}
