/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* fork, exec, exit; joining a watched cgroup; and the processes that are there at the attach. */
#include "scope.h"
#include "namespaces.h"
#include "called.h"
#include "pass.h"
#include "path.h"
#include "allowed.h"
#include "guard.h"
#include "peer.h"
#include "call.h"
#include "acting.h"
#include "told.h"

#define PAGE_BYTES 4096
#define ARGV_MAX 512		/* arguments read of an exec that failed */
#define SIGNAL_GROUP_EXIT 4
#define PF_KTHREAD 0x00200000
#define PID_NS_LEVEL_MAX 32	/* MAX_PID_NS_LEVEL */

static __always_inline u32 namespace_pid(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	struct upid upid = {};

	bpf_core_read(&upid.nr, sizeof(upid.nr), &pid->numbers[level].nr);
	return upid.nr;
}

static __always_inline u32 pid_namespace_of(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	struct pid_namespace *ns = NULL;

	bpf_core_read(&ns, sizeof(ns), &pid->numbers[level].ns);
	return BPF_CORE_READ(ns, ns.inum);
}

static __always_inline u64 cgroup_id(struct task_struct *task)
{
	return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

/* What a process brings along that comes from outside; the runtime of a container, which builds it, nothing. */
static __always_inline void joined_from_outside(struct task_struct *task, struct member *member)
{
	came_from_outside(task, member);
	if (!member->is_building)
		look_at_newcomer((u64)BPF_CORE_READ(task, group_leader));
}

/* --- fork ---------------------------------------------------------------------------------- */

static __always_inline void emit_fork(struct task_struct *parent, struct task_struct *child,
				      struct member *member, u16 flag)
{
	struct scratch *s = record_begin(sizeof(struct rb_fork));
	struct rb_fork *r;

	if (!s)
		return;
	r = (void *)s->data;
	record_head(&r->head, RB_FORK, member->scope, member->start_ns, 0);
	record_flag(s, flag);
	r->head.pid = BPF_CORE_READ(child, tgid);
	r->head.tid = BPF_CORE_READ(child, pid);
	/* Who made it, whoever its parent is: CLONE_PARENT makes it a sibling. */
	r->parent_pid = FIELD(parent, tgid);
	r->parent_start_ns = process_start_ns(parent);
	r->cgroup = cgroup_id(child);
	r->ns_pid = namespace_pid(child);
	record_end(s, &critical);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct member *maker = member_of(FIELD(parent, tgid)), *member;
	bool enters = false;
	long scope;

	if (FIELD(child, pid) != FIELD(child, tgid))
		return 0;
	/* Without a member for a parent: born into a watched cgroup or namespace, or while the attach looks round. */
	scope = maker ? maker->scope : scope_by_cgroup(child);
	if (scope == NO_SCOPE) {
		scope = scope_by_namespace(pid_namespace_of(child));
		enters = true;
	}
	if (scope == NO_SCOPE)
		return 0;
	member = join(child, scope);
	if (!member)
		return 0;
	emit_fork(parent, child, member, maker ? 0 : RB_JOINED);
	if (!maker) {
		if (enters)
			own_all((u64)child, scope, NEW_ANY);
		else
			joined_from_outside(child, member);
		return 0;
	}
	member->look = maker->look;
	member->is_building = maker->is_building;
	member->built_from = maker->built_from;
	own_new(parent, child, scope);
	cgroup_left_at_birth(parent, child, member);
	return 0;
}

/* --- exec ---------------------------------------------------------------------------------- */

static __noinline u8 stdio_kind(struct file *file, struct rb_peer *peer)
{
	u16 type;

	if (!file)
		return RB_STDIO_CLOSED;
	type = file_type(file);
	if (type == S_IFREG)
		return RB_STDIO_FILE;
	if (type == S_IFIFO)
		return RB_STDIO_PIPE;
	if (type == S_IFCHR)
		return is_terminal(BPF_CORE_READ(file, f_inode, i_rdev)) ? RB_STDIO_TERMINAL : RB_STDIO_OTHER;
	if (type != S_IFSOCK)
		return RB_STDIO_OTHER;
	if (peer)
		read_peer(sock_of(file), peer);
	return RB_STDIO_SOCKET;
}

static __always_inline void fill_file_id(struct rb_file_id *to, struct fdtable *fdt, u32 fd)
{
	struct file *file = file_in(fdt, fd);

	if (!file || !(BPF_CORE_READ(file, f_mode) & FMODE_WRITE) || !is_lasting(file))
		return;
	to->inode = BPF_CORE_READ(file, f_inode, i_ino);
	to->device = file_device(file);
}

/* Where the standard streams lead: what the sandbox was started with is no act of its own. */
static __always_inline void fill_streams(struct rb_exec *r, struct task_struct *task)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);

	fill_file_id(&r->stdin_file, fdt, 0);
	fill_file_id(&r->stdout_file, fdt, 1);
	fill_file_id(&r->stderr_file, fdt, 2);
}

