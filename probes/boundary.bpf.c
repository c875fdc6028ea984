/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Acts on the walls of the sandbox, on one's own privileges, and on other processes: namespaces, mounts,
 * credentials, ptrace, signals to strangers, BPF, modules. All are one kind of record; enum rb_act tells
 * them apart, and says what each puts where.
 */
#include "scope.h"
#include "namespaces.h"
#include "path.h"
#include "target.h"
#include "call.h"
#include "acting.h"
#include "syscalls.h"

#define BPF_PROG_NAME_OFFSET 48		/* in union bpf_attr, of BPF_PROG_LOAD */
#define PARAMS_FLAGS_OFFSET 8		/* in struct io_uring_params */

/* A call under way, by thread: what it will have changed when it returns, and whom it is aimed at. */
struct crossing {
	struct rb_credentials old;
	struct rb_target target;
	u64 act;
	u64 signal;
	s64 asked;	/* pid or group */
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct crossing);
} crossings SEC(".maps");

static __always_inline void read_credentials(struct rb_credentials *to)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	const struct cred *cred = BPF_CORE_READ(task, cred);

	bpf_core_read(&to->permitted, sizeof(u64), &cred->cap_permitted);
	bpf_core_read(&to->effective, sizeof(u64), &cred->cap_effective);
	to->uid = BPF_CORE_READ(cred, uid.val);
	to->euid = BPF_CORE_READ(cred, euid.val);
	to->suid = BPF_CORE_READ(cred, suid.val);
	to->fsuid = BPF_CORE_READ(cred, fsuid.val);
	to->gid = BPF_CORE_READ(cred, gid.val);
	to->egid = BPF_CORE_READ(cred, egid.val);
	to->sgid = BPF_CORE_READ(cred, sgid.val);
	to->fsgid = BPF_CORE_READ(cred, fsgid.val);
}

/* --- the record ---------------------------------------------------------------------------- */

__noinline int boundary_fill(struct scratch *s, u32 act, u32 scope, u64 start_ns, s64 result)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct rb_boundary *r;

	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_BOUNDARY, scope, start_ns, result);
	if (refuses_acts && result == -EPERM && was_refused(RB_BOUNDARY))
		r->head.flags = RB_REFUSED;
	r->act = act;
	r->user_ns_level = BPF_CORE_READ(task, cred, user_ns, level);
	read_credentials(&r->new);
	r->old = r->new;
	return 0;
}

static __always_inline struct scratch *boundary_begin(u32 act, u32 scope, u64 start_ns, s64 result)
{
	struct scratch *s = record_begin(sizeof(struct rb_boundary));

	boundary_fill(s, act, scope, start_ns, result);
	return s;
}

/* A string of the caller's; NULL is none. */
__noinline u32 put_text(struct scratch *s, u64 address)
{
	if (!s || !address)
		return 0;
	record_flag(s, RB_USER_EVIDENCE);
	return put_user_name(s, (void *)address);
}

static __always_inline u32 put_base_of(struct scratch *s, int dirfd, u64 name)
{
	char first = 0;

	bpf_probe_read_user(&first, 1, (void *)name);
	return put_base(s, dirfd, first == '/');
}

__noinline int put_place(struct scratch *s, int dirfd, u64 name)
{
	struct rb_boundary *r;

	if (!s)
		return 0;
	r = (void *)s->data;
	r->path_len = put_base_of(s, dirfd, name);
	r->name_len = put_text(s, name);
	return 0;
}

__noinline int put_second_place(struct scratch *s, int dirfd, u64 name)
{
	struct rb_boundary *r;

	if (!s)
		return 0;
	r = (void *)s->data;
	r->path2_len = put_base_of(s, dirfd, name);
	r->name2_len = put_text(s, name);
	return 0;
}

static __always_inline u64 read_user_u64(struct scratch *s, u64 address)
{
	u64 value = 0;

	record_flag(s, bpf_probe_read_user(&value, sizeof(value), (void *)address) ? RB_UNREADABLE :
										      RB_USER_EVIDENCE);
	return value;
}

static __always_inline u32 read_user_u32(struct scratch *s, u64 address)
{
	u32 value = 0;

	record_flag(s, bpf_probe_read_user(&value, sizeof(value), (void *)address) ? RB_UNREADABLE :
										      RB_USER_EVIDENCE);
	return value;
}

