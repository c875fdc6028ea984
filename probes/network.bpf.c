/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* connect: the peer comes from the socket, never from the address the caller passed. */
#include "scope.h"
#include "path.h"
#include "peer.h"
#include "call.h"
#include "uring.h"
#include "flow.h"
#include "guard.h"
#include "acting.h"

#define SYS_CONNECT 3		/* of socketcall(2) */
#define SUN_PATH_BYTES 108

/*
 * A connect call under way, by thread. A refused TCP socket forgets its peer before the call returns,
 * so the peer is kept from the moment the kernel sets off to it.
 */
struct connecting {
	u64 sk;
	u64 begun_ns;
	u64 address;	/* the caller's */
	u32 address_len;
	s32 fd;
	u16 type;
	u8 again;	/* the socket is on its way already, or has arrived */
	u8 set_off;	/* a SYN is sent; `peer` is whom it goes to */
	struct rb_peer peer;
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct connecting);
} connecting SEC(".maps");

static __always_inline struct file *socket_file(int fd)
{
	struct file *file = file_of(fd);

	return file && file_type(file) == S_IFSOCK ? file : NULL;
}

static __always_inline struct sock *socket_behind(int fd)
{
	struct file *file = socket_file(fd);

	return file ? sock_of(file) : NULL;
}

__noinline int connect_begins(u64 sk_at, int fd, u64 address, u32 address_len)
{
	struct connecting new = { .fd = fd, .address = address, .address_len = address_len };
	u32 tid = bpf_get_current_pid_tgid();
	struct sock *sk = (void *)sk_at;

	if (!sk)
		return 0;	/* EBADF, ENOTSOCK: nothing is asked of anybody */
	new.sk = (u64)sk;
	new.begun_ns = bpf_ktime_get_boot_ns();
	new.type = BPF_CORE_READ(sk, sk_type);
	new.again = BPF_CORE_READ(sk, sk_socket, state) > SS_UNCONNECTED;
	if (bpf_map_update_elem(&connecting, &tid, &new, BPF_ANY))
		count_loss(RB_LOST_PEER);
	return 0;
}

static __always_inline int connect_enter(int fd, u64 address, u32 address_len)
{
	return connect_begins((u64)socket_behind(fd), fd, address, address_len);
}

/* The one way to connect that i386 had until 4.3. */
static __always_inline int socketcall_enter(u32 call, u64 arguments)
{
	u32 a[3] = {};

	if (call != SYS_CONNECT || bpf_probe_read_user(a, sizeof(a), (void *)arguments))
		return 0;
	return connect_enter(a[0], a[1], a[2]);
}

/* Without a connect call: with data in the SYN (MSG_FASTOPEN). How it ends is not seen. */
static __always_inline void emit_set_off(struct sock *sk, struct member *member)
{
	struct scratch *s = record_begin(sizeof(struct rb_connect));
	struct rb_connect *r;

	if (!s)
		return;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_CONNECT, member->scope, member->start_ns, -EINPROGRESS);
	r->type = BPF_CORE_READ(sk, sk_type);
	read_peer(sk, &r->peer);
	record_end(s, &critical);
}

static __always_inline int set_off_without_call(struct sock *sk, struct member *member)
{
	struct request *request = request_of_socket(sk);
	struct file *file = BPF_CORE_READ(sk, sk_socket, file);
	u64 key = (u64)sk;
	u8 reported = 1;

	if (request) {
		read_peer(sk, &request->peer);
		request->set_off = 1;
		return 0;
	}
	/* Or its connect(2) was under way when the watch began, and the look round may meet it now. */
	if (just_found(file))
		return 0;
	tell(file);
	emit_set_off(sk, member);
	bpf_map_update_elem(&set_off_alone, &key, &reported, BPF_ANY);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, struct sock *sk, int oldstate, int newstate)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct connecting *w;
	struct member *member;

	/* SYN_SENT is only entered by the task that connects; the other states may come by interrupt. */
	if (newstate != TCP_SYN_SENT)
		return 0;
	member = current_member();
	if (!member)
		return 0;
	w = bpf_map_lookup_elem(&connecting, &tid);
	if (!w)
		return set_off_without_call(sk, member);
	read_peer(sk, &w->peer);
	w->set_off = 1;
	return 0;
}

/*
 * What is no new act of a call that did not set off: asking a stream how an earlier connect went, and
 * dissolving an association (AF_UNSPEC), which shows in the socket: no peer although the call succeeded.
 */
