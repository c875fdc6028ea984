/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* System calls: which ones matter, and who handles each. */
#include "call.h"
#include "syscalls.h"

/* The call that is looked at now on this CPU: on the stack it would weigh on every chain of calls. */
struct calling {
	struct call call;
	struct path_call path;
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct calling);
} calling SEC(".maps");

static __always_inline struct call *call_begin(struct pt_regs *regs, struct member *member, bool compat)
{
	u32 zero = 0;
	struct calling *here = bpf_map_lookup_elem(&calling, &zero);

	if (!here)
		return NULL;
	call_read(&here->call, regs, member, compat);
	return &here->call;
}

static __always_inline struct path_call *path_of_call(struct path_call p)
{
	u32 zero = 0;
	struct calling *here = bpf_map_lookup_elem(&calling, &zero);

	if (!here)
		return NULL;
	here->path = p;
	return &here->path;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *regs, long nr)
{
	struct member *member;
	struct call *c;
	bool compat = false;
	u32 act = act_of(regs, &compat);

	if (act < ACT_FIRST_ON_ENTER || (act > ACT_LAST_ON_ENTER && act < ACT_FIRST_BOUNDARY_ON_ENTER))
		return 0;
	member = current_member();
	if (!member)
		return 0;
	c = call_begin(regs, member, compat);
	if (!c)
		return 0;
	if (act >= ACT_FIRST_BOUNDARY_ON_ENTER)
		return boundary_enter(c, act - ACT_BOUNDARY);
	switch (act) {
	case ACT_CONNECT:
		return connect_enter(c->args[0], c->args[1], c->args[2]);
	case ACT_SOCKETCALL:
		return socketcall_enter(c->args[0], c->args[1]);
	case ACT_CLOSE:
		return close_enter(c, c->args[0]);
	case ACT_DUP2:
		return dup2_enter(c, c->args[0], c->args[1]);
	case ACT_CLOSE_RANGE:
		return close_range_enter(c, c->args[0], c->args[1], c->args[2]);
	}
	return 0;
}

/* struct open_how begins with the flags */
static __always_inline u32 openat2_flags(u64 how)
{
	u64 flags = 0;

	bpf_probe_read_user(&flags, sizeof(flags), (void *)how);
	return flags;
}

#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_REMOVEDIR 0x200
#define AT_EMPTY_PATH 0x1000

static __always_inline int unlinkat_exit(struct call *c)
{
	struct path_call p = { .dirfd = c->args[0], .name = c->args[1] };

	p.kind = c->args[2] & AT_REMOVEDIR ? RB_RMDIR : RB_UNLINK;
	return path_exit(c, path_of_call(p));
}

/* fchmodat2 and fchownat can name a descriptor, or the working directory, by an empty path. */
static __always_inline int at_exit(struct call *c, struct path_call *p, u32 flags)
{
	char first = 1;

	if (!p)
		return 0;
	if (flags & AT_EMPTY_PATH)
		bpf_probe_read_user(&first, 1, (void *)p->name);
	return first || p->dirfd == AT_FDCWD ? path_exit(c, p) : path_fd_exit(c, p);
}

/* What a flag says of a name goes above the 32 bits of a mode or an owner. */
#define FLAGS_ABOVE(flags) ((u64)(u32)(flags) << 32)

#define BY_NAME(...) path_exit(c, path_of_call((struct path_call){ .dirfd = AT_FDCWD, .dirfd2 = AT_FDCWD, __VA_ARGS__ }))
#define BY_NAME_AT(...) path_exit(c, path_of_call((struct path_call){ __VA_ARGS__ }))
#define BY_FD(...) path_fd_exit(c, path_of_call((struct path_call){ __VA_ARGS__ }))
#define BY_EITHER(flags, ...) at_exit(c, path_of_call((struct path_call){ __VA_ARGS__ }), flags)