/* --- what each act says --------------------------------------------------------------------- */

#define FSCONFIG_SET_STRING 1
#define FSCONFIG_SET_PATH 3
#define FSCONFIG_SET_PATH_EMPTY 4

static __always_inline void fsconfig_acts(struct call *c, struct scratch *s, struct rb_boundary *r)
{
	u32 command = c->args[1];

	r->value1 = command;
	r->name2_len = put_text(s, c->args[2]);
	if (command == FSCONFIG_SET_STRING || command == FSCONFIG_SET_PATH || command == FSCONFIG_SET_PATH_EMPTY)
		r->name3_len = put_text(s, c->args[3]);
}

static __always_inline void chroot_acts(struct call *c, struct scratch *s, struct rb_boundary *r)
{
	if (c->result < 0)
		put_place(s, AT_FDCWD, c->args[0]);
	else
		r->path_len = put_base(s, AT_FDCWD, true);
}

static __noinline int mount_acts(struct call *c, struct scratch *s, u32 act)
{
	struct rb_boundary *r = (void *)s->data;
	u64 *a = c->args;

	switch (act) {
	case RB_ACT_MOUNT:
		put_place(s, AT_FDCWD, a[1]);
		r->name2_len = put_text(s, a[0]);
		r->name3_len = put_text(s, a[2]);
		r->value1 = a[3];
		break;
	case RB_ACT_UMOUNT:
		put_place(s, AT_FDCWD, a[0]);
		r->value1 = (u32)a[1];
		break;
	case RB_ACT_PIVOT_ROOT:
		put_place(s, AT_FDCWD, a[0]);
		put_second_place(s, AT_FDCWD, a[1]);
		break;
	case RB_ACT_CHROOT:
		chroot_acts(c, s, r);
		break;
	case RB_ACT_MOVE_MOUNT:
		put_place(s, a[0], a[1]);
		put_second_place(s, a[2], a[3]);
		r->value1 = (u32)a[4];
		break;
	case RB_ACT_FSOPEN:
		r->name3_len = put_text(s, a[0]);
		r->value1 = (u32)a[1];
		break;
	case RB_ACT_FSCONFIG:
		fsconfig_acts(c, s, r);
		break;
	case RB_ACT_FSMOUNT:
		r->value1 = (u32)a[1];
		r->value2 = (u32)a[2];
		break;
	case RB_ACT_FSPICK:
	case RB_ACT_OPEN_TREE:
		put_place(s, a[0], a[1]);
		r->value1 = (u32)a[2];
		break;
	case RB_ACT_MOUNT_SETATTR:
		put_place(s, a[0], a[1]);
		r->value1 = (u32)a[2];
		r->value2 = read_user_u64(s, a[3]);
		r->value3 = read_user_u64(s, a[3] + 8);
		break;
	}
	return 0;
}

static __always_inline bool is_get_by_id(u32 command)
{
	return command == BPF_PROG_GET_FD_BY_ID || command == BPF_MAP_GET_FD_BY_ID ||
	       command == BPF_LINK_GET_FD_BY_ID;
}

static __always_inline void bpf_acts(struct call *c, struct scratch *s, struct rb_boundary *r)
{
	u32 command = c->args[0];
	u64 attr = c->args[1];

	r->value1 = command;
	if (command == BPF_PROG_LOAD || command == BPF_MAP_CREATE || is_get_by_id(command))
		r->value2 = read_user_u32(s, attr);
	if (command == BPF_OBJ_PIN || command == BPF_OBJ_GET)
		put_place(s, AT_FDCWD, read_user_u64(s, attr));
	if (command == BPF_PROG_LOAD && (u32)c->args[2] > BPF_PROG_NAME_OFFSET)
		r->name2_len = put_text(s, attr + BPF_PROG_NAME_OFFSET);
	if (command == BPF_RAW_TRACEPOINT_OPEN)
		r->name2_len = put_text(s, read_user_u64(s, attr));
}

