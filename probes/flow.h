/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Internet sockets that are in use, by the address of their struct file, as all who hold the socket share
 * it. What goes through them is added up, and reported when the last of them lets go.
 */
#ifndef RUBICON_FLOW_H
#define RUBICON_FLOW_H

#include "scope.h"
#include "peer.h"
#include "call.h"

struct flow {
	u64 inode;
	u64 begun_ns;
	u64 start_ns;
	u64 bytes_in;
	u64 bytes_out;
	u64 packets_in;
	u64 packets_out;
	struct rb_peer peer;
	u32 pid;
	u32 scope;
	u32 head_bytes;		/* stored in RB_HEAD records */
	u16 heads;
	u16 type;
	u8 ingress;
	u8 established;
	u8 asks_dns;		/* something was sent to port 53 */
	u8 not_dns;		/* how often that was no DNS */
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct flow);
} flows SEC(".maps");

/* Where a new one is put together: the stack has no room for it. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct flow);
} new_flow SEC(".maps");

/* How a flow begins. */
#define FLOW_INGRESS 1		/* accepted */
#define FLOW_ESTABLISHED 2
#define FLOW_NEW_PEER 4		/* of a socket that may have had another */

static __always_inline bool is_flow_of(struct flow *flow, struct file *file)
{
	return BPF_CORE_READ(file, f_inode, i_ino) == flow->inode;
}

static __always_inline void fill_flow(struct rb_flow *r, struct flow *flow)
{
	r->peer = flow->peer;
	r->inode = flow->inode;
	r->duration_ns = r->head.time_ns - flow->begun_ns;
	r->bytes_in = flow->bytes_in;
	r->bytes_out = flow->bytes_out;
	r->packets_in = flow->packets_in;
	r->packets_out = flow->packets_out;
	r->type = flow->type;
	r->ingress = flow->ingress;
}

/* The socket is gone: what is known is what went through system calls. */
static __always_inline bool emit_late_flow(struct flow *flow, struct scratch *s)
{
	struct rb_flow *r;

	if (!s)
		return false;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_FLOW, flow->scope, flow->start_ns, 0);
	r->head.pid = flow->pid;
	r->head.tid = flow->pid;
	r->head.flags = RB_LATE;
	fill_flow(r, flow);
	record_end(s, &bulk);
	return true;
}

/* The kernel's own count, whatever route the bytes took; what waits to be sent is counted when it was accepted. */
static __always_inline void read_tcp_bytes(struct sock *sk, struct rb_flow *r)
{
	struct tcp_sock *tcp = (void *)sk;
	u64 sent = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);

	r->bytes_in = BPF_CORE_READ(tcp, bytes_received);
	if (r->bytes_in && BPF_CORE_READ(sk, __sk_common.skc_flags) & 1UL << SOCK_DONE)
		r->bytes_in--;	/* the FIN counts for one */
	if (sent > r->bytes_out)
		r->bytes_out = sent;
}

static __always_inline bool is_tcp(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP && BPF_CORE_READ(sk, sk_type) == SOCK_STREAM;
}

/* A TCP connect that came to nothing has no flow. */
static __always_inline bool was_used(struct flow *flow, struct sock *sk)
{
	struct tcp_sock *tcp = (void *)sk;

	if (!is_tcp(sk))
		return flow->packets_in || flow->packets_out || flow->established;
	return flow->established || BPF_CORE_READ(tcp, bytes_acked) || BPF_CORE_READ(tcp, bytes_received);
}

/* Called when the last holder of the socket is about to let go of it. */
__noinline int flow_end(u64 file_at, u32 scope, u64 start_ns, u32 slot)
{
	struct file *file = (void *)file_at;
	struct flow *flow = bpf_map_lookup_elem(&flows, &file_at);
	struct sock *sk;
	struct rb_flow *r;
	struct scratch *s;

	if (!flow || !is_flow_of(flow, file))
		return 0;
	sk = sock_of(file);
	s = was_used(flow, sk) ? record_begin_at(slot, sizeof(struct rb_flow)) : NULL;
	if (!s) {
		bpf_map_delete_elem(&flows, &file_at);
		return 0;
	}
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_FLOW, scope, start_ns, 0);
	fill_flow(r, flow);
	read_peer(sk, &r->peer);
	if (!r->peer.dport)
		r->peer = flow->peer;
	if (is_tcp(sk))
		read_tcp_bytes(sk, r);
	bpf_map_delete_elem(&flows, &file_at);
	record_end(s, &bulk);
	return 0;
}

static __always_inline void flow_meets(struct flow *flow, struct sock *sk, u32 how)
{
	if (how & FLOW_ESTABLISHED)
		flow->established = 1;
	if (!(how & FLOW_NEW_PEER))
		return;
	flow->heads = 0;
	flow->head_bytes = 0;
	read_peer(sk, &flow->peer);
}

/* Begins to follow the socket behind `file`, or goes on with it. Look it up afterwards. */
__noinline int flow_begin(u64 file_at, u32 scope, u64 start_ns, u32 how)
{
	struct file *file = (void *)file_at;
	struct flow *flow = bpf_map_lookup_elem(&flows, &file_at);
	struct sock *sk = sock_of(file);
	u32 zero = 0;

	if (flow && is_flow_of(flow, file)) {
		flow_meets(flow, sk, how);
		return 0;
	}
	if (flow)
		emit_late_flow(flow, record_begin(sizeof(struct rb_flow)));
	flow = bpf_map_lookup_elem(&new_flow, &zero);
	if (!flow)
		return 0;
	__builtin_memset(flow, 0, sizeof(*flow));
	flow->inode = BPF_CORE_READ(file, f_inode, i_ino);
	flow->begun_ns = bpf_ktime_get_boot_ns();
	flow->start_ns = start_ns;
	flow->pid = bpf_get_current_pid_tgid() >> 32;
	flow->scope = scope;
	flow->type = BPF_CORE_READ(sk, sk_type);
	flow->ingress = how & FLOW_INGRESS;
	flow_meets(flow, sk, how | FLOW_NEW_PEER);
	if (bpf_map_update_elem(&flows, &file_at, flow, BPF_ANY))
		count_loss(RB_LOST_FLOW);
	return 0;
}

static __always_inline struct flow *flow_of(struct file *file, struct call *c, bool established)
{
	u64 file_at = (u64)file;
	struct flow *flow = bpf_map_lookup_elem(&flows, &file_at);

	if (!flow || !is_flow_of(flow, file)) {
		flow_begin(file_at, c->scope, c->start_ns, 0);
		flow = bpf_map_lookup_elem(&flows, &file_at);
	}
	if (flow && established)
		flow->established = 1;
	return flow;
}

#endif
