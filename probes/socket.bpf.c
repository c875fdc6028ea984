/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Sockets beyond connect: bind, listen, accept, datagrams to an address given with them, and what is said:
 * the first bytes sent on a connection and the questions to and answers from resolvers.
 */
#include "scope.h"
#include "path.h"
#include "peer.h"
#include "call.h"
#include "flow.h"
#include "syscalls.h"

#define DNS_PORT 53
#define DNS_HEADER 12
#define NOT_DNS_MAX 4		/* messages on port 53 that are no DNS, shown of one socket */
#define HEADS_MAX 8		/* a program may send its first bytes one by one */
#define HEAD_ENOUGH 64
#define PIECES_MAX 8		/* looked at of a gathered message */
#define PIECES_HELD 4		/* of one that was asked for by io_uring */
#define MESSAGES_MAX 1024	/* of one sendmmsg: UIO_MAXIOV */

/* --- bind, listen, accept ------------------------------------------------------------------ */

/* What a bind asked for, as the socket's own end. */
static __noinline void self_from_caller(struct scratch *s, struct rb_connect *r, u64 address, u32 address_len)
{
	u16 protocol = r->peer.protocol;

	peer_from_caller(s, r, address, address_len);
	__builtin_memcpy(r->peer.saddr, r->peer.daddr, 16);
	__builtin_memset(r->peer.daddr, 0, 16);
	r->peer.sport = r->peer.dport;
	r->peer.dport = 0;
	r->peer.protocol = protocol;
}

struct own {
	u64 file;
	u64 address;		/* what bind was given */
	u32 address_len;
	u32 kind;
};

__noinline int own_exit(struct call *c, struct own *own)
{
	struct scratch *s;
	struct rb_connect *r;
	struct sock *sk;

	if (!c || !own)
		return 0;
	if (c->result >= 0) {
		if (just_found((void *)own->file))
			return 0;
		tell((void *)own->file);
	}
	s = record_begin(sizeof(struct rb_connect));
	if (!s)
		return 0;
	sk = sock_of((void *)own->file);
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, own->kind, c->scope, c->start_ns, c->result);
	r->type = BPF_CORE_READ(sk, sk_type);
	read_peer(sk, &r->peer);
	if (own->kind == RB_BIND && (c->result < 0 || (!is_inet(r->peer.family) && r->peer.family != AF_UNIX)))
		self_from_caller(s, r, own->address, own->address_len);
	else if (r->peer.family == AF_UNIX)
		unix_end(s, r, (void *)sk);
	record_end(s, &critical);
	return 0;
}

static __always_inline int bind_exit(struct call *c)
{
	struct own own = {
		.file = (u64)socket_file(c->args[0]),
		.address = c->args[1],
		.address_len = c->args[2],
		.kind = RB_BIND,
	};

	return own.file ? own_exit(c, &own) : 0;
}

static __always_inline int listen_exit(struct call *c)
{
	struct own own = { .file = (u64)socket_file(c->args[0]), .kind = RB_LISTEN };

	return own.file ? own_exit(c, &own) : 0;
}

/* Nobody there to accept is no act. */
static __always_inline int accept_exit(struct call *c)
{
	struct own own = { .kind = RB_ACCEPT };
	struct file *file;
	struct sock *sk;

	if (c->result == -EAGAIN)
		return 0;
	file = socket_file(c->result < 0 ? c->args[0] : c->result);
	if (!file)
		return 0;
	own.file = (u64)file;
	sk = sock_of(file);
	if (c->result >= 0 && is_inet(BPF_CORE_READ(sk, __sk_common.skc_family)))
		flow_begin(own.file, c->scope, c->start_ns, FLOW_INGRESS | FLOW_ESTABLISHED);
	return own_exit(c, &own);
}

/* --- messages ------------------------------------------------------------------------------ */

/* One message of a call: where its bytes lie in the caller's memory, and the address given with it. */
struct message {
	u64 base;
	u64 size;
	u64 pieces;		/* an array of struct iovec, when not 0 */
	u64 piece_count;
	u64 address;
	u32 address_len;
	u32 compat;
	u32 held;		/* address and pieces are the kernel's copies; these pieces */
	u64 held_piece[PIECES_HELD][2];
	s64 result;
	/* As they lie in the caller's memory: the begin of a struct msghdr, a struct iovec. */
	u64 wide[4];
	u32 narrow[4];
	u64 piece[2];		/* the one that is read: where it lies, and its size */
};