static __noinline int kernel_acts(struct call *c, struct scratch *s, u32 act)
{
	struct rb_boundary *r = (void *)s->data;
	struct file *file;
	u64 *a = c->args;

	switch (act) {
	case RB_ACT_BPF:
		bpf_acts(c, s, r);
		break;
	case RB_ACT_PERF_EVENT_OPEN:
		r->value1 = read_user_u32(s, a[0]);
		r->value2 = (s64)(s32)a[1];
		r->value3 = (s64)(s32)a[2];
		r->value4 = read_user_u64(s, a[0] + 8);
		if ((s32)a[1] > 0)
			fill_target(&r->target, task_by_pid(a[1]), c->scope);
		break;
	case RB_ACT_INIT_MODULE:
		r->value1 = a[1];
		r->name2_len = put_text(s, a[2]);
		break;
	case RB_ACT_FINIT_MODULE:
		file = file_of(a[0]);
		if (file)
			r->path_len = put_file_path(s, file);
		r->name2_len = put_text(s, a[1]);
		r->value1 = (u32)a[2];
		break;
	case RB_ACT_DELETE_MODULE:
	case RB_ACT_MEMFD_CREATE:
		r->name2_len = put_text(s, a[0]);
		r->value1 = (u32)a[1];
		break;
	case RB_ACT_ADD_KEY:
	case RB_ACT_REQUEST_KEY:
		r->name2_len = put_text(s, a[1]);
		r->name3_len = put_text(s, a[0]);
		r->value2 = (s64)(s32)(act == RB_ACT_ADD_KEY ? a[4] : a[3]);
		break;
	case RB_ACT_KEYCTL:
		r->value1 = (u32)a[0];
		r->value2 = a[1];
		r->value3 = a[2];
		r->value4 = a[3];
		break;
	case RB_ACT_IO_URING_SETUP:
		r->value1 = read_user_u32(s, a[1] + PARAMS_FLAGS_OFFSET);
		r->value2 = (u32)a[0];
		break;
	case RB_ACT_USERFAULTFD:
		r->value1 = (u32)a[0];
		break;
	}
	return 0;
}

/* CLONE_NEW... of a namespace. */
static __always_inline u32 namespace_type(struct ns_common *ns)
{
	if (bpf_core_field_exists(ns->ns_type))
		return BPF_CORE_READ(ns, ns_type);
	return BPF_CORE_READ((struct ns_common___ops *)ns, ops, type);
}

static __always_inline void setns_acts(struct call *c, struct rb_boundary *r)
{
	struct file *file = file_of(c->args[0]);

	r->value1 = (u32)c->args[1];
	if (!file)
		return;
	if (is_pidfd(file)) {
		fill_target(&r->target, task_by_pidfd(file), c->scope);
		return;
	}
	r->value2 = BPF_CORE_READ(file, f_inode, i_ino);
	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) == NSFS_MAGIC)
		r->value3 = is_own_namespace(c->scope, r->value2);
	if (c->result >= 0)
		r->value1 = namespace_type(BPF_CORE_READ(file, f_inode, i_private));
}

static __noinline int task_acts(struct call *c, struct scratch *s, u32 act)
{
	struct rb_boundary *r = (void *)s->data;
	struct file *file;
	u64 *a = c->args;

	switch (act) {
	case RB_ACT_PTRACE:
		r->value1 = (u32)a[0];
		r->value2 = (s64)(s32)a[1];
		if (a[0])	/* PTRACE_TRACEME names nobody */
			fill_target(&r->target, task_by_pid(a[1]), c->scope);
		break;
	case RB_ACT_PROCESS_VM_WRITEV:
		r->value2 = (s64)(s32)a[0];
		fill_target(&r->target, task_by_pid(a[0]), c->scope);
		break;
	case RB_ACT_PIDFD_GETFD:
		r->value1 = (u32)a[1];
		file = file_of(a[0]);
		if (file && is_pidfd(file))
			fill_target(&r->target, task_by_pidfd(file), c->scope);
		file = file_of(c->result);
		if (file && file_type(file) == S_IFREG)
			r->path_len = put_file_path(s, file);
		break;
	case RB_ACT_SETNS:
		setns_acts(c, r);
		break;
	case RB_ACT_UNSHARE:
		if (c->result >= 0)
			own_all(bpf_get_current_task(), c->scope, a[0]);
		__attribute__((fallthrough));
	case RB_ACT_CLONE:
		r->value1 = (u32)a[0];
		break;
	case RB_ACT_SETGROUPS:
		r->value1 = (u32)a[0];
		break;
	default:
		if (act >= RB_ACT_SETUID && act <= RB_ACT_SETFSGID) {
			r->value1 = (u32)a[0];
			r->value2 = (u32)a[1];
			r->value3 = (u32)a[2];
		}
	}
	return 0;
}

