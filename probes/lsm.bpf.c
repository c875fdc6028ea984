/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Programs and changes to files that a policy does not allow, refused with EPERM where the kernel asks its security
 * modules: it has found the file by then, links followed, and has done nothing to it. Members alone are asked about;
 * anybody else pays one look-up.
 *
 * An act is judged by the path that its event will have, so that the rules say the same of it. What is refused is
 * put by (acting.h), and told when the call returns; a request of io_uring, when it completes.
 */
#include "allowed.h"
#include "guard.h"
#include "acting.h"
#include "syscalls.h"
#include "namespaces.h"

#define LSM_ALLOW 0
#define LSM_REFUSE (-EPERM)
#define MNT_NS_INTERNAL ((u64)-EINVAL)	/* fs/mount.h: ERR_PTR(-EINVAL) */

/*
 * What overlayfs opens behind a file of its own, on a mount that no process can see: it was asked about before. A
 * memfd is on such a mount as well, but in no directory.
 */
static __always_inline bool is_behind_another(struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct mount *mnt = (void *)mount_of(BPF_CORE_READ(file, f_path.mnt));

	return (u64)BPF_CORE_READ(mnt, mnt_ns) == MNT_NS_INTERNAL && BPF_CORE_READ(dentry, d_parent) != dentry;
}

/* Both are looked up before either is asked about, so that the loop comes back by a jump, which kernels want until 6.7. */
__noinline u64 free_request_key(u32 tgid, u32 kind)
{
	u64 actor = 0;

	for (u32 i = 0; i < REQUESTS_AT_ONCE; i++) {
		bool is_taken, is_taken_long;

		actor = request_key(tgid, kind, i);
		is_taken = bpf_map_lookup_elem(&acting, &actor);
		barrier_var(is_taken);
		is_taken_long = bpf_map_lookup_elem(&acting_long, &actor);
		barrier_var(is_taken_long);
		if (!is_taken && !is_taken_long)
			break;
	}
	return actor;
}

/* What the current thread is in the middle of. */
static __noinline u32 act_under_way(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	bool compat = false;

	return task->flags & PF_IO_WORKER ? ACT_NONE : act_of((void *)bpf_task_pt_regs((void *)task), &compat);
}

/* The thread, when its call is one whose end is seen: else nobody would take back what is put by. */
static __always_inline u64 caller(void)
{
	return act_under_way() == ACT_NONE ? 0 : (u32)bpf_get_current_pid_tgid();
}

/* By whom the record is found again: a thread in a call of its own, or one that acts for a request. */
static __always_inline u64 actor_of(struct member *member, u32 kind)
{
	u64 pid_tgid = bpf_get_current_pid_tgid();
	u32 act;

	if (!member->has_requests)
		return caller();
	act = act_under_way();
	if (act != ACT_NONE && act < ACT_BOUNDARY)
		return (u32)pid_tgid;
	return free_request_key(pid_tgid >> 32, kind);
}

static __always_inline struct scratch *refusal_begin(struct member *member, u32 kind, u32 size)
{
	struct scratch *s = acting_begin(size);
	struct rb_head *head;

	if (!s)
		return NULL;
	head = (void *)s->data;
	__builtin_memset(head, 0, sizeof(struct rb_path));	/* as large as any of them */
	record_head(head, kind, member->scope, member->start_ns, LSM_REFUSE);
	head->flags = RB_REFUSED;
	return s;
}

static __always_inline u64 dentry_at(u64 path)
{
	return (u64)BPF_CORE_READ((struct path *)path, dentry);
}

/* The member that acts, if it is to be refused. Not who still builds a container: no program of it has run. */
static __always_inline struct member *guarded(u32 guard)
{
	struct member *member = guard == GUARD_DENY ? current_member() : NULL;

	return member && !member->is_building ? member : NULL;
}