/* Whose words, and which. */
struct talk {
	struct rb_peer peer;
	u64 inode;
	u32 offset;
	u16 type;
	u16 kind;
	u16 answer;		/* RB_REFUSED, RB_KILLED */
	u8 ingress;
	u8 received;
	u8 with_name;		/* an address was given, and is not an internet one */
	u8 must_be_dns;		/* enough was shown that is not */
};

/* Sent to before: by whom, on which socket, to whom, and whether it went. */
struct sent {
	u64 inode;
	u8 address[16];		/* of families other than internet ones a hash */
	u32 pid;
	u16 port;
	u8 family;
	u8 failed;
};

/* What is looked at now on this CPU: the stack has no room for it on kernels before 6.13. */
struct talking {
	struct call call;	/* a call that is not traced itself, or what a request of io_uring is to these functions */
	struct message message;
	struct talk talk;
	struct sent sent;
	u64 address[ADDRESS_MAX / 8];
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct talking);
} talking SEC(".maps");

/* NULL never, but for the verifier. */
static __always_inline struct message *message_begin(u32 compat, s64 result)
{
	u32 zero = 0;
	struct talking *here = bpf_map_lookup_elem(&talking, &zero);

	if (!here)
		return NULL;
	__builtin_memset(&here->message, 0, sizeof(here->message));
	here->message.compat = compat;
	here->message.result = result;
	return &here->message;
}

static __always_inline struct call *request_call(u32 scope, u64 start_ns)
{
	u32 zero = 0;
	struct talking *here = bpf_map_lookup_elem(&talking, &zero);

	if (!here)
		return NULL;
	__builtin_memset(&here->call, 0, sizeof(here->call));
	here->call.scope = scope;
	here->call.start_ns = start_ns;
	return &here->call;
}

static __always_inline struct talk *talk_begin(void)
{
	u32 zero = 0;
	struct talking *here = bpf_map_lookup_elem(&talking, &zero);

	if (!here)
		return NULL;
	__builtin_memset(&here->talk, 0, sizeof(here->talk));
	return &here->talk;
}

static __always_inline struct sent *sent_begin(void)
{
	u32 zero = 0;
	struct talking *here = bpf_map_lookup_elem(&talking, &zero);

	if (!here)
		return NULL;
	__builtin_memset(&here->sent, 0, sizeof(here->sent));
	return &here->sent;
}

#define IOVEC_COMPAT 8

/* Where a piece of the message lies, and its size, into `m->piece`. */
static __always_inline bool read_piece(struct message *m, u32 index)
{
	if (m->held) {
		m->piece[0] = m->held_piece[index % PIECES_HELD][0];
		m->piece[1] = m->held_piece[index % PIECES_HELD][1];
		return index < PIECES_HELD;
	}
	if (!m->pieces) {
		m->piece[0] = m->base;
		m->piece[1] = m->size;
		return index == 0;
	}
	if (index >= m->piece_count)
		return false;
	m->piece[1] = 0;
	if (!m->compat)
		return !bpf_probe_read_user(m->piece, sizeof(m->piece), (void *)m->pieces + index * sizeof(m->piece));
	if (bpf_probe_read_user(m->narrow, IOVEC_COMPAT, (void *)m->pieces + index * IOVEC_COMPAT))
		return false;
	m->piece[0] = m->narrow[0];
	m->piece[1] = m->narrow[1];
	return true;
}

#define NO_PIECE (-1)

/* Appends a piece of the message, at most `left` bytes; returns how many, or NO_PIECE. See cgroup_scope(). */
__noinline int put_piece(struct scratch *s, struct message *m, u32 index, u32 left)
{
	u64 len, size;

	if (!s || !m || !read_piece(m, index) || s->len > STRINGS_MAX)
		return NO_PIECE;
	len = bounded(s->len, STRINGS_MAX);	/* 6.1 forgets the bound of what lay on the stack */
	size = bounded(m->piece[1] < left ? m->piece[1] : left, RB_PAYLOAD_MAX);
	if (bpf_probe_read_user(s->data + len, size, (void *)m->piece[0])) {
		record_flag(s, RB_UNREADABLE);
		return NO_PIECE;
	}
	s->len = len + size;
	return size;
}