static __always_inline void fill_stdio(struct rb_exec *r, struct task_struct *task)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);

	r->stdio[0] = stdio_kind(file_in(fdt, 0), &r->stdin_peer);
	r->stdio[1] = stdio_kind(file_in(fdt, 1), NULL);
	r->stdio[2] = stdio_kind(file_in(fdt, 2), NULL);
}

static __always_inline void fill_identity(struct rb_exec *r, struct task_struct *task)
{
	r->parent_pid = BPF_CORE_READ(task, real_parent, tgid);
	r->parent_start_ns = process_start_ns(BPF_CORE_READ(task, real_parent));
	r->cgroup = cgroup_id(task);
	r->ns_pid = namespace_pid(task);
	r->uid = BPF_CORE_READ(task, cred, uid.val);
	r->gid = BPF_CORE_READ(task, cred, gid.val);
	r->euid = BPF_CORE_READ(task, cred, euid.val);
	r->egid = BPF_CORE_READ(task, cred, egid.val);
	r->ns_mnt = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	r->ns_net = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	r->ns_pidns = pid_namespace_of(task);
	r->ns_user = BPF_CORE_READ(task, cred, user_ns, ns.inum);
	BPF_CORE_READ_STR_INTO(&r->comm, task, comm);
}

static __always_inline void fill_executable(struct rb_exec *r, struct file *exe)
{
	r->inode = BPF_CORE_READ(exe, f_inode, i_ino);
	r->device = file_device(exe);
}

/* The argument vector as the kernel laid it out in the new memory, before the program runs. */
__noinline u32 put_args(struct scratch *s, u64 address, u32 total)
{
	u64 size = bounded(total, RB_ARGS_MAX);
	u32 done = 0;
	u64 len;

	if (!s)
		return 0;
	len = s->len;
	if (len > STRINGS_MAX)
		return 0;
	if (!bpf_probe_read_user(s->data + len, size, (void *)address)) {
		s->len = len + size;
		if (total > size)
			record_cut(s, RB_ARGS_CUT, total);
		return size;
	}
	/* A page is missing somewhere: keep what is there. */
	for (int page = 0; page < RB_ARGS_MAX / PAGE_BYTES; page++) {
		u64 at = s->len;

		if (done + PAGE_BYTES > size || at > RECORD_MAX - PAGE_BYTES)
			break;
		OPAQUE(at);
		if (bpf_probe_read_user(s->data + at, PAGE_BYTES, (void *)(address + done)))
			break;
		done += PAGE_BYTES;
		s->len = at + PAGE_BYTES;
	}
	record_flag(s, RB_UNREADABLE);
	record_cut(s, RB_ARGS_CUT, total);
	return done;
}