/* A runtime runs a copy of itself before it enters any namespace of the container. */
static __always_inline bool builds_here(struct member *member)
{
	return member->is_building && mount_namespace_of((void *)bpf_get_current_task()) == member->built_from;
}

/* --- programs ------------------------------------------------------------------------------------ */

/* The file that will run, once for each exec: of a script its interpreter. The old program is still there. */
SEC("lsm/bprm_creds_from_file")
int refuse_exec(u64 *ctx)
{
	struct linux_binprm *bprm = (void *)argument(ctx, 1);
	struct file *file = BPF_CORE_READ(bprm, file);
	struct member *member = exec_guard == GUARD_DENY ? current_member() : NULL;
	struct rb_exec_failed *r;
	struct scratch *s;
	bool is_deleted;

	if (!member || builds_here(member))
		return LSM_ALLOW;
	is_deleted = has_no_directory(BPF_CORE_READ(file, f_path.dentry));
	if (is_file_allowed(LIST_EXEC, file, is_deleted))
		return LSM_ALLOW;
	s = refusal_begin(member, RB_EXEC_FAILED, sizeof(struct rb_exec_failed));
	if (s) {
		r = (void *)s->data;
		r->path_len = put_file_path(s, file);
		acting_end(s, (u32)bpf_get_current_pid_tgid());
	}
	return LSM_REFUSE;
}

/* --- files --------------------------------------------------------------------------------------- */

static __always_inline int refuse_open_of(struct member *member, u64 inode_at, u64 vfsmount, u64 dentry, u32 flags)
{
	struct scratch *s = refusal_begin(member, RB_OPEN, sizeof(struct rb_open));
	struct inode *inode = (void *)inode_at;
	struct rb_open *r;

	if (!s)
		return LSM_REFUSE;
	r = (void *)s->data;
	r->open_flags = flags;
	if (inode) {
		r->inode = BPF_CORE_READ(inode, i_ino);
		r->device = user_device(BPF_CORE_READ(inode, i_sb, s_dev));
		r->mode = BPF_CORE_READ(inode, i_mode);
	}
	r->path_len = walk_path(s, vfsmount, dentry);
	if (!inode)
		r->head.flags &= ~RB_DELETED;
	acting_end(s, actor_of(member, RB_OPEN));
	return LSM_REFUSE;
}

/* O_TRUNC empties a file even when it is opened for reading. */
SEC("lsm/file_open")
int refuse_open(u64 *ctx)
{
	struct member *member = guarded(write_guard);
	struct file *file = (void *)argument(ctx, 1);
	u32 flags;

	if (!member)
		return LSM_ALLOW;
	flags = BPF_CORE_READ(file, f_flags);
	if (!(BPF_CORE_READ(file, f_mode) & FMODE_WRITE) && !(flags & O_TRUNC))
		return LSM_ALLOW;
	if (!is_lasting(file) || is_behind_another(file) || is_file_allowed(LIST_WRITE, file, false))
		return LSM_ALLOW;
	return refuse_open_of(member, (u64)BPF_CORE_READ(file, f_inode), (u64)BPF_CORE_READ(file, f_path.mnt),
			      (u64)BPF_CORE_READ(file, f_path.dentry), flags);
}

/*
 * Before open(2) makes a file, or mknod(2) a node. The kernel asks also when it does not know yet whether there is
 * one: then this is of no consequence. The name of a socket comes with its bind(2), which no list is about.
 */
SEC("lsm/path_mknod")
int refuse_mknod(u64 *ctx)
{
	struct member *member = guarded(write_guard);
	u64 vfsmount, dentry;

	if (!member || (argument(ctx, 3) & S_IFMT) == S_IFSOCK)
		return LSM_ALLOW;
	vfsmount = mount_in(argument(ctx, 1));
	dentry = argument(ctx, 2);
	if (is_path_allowed(LIST_WRITE, vfsmount, dentry, false))
		return LSM_ALLOW;
	return refuse_open_of(member, 0, vfsmount, dentry, O_CREAT);
}