static __always_inline bool is_no_act(struct connecting *w, struct sock *sk, s64 result)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family), asked = 0;

	if (is_inet(family) && w->type == SOCK_STREAM && w->again)
		return true;
	if (result >= 0 && is_inet(family) && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP)
		return true;
	if (result >= 0 && is_inet(family))
		return BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_ESTABLISHED;
	if (result >= 0 && family == AF_UNIX)
		return !BPF_CORE_READ((struct unix_sock *)sk, peer);
	return !bpf_probe_read_user(&asked, sizeof(asked), (void *)w->address) && !asked;
}

/*
 * The result as far as it is known: a connect in progress may have been decided while the socket
 * was being released, as it is on loopback; and one that a signal interrupted goes on.
 */
static __always_inline s32 settled_result(struct sock *sk, s32 result)
{
	u8 state;

	if (is_interrupted(result))
		return -EINTR;
	if (result != -EINPROGRESS || !sk)
		return result;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (state == TCP_ESTABLISHED)
		return 0;
	if (state == TCP_CLOSE)
		return -BPF_CORE_READ(sk, sk_err);
	return result;
}

/* A name that begins with a NUL is abstract, and every byte counts; another ends at its NUL. */
static __always_inline u32 put_unix_name(struct scratch *s, u64 address, u32 address_len)
{
	u64 len = s->len;
	u64 size = bounded(address_len - 2, SUN_PATH_BYTES);
	char first = 0;
	long n;

	if (address_len <= 2 || len > STRINGS_MAX - RB_PATH_MAX)
		return 0;
	bpf_probe_read_user(&first, 1, (void *)address);
	if (first)
		n = read_user_string(s->data + len, size + 1, (void *)address) - 1;
	else
		n = bpf_probe_read_user(s->data + len, size, (void *)address) ? -1 : (long)size;
	if (n < 0 || n > SUN_PATH_BYTES) {
		record_flag(s, RB_UNREADABLE);
		return 0;
	}
	s->len = len + n;
	return n;
}

/* The same, from the kernel's copy of the address; what follows that is not the caller's. */
static __always_inline u32 put_unix_name_held(struct scratch *s, u64 address, u32 address_len)
{
	u64 len = s->len;
	u64 size = bounded(address_len - 2, SUN_PATH_BYTES);
	char first = 0;
	long n;

	if (address_len <= 2 || len > STRINGS_MAX - RB_PATH_MAX)
		return 0;
	bpf_probe_read_kernel(&first, 1, (void *)address);
	if (!first)
		return put_kernel_bytes(s, (void *)address, size);
	n = bpf_probe_read_kernel_str(s->data + len, size + 1, (void *)address) - 1;
	if (n < 0 || n > SUN_PATH_BYTES) {
		record_flag(s, RB_UNREADABLE);
		return 0;
	}
	s->len = len + n;
	return n;
}

#define ADDRESS_MAX 128		/* struct sockaddr_storage */

/* The address as given, of a family that is neither internet nor unix. */
static __always_inline u32 put_raw_address(struct scratch *s, u64 address, u32 address_len)
{
	u64 len = s->len, size = bounded(address_len, ADDRESS_MAX);

	if (len > STRINGS_MAX - RB_PATH_MAX)
		return 0;
	if (bpf_probe_read_user(s->data + len, size, (void *)address)) {
		record_flag(s, RB_UNREADABLE);
		return 0;
	}
	s->len = len + size;
	return size;
}

/* What the caller asked for, when no socket holds it. */
static __noinline void peer_from_caller(struct scratch *s, struct rb_connect *r, u64 address, u32 address_len)
{
	struct given_address given = {};

	record_flag(s, RB_USER_EVIDENCE);
	if (bpf_probe_read_user(&given.family, 2, (void *)address)) {
		record_flag(s, RB_UNREADABLE);
		return;
	}
	r->peer.family = given.family;
	if (given.family == AF_UNIX) {
		r->name_len = put_unix_name(s, address + 2, address_len);
		return;
	}
	if (given.family && !is_inet(given.family)) {
		r->name_len = put_raw_address(s, address, address_len);
		return;
	}
	if (given.family == AF_INET && !bpf_probe_read_user(&given, 8, (void *)address))
		__builtin_memcpy(r->peer.daddr, &given.ip4, 4);
	if (given.family == AF_INET6 && !bpf_probe_read_user(&given, sizeof(given), (void *)address))
		__builtin_memcpy(r->peer.daddr, given.ip6, 16);
	r->peer.dport = bpf_ntohs(given.port);
}

