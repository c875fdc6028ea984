/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* connect: the peer comes from the socket, never from the address the caller passed. */
#include "scope.h"
#include "path.h"
#include "peer.h"
#include "call.h"

/*
 * A refused TCP socket forgets its peer before the call returns, so the peer is kept, by thread,
 * from the moment the kernel sets off to it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct rb_peer);
} connecting SEC(".maps");

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, struct sock *sk, int oldstate, int newstate)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct rb_peer peer = {};

	/* SYN_SENT is only entered by the task that connects; the other states may come by interrupt. */
	if (newstate != TCP_SYN_SENT || !current_member())
		return 0;
	read_peer(sk, &peer);
	if (bpf_map_update_elem(&connecting, &tid, &peer, BPF_ANY))
		count_loss(RB_LOST_PEER);
	return 0;
}

/*
 * The result as far as it is known: a connect in progress may have been decided while the socket
 * was being released, as it is on loopback.
 */
static __always_inline s32 settled_result(struct sock *sk, s32 result)
{
	u8 state;

	if (result != -EINPROGRESS)
		return result;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (state == TCP_ESTABLISHED)
		return 0;
	if (state == TCP_CLOSE)
		return -BPF_CORE_READ(sk, sk_err);
	return result;
}

/*
 * A second connect on the same socket asks how the first went; that is no new act. EALREADY and
 * EISCONN say so; otherwise no SYN was sent, though the kind of answer takes one.
 */
static __always_inline bool is_repeat(s32 result, u8 state, bool set_off)
{
	if (result == -EALREADY || result == -EISCONN)
		return true;
	if (set_off)
		return false;
	return (result == 0 && state == TCP_ESTABLISHED) || result == -ECONNREFUSED ||
	       result == -ETIMEDOUT || result == -ECONNRESET;
}

/* An abstract name begins with a NUL and may hold more; without the caller's length it ends at the next. */
static __always_inline u32 put_unix_name(struct scratch *s, u64 address)
{
	u64 len = s->len, stored;
	char first = 0;

	bpf_probe_read_user(&first, 1, (void *)address);
	if (first)
		return put_user_name(s, (void *)address);
	if (len > STRINGS_MAX - 2 * RB_PATH_MAX)
		return 0;
	s->data[len] = 0;
	s->len = len + 1;
	stored = put_user_name(s, (void *)(address + 1));
	return stored + 1;
}

/* What the caller asked for, when no socket holds it. */
static __noinline void peer_from_caller(struct scratch *s, struct rb_connect *r, u64 address)
{
	struct {
		u16 family;
		u16 port;
		u32 ip4;
		u8 ip6[16];
	} given = {};

	record_flag(s, RB_USER_EVIDENCE);
	if (bpf_probe_read_user(&given.family, 2, (void *)address)) {
		record_flag(s, RB_UNREADABLE);
		return;
	}
	r->peer.family = given.family;
	if (given.family == AF_UNIX) {
		r->name_len = put_unix_name(s, address + 2);
		return;
	}
	if (given.family == AF_INET && !bpf_probe_read_user(&given, 8, (void *)address))
		__builtin_memcpy(r->peer.daddr, &given.ip4, 4);
	if (given.family == AF_INET6 && !bpf_probe_read_user(&given, sizeof(given), (void *)address))
		__builtin_memcpy(r->peer.daddr, given.ip6, 16);
	r->peer.dport = bpf_ntohs(given.port);
}

static __always_inline void unix_peer(struct scratch *s, struct rb_connect *r, struct sock *sk)
{
	struct unix_sock *peer = (void *)BPF_CORE_READ((struct unix_sock *)sk, peer);
	struct unix_address *addr = BPF_CORE_READ(peer, addr);
	struct dentry *dentry = BPF_CORE_READ(peer, path.dentry);

	if (dentry)
		r->path_len = put_path(s, BPF_CORE_READ(peer, path.mnt), dentry);
	if (addr)
		r->name_len = put_kernel_bytes(s, &addr->name[0].sun_path, BPF_CORE_READ(addr, len) - 2);
}

static __always_inline void fill_connect(struct scratch *s, struct rb_connect *r, struct sock *sk,
					 struct rb_peer *set_off, u64 address)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	r->type = BPF_CORE_READ(sk, sk_type);
	if (r->head.result < 0 && r->head.result != -EINPROGRESS && !set_off) {
		r->peer.protocol = BPF_CORE_READ(sk, sk_protocol);
		peer_from_caller(s, r, address);
		return;
	}
	if (set_off)
		r->peer = *set_off;
	else
		read_peer(sk, &r->peer);
	if (!r->peer.sport && family != AF_UNIX)
		r->peer.sport = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (family == AF_UNIX)
		unix_peer(s, r, sk);
}

static __noinline int connect_exit(struct call *c)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct rb_peer *set_off = bpf_map_lookup_elem(&connecting, &tid);
	struct file *file = file_of(c->args[0]);
	struct rb_connect *r;
	struct scratch *s;
	struct sock *sk;
	u16 family = 0;

	if (!file || file_type(file) != S_IFSOCK)
		return 0;	/* EBADF, ENOTSOCK: nothing was asked of anybody */
	sk = sock_of(file);
	if (BPF_CORE_READ(sk, sk_type) == SOCK_STREAM && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP &&
	    is_repeat(c->result, BPF_CORE_READ(sk, __sk_common.skc_state), set_off))
		return 0;
	bpf_probe_read_user(&family, sizeof(family), (void *)c->args[1]);
	if (!set_off && family == 0)
		return 0;	/* AF_UNSPEC dissolves an association */
	s = record_begin(sizeof(struct rb_connect));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_CONNECT, c->scope, c->start_ns, settled_result(sk, c->result));
	fill_connect(s, r, sk, set_off, c->args[1]);
	record_end(s, &critical);
	if (set_off)
		bpf_map_delete_elem(&connecting, &tid);
	return 0;
}