static __always_inline int name_exit(struct call *c, u32 act)
{
	u64 *a = c->args;

	switch (act) {
	case ACT_RENAME:
		return BY_NAME(.kind = RB_RENAME, .name = a[0], .name2 = a[1]);
	case ACT_RENAMEAT:
		return BY_NAME_AT(.kind = RB_RENAME, .dirfd = a[0], .name = a[1], .dirfd2 = a[2], .name2 = a[3]);
	case ACT_RENAMEAT2:
		return BY_NAME_AT(.kind = RB_RENAME, .dirfd = a[0], .name = a[1], .dirfd2 = a[2], .name2 = a[3],
				  .value = (u32)a[4]);
	case ACT_UNLINK:
		return BY_NAME(.kind = RB_UNLINK, .name = a[0]);
	case ACT_UNLINKAT:
		return unlinkat_exit(c);
	case ACT_RMDIR:
		return BY_NAME(.kind = RB_RMDIR, .name = a[0]);
	case ACT_LINK:
		return BY_NAME(.kind = RB_LINK, .name = a[0], .name2 = a[1]);
	case ACT_LINKAT:
		return BY_NAME_AT(.kind = RB_LINK, .dirfd = a[0], .name = a[1], .dirfd2 = a[2], .name2 = a[3],
				  .value = (u32)a[4]);
	case ACT_SYMLINK:
		return BY_NAME(.kind = RB_SYMLINK, .name = a[1], .name2 = a[0]);
	case ACT_SYMLINKAT:
		return BY_NAME_AT(.kind = RB_SYMLINK, .dirfd = a[1], .name = a[2], .name2 = a[0]);
	case ACT_MKDIR:
		return BY_NAME(.kind = RB_MKDIR, .name = a[0], .value = (u16)a[1]);
	case ACT_MKDIRAT:
		return BY_NAME_AT(.kind = RB_MKDIR, .dirfd = a[0], .name = a[1], .value = (u16)a[2]);
	case ACT_TRUNCATE:
		return BY_NAME(.kind = RB_TRUNCATE, .name = a[0], .value = a[1]);
	case ACT_TRUNCATE_HALVES:
		return BY_NAME(.kind = RB_TRUNCATE, .name = a[0], .value = a[1] | a[2] << 32);
	}
	return 0;
}

static __always_inline int attribute_exit(struct call *c, u32 act)
{
	u64 *a = c->args;

	switch (act) {
	case ACT_FTRUNCATE:
		return BY_FD(.kind = RB_TRUNCATE, .dirfd = a[0], .value = a[1]);
	case ACT_FTRUNCATE_HALVES:
		return BY_FD(.kind = RB_TRUNCATE, .dirfd = a[0], .value = a[1] | a[2] << 32);
	case ACT_CHMOD:
		return BY_NAME(.kind = RB_CHMOD, .name = a[0], .value = (u16)a[1]);
	case ACT_FCHMOD:
		return BY_FD(.kind = RB_CHMOD, .dirfd = a[0], .value = (u16)a[1]);
	case ACT_FCHMODAT:
		return BY_EITHER(0, .kind = RB_CHMOD, .dirfd = a[0], .name = a[1], .value = (u16)a[2]);
	case ACT_FCHMODAT2:
		return BY_EITHER(a[3], .kind = RB_CHMOD, .dirfd = a[0], .name = a[1],
				 .value = (u16)a[2] | FLAGS_ABOVE(a[3]));
	case ACT_CHOWN:
		return BY_NAME(.kind = RB_CHOWN, .name = a[0], .value = (u32)a[1], .value2 = (u32)a[2]);
	case ACT_LCHOWN:
		return BY_NAME(.kind = RB_CHOWN, .name = a[0], .value = (u32)a[1] | FLAGS_ABOVE(AT_SYMLINK_NOFOLLOW),
			       .value2 = (u32)a[2]);
	case ACT_FCHOWN:
		return BY_FD(.kind = RB_CHOWN, .dirfd = a[0], .value = (u32)a[1], .value2 = (u32)a[2]);
	case ACT_FCHOWNAT:
		return BY_EITHER(a[4], .kind = RB_CHOWN, .dirfd = a[0], .name = a[1],
				 .value = (u32)a[2] | FLAGS_ABOVE(a[4]), .value2 = (u32)a[3]);
	}
	return 0;
}