/* The beginning of the message; the last string of its record. Returns the stored length. */
static __always_inline u32 put_payload(struct scratch *s, struct message *m)
{
	u32 wanted = m->result < 0 ? 0 : bounded(m->result, RB_PAYLOAD_MAX), stored = 0;
	int size;

	for (u32 i = 0; i < PIECES_MAX && stored < wanted; i++) {
		size = put_piece(s, m, i, wanted - stored);
		if (size < 0)
			break;
		stored += size;
	}
	return stored;
}

/* Whether it may be one DNS message: it asks one question. Over a stream, its length may come before it. */
static __always_inline bool is_plausible_dns(u8 *data, u32 len, bool stream)
{
	if (len >= DNS_HEADER && !data[4] && data[5] == 1)
		return true;
	return stream && len >= DNS_HEADER + 2 && !data[6] && data[7] == 1;
}

static __always_inline long read_address_bytes(struct message *m, void *to, u32 size, u32 offset)
{
	if (m->held)
		return bpf_probe_read_kernel(to, size, (void *)m->address + offset);
	return bpf_probe_read_user(to, size, (void *)m->address + offset);
}

/* As put_unix_name and put_raw_address do. */
static __always_inline u32 put_address_held(struct scratch *s, struct message *m, u32 family)
{
	if (family == AF_UNIX)
		return put_unix_name_held(s, m->address + 2, m->address_len);
	return put_kernel_bytes(s, (void *)m->address, bounded(m->address_len, ADDRESS_MAX));
}

static __noinline u32 put_address_given(struct scratch *s, struct message *m, u32 family)
{
	if (m->held)
		return put_address_held(s, m, family);
	if (family == AF_UNIX)
		return put_unix_name(s, m->address + 2, m->address_len);
	return put_raw_address(s, m->address, m->address_len);
}

/* Returns 1 when it was to be DNS and is not. */
__noinline int emit_payload(struct call *c, struct message *m, struct talk *t)
{
	struct rb_payload *r;
	struct scratch *s;
	bool odd = false;

	if (!c || !m || !t)
		return 0;
	s = record_begin(sizeof(struct rb_payload));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, t->kind, c->scope, c->start_ns, m->result);
	r->head.flags = RB_USER_EVIDENCE | t->answer;
	r->peer = t->peer;
	r->inode = t->inode;
	r->offset = t->offset;
	r->type = t->type;
	r->ingress = t->ingress;
	r->received = t->received;
	if (t->with_name)
		r->name_len = put_address_given(s, m, t->peer.family);
	r->data_len = put_payload(s, m);
	if (t->kind == RB_DNS)
		odd = !is_plausible_dns(s->data + sizeof(*r), r->data_len, t->type == SOCK_STREAM);
	if (odd && t->must_be_dns)
		s->busy = 0;
	else
		record_end(s, &critical);
	return odd;
}

/* --- datagrams to an address given with them ------------------------------------------------- */

LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct sent);
	__type(value, u8);
} sent SEC(".maps");

/* FNV-1a over the address as given, word by word. */
__noinline u64 address_hash(struct message *m)
{
	u64 hash = 0xcbf29ce484222325;
	u32 zero = 0;
	struct talking *here = bpf_map_lookup_elem(&talking, &zero);

	if (!m || !here)
		return 0;
	__builtin_memset(here->address, 0, sizeof(here->address));
	read_address_bytes(m, here->address, bounded(m->address_len, ADDRESS_MAX), 0);
	for (u32 i = 0; i < ADDRESS_MAX / 8; i++)
		hash = (hash ^ here->address[i]) * 0x100000001b3;
	return hash;
}

static __always_inline bool is_first(struct talk *t, struct message *m)
{
	struct sent *key = sent_begin();
	u64 hash;
	u8 seen = 1;

	if (!key)
		return false;
	key->inode = t->inode;
	key->pid = bpf_get_current_pid_tgid() >> 32;
	key->family = t->peer.family;
	key->failed = m->result < 0;
	if (is_inet(t->peer.family)) {
		__builtin_memcpy(key->address, t->peer.daddr, 16);
		key->port = t->peer.dport;
	} else {
		hash = address_hash(m);
		__builtin_memcpy(key->address, &hash, 8);
	}
	/* Fails when it is there already. */
	return !bpf_map_update_elem(&sent, key, &seen, BPF_NOEXIST);
}