/* A stranger joins by what it is called, or by whose files it sees. */
static __always_inline struct member *join_at_exec(struct task_struct *task)
{
	struct member *member;
	long scope = scope_by_name(task);

	if (scope == NO_SCOPE)
		scope = scope_by_namespace(mount_namespace_of(task));
	if (scope == NO_SCOPE)
		return NULL;
	member = join(task, scope);
	if (member)
		own_all((u64)task, scope, NEW_ANY);
	return member;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct member *member = member_of(FIELD(task, tgid));
	struct file *exe;
	struct scratch *s;
	struct rb_exec *r;
	bool joins = !member && (glob_count || has_namespaces);
	u64 args;

	if (joins)
		member = join_at_exec((void *)BPF_CORE_READ(task, group_leader));
	if (joins && !member && has_namespaces)
		network_entered();
	if (!member)
		return 0;
	if (may_have_acted())	/* what was put by in case it fails */
		acting_forget(old_pid);
	s = record_begin(sizeof(struct rb_exec));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_EXEC, member->scope, member->start_ns, 0);
	if (joins)
		record_flag(s, RB_JOINED);
	fill_identity(r, task);
	r->old_tid = old_pid == FIELD(task, tgid) ? 0 : old_pid;
	exe = BPF_CORE_READ(task, mm, exe_file);
	fill_executable(r, exe);
	fill_stdio(r, task);
	fill_streams(r, task);
	r->path_len = put_file_path(s, exe);
	r->name_len = put_kernel_name(s, BPF_CORE_READ(bprm, filename));
	r->cwd_len = put_base(s, AT_FDCWD, false);
	r->env_len = put_told(s, BPF_CORE_READ(task, mm, env_start), BPF_CORE_READ(task, mm, env_end));
	args = BPF_CORE_READ(task, mm, arg_start);
	r->args_total = BPF_CORE_READ(task, mm, arg_end) - args;
	r->args_len = put_args(s, args, r->args_total);
	may_end_building(task, member, s, r->args_len);
	if (exec_guard == GUARD_KILL && !member->is_building && !is_file_allowed(LIST_EXEC, exe, r->head.flags & RB_DELETED)) {
		r->head.flags |= RB_KILLED;
		kill_if(RB_KILLED);
	}
	record_end(s, &critical);
	if (joins)
		look_at_newcomer((u64)BPF_CORE_READ(task, group_leader));
	return 0;
}

struct argv_walk {
	u64 argv;
	u32 slot;
	u32 begin;
	u32 compat;	/* as it came, and not what follows from it: see append_name() */
	u32 complete;
};

static long argv_step(u32 index, struct argv_walk *w)
{
	struct scratch *s = scratch_at(w->slot);
	u32 bytes = w->compat ? 4 : 8;
	u64 address = 0;
	u64 len;
	long n;

	if (!s)
		return 1;
	if (bpf_probe_read_user(&address, bytes, (void *)(w->argv + (u64)index * bytes)))
		return 1;
	if (!address) {
		w->complete = 1;
		return 1;
	}
	len = s->len;
	if (len > STRINGS_MAX + RB_ARGS_MAX / 2)
		return 1;
	n = read_user_string(s->data + len, RB_ARGS_MAX / 2, (void *)address);
	if (n <= 0)
		return 1;
	s->len = len + n;
	return n == RB_ARGS_MAX / 2;	/* it did not fit; this leaves the vector incomplete */
}

static __always_inline struct scratch *exec_failed_by_caller(struct call *c, u64 name, int dirfd)
{
	struct scratch *s = record_begin(sizeof(struct rb_exec_failed));
	struct rb_exec_failed *r;
	char first = 0;

	if (!s)
		return NULL;
	r = (void *)s->data;
	record_head(&r->head, RB_EXEC_FAILED, c->scope, c->start_ns, c->result);
	record_flag(s, RB_USER_EVIDENCE);
	bpf_probe_read_user(&first, 1, (void *)name);
	r->path_len = put_base(s, dirfd, first == '/');
	r->name_len = put_user_name(s, (void *)name);
	return s;
}

/* The program as the kernel had it, where a hook has put that by; of one that was refused, its path. */
static __always_inline struct scratch *exec_failed_begin(struct call *c, u64 name, int dirfd)
{
	struct scratch *s = may_have_acted() ? record_of_acted(RB_EXEC_FAILED) : NULL;
	struct rb_head *head;

	if (!s)
		return exec_failed_by_caller(c, name, dirfd);
	head = (void *)s->data;
	head->time_ns = bpf_ktime_get_boot_ns();
	head->result = c->result;
	if (c->result != -EPERM)
		head->flags &= ~RB_REFUSED;
	return s;
}