static __always_inline int io_exit(struct call *c, u32 act)
{
	u64 *a = c->args;

	switch (act) {
	case ACT_OPEN:
		return open_exit(c, AT_FDCWD, a[0], a[1]);
	case ACT_CREAT:
		return open_exit(c, AT_FDCWD, a[0], O_CREAT | O_TRUNC | O_WRONLY);
	case ACT_OPENAT:
		return open_exit(c, a[0], a[1], a[2]);
	case ACT_OPENAT2:
		return open_exit(c, a[0], a[1], openat2_flags(a[2]));
	case ACT_OPEN_BY_HANDLE:
		return open_exit(c, a[0], 0, a[2]);
	case ACT_WRITE:
		return write_exit(c, a[0], a[1], a[2], false);
	case ACT_WRITEV:
		return write_exit(c, a[0], a[1], a[2], true);
	case ACT_WRITE_FROM_FILE:
		return write_exit(c, a[0], 0, 0, false);
	case ACT_WRITE_TO_THIRD:
		return write_exit(c, a[2], 0, 0, false);
	case ACT_FALLOCATE:
		return fallocate_exit(c, a[0]);
	case ACT_MMAP:
		return map_exit(c, a[3], a[4]);
	case ACT_MMAP_OLD:
		return map_old_exit(c, a[0]);
	case ACT_MKNOD:
		return mknod_exit(c, AT_FDCWD, a[0], (u16)a[1]);
	case ACT_MKNODAT:
		return mknod_exit(c, a[0], a[1], (u16)a[2]);
	}
	return 0;
}

static __always_inline void connect_unless_begun(struct call *c)
{
	u32 tid = bpf_get_current_pid_tgid();

	if (!bpf_map_lookup_elem(&connecting, &tid))
		connect_enter(c->args[0], c->args[1], c->args[2]);
}

static __always_inline int task_exit(struct call *c, u32 act)
{
	u64 *a = c->args;

	switch (act) {
	case ACT_CONNECT:
		/* An address that the kernel could not take, so no hook inside the call was reached. */
		if (has_hooks_inside && (c->result == -EFAULT || c->result == -EINVAL))
			connect_unless_begun(c);
		return connect_exit(c);
	case ACT_SOCKETCALL:
		return socketcall_exit(c);
	case ACT_EXECVE:
		return c->result < 0 ? exec_failed(c, a[0], a[1], AT_FDCWD) : 0;
	case ACT_EXECVEAT:
		return c->result < 0 ? exec_failed(c, a[1], a[2], a[0]) : 0;
	}
	return 0;
}

static __always_inline int call_exit(struct call *c, u32 act)
{
	if (act >= ACT_FIRST_TASK)
		return task_exit(c, act);
	if (act >= ACT_FIRST_SOCKET)
		return socket_exit(c, act);
	if (act >= ACT_FIRST_ATTRIBUTE)
		return attribute_exit(c, act);
	if (act >= ACT_FIRST_NAME)
		return name_exit(c, act);
	return io_exit(c, act);
}

/*
 * Whether a hook inside the call may have put a record by. One that refuses may have done so in vain: of a file that
 * open(2) was to make, and that turned out to be there.
 */
static __always_inline bool may_be_acting(struct call *c, u32 act)
{
	if (refuses_acts)
		return act < ACT_WRITE || act > ACT_MMAP_OLD;
	return (act >= ACT_FIRST_BY_NAME && act <= ACT_LAST_BY_NAME) || (act <= ACT_LAST_OPEN && c->result < 0) ||
	       (act >= ACT_FIRST_TASK && act <= ACT_SOCKETCALL);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long result)
{
	struct member *member;
	struct call *c;
	bool compat = false;
	u32 act = act_of(regs, &compat);

	if (act == ACT_NONE || (act >= ACT_FIRST_ONLY_ON_ENTER && act <= ACT_LAST_ON_ENTER))
		return 0;
	member = current_member();
	if (!member)
		return 0;
	c = call_begin(regs, member, compat);
	if (!c)
		return 0;
	c->result = compat ? (s32)result : result;
	if (act == ACT_CLONE3) {
		c->args[0] = clone3_flags(c->args[0]);
		act = BOUNDARY(CLONE);
	}
	if (act >= ACT_BOUNDARY) {
		boundary_exit(c, act - ACT_BOUNDARY);
		if (refuses_acts)
			acting_forget((u32)bpf_get_current_pid_tgid());
		return 0;
	}
	/* Interrupted: nothing was done; when the kernel tries again, that is traced. */
	if (!is_interrupted(c->result) || act >= ACT_CONNECT)
		call_exit(c, act);
	if (may_have_acted() && may_be_acting(c, act))
		acting_forget((u32)bpf_get_current_pid_tgid());
	return 0;
}