/* Where the caller sends to. The kernel goes by the same bytes, unless another thread changes them meanwhile. */
static __noinline bool read_address(struct message *m, struct rb_peer *peer)
{
	struct given_address given = {};

	if (read_address_bytes(m, &given, 8, 0))
		return false;
	if (given.family == AF_INET6 && read_address_bytes(m, &given, sizeof(given), 0))
		return false;
	__builtin_memset(peer->daddr, 0, 16);
	if (given.family == AF_INET6)
		__builtin_memcpy(peer->daddr, given.ip6, 16);
	else	/* also of AF_UNSPEC, which sendto takes for AF_INET */
		__builtin_memcpy(peer->daddr, &given.ip4, 4);
	peer->family = given.family == AF_INET6 ? AF_INET6 : AF_INET;
	peer->dport = bpf_ntohs(given.port);
	return true;
}

static __always_inline bool is_no_send(s64 result)
{
	return result == -EAGAIN || result == -EFAULT || result == -EINTR || result == -ENOBUFS;
}

static __always_inline int addressed_sent(struct call *c, struct message *m, struct talk *t)
{
	if (is_no_send(m->result) || !is_first(t, m))
		return 0;
	t->kind = RB_SEND;
	return emit_payload(c, m, t);
}

/* --- sent ---------------------------------------------------------------------------------- */

static __always_inline int dns_said(struct call *c, struct message *m, struct talk *t, struct flow *flow)
{
	t->kind = RB_DNS;
	t->must_be_dns = flow->not_dns >= NOT_DNS_MAX;
	if (m->result >= DNS_HEADER && emit_payload(c, m, t) && flow->not_dns < NOT_DNS_MAX)
		flow->not_dns++;
	return 0;
}

static __always_inline int head_said(struct call *c, struct message *m, struct talk *t, struct flow *flow)
{
	if (flow->heads >= HEADS_MAX || flow->head_bytes >= HEAD_ENOUGH)
		return 0;
	t->kind = RB_HEAD;
	t->offset = flow->head_bytes;
	flow->heads++;
	flow->head_bytes += m->result;
	return emit_payload(c, m, t);
}

static __noinline int inet_sent(struct call *c, struct file *file, struct message *m, struct talk *t)
{
	bool stream = t->type == SOCK_STREAM;
	bool addressed = m->address && !stream && read_address(m, &t->peer);
	struct flow *flow;

	t->answer = refusal_of(sock_of(file), m->result, &t->peer);
	kill_if(t->answer);
	if (addressed || t->answer)
		addressed_sent(c, m, t);
	if (m->result <= 0)
		return 0;
	flow = flow_of(file, c, stream);
	if (!flow)
		return 0;
	__sync_fetch_and_add(&flow->bytes_out, m->result);
	if (!stream)
		__sync_fetch_and_add(&flow->packets_out, 1);
	t->ingress = flow->ingress;
	if (t->peer.dport == DNS_PORT) {
		flow->asks_dns = 1;
		dns_said(c, m, t, flow);
		if (!stream)
			return 0;
	}
	return addressed ? 0 : head_said(c, m, t, flow);
}

__noinline int message_sent(struct call *c, u64 file_at, struct message *m)
{
	struct talk *t = talk_begin();
	struct file *file = (void *)file_at;
	struct sock *sk;

	if (!c || !m || !t)
		return 0;
	if (!file || file_type(file) != S_IFSOCK)
		return 0;
	sk = sock_of(file);
	t->inode = BPF_CORE_READ(file, f_inode, i_ino);
	t->type = BPF_CORE_READ(sk, sk_type);
	read_peer(sk, &t->peer);
	if (is_inet(t->peer.family))
		return inet_sent(c, file, m, t);
	/* Of unix sockets those that are connected were reported then; the others may not even have an address. */
	if (t->peer.family == AF_UNIX && (!m->address || t->type != SOCK_DGRAM))
		return 0;
	t->with_name = m->address != 0;
	if (!m->address)
		m->address_len = 0;
	return addressed_sent(c, m, t);
}

/* --- received ------------------------------------------------------------------------------ */

