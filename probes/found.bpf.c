/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is open already when the watch begins: connections, sockets that listen, and files that can be written.
 * A pass over all descriptors, which user space repeats until one finds nothing more: a child that is made
 * meanwhile may be the last to hold what its parent closes. Who comes into a watched cgroup later is looked at
 * as it comes.
 */
#include "scope.h"
#include "path.h"
#include "peer.h"
#include "flow.h"
#include "pass.h"

/* Who holds it. */
struct holder {
	u64 start_ns;
	u32 pid;
	u32 scope;
	u32 fd;
	u32 slot;	/* of the scratch buffer */
};

static __always_inline void found_head(struct rb_head *head, u16 kind, struct holder *h, s64 result)
{
	record_head(head, kind, h->scope, h->start_ns, result);
	head->pid = h->pid;
	head->tid = h->pid;
	head->flags = RB_FOUND;
}

/* --- files ----------------------------------------------------------------------------------- */

__noinline int emit_found_file(struct holder *h, u64 file_at)
{
	struct file *file = (void *)file_at;
	struct scratch *s;
	struct rb_open *r;

	if (!h)
		return 0;
	s = record_begin_at(h->slot, sizeof(struct rb_open));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	found_head(&r->head, RB_OPEN, h, h->fd);
	r->inode = BPF_CORE_READ(file, f_inode, i_ino);
	r->device = file_device(file);
	r->mode = BPF_CORE_READ(file, f_inode, i_mode);
	r->open_flags = BPF_CORE_READ(file, f_flags);
	r->path_len = put_file_path(s, file);
	record_end(s, &bulk);
	return 1;
}

/* Fails when it is followed already: it was written, or another holder came first. */
static __noinline bool follow_found(struct holder *h, struct file *file)
{
	u64 key = (u64)file;
	struct written new = {
		.inode = BPF_CORE_READ(file, f_inode, i_ino),
		.start_ns = h->start_ns,
		.device = file_device(file),
		.mode = BPF_CORE_READ(file, f_inode, i_mode),
		.pid = h->pid,
		.scope = h->scope,
		.found_ns = bpf_ktime_get_boot_ns(),
	};
	int error = map_update(&files, &key, &new, BPF_NOEXIST);

	if (error && error != -EEXIST)
		count_loss(RB_LOST_FILE);
	return !error;
}

static __always_inline int found_file(struct holder *h, struct file *file)
{
	if (!(BPF_CORE_READ(file, f_mode) & FMODE_WRITE) || !is_lasting(file) || !follow_found(h, file))
		return 0;
	return emit_found_file(h, (u64)file);
}

/* --- sockets --------------------------------------------------------------------------------- */

/*
 * One that was accepted is a copy of the one that listens, with its backlog; one that connects has none
 * (inet_listen(), sk_clone_lock()).
 */
static __always_inline u16 kind_of_inet(struct sock *sk)
{
	u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	u16 type = BPF_CORE_READ(sk, sk_type);

	if (state == TCP_LISTEN)
		return RB_LISTEN;
	if (type == SOCK_STREAM) {
		if (state == TCP_CLOSE)
			return 0;
		return BPF_CORE_READ(sk, sk_max_ack_backlog) ? RB_ACCEPT : RB_CONNECT;
	}
	if (state == TCP_ESTABLISHED)
		return RB_CONNECT;
	return type == SOCK_DGRAM && BPF_CORE_READ(sk, __sk_common.skc_num) ? RB_BIND : 0;
}

/* An accepted one has the address of the one that listens; who connects rarely has one, and then a pair has none. */
static __always_inline u16 kind_of_unix(struct sock *sk)
{
	struct unix_sock *own = (void *)sk, *peer = (void *)BPF_CORE_READ(own, peer);

	if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_LISTEN)
		return RB_LISTEN;
	if (peer && BPF_CORE_READ(peer, addr))
		return RB_CONNECT;
	if (!BPF_CORE_READ(own, addr))
		return 0;
	return peer && BPF_CORE_READ(sk, sk_type) != SOCK_DGRAM ? RB_ACCEPT : RB_BIND;
}

static __always_inline u16 kind_of_socket(struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if (is_inet(family))
		return kind_of_inet(sk);
	return family == AF_UNIX ? kind_of_unix(sk) : 0;
}

__noinline int emit_found_socket(struct holder *h, u64 file_at, u32 kind)
{
	struct sock *sk = sock_of((void *)file_at);
	u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	struct rb_connect *r;
	struct scratch *s;

	if (!h)
		return 0;
	s = record_begin_at(h->slot, sizeof(struct rb_connect));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	found_head(&r->head, kind, h, state == TCP_SYN_SENT ? -EINPROGRESS : 0);
	r->type = BPF_CORE_READ(sk, sk_type);
	read_peer(sk, &r->peer);
	if (r->peer.family == AF_UNIX)
		unix_end(s, r, kind == RB_CONNECT ? (void *)BPF_CORE_READ((struct unix_sock *)sk, peer) : (void *)sk);
	record_end(s, &critical);
	return 1;
}