/* --- what is an act ------------------------------------------------------------------------- */

/* Reading and stepping are no acts; changing what another runs is. */
static __always_inline bool is_ptrace_act(u64 request)
{
	switch (request) {
	case 0:		/* TRACEME */
	case 4 ... 6:	/* POKETEXT POKEDATA POKEUSR */
	case 13:	/* SETREGS */
	case 15:	/* SETFPREGS */
	case 16:	/* ATTACH */
	case 0x4205:	/* SETREGSET */
	case 19:	/* SETFPXREGS */
	case 0x4206:	/* SEIZE */
	case 0x4212:	/* SET_SYSCALL_INFO, since 6.16 */
		return true;
	}
	return false;
}

/* The commands that only work on what the caller holds already, or look at it, are none. */
#define BPF_QUIET ((1ULL << BPF_MAP_LOOKUP_ELEM) | (1ULL << BPF_MAP_UPDATE_ELEM) |		\
		   (1ULL << BPF_MAP_DELETE_ELEM) | (1ULL << BPF_MAP_GET_NEXT_KEY) |		\
		   (1ULL << BPF_PROG_GET_NEXT_ID) | (1ULL << BPF_MAP_GET_NEXT_ID) |		\
		   (1ULL << BPF_OBJ_GET_INFO_BY_FD) | (1ULL << BPF_PROG_QUERY) |		\
		   (1ULL << BPF_MAP_LOOKUP_AND_DELETE_ELEM) | (1ULL << BPF_MAP_FREEZE) |	\
		   (1ULL << BPF_BTF_GET_NEXT_ID) | (1ULL << BPF_MAP_LOOKUP_BATCH) |		\
		   (1ULL << BPF_MAP_LOOKUP_AND_DELETE_BATCH) | (1ULL << BPF_MAP_UPDATE_BATCH) |	\
		   (1ULL << BPF_MAP_DELETE_BATCH) | (1ULL << BPF_LINK_GET_NEXT_ID))

static __always_inline bool is_boundary_act(struct call *c, u32 act)
{
	u32 first = c->args[0];

	switch (act) {
	case RB_ACT_PTRACE:
		return is_ptrace_act(c->args[0]);
	case RB_ACT_BPF:
		return first > 63 || !(BPF_QUIET >> first & 1);
	case RB_ACT_CLONE:
		return c->args[0] & NEW_ANY && c->result;	/* the child returns 0 */
	}
	return true;
}

/* struct clone_args begins with the flags */
static __always_inline u64 clone3_flags(u64 arguments)
{
	u64 flags = 0;

	bpf_probe_read_user(&flags, sizeof(flags), (void *)arguments);
	return flags;
}

/* --- signals -------------------------------------------------------------------------------- */

static __noinline int signal_asked(struct call *c, struct crossing *w)
{
	u64 *a = c->args;
	struct file *file;
	s32 pid = a[0];

	w->signal = (u32)a[1];
	if (w->act == RB_ACT_TGKILL || w->act == RB_ACT_RT_TGSIGQUEUEINFO) {
		pid = a[1];
		w->signal = (u32)a[2];
	}
	if (w->act == RB_ACT_PIDFD_SEND_SIGNAL) {
		file = file_of(pid);
		if (file && is_pidfd(file))
			fill_target(&w->target, task_by_pidfd(file), c->scope);
		w->asked = (s64)w->target.pid;
		return 0;
	}
	w->asked = pid;
	if (pid > 0)
		fill_target(&w->target, task_by_pid(pid), c->scope);
	return 0;
}

static __always_inline void emit_signal(struct crossing *w, struct rb_target *target, u32 scope, u64 start_ns,
					s64 result)
{
	struct scratch *s = boundary_begin(w->act, scope, start_ns, result);
	struct rb_boundary *r;

	if (!s)
		return;
	r = (void *)s->data;
	r->value1 = w->signal;
	r->value2 = w->asked;
	r->target = *target;
	record_end(s, &critical);
}

__noinline int boundary_enter(struct call *c, u32 act)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct crossing new = { .act = act };

	if (!c)
		return 0;
	if (act >= RB_ACT_KILL)
		signal_asked(c, &new);
	else
		read_credentials(&new.old);
	if (bpf_map_update_elem(&crossings, &tid, &new, BPF_ANY))
		count_loss(RB_LOST_CALL);
	return 0;
}