__noinline int message_received(struct call *c, u64 file_at, struct message *m)
{
	struct talk *t = talk_begin();
	struct file *file = (void *)file_at;
	struct flow *flow;
	struct sock *sk;

	if (!c || !m || !t || m->result <= 0)
		return 0;
	t->received = 1;
	if (!file || file_type(file) != S_IFSOCK)
		return 0;
	sk = sock_of(file);
	t->type = BPF_CORE_READ(sk, sk_type);
	read_peer(sk, &t->peer);
	if (!is_inet(t->peer.family))
		return 0;
	flow = flow_of(file, c, t->type == SOCK_STREAM);
	if (!flow)
		return 0;
	__sync_fetch_and_add(&flow->bytes_in, m->result);
	if (t->type != SOCK_STREAM)
		__sync_fetch_and_add(&flow->packets_in, 1);
	if (t->peer.dport != DNS_PORT && !flow->asks_dns)
		return 0;
	t->inode = flow->inode;
	t->ingress = flow->ingress;
	if (!t->peer.dport && m->address)
		read_address(m, &t->peer);
	return dns_said(c, m, t, flow);
}

/* --- the calls ----------------------------------------------------------------------------- */

static __always_inline void read_msghdr(struct message *m, u64 header)
{
	if (m->compat) {
		bpf_probe_read_user(m->narrow, sizeof(m->narrow), (void *)header);
		m->address = m->narrow[0];
		m->address_len = m->narrow[1];
		m->pieces = m->narrow[2];
		m->piece_count = m->narrow[3];
	} else {
		bpf_probe_read_user(m->wide, sizeof(m->wide), (void *)header);
		m->address = m->wide[0];
		m->address_len = m->wide[1];
		m->pieces = m->wide[2];
		m->piece_count = m->wide[3];
	}
}

struct many {
	struct call *c;
	u64 headers;
};

#define MMSGHDR 64
#define MMSGHDR_COMPAT 32

/* struct mmsghdr: the header, then how much of it went. */
static __always_inline bool read_mmsghdr(struct message *m, struct many *many, u32 index)
{
	u32 done = 0;
	u64 header;

	if (index >= (u64)many->c->result)
		return false;
	m->compat = many->c->compat;
	header = many->headers + index * (m->compat ? MMSGHDR_COMPAT : MMSGHDR);
	read_msghdr(m, header);
	bpf_probe_read_user(&done, sizeof(done), (void *)header + (m->compat ? MMSGHDR_COMPAT - 4 : MMSGHDR - 8));
	m->result = done;
	return true;
}

static long sent_step(u32 index, struct many *many)
{
	struct message *m = message_begin(0, 0);

	if (!m || !read_mmsghdr(m, many, index))
		return 1;
	message_sent(many->c, (u64)file_of(many->c->args[0]), m);
	return 0;
}

static long received_step(u32 index, struct many *many)
{
	struct message *m = message_begin(0, 0);

	if (!m || !read_mmsghdr(m, many, index))
		return 1;
	message_received(many->c, (u64)file_of(many->c->args[0]), m);
	return 0;
}

static __noinline int many_sent(struct call *c)
{
	struct many many = { .c = c, .headers = c->args[1] };
	struct message *m;

	if (c->result >= 0)
		return bpf_loop(MESSAGES_MAX, sent_step, &many, 0);
	m = message_begin(c->compat, c->result);
	if (!m)
		return 0;
	read_msghdr(m, c->args[1]);
	return message_sent(c, (u64)file_of(c->args[0]), m);
}

static __noinline int many_received(struct call *c)
{
	struct many many = { .c = c, .headers = c->args[1] };

	if (c->args[3] & MSG_PEEK)
		return 0;
	return bpf_loop(MESSAGES_MAX, received_step, &many, 0);
}

static __noinline int one_sent(struct call *c, u32 act)
{
	struct message *m = message_begin(c->compat, c->result);

	if (!m)
		return 0;
	if (act == ACT_SENDMSG) {
		read_msghdr(m, c->args[1]);
	} else {
		m->base = c->args[1];
		m->size = c->args[2];
		m->address = act == ACT_SENDTO ? c->args[4] : 0;
		m->address_len = act == ACT_SENDTO ? c->args[5] : 0;
	}
	return message_sent(c, (u64)file_of(c->args[0]), m);
}

static __noinline int one_received(struct call *c, u32 act)
{
	struct message *m = message_begin(c->compat, c->result);

	if (!m)
		return 0;
	if ((act == ACT_RECVMSG ? c->args[2] : c->args[3]) & MSG_PEEK)
		return 0;
	if (act == ACT_RECVMSG) {
		read_msghdr(m, c->args[1]);
	} else {
		m->base = c->args[1];
		m->size = c->args[2];
		m->address = c->args[4];
	}
	return message_received(c, (u64)file_of(c->args[0]), m);
}