/* The same, from the kernel's copy, where a hook has put that by. */
static __noinline int peer_from_acted(struct scratch *s, struct rb_connect *r)
{
	u64 actor = (u32)bpf_get_current_pid_tgid(), len = s->len;
	struct acting *put_by = bpf_map_lookup_elem(&acting, &actor);
	u16 protocol = r->peer.protocol;
	struct rb_connect *kept;

	if (!put_by || len > STRINGS_MAX - RB_PATH_MAX)
		return false;
	kept = (void *)put_by->record;
	if (kept->head.kind != RB_CONNECT)
		return false;
	r->peer = kept->peer;
	r->peer.protocol = protocol;
	r->name_len = bounded(kept->name_len, ADDRESS_MAX);
	if (bpf_probe_read_kernel(s->data + len, bounded(r->name_len, ADDRESS_MAX),
				  put_by->record + sizeof(struct rb_connect)))
		record_flag(s, RB_UNREADABLE);
	s->len = len + bounded(r->name_len, ADDRESS_MAX);
	return true;
}

static __always_inline void peer_as_asked(struct scratch *s, struct rb_connect *r, struct connecting *w)
{
	if (!has_hooks_inside || !peer_from_acted(s, r))
		peer_from_caller(s, r, w->address, w->address_len);
}

/* Where a unix socket is bound: its file, and its name as given. */
static __always_inline void unix_end(struct scratch *s, struct rb_connect *r, struct unix_sock *end)
{
	struct unix_address *addr = BPF_CORE_READ(end, addr);
	struct dentry *dentry = BPF_CORE_READ(end, path.dentry);
	char first = 0;

	if (dentry)
		r->path_len = put_path(s, BPF_CORE_READ(end, path.mnt), dentry);
	if (!addr)
		return;
	bpf_core_read(&first, 1, &addr->name[0].sun_path);
	if (first)
		r->name_len = put_kernel_name(s, &addr->name[0].sun_path);
	else
		r->name_len = put_kernel_bytes(s, &addr->name[0].sun_path, BPF_CORE_READ(addr, len) - 2);
}

/* `sk` is NULL when another thread has closed the descriptor meanwhile. */
static __always_inline void fill_connect(struct scratch *s, struct rb_connect *r, struct sock *sk,
					 struct connecting *w)
{
	r->type = w->type;
	if (w->set_off) {
		r->peer = w->peer;
	} else if (!sk || r->head.result < 0) {
		r->peer.protocol = BPF_CORE_READ(sk, sk_protocol);
		peer_as_asked(s, r, w);
	} else {
		read_peer(sk, &r->peer);
		if (r->peer.family == AF_UNIX)
			unix_end(s, r, (void *)BPF_CORE_READ((struct unix_sock *)sk, peer));
		else if (!is_inet(r->peer.family))
			peer_as_asked(s, r, w);
	}
	if (!r->peer.sport && is_inet(r->peer.family))
		r->peer.sport = BPF_CORE_READ(sk, __sk_common.skc_num);
}

__noinline int connect_exit(struct call *c)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct connecting *found = bpf_map_lookup_elem(&connecting, &tid);
	struct connecting w;
	struct rb_connect *r;
	struct scratch *s;
	struct file *file;
	struct sock *sk;
	bool goes_on;
	u16 answer;
	s32 result;

	if (!c || !found)
		return 0;
	w = *found;
	bpf_map_delete_elem(&connecting, &tid);
	sk = socket_behind(w.fd);
	if ((u64)sk != w.sk)
		sk = NULL;
	if (!w.set_off && (is_interrupted(c->result) || (sk && is_no_act(&w, sk, c->result))))
		return 0;
	file = file_of(w.fd);
	if (sk && found_since(file, w.begun_ns))
		return 0;
	answer = refusal_of(sk, c->result, &w.peer);
	kill_if(answer);
	s = record_begin(sizeof(struct rb_connect));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_CONNECT, c->scope, c->start_ns, settled_result(sk, c->result));
	r->head.flags = answer;
	if (answer)
		w.set_off = 1;	/* the peer is known, as of one that set off */
	fill_connect(s, r, sk, &w);
	result = r->head.result;
	goes_on = is_inet(r->peer.family) && (!result || result == -EINPROGRESS || result == -EINTR);
	record_end(s, &critical);
	if (sk && (!result || goes_on))
		tell(file);
	if (sk && goes_on)
		flow_begin((u64)file, c->scope, c->start_ns, FLOW_NEW_PEER | (result ? 0 : FLOW_ESTABLISHED));
	return 0;
}