#ifndef RUBICON_BCC

/*
 * Tier A has no hook on the way in. What is to be known of before the act is looked at when the first hook inside the
 * call is reached, and at the latest when it returns: then nothing has changed.
 */
static __noinline int boundary_goes_on(u32 first)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs((void *)task);
	u32 tid = bpf_get_current_pid_tgid();
	struct member *member;
	struct call c = {};
	bool compat = false;
	u32 act;

	if (task->flags & PF_IO_WORKER || bpf_map_lookup_elem(&crossings, &tid))
		return 0;
	act = act_of(regs, &compat);
	member = act >= first ? current_member() : NULL;
	if (!member)
		return 0;
	call_read(&c, regs, member, compat);
	return boundary_enter(&c, act - ACT_BOUNDARY);
}

#else
#define boundary_goes_on(first) 0
#endif

/* Each task that a signal call reaches; a call may name a whole group, or everybody. */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int sig, void *info, struct task_struct *task, int group, int result)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct member *member = current_member();
	struct rb_target target = {};
	struct crossing *w;

	if (!member)
		return 0;
	if (has_hooks_inside)
		boundary_goes_on(ACT_FIRST_SIGNAL);
	w = bpf_map_lookup_elem(&crossings, &tid);
	if (!w || w->act < RB_ACT_KILL || w->signal != (u32)sig)
		return 0;
	fill_target(&target, (u64)task, member->scope);
	if (target.relation == RB_OUTSIDE)
		emit_signal(w, &target, member->scope, member->start_ns, 0);
	return 0;
}

/* What was sent is reported by on_signal. Signal 0 sends nothing. */
static __always_inline void signal_exit(struct call *c, struct crossing *w)
{
	bool refused_group = w->act == RB_ACT_KILL && w->asked <= 0 && c->result == -EPERM;

	if (c->result < 0 && w->signal && (refused_group || w->target.relation == RB_OUTSIDE))
		emit_signal(w, &w->target, c->scope, c->start_ns, c->result);
}

/* Who steers the engine's cgroup can hold it still, and the watch with it. */
static __always_inline void engine_moved(struct task_struct *task, struct member *mover, struct cgroup *to,
					 const char *path)
{
	struct scratch *s = boundary_begin(RB_ACT_CGROUP_MOVE, mover->scope, mover->start_ns, 0);
	struct rb_boundary *r;

	if (!s)
		return;
	r = (void *)s->data;
	r->value1 = BPF_CORE_READ(to, kn, id);
	fill_target(&r->target, (u64)task, mover->scope);
	r->name2_len = put_kernel_name(s, path);
	record_end(s, &critical);
}

/*
 * The current task runs a new program in the network of a container that it is no other part of: by nsenter, `ip netns
 * exec`, or as a container that shares the network. It is not watched, which is said.
 */
static __noinline int network_entered(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct namespace_holder *holder;
	struct rb_boundary *r;
	struct member *first;
	struct scratch *s;
	u32 inum;

	inum = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	if (scope_by_namespace(inum) == NO_SCOPE)
		return 0;
	holder = bpf_map_lookup_elem(&scope_namespaces, &inum);
	first = holder ? member_of(holder->pid) : NULL;
	s = first ? boundary_begin(RB_ACT_NETWORK_ENTER, first->scope, first->start_ns, 0) : NULL;
	if (!s)
		return 0;
	r = (void *)s->data;
	r->head.pid = holder->pid;
	r->head.tid = holder->pid;
	r->value1 = inum;
	fill_target(&r->target, (u64)task, first->scope);
	r->target.relation = RB_OUTSIDE;
	r->path_len = put_file_path(s, BPF_CORE_READ(task, mm, exe_file));
	record_end(s, &critical);
	return 0;
}

/* --- the calls ------------------------------------------------------------------------------ */

static __always_inline void fill_act(struct call *c, struct scratch *s, u32 act)
{
	if (act <= RB_ACT_MOUNT_SETATTR)
		mount_acts(c, s, act);
	else if (act == RB_ACT_PTRACE || act == RB_ACT_PROCESS_VM_WRITEV || act >= RB_ACT_PIDFD_GETFD)
		task_acts(c, s, act);
	else
		kernel_acts(c, s, act);
}