/* An exec that failed; the kernel keeps nothing of its arguments, so they are read from the caller. */
__noinline int exec_failed(struct call *c, u64 name, u64 argv, int dirfd)
{
	struct argv_walk w = { .argv = argv };
	struct rb_exec_failed *r;
	struct scratch *s;

	if (!c)
		return 0;
	s = exec_failed_begin(c, name, dirfd);
	if (!s)
		return 0;
	r = (void *)s->data;
	w.slot = s->slot;
	w.begin = s->len;
	w.compat = c->compat;
	w.complete = !argv;	/* Linux takes no vector for an empty one */
	if (argv)
		bpf_loop(ARGV_MAX, argv_step, &w, 0);
	r->args_len = s->len - w.begin;
	r->args_total = r->args_len;
	if (r->args_len && !(r->head.flags & RB_USER_EVIDENCE))
		record_flag(s, RB_USER_ARGS);
	if (!w.complete)
		record_cut(s, RB_ARGS_CUT, 0);
	record_end(s, &critical);
	return 0;
}

/* --- exit ---------------------------------------------------------------------------------- */

static __always_inline void emit_exit(struct task_struct *task, struct member *member)
{
	struct scratch *s = record_begin(sizeof(struct rb_exit));
	bool group = BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT;
	struct rb_exit *r;

	if (!s)
		return;
	r = (void *)s->data;
	record_head(&r->head, RB_EXIT, member->scope, member->start_ns, 0);
	r->status = group ? BPF_CORE_READ(task, signal, group_exit_code) :
			    BPF_CORE_READ(task, group_leader, exit_code);
	r->reserved = 0;
	record_end(s, &critical);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct member *member = member_of(FIELD(task, tgid));
	u32 tgid = FIELD(task, tgid), tid = FIELD(task, pid);
	struct member left;

	if (!member)
		return 0;
	left = *member;
	files_exit(&left);
	bpf_map_delete_elem(&connecting, &tid);
	bpf_map_delete_elem(&crossings, &tid);
	if (may_have_acted())
		acting_forget(tid);
	/*
	 * The kernel has counted this thread out already: none left means the process is over. Two last
	 * threads may both see that; the one that removes the member reports it.
	 */
	if (threads_alive(task) || bpf_map_delete_elem(&members, &tgid))
		return 0;
	if (left.has_requests)
		requests_exit(tgid);
	if (left.has_requests && refuses_acts)
		acting_forget_requests(tgid);
	emit_exit(task, &left);
	return 0;
}

/* --- joining and snapshot -------------------------------------------------------------------- */

static __always_inline void fill_snapshot(struct scratch *s, struct task_struct *task, struct member *member)
{
	struct rb_exec *r = (void *)s->data;
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);

	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_PROCESS, member->scope, member->start_ns, 0);
	r->head.pid = BPF_CORE_READ(task, tgid);
	r->head.tid = r->head.pid;
	fill_identity(r, task);
	fill_stdio(r, task);
	fill_streams(r, task);
	if (exe) {
		fill_executable(r, exe);
		r->path_len = put_file_path(s, exe);
	}
	r->cwd_len = put_path(s, BPF_CORE_READ(task, fs, pwd.mnt), BPF_CORE_READ(task, fs, pwd.dentry));
	r->args_total = BPF_CORE_READ(task, mm, arg_end) - BPF_CORE_READ(task, mm, arg_start);
}

static __always_inline void emit_snapshot(struct task_struct *task, struct member *member, u32 slot, u16 flag)
{
	struct scratch *s = record_begin_at(slot, sizeof(struct rb_exec));

	if (!s)
		return;
	fill_snapshot(s, task, member);
	record_flag(s, flag);
	record_end(s, &critical);
}