/* The file of an act and, of a rename or a link, its other name; 0 when there is none. */
struct acted_on {
	u64 mnt;
	u64 dentry;
	u64 mnt2;
	u64 dentry2;
	u64 text;
	u32 kind;
};

static __noinline int refuse_act(struct acted_on *on)
{
	struct member *member = guarded(write_guard);
	struct rb_path *r;
	struct scratch *s;

	if (!on || !member)
		return LSM_ALLOW;
	if (is_path_allowed(LIST_WRITE, on->mnt, on->dentry, false) &&
	    (!on->dentry2 || is_path_allowed(LIST_WRITE, on->mnt2, on->dentry2, false)))
		return LSM_ALLOW;
	s = refusal_begin(member, on->kind, sizeof(struct rb_path));
	if (!s)
		return LSM_REFUSE;
	r = (void *)s->data;
	fill_inode(r, on->dentry);
	r->path_len = walk_path(s, on->mnt, on->dentry);
	if (on->dentry2)
		r->path2_len = walk_path(s, on->mnt2, on->dentry2);
	if (on->text)
		r->name2_len = put_kernel_name(s, (void *)on->text);
	if (on->kind != RB_TRUNCATE && on->kind != RB_CHMOD && on->kind != RB_CHOWN)
		r->head.flags &= ~RB_DELETED;	/* of a name that is not taken yet */
	acting_end(s, actor_of(member, on->kind));
	return LSM_REFUSE;
}

static __always_inline int refuse(struct acted_on on)
{
	return refuse_act(&on) ? LSM_REFUSE : LSM_ALLOW;
}

/* By the directory, in the first argument, and the name in it. */
static __always_inline int refuse_name(u64 *ctx, u32 kind, u64 text)
{
	return refuse((struct acted_on){ .mnt = mount_in(argument(ctx, 1)), .dentry = argument(ctx, 2), .text = text,
					 .kind = kind });
}

static __always_inline int refuse_path(u64 path, u32 kind)
{
	return refuse((struct acted_on){ .mnt = mount_in(path), .dentry = dentry_at(path), .kind = kind });
}

SEC("lsm/path_unlink")
int refuse_unlink(u64 *ctx)
{
	return refuse_name(ctx, RB_UNLINK, 0);
}

SEC("lsm/path_rmdir")
int refuse_rmdir(u64 *ctx)
{
	return refuse_name(ctx, RB_RMDIR, 0);
}

SEC("lsm/path_mkdir")
int refuse_mkdir(u64 *ctx)
{
	return refuse_name(ctx, RB_MKDIR, 0);
}

SEC("lsm/path_symlink")
int refuse_symlink(u64 *ctx)
{
	return refuse_name(ctx, RB_SYMLINK, argument(ctx, 3));
}

SEC("lsm/path_rename")
int refuse_rename(u64 *ctx)
{
	return refuse((struct acted_on){ .mnt = mount_in(argument(ctx, 1)), .dentry = argument(ctx, 2),
					 .mnt2 = mount_in(argument(ctx, 3)), .dentry2 = argument(ctx, 4),
					 .kind = RB_RENAME });
}

/* The old name is on the mount of the new directory: else the call has failed before. */
SEC("lsm/path_link")
int refuse_link(u64 *ctx)
{
	u64 mnt = mount_in(argument(ctx, 2));

	return refuse((struct acted_on){ .mnt = mnt, .dentry = argument(ctx, 1), .mnt2 = mnt,
					 .dentry2 = argument(ctx, 3), .kind = RB_LINK });
}

SEC("lsm/path_truncate")
int refuse_truncate(u64 *ctx)
{
	return refuse_path(argument(ctx, 1), RB_TRUNCATE);
}

