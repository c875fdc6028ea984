/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Tier A: what is to be known before a call has done its act, from inside it. With these nothing looks at calls on the
 * way in, so that the calls of strangers pass one tracepoint and not two. As those in names.bpf.c they may be preempted.
 */
#include "acting.h"
#include "path.h"
#include "syscalls.h"

/*
 * (file, owner): every way to close a descriptor leads here, also exec and io_uring; the file is out of the table and
 * this task holds it yet. When the buffer is in use the sweep finds the file.
 */
SEC("fentry/locks_remove_posix")
int on_close(void *ctx)
{
	struct file *file = (void *)argument(ctx, 1);
	struct member *member;
	struct scratch *s;

	if (!(BPF_CORE_READ(file, f_mode) & FMODE_WRITE))
		return 0;
	member = current_member();
	s = member ? scratch_at(slot_inside()) : NULL;
	if (!s || s->busy)
		return 0;
	return let_go_at(slot_inside(), file, member->scope, member->start_ns);
}

/* (new credentials): those of before are the task's yet. */
SEC("fentry/commit_creds")
int on_credentials(void *ctx)
{
	if (current_member())
		boundary_goes_on(ACT_FIRST_BOUNDARY_ON_ENTER);
	return 0;
}

/*
 * (descriptor, name, flags): the program that is to be run, before it is looked for. The interpreter that it names comes
 * here as well; that name is of no caller.
 */
SEC("fentry/do_open_execat")
int on_exec_open(void *ctx)
{
	struct filename *filename = (void *)argument(ctx, 2);
	struct member *member = member_in_call(ACT_EXECVE, ACT_EXECVEAT);
	struct rb_exec_failed *r;
	const char *name;
	struct scratch *s;

	if (!member || !BPF_CORE_READ(filename, uptr))
		return 0;
	s = acting_begin(sizeof(*r));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_EXEC_FAILED, member->scope, member->start_ns, 0);
	name = BPF_CORE_READ(filename, name);
	r->path_len = put_base(s, argument(ctx, 1), is_absolute(name));
	r->name_len = put_kernel_name(s, name);
	return acting_end(s, (u32)bpf_get_current_pid_tgid());
}

/* The address in the kernel's copy, as peer_from_caller() has it from the caller's. */
static __always_inline void peer_from_kernel(struct scratch *s, struct rb_connect *r, u64 address, u32 len)
{
	struct given_address given = {};

	bpf_probe_read_kernel(&given, sizeof(given), (void *)address);
	r->peer.family = given.family;
	if (given.family == AF_UNIX) {
		r->name_len = put_unix_name_held(s, address + 2, len);
		return;
	}
	if (given.family && !is_inet(given.family)) {
		r->name_len = put_kernel_bytes(s, (void *)address, bounded(len, ADDRESS_MAX));
		return;
	}
	if (given.family == AF_INET)
		__builtin_memcpy(r->peer.daddr, &given.ip4, 4);
	if (given.family == AF_INET6)
		__builtin_memcpy(r->peer.daddr, given.ip6, 16);
	r->peer.dport = bpf_ntohs(given.port);
}

/* What was given of connect(2): its descriptor, and where its address lies. */
static __always_inline void connect_given(u32 *fd, u64 *address)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs((void *)task);
	bool compat = false;
	u32 a[2] = {};

	if (act_of(regs, &compat) == ACT_SOCKETCALL) {
		bpf_probe_read_user(a, sizeof(a), (void *)(u64)(u32)regs->cx);
		*fd = a[0];
		*address = a[1];
		return;
	}
	*fd = compat ? regs->bx : regs->di;
	*address = compat ? (u32)regs->cx : regs->si;
}

/* (socket, address, its length), before a security module is asked and the protocol. */
SEC("fentry/security_socket_connect")
int on_connect(void *ctx)
{
	struct socket *sock = (void *)argument(ctx, 1);
	struct member *member = member_in_call(ACT_CONNECT, ACT_SOCKETCALL);
	struct rb_connect *r;
	struct scratch *s;
	u64 address = 0;
	u32 fd = 0;

	if (!member)
		return 0;
	connect_given(&fd, &address);
	connect_begins((u64)BPF_CORE_READ(sock, sk), fd, address, argument(ctx, 3));
	s = acting_begin(sizeof(*r));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_CONNECT, member->scope, member->start_ns, 0);
	peer_from_kernel(s, r, argument(ctx, 2), argument(ctx, 3));
	return acting_end(s, (u32)bpf_get_current_pid_tgid());
}