#define READ_64 0
#define READV_64 19
#define READ_32 3
#define READV_32 145

/*
 * What comes from a socket by read(2) and readv(2), which are not looked at themselves: everybody would pay for that.
 * The other calls are, and a thread of io_uring has the registers of who made it. bpf_task_pt_regs() wants a task with
 * its type, so this is nothing for a kernel without BTF.
 */
SEC("tp_btf/sock_recv_length")
int BPF_PROG(on_received, struct sock *sk, int result, int flags)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct member *member = current_member();
	struct pt_regs *regs;
	struct message *m;
	struct call *c;
	bool compat;
	u64 nr;

	if (!member || result <= 0 || FIELD(task, flags) & PF_IO_WORKER || !is_inet(BPF_CORE_READ(sk, __sk_common.skc_family)))
		return 0;
	regs = (void *)bpf_task_pt_regs(task);
	compat = is_compat();
	nr = call_number(regs) & ~X32_SYSCALL_BIT;
	if (nr != (compat ? READ_32 : READ_64) && nr != (compat ? READV_32 : READV_64))
		return 0;
	c = request_call(member->scope, member->start_ns);
	m = message_begin(compat, result);
	if (!c || !m)
		return 0;
	call_read(c, regs, member, compat);
	if (nr == READV_64 || nr == READV_32) {
		m->pieces = c->args[1];
		m->piece_count = c->args[2];
	} else {
		m->base = c->args[1];
		m->size = c->args[2];
	}
	return message_received(c, (u64)BPF_CORE_READ(sk, sk_socket, file), m);
}

/* write and writev on a socket; without `base` what is sent lies in a file or a pipe. */
__noinline int socket_written(struct call *c, int fd, u64 base, u64 count, u32 gathered)
{
	struct message *m;

	if (!c)
		return 0;
	m = message_begin(c->compat, c->result);
	if (!m)
		return 0;
	if (gathered) {
		m->pieces = base;
		m->piece_count = count;
	} else {
		m->base = base;
		m->size = base ? count : 0;
	}
	return message_sent(c, (u64)file_of(fd), m);
}

__noinline int socket_exit(struct call *c, u32 act)
{
	if (!c)
		return 0;
	switch (act) {
	case ACT_BIND:
		return bind_exit(c);
	case ACT_LISTEN:
		return listen_exit(c);
	case ACT_ACCEPT:
		return accept_exit(c);
	case ACT_SEND:
	case ACT_SENDTO:
	case ACT_SENDMSG:
		return one_sent(c, act);
	case ACT_SENDMMSG:
		return many_sent(c);
	case ACT_RECVFROM:
	case ACT_RECVMSG:
		return one_received(c, act);
	case ACT_RECVMMSG:
		return many_received(c);
	}
	return 0;
}

#define SOCKETCALLS_MAX 20

/* socketcall(2), the one way that i386 had until 4.3: its number -> act. The arguments lie in memory. */
TABLE(u8, socketcalls, SOCKETCALLS_MAX + 1,
	[2] = ACT_BIND, [3] = ACT_CONNECT, [4] = ACT_LISTEN, [5] = ACT_ACCEPT, [9] = ACT_SEND, [10] = ACT_RECVFROM,
	[11] = ACT_SENDTO, [12] = ACT_RECVFROM, [16] = ACT_SENDMSG, [17] = ACT_RECVMSG, [18] = ACT_ACCEPT,
	[19] = ACT_RECVMMSG, [SOCKETCALLS_MAX] = ACT_SENDMMSG);

static __always_inline int socketcall_exit(struct call *c)
{
	u32 number = c->args[0], a[6] = {}, act;

	if (number > SOCKETCALLS_MAX)
		return 0;
	act = socketcalls[number];
	if (act == ACT_CONNECT)
		return connect_exit(c);
	if (bpf_probe_read_user(a, sizeof(a), (void *)c->args[1]) &&
	    bpf_probe_read_user(a, 3 * sizeof(a[0]), (void *)c->args[1]))
		return 0;
	for (u32 i = 0; i < 6; i++)
		c->args[i] = a[i];
	if (number == 10)	/* recv has no address */
		c->args[4] = 0;
	return socket_exit(c, act);
}