__noinline int emit_boundary(struct call *c, u32 act)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct crossing *w = NULL;
	struct rb_boundary *r;
	struct scratch *s;

	if (!c)
		return 0;
	s = boundary_begin(act, c->scope, c->start_ns, c->result);
	if (!s)
		return 0;
	r = (void *)s->data;
	if (act >= RB_ACT_SETNS) {
		w = bpf_map_lookup_elem(&crossings, &tid);
		if (w)
			r->old = w->old;
		else
			record_flag(s, RB_UNREADABLE);
	}
	fill_act(c, s, act);
	if (act == RB_ACT_PROCESS_VM_WRITEV && r->target.relation == RB_SELF)
		s->busy = 0;	/* its own memory: dropped */
	else
		record_end(s, &critical);
	return 0;
}

__noinline int boundary_exit(struct call *c, u32 act)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct crossing *w = NULL;

	if (!c)
		return 0;
	if (has_hooks_inside && act >= RB_ACT_SETNS && !bpf_map_lookup_elem(&crossings, &tid))
		boundary_enter(c, act);
	if (act >= RB_ACT_KILL) {
		w = bpf_map_lookup_elem(&crossings, &tid);
		if (w)
			signal_exit(c, w);
	} else if (!is_interrupted(c->result) && is_boundary_act(c, act)) {
		emit_boundary(c, act);
	}
	if (act >= RB_ACT_SETNS)
		bpf_map_delete_elem(&crossings, &tid);
	return 0;
}

/* --- not by a call of their own --------------------------------------------------------------- */

/* /proc/PID/mem of another process, opened for writing: from here on it can be changed at will. */
__noinline int mem_open(struct call *c, u64 file_at)
{
	struct file *file = (void *)file_at;
	struct rb_boundary *r;
	struct scratch *s;
	char name[4] = {};

	if (!c || !file || BPF_CORE_READ(file, f_inode, i_sb, s_magic) != PROC_SUPER_MAGIC)
		return 0;
	bpf_probe_read_kernel(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	if (__builtin_memcmp(name, "mem", 4))
		return 0;
	s = boundary_begin(RB_ACT_MEM_OPEN, c->scope, c->start_ns, c->result);
	if (!s)
		return 0;
	r = (void *)s->data;
	fill_target(&r->target, task_of_proc_file(file), c->scope);
	if (r->target.relation == RB_SELF) {
		s->busy = 0;
		return 0;
	}
	r->path_len = put_file_path(s, file);
	record_end(s, &critical);
	return 0;
}

/*
 * A member was moved to a cgroup that does not belong to its scope. A stranger that is its parent is the one
 * who started the sandbox, and sets it up; so does the engine.
 */
static __always_inline void cgroup_left(struct task_struct *task, struct member *member, struct cgroup *to,
					const char *path)
{
	struct member *mover = current_member();
	u32 stranger = bpf_get_current_pid_tgid() >> 32;
	struct rb_boundary *r;
	struct scratch *s;

	if (BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid) || scope_by_cgroup(task) == member->scope)
		return;
	if (!mover && ((u32)BPF_CORE_READ(task, real_parent, tgid) == stranger || stranger == engine.pid))
		return;
	s = boundary_begin(RB_ACT_CGROUP_MOVE, member->scope, mover ? mover->start_ns : member->start_ns, 0);
	if (!s)
		return;
	r = (void *)s->data;
	r->value1 = BPF_CORE_READ(to, kn, id);
	if (mover) {
		fill_target(&r->target, (u64)task, member->scope);
	} else {
		fill_target(&r->target, bpf_get_current_task(), member->scope);
		r->target.relation = RB_OUTSIDE;
		r->head.pid = BPF_CORE_READ(task, tgid);
		r->head.tid = r->head.pid;
	}
	r->name2_len = put_kernel_name(s, path);
	record_end(s, &critical);
}

/* CLONE_INTO_CGROUP: a child that is born elsewhere was not moved there. */
static __always_inline void cgroup_left_at_birth(struct task_struct *parent, struct task_struct *child,
						 struct member *member)
{
	struct cgroup *to = BPF_CORE_READ(child, cgroups, dfl_cgrp);

	if (to != BPF_CORE_READ(parent, cgroups, dfl_cgrp))
		cgroup_left(child, member, to, BPF_CORE_READ(to, kn, name));
}