/* What it says from here on, and all that went through it when it is closed. */
static __noinline int flow_found(struct holder *h, struct file *file, u32 kind)
{
	struct sock *sk = sock_of(file);
	struct flow new = {
		.inode = BPF_CORE_READ(file, f_inode, i_ino),
		.begun_ns = bpf_ktime_get_boot_ns(),
		.start_ns = h->start_ns,
		.pid = h->pid,
		.scope = h->scope,
		.type = BPF_CORE_READ(sk, sk_type),
		.ingress = kind == RB_ACCEPT,
		.established = BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_SYN_SENT && kind != RB_BIND,
	};
	u64 key = (u64)file;

	read_peer(sk, &new.peer);
	if (map_update(&flows, &key, &new, BPF_NOEXIST) == -E2BIG)
		count_loss(RB_LOST_FLOW);
	return 0;
}

static __noinline int found_socket(struct holder *h, struct file *file)
{
	u64 inode = BPF_CORE_READ(file, f_inode, i_ino), now_ns = bpf_ktime_get_boot_ns();
	struct sock *sk = sock_of(file);
	u16 kind = kind_of_socket(sk);

	if (!kind || bpf_map_update_elem(&told, &inode, &now_ns, BPF_NOEXIST))
		return 0;
	if (kind != RB_LISTEN && is_inet(BPF_CORE_READ(sk, __sk_common.skc_family)))
		flow_found(h, file, kind);
	return emit_found_socket(h, (u64)file, kind);
}

static __always_inline int find(struct task_struct *task, struct member *member, struct file *file, u32 fd, u32 slot)
{
	struct holder holder = {
		.start_ns = member->start_ns,
		.pid = BPF_CORE_READ(task, tgid),
		.scope = member->scope,
		.fd = fd,
		.slot = slot,
	};

	return file_type(file) == S_IFSOCK ? found_socket(&holder, file) : found_file(&holder, file);
}

static __always_inline bool is_looked_at(struct member *member)
{
	return member && look_now && member->look == look_now;
}

struct descriptors {
	struct task_struct *task;
	struct fdtable *fdt;
	u32 max;
	u32 slot;
	u32 found;
};

static long descriptor_step(u32 fd, struct descriptors *d)
{
	struct task_struct *task = d->task;	/* by itself: not each step on the way is a struct of the kernel's */
	struct member *member = member_of(BPF_CORE_READ(task, tgid));
	struct fdtable *fdt = d->fdt;
	struct file *file;

	if (fd >= d->max || !member)
		return 1;
	file = file_in(fdt, fd);
	if (file && find(task, member, file, fd, d->slot))
		d->found++;
	return 0;
}

static __always_inline u32 look_at_table(struct task_struct *task, u32 slot)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct descriptors d = { .task = task, .fdt = fdt, .max = BPF_CORE_READ(fdt, max_fds), .slot = slot };

	bpf_loop(FD_SCAN_MAX, descriptor_step, &d, 0);
	return d.found;
}

/* Not static for the verifier's sake; see cgroup_scope(). */
__noinline int look_at_newcomer(u64 task_at)
{
	return look_at_table((void *)task_at, bpf_get_smp_processor_id());
}

#ifndef RUBICON_BCC

/* Writes one byte for each that it found. */
SEC("iter/task_file")
int look_at_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct member *member;
	struct file *file = NULL;

	/* As a number: a pointer that the verifier follows cannot be handed to functions that it looks at alone. */
	bpf_probe_read_kernel(&file, sizeof(file), &ctx->file);
	if (!task || !file)
		return 0;
	member = member_of(BPF_CORE_READ(task, tgid));
	if (is_looked_at(member) && find(task, member, file, ctx->fd, user_slot))
		bpf_seq_write(ctx->meta->seq, "+", 1);
	return 0;
}

#else

/* The table of the first thread: a thread with a table of its own is not looked at. */
static long holder_step(u32 index, struct pass *pass)
{
	struct task_struct *task = (void *)pass->at;

	if (is_looked_at(member_of(BPF_CORE_READ(task, tgid))))
		pass->found += look_at_table(task, user_slot);
	return pass_next(pass);
}

/* Returns how many it found. */
SEC("raw_tp/look_at_files")
int look_at_files(void *ctx)
{
	struct pass pass = {};

	pass_begin(&pass);
	bpf_loop(PROCESSES_MAX, holder_step, &pass, 0);
	return pass.found;
}

#endif