/* By descriptor, since v6.2 (3350607dc563); before, that is asked by path. */
SEC("lsm/file_truncate")
int refuse_ftruncate(u64 *ctx)
{
	struct file *file = (void *)argument(ctx, 1);

	return refuse((struct acted_on){ .mnt = (u64)BPF_CORE_READ(file, f_path.mnt),
					 .dentry = (u64)BPF_CORE_READ(file, f_path.dentry), .kind = RB_TRUNCATE });
}

SEC("lsm/path_chmod")
int refuse_chmod(u64 *ctx)
{
	return refuse_path(argument(ctx, 1), RB_CHMOD);
}

SEC("lsm/path_chown")
int refuse_chown(u64 *ctx)
{
	return refuse_path(argument(ctx, 1), RB_CHOWN);
}

/* --- what makes a path lead elsewhere ------------------------------------------------------------- */

/*
 * The event is that of the call; it only has to know by whom it was refused. Other calls ask for the right to look into
 * a process, too, as readlink(2) in /proc/PID: of these there is no event.
 */
static __always_inline int refuse_boundary(struct member *member)
{
	struct scratch *s = refusal_begin(member, RB_BOUNDARY, sizeof(struct rb_head));

	if (s)
		acting_end(s, caller());
	return LSM_REFUSE;
}

static __noinline int refuse_mounting(void)
{
	struct member *member = guarded(mount_guard);

	return member ? refuse_boundary(member) : LSM_ALLOW;
}

#define MS_REMOUNT (1 << 5)
#define MS_BIND (1 << 12)
#define MS_SPREADING (1 << 17 | 1 << 18 | 1 << 19 | 1 << 20)

/* Options, and how mounts spread, make no path lead elsewhere. */
SEC("lsm/sb_mount")
int refuse_mount(u64 *ctx)
{
	u64 flags = argument(ctx, 4);

	if (flags & MS_REMOUNT || (!(flags & MS_BIND) && flags & MS_SPREADING))
		return LSM_ALLOW;
	return refuse_mounting() ? LSM_REFUSE : LSM_ALLOW;
}

SEC("lsm/sb_umount")
int refuse_umount(u64 *ctx)
{
	return refuse_mounting() ? LSM_REFUSE : LSM_ALLOW;
}

SEC("lsm/sb_pivotroot")
int refuse_pivot_root(u64 *ctx)
{
	return refuse_mounting() ? LSM_REFUSE : LSM_ALLOW;
}

SEC("lsm/move_mount")
int refuse_move_mount(u64 *ctx)
{
	return refuse_mounting() ? LSM_REFUSE : LSM_ALLOW;
}

SEC("lsm/path_chroot")
int refuse_chroot(u64 *ctx)
{
	return refuse_mounting() ? LSM_REFUSE : LSM_ALLOW;
}

/* --- the engine ---------------------------------------------------------------------------------- */

LOADED volatile bool was_asked;		/* the kernel asks us: see Guard.protect() in tracer/capture/guard.py */

static __always_inline int refuse_on_engine(u64 task_at)
{
	struct task_struct *task = (void *)task_at;
	struct member *member;

	if ((u32)BPF_CORE_READ(task, tgid) != engine.pid || (u32)(bpf_get_current_pid_tgid() >> 32) == engine.pid)
		return LSM_ALLOW;
	member = current_member();
	return member ? refuse_boundary(member) : LSM_ALLOW;
}

/* Signals, but for 0, which only asks. */
SEC("lsm/task_kill")
int refuse_signal(u64 *ctx)
{
	if (!was_asked && (u32)(bpf_get_current_pid_tgid() >> 32) == engine.pid)
		was_asked = true;
	return (u32)argument(ctx, 3) ? refuse_on_engine(argument(ctx, 1)) : LSM_ALLOW;
}

/* ptrace(2), and what asks for the same right: /proc/PID/mem, process_vm_writev(2), pidfd_getfd(2). */
SEC("lsm/ptrace_access_check")
int refuse_ptrace(u64 *ctx)
{
	return refuse_on_engine(argument(ctx, 1));
}