/* Moved into a watched cgroup (docker exec does that): watched from here on. A member that is moved out stays one. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_cgroup_attach, struct cgroup *to, const char *path, struct task_struct *task)
{
	u32 tgid = BPF_CORE_READ(task, tgid);
	struct member *member = member_of(tgid);
	struct member *mover;
	long scope;

	if (!member && tgid == engine.pid) {
		mover = current_member();
		if (mover && (u32)BPF_CORE_READ(task, pid) == tgid)
			engine_moved(task, mover, to, path);
		return 0;
	}
	if (member) {
		cgroup_left(task, member, to, path);
		return 0;
	}
	if (!has_cgroup_scopes)
		return 0;
	/* `to` may be of any hierarchy; the task has moved already. */
	scope = scope_by_cgroup(task);
	if (scope == NO_SCOPE)
		return 0;
	member = join_running(task, scope);
	if (!member)
		return 0;
	emit_snapshot(task, member, bpf_get_smp_processor_id(), RB_JOINED);
	joined_from_outside(task, member);
	return 0;
}

/* Run by user space once, when the probes are loaded. */
SEC("raw_tp/introduce")
int introduce(void *ctx)
{
	engine.pid = bpf_get_current_pid_tgid() >> 32;
	engine.start_ns = process_start_ns((void *)bpf_get_current_task());
	return 0;
}

/* The process user space asks for, by its pid in user space's own pid namespace. */
struct wanted {
	u32 pid;
	u32 pid_ns;	/* inode number */
	u32 scope;
	u32 silent;	/* it joins without a record */
};

LOADED volatile struct wanted wanted;

static __always_inline bool is_wanted(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	struct pid_namespace *ns;
	struct upid upid = {};

	if (!wanted.pid)
		return false;
	for (u32 i = 0; i < PID_NS_LEVEL_MAX && i <= level; i++) {
		counts_up(i);
		bpf_core_read(&upid, sizeof(upid), &pid->numbers[i]);
		if ((u32)upid.nr != wanted.pid)
			continue;
		ns = upid.ns;
		if (BPF_CORE_READ(ns, ns.inum) == wanted.pid_ns)
			return true;
	}
	return false;
}

/* Whoever is wanted, is in a watched cgroup, is called so, or has a member for a parent, joins. */
static __always_inline bool take_in(struct task_struct *task)
{
	struct member *member, *parent;
	long scope = wanted.scope;
	bool asked;

	if (!task || BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid) ||
	    BPF_CORE_READ(task, flags) & PF_KTHREAD || member_of(BPF_CORE_READ(task, tgid)))
		return false;
	asked = is_wanted(task);
	if (!asked) {
		scope = scope_by_cgroup(task);
		if (scope == NO_SCOPE)
			scope = scope_by_name(task);
		parent = member_of(BPF_CORE_READ(task, real_parent, tgid));
		if (scope == NO_SCOPE && parent)
			scope = parent->scope;
		if (scope == NO_SCOPE)
			return false;
	}
	member = join_running(task, scope);
	if (!member)
		return false;
	own_all((u64)task, member->scope, NEW_ANY);
	if (!asked || !wanted.silent) {
		member->look = look_now;
		emit_snapshot(task, member, user_slot, 0);
	}
	return true;
}

/*
 * One pass over all processes. User space repeats it until a pass adds nobody; forks of members join by
 * themselves, so the repetition ends.
 */
#ifndef RUBICON_BCC

/* Writes one byte for every process it added. */
SEC("iter/task")
int snapshot(struct bpf_iter__task *ctx)
{
	if (take_in(ctx->task))
		bpf_seq_write(ctx->meta->seq, "+", 1);
	return 0;
}

#else

static long pass_step(u32 index, struct pass *pass)
{
	if (take_in((void *)pass->at))
		pass->found++;
	return pass_next(pass);
}

/* Returns how many it added. */
SEC("raw_tp/snapshot")
int snapshot(void *ctx)
{
	struct pass pass = {};

	pass_begin(&pass);
	bpf_loop(PROCESSES_MAX, pass_step, &pass, 0);
	return pass.found;
}

#endif
