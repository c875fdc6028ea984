/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * io_uring: the same acts without system calls, by whichever thread: the one that submits, the ring's own (SQPOLL) or
 * a worker. All of them belong to the process that submits.
 *
 * A request completes unseen when the caller wants no word of success (IOSQE_CQE_SKIP_SUCCESS) or leaves no room in
 * its queue. Its end is then found when its struct is used again, or by the sweep, and the record is LATE.
 */
#include "uring.h"
#include "path.h"
#include "peer.h"
#include "call.h"
#include "flow.h"
#include "kill.h"
#include "acting.h"

/* enum io_uring_op, include/uapi/linux/io_uring.h */
#define OP_READV 1
#define OP_WRITEV 2
#define OP_READ_FIXED 4
#define OP_WRITE_FIXED 5
#define OP_SENDMSG 9
#define OP_RECVMSG 10
#define OP_ACCEPT 13
#define OP_CONNECT 16
#define OP_FALLOCATE 17
#define OP_OPENAT 18
#define OP_CLOSE 19
#define OP_READ 22
#define OP_WRITE 23
#define OP_SEND 26
#define OP_RECV 27
#define OP_OPENAT2 28
#define OP_SPLICE 30
#define OP_RENAMEAT 35
#define OP_UNLINKAT 36
#define OP_MKDIRAT 37
#define OP_SYMLINKAT 38
#define OP_LINKAT 39
#define OP_SEND_ZC 47
#define OP_SENDMSG_ZC 48
#define OP_FTRUNCATE 55
#define OP_BIND 56
#define OP_LISTEN 57
#define OP_WRITEV_FIXED 61

/* include/linux/io_uring_types.h; the first eight are IOSQE_..., the others have not moved since 5.12. */
#define REQ_F_FIXED_FILE (1 << 0)
#define REQ_F_IO_DRAIN (1 << 1)
#define REQ_F_LINK (1 << 2)
#define REQ_F_HARDLINK (1 << 3)
#define REQ_F_CQE_SKIP (1 << 6)
#define REQ_F_FAIL (1 << 8)
#define REQ_F_NEED_CLEANUP (1 << 13)	/* names to be freed, until the act is done */

#define FILE_PTR_MASK (~7UL)
#define FILE_INDEX_ALLOC (~0U)
#define SWEPT_AFTER_NS 100000000	/* how long a completion may be on its way before the sweep looks for its end */
#define GIVEN_UP_AFTER_NS 10000000000	/* of a process that is gone; a kernel thread ends what it left */

#define COMMAND(type, req) ((struct type *)((u64)(req) + bpf_core_field_offset(struct io_kiocb, cmd)))

/* --- what a request is about ------------------------------------------------------------------ */

/* A file in the table that a ring has of its own, without a descriptor. */
__noinline u64 registered_file(u64 ctx_at, u32 place)
{
	struct io_ring_ctx *ctx = (void *)ctx_at;
	struct io_ring_ctx___old *old = (void *)ctx_at;
	struct io_rsrc_node **nodes, *node = NULL;
	struct io_fixed_file___old *files;
	unsigned long file = 0;

	if (bpf_core_field_exists(ctx->file_table.data)) {
		if (place >= BPF_CORE_READ(ctx, file_table.data.nr))
			return 0;
		nodes = BPF_CORE_READ(ctx, file_table.data.nodes);
		bpf_probe_read_kernel(&node, sizeof(node), nodes + place);
		file = node ? BPF_CORE_READ(node, file_ptr) : 0;
	} else {
		if (place >= BPF_CORE_READ(old, nr_user_files))
			return 0;
		files = BPF_CORE_READ(old, file_table.files);
		bpf_probe_read_kernel(&file, sizeof(file), (u64 *)files + place);
	}
	return file & FILE_PTR_MASK;
}

/* The file a request will work on, before the kernel has looked it up. */
static __always_inline struct file *file_asked(struct io_kiocb *req)
{
	int fd = BPF_CORE_READ(req, cqe.fd);

	if (BPF_CORE_READ(req, flags) & REQ_F_FIXED_FILE)
		return (void *)registered_file((u64)BPF_CORE_READ(req, ctx), fd);
	return file_of(fd);
}

static __always_inline bool is_write(u8 opcode)
{
	switch (opcode) {
	case OP_WRITEV:
	case OP_WRITE_FIXED:
	case OP_WRITE:
	case OP_WRITEV_FIXED:
	case OP_SPLICE:
	case OP_FALLOCATE:
		return true;
	}
	return false;
}

static __always_inline bool is_send(u8 opcode)
{
	switch (opcode) {
	case OP_SEND:
	case OP_SENDMSG:
	case OP_SEND_ZC:
	case OP_SENDMSG_ZC:
		return true;
	}
	return false;
}

static __always_inline bool is_receive(u8 opcode)
{
	switch (opcode) {
	case OP_READV:
	case OP_READ_FIXED:
	case OP_RECVMSG:
	case OP_READ:
	case OP_RECV:
		return true;
	}
	return false;
}

/* An act whose record says what the socket's own end is. */
static __always_inline bool is_own(u8 opcode)
{
	return opcode == OP_BIND || opcode == OP_LISTEN || opcode == OP_ACCEPT;
}

static __always_inline bool is_socket(struct file *file)
{
	return file && file_type(file) == S_IFSOCK;
}

/* A request before it, in the same chain, may make it. */
static __always_inline bool may_be_socket(struct file *file)
{
	return !file || file_type(file) == S_IFSOCK;
}

static __always_inline bool is_open(u8 opcode)
{
	return opcode == OP_OPENAT || opcode == OP_OPENAT2;
}

static __always_inline bool is_written(u8 opcode, s32 result)
{
	return result > 0 || (opcode == OP_FALLOCATE && !result);
}

static __always_inline bool is_connected(struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);

	if (family == AF_UNIX)
		return BPF_CORE_READ((struct unix_sock *)sk, peer);
	return !is_inet(family) || state == TCP_ESTABLISHED;
}

/* --- keeping a record ------------------------------------------------------------------------- */

static __always_inline void forget(u64 key, struct request *q)
{
	u64 object = q->object;

	if (q->kept > KEPT_BYTES)
		bpf_map_delete_elem(&kept_long, &key);
	else if (q->kept)
		bpf_map_delete_elem(&kept, &key);
	if (q->opcode == OP_CONNECT && object)
		bpf_map_delete_elem(&uring_sockets, &object);
}

/* Ends the record in `s` by putting it by. Static, as 6.1 does not put into a map what is known as memory only. */
static __noinline int keep(u64 key, struct request *q, struct scratch *s)
{
	struct io_kiocb *req = (void *)key;
	struct rb_head *head;
	long error;

	if (!s || !q)
		return 0;
	head = (void *)s->data;
	q->ctx = (u64)BPF_CORE_READ(req, ctx);
	q->user_data = BPF_CORE_READ(req, cqe.user_data);
	q->result_before = BPF_CORE_READ(req, cqe.res);
	q->opcode = BPF_CORE_READ(req, opcode);
	q->start_ns = head->start_ns;
	q->asked_ns = head->time_ns;
	q->pid = head->pid;
	q->tid = head->tid;
	q->scope = head->scope;
	q->kept = s->len;
	if (q->kept > KEPT_BYTES)
		error = bpf_map_update_elem(&kept_long, &key, s->data, BPF_ANY);
	else
		error = bpf_map_update_elem(&kept, &key, s->data, BPF_ANY);
	s->busy = 0;
	if (!error)
		error = bpf_map_update_elem(&requests, &key, q, BPF_ANY);
	if (error) {
		count_loss(RB_LOST_REQUEST);
		forget(key, q);
	}
	return error;
}

static __always_inline void hand_over(struct rb_head *head, u64 len, u8 opcode)
{
	long error;

	if (opcode == OP_CONNECT || is_own(opcode))
		error = bpf_ringbuf_output(&critical, head, len, 0);
	else
		error = bpf_ringbuf_output(&bulk, head, len, 0);
	if (error)
		count_loss(head->kind);
}

static __always_inline bool is_of_current(struct request *q)
{
	return q->pid == bpf_get_current_pid_tgid() >> 32;
}

static __always_inline void finish_kept(struct rb_head *head, struct request *q, s32 result, u16 flags)
{
	struct rb_connect *r = (void *)head;

	head->time_ns = bpf_ktime_get_boot_ns();
	head->result = result;
	/* What another ends, as the sweep, is left to user space. */
	kill_marked(head, is_of_current(q) ? result : -EINPROGRESS);
	head->flags |= flags;
	if ((is_open(q->opcode) || q->opcode == OP_ACCEPT) && result >= 0 && q->detail)
		head->result = RB_NO_DESCRIPTOR;
	if (q->opcode == OP_CONNECT && q->set_off)
		r->peer = q->peer;
}

/* What lsm.bpf.c has put by of it: the file and its names as the kernel found them. */
static __noinline int emit_refused(u64 key, struct request *q)
{
	struct kept *usual = bpf_map_lookup_elem(&kept, &key);
	struct kept_long *more = usual ? NULL : bpf_map_lookup_elem(&kept_long, &key);
	struct rb_head *head = usual ? (void *)usual->record : more ? (void *)more->record : NULL;
	struct acted a;
	u64 actor;

	if (!head || !q)
		return false;
	a = request_refused(q->pid, head->kind, &actor);
	if (!a.head)
		return false;
	acted_end(&a, -EPERM);
	acting_forget(actor);
	return true;
}

/* The record as it was kept, with the result. */
__noinline int emit_kept(u64 key, struct request *q, s32 result, u32 flags)
{
	struct kept_long *more;
	struct kept *usual;

	if (!q)
		return 0;
	if (refuses_acts && result == -EPERM && emit_refused(key, q))
		return 0;
	if (q->kept > KEPT_BYTES) {
		more = bpf_map_lookup_elem(&kept_long, &key);
		if (!more)
			return 0;
		finish_kept((void *)more->record, q, result, flags);
		hand_over((void *)more->record, bounded(q->kept, KEPT_LONG_BYTES), q->opcode);
		return 0;
	}
	usual = bpf_map_lookup_elem(&kept, &key);
	if (!usual)
		return 0;
	finish_kept((void *)usual->record, q, result, flags);
	hand_over((void *)usual->record, bounded(q->kept, KEPT_BYTES), q->opcode);
	return 0;
}

/* Takes the request out of the map, so that only one finishes it. */
static __always_inline struct request *take(u64 key)
{
	struct request *found = bpf_map_lookup_elem(&requests, &key), *q;
	u32 zero = 0;

	if (!found)
		return NULL;
	q = bpf_map_lookup_elem(&finishing, &zero);
	if (!q)
		return NULL;
	*q = *found;
	return bpf_map_delete_elem(&requests, &key) ? NULL : q;
}

/* --- submission ------------------------------------------------------------------------------- */

static __always_inline bool is_absolute(const char *name)
{
	char first = 0;

	bpf_probe_read_kernel(&first, 1, name);
	return first == '/';
}

/* `name` and `name2` of the call are those in the kernel's memory. */
__noinline int ask_path(u64 req, struct member *member, struct path_call *p)
{
	struct request q = {};
	struct rb_path *r;
	struct scratch *s;

	if (!member || !p)
		return 0;
	s = record_begin(sizeof(struct rb_path));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, p->kind, member->scope, member->start_ns, 0);
	r->value = p->value;
	r->path_len = put_base(s, p->dirfd, is_absolute((void *)p->name));
	r->name_len = put_kernel_name(s, (void *)p->name);
	if (p->kind == RB_RENAME || p->kind == RB_LINK)
		r->path2_len = put_base(s, p->dirfd2, is_absolute((void *)p->name2));
	if (p->name2)
		r->name2_len = put_kernel_name(s, (void *)p->name2);
	mark_writer(s);
	return keep(req, &q, s);
}

static __always_inline int ask_rename(struct io_kiocb *req, struct member *member)
{
	struct io_rename *command = COMMAND(io_rename, req);
	struct path_call p = {
		.kind = RB_RENAME,
		.dirfd = BPF_CORE_READ(command, old_dfd),
		.dirfd2 = BPF_CORE_READ(command, new_dfd),
		.name = (u64)BPF_CORE_READ(command, oldpath, name),
		.name2 = (u64)BPF_CORE_READ(command, newpath, name),
		.value = (u32)BPF_CORE_READ(command, flags),
	};

	return ask_path((u64)req, member, &p);
}

#define AT_REMOVEDIR 0x200

static __always_inline int ask_unlink(struct io_kiocb *req, struct member *member)
{
	struct io_unlink *command = COMMAND(io_unlink, req);
	struct path_call p = {
		.kind = BPF_CORE_READ(command, flags) & AT_REMOVEDIR ? RB_RMDIR : RB_UNLINK,
		.dirfd = BPF_CORE_READ(command, dfd),
		.name = (u64)BPF_CORE_READ(command, filename, name),
	};

	return ask_path((u64)req, member, &p);
}

static __always_inline int ask_mkdir(struct io_kiocb *req, struct member *member)
{
	struct io_mkdir *command = COMMAND(io_mkdir, req);
	struct path_call p = {
		.kind = RB_MKDIR,
		.dirfd = BPF_CORE_READ(command, dfd),
		.name = (u64)BPF_CORE_READ(command, filename, name),
		.value = BPF_CORE_READ(command, mode),
	};

	return ask_path((u64)req, member, &p);
}

static __always_inline int ask_link(struct io_kiocb *req, struct member *member)
{
	struct io_link *command = COMMAND(io_link, req);
	struct path_call p = {
		.kind = RB_LINK,
		.dirfd = BPF_CORE_READ(command, old_dfd),
		.dirfd2 = BPF_CORE_READ(command, new_dfd),
		.name = (u64)BPF_CORE_READ(command, oldpath, name),
		.name2 = (u64)BPF_CORE_READ(command, newpath, name),
		.value = (u32)BPF_CORE_READ(command, flags),
	};

	return ask_path((u64)req, member, &p);
}

/* The same struct as for a link; the old name is the target, as given. */
static __always_inline int ask_symlink(struct io_kiocb *req, struct member *member)
{
	struct io_link *command = COMMAND(io_link, req);
	struct path_call p = {
		.kind = RB_SYMLINK,
		.dirfd = BPF_CORE_READ(command, new_dfd),
		.name = (u64)BPF_CORE_READ(command, newpath, name),
		.name2 = (u64)BPF_CORE_READ(command, oldpath, name),
	};

	return ask_path((u64)req, member, &p);
}

__noinline int ask_open(u64 key, struct member *member)
{
	struct io_kiocb *req = (void *)key;
	struct io_open *command = COMMAND(io_open, req);
	const char *name = BPF_CORE_READ(command, filename, name);
	struct request q = {
		.detail = BPF_CORE_READ(command, file_slot),
		.open_flags = BPF_CORE_READ(command, how.flags),
	};
	struct rb_open *r;
	struct scratch *s;

	if (!member || !may_write(q.open_flags))
		return 0;
	s = record_begin(sizeof(struct rb_open));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_OPEN, member->scope, member->start_ns, 0);
	r->open_flags = q.open_flags;
	r->path_len = put_base(s, BPF_CORE_READ(command, dfd), is_absolute(name));
	r->name_len = put_kernel_name(s, name);
	return keep(key, &q, s);
}

/* --- submission: what is said ---------------------------------------------------------------------- */

/* A message as it was asked for; its bytes stay in the caller's memory until it is sent. */
struct asked_message {
	struct rb_head head;
	u64 piece[PIECES_HELD][2];
	u8 address[ADDRESS_MAX];
	u32 address_len;
	u32 reserved;
};

static __always_inline void hold_piece(struct asked_message *asked, u64 base, u64 size)
{
	asked->piece[0][0] = base;
	asked->piece[0][1] = size;
}

static __always_inline void hold_pieces(struct asked_message *asked, u64 pieces, u64 count)
{
	u64 held = bounded(count, PIECES_HELD);

	bpf_probe_read_user(asked->piece, held * sizeof(asked->piece[0]), (void *)pieces);
}

/* The kernel's copy, where it has made one by now. */
static __always_inline void hold_address(struct asked_message *asked, struct io_kiocb *req, u64 given, u32 given_len)
{
	struct io_async_msghdr *copy = BPF_CORE_READ(req, async_data);
	u64 name = copy && bpf_core_field_exists(copy->msg) ? (u64)BPF_CORE_READ(copy, msg.msg_name) : 0;
	u64 len;

	if (name) {
		len = bounded(BPF_CORE_READ(copy, msg.msg_namelen), ADDRESS_MAX);
		if (!bpf_probe_read_kernel(asked->address, len, (void *)name))
			asked->address_len = len;
	} else if (given) {
		len = bounded(given_len, ADDRESS_MAX);
		if (!bpf_probe_read_user(asked->address, len, (void *)given))
			asked->address_len = len;
	}
}

__noinline int hold_message(struct scratch *s, u64 req_at, u32 opcode)
{
	struct io_kiocb *req = (void *)req_at;
	struct io_sr_msg *message = COMMAND(io_sr_msg, req);
	struct io_rw *rw = COMMAND(io_rw, req);
	struct asked_message *asked;
	u64 header[4] = {};

	if (!s)
		return 0;
	asked = (void *)s->data;
	switch (opcode) {
	case OP_SEND:
	case OP_SEND_ZC:
		hold_piece(asked, (u64)BPF_CORE_READ(message, buf), (u32)BPF_CORE_READ(message, len));
		if (bpf_core_field_exists(message->addr))
			hold_address(asked, req, (u64)BPF_CORE_READ(message, addr), BPF_CORE_READ(message, addr_len));
		else
			hold_address(asked, req, 0, 0);
		break;
	case OP_SENDMSG:
	case OP_SENDMSG_ZC:
		bpf_probe_read_user(header, sizeof(header), BPF_CORE_READ(message, buf));
		hold_pieces(asked, header[2], header[3]);
		hold_address(asked, req, header[0], header[1]);
		break;
	case OP_WRITE:
	case OP_WRITE_FIXED:
		hold_piece(asked, BPF_CORE_READ(rw, addr), BPF_CORE_READ(rw, len));
		break;
	case OP_WRITEV:
	case OP_WRITEV_FIXED:
		hold_pieces(asked, BPF_CORE_READ(rw, addr), BPF_CORE_READ(rw, len));
		break;
	}
	return 0;
}

static __always_inline u32 asked_bytes(struct asked_message *asked)
{
	u32 bytes = 0;

	for (int i = 0; i < PIECES_HELD; i++)
		bytes += asked->piece[i][1];
	return bytes;
}

/* What was asked to be said on the socket has been; `result` as a system call would tell. */
__noinline int said(u64 key, struct request *q, u64 file_at, s32 result)
{
	struct kept *record = bpf_map_lookup_elem(&kept, &key);
	struct asked_message *asked;
	struct message *m;
	struct call *c;

	if (!q || !record)
		return 0;
	asked = (void *)record->record;
	m = message_begin(0, result);
	c = request_call(q->scope, q->start_ns);
	if (!m || !c)
		return 0;
	m->held = 1;
	__builtin_memcpy(m->held_piece, asked->piece, sizeof(m->held_piece));
	m->address = asked->address_len ? (u64)asked->address : 0;
	m->address_len = asked->address_len;
	return message_sent(c, file_at, m);
}

/* Of what the caller wants no word, nobody tells the end: it is taken for said when it is asked for. */
static __always_inline int said_at_once(u64 key)
{
	struct request *q = take(key);
	struct kept *record = bpf_map_lookup_elem(&kept, &key);

	if (!q)
		return 0;
	if (record)
		said(key, q, q->object, asked_bytes((void *)record->record));
	forget(key, q);
	return 0;
}

/* Returns whether nobody will tell how it went. */
__noinline int ask_send(u64 key, struct member *member)
{
	struct io_kiocb *req = (void *)key;
	struct file *file = file_asked(req);
	struct request q = { .object = (u64)file, .detail = BPF_CORE_READ(file, f_inode, i_ino) };
	struct asked_message *asked;
	struct scratch *s;

	/* A socket may still be made by a request before this one, in the same chain. */
	if (!member || (file && !is_socket(file)))
		return 0;
	s = record_begin(sizeof(*asked));
	if (!s)
		return 0;
	asked = (void *)s->data;
	__builtin_memset(asked, 0, sizeof(*asked));
	record_head(&asked->head, RB_HEAD, member->scope, member->start_ns, 0);
	hold_message(s, key, BPF_CORE_READ(req, opcode));
	return !keep(key, &q, s) && file && BPF_CORE_READ(req, flags) & REQ_F_CQE_SKIP;
}

/* Kept only for what would be a first write; that of a file which is followed needs no record. */
__noinline int ask_write(u64 key, struct member *member)
{
	struct io_kiocb *req = (void *)key;
	struct file *file = file_asked(req);
	struct request q = { .object = (u64)file };
	struct rb_open *r;
	struct scratch *s;

	if (!member || !file || !(BPF_CORE_READ(file, f_mode) & FMODE_WRITE) || file_type(file) == S_IFIFO ||
	    followed(file) || !is_lasting(file))
		return 0;
	q.detail = BPF_CORE_READ(req, flags) & REQ_F_FIXED_FILE ? RB_NO_DESCRIPTOR : BPF_CORE_READ(req, cqe.fd);
	s = record_begin(sizeof(struct rb_open));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_OPEN, member->scope, member->start_ns, 0);
	record_flag(s, RB_INHERITED);
	r->inode = BPF_CORE_READ(file, f_inode, i_ino);
	r->device = file_device(file);
	r->mode = BPF_CORE_READ(file, f_inode, i_mode);
	r->open_flags = BPF_CORE_READ(file, f_flags);
	r->path_len = put_file_path(s, file);
	return keep(key, &q, s);
}

__noinline int ask_truncate(u64 key, struct member *member)
{
	struct io_kiocb *req = (void *)key;
	struct io_ftrunc *command = COMMAND(io_ftrunc, req);
	struct file *file = file_asked(req);
	struct request q = {};
	struct rb_path *r;
	struct scratch *s;

	if (!member || !file || !bpf_core_field_exists(command->len))	/* the request came with 6.9 */
		return 0;
	s = record_begin(sizeof(struct rb_path));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_TRUNCATE, member->scope, member->start_ns, 0);
	r->value = BPF_CORE_READ(command, len);
	r->inode = BPF_CORE_READ(file, f_inode, i_ino);
	r->device = file_device(file);
	r->path_len = put_file_path(s, file);
	return keep(key, &q, s);
}

/* The address as the kernel has copied it. */
static __always_inline void address_asked(struct scratch *s, struct rb_connect *r, u64 address, u32 address_len)
{
	struct {
		u16 family;
		u16 port;
		u32 ip4;
		u8 ip6[16];
	} given = {};
	char first = 0;

	bpf_probe_read_kernel(&given, sizeof(given), (void *)address);
	r->peer.family = given.family;
	if (given.family == AF_UNIX) {
		address += 2;
		bpf_probe_read_kernel(&first, 1, (void *)address);
		if (first)
			r->name_len = put_kernel_name(s, (void *)address);
		else if (address_len > 2)
			r->name_len = put_kernel_bytes(s, (void *)address, bounded(address_len - 2, SUN_PATH_BYTES));
		return;
	}
	if (!is_inet(given.family))
		return;
	if (given.family == AF_INET)
		__builtin_memcpy(r->peer.daddr, &given.ip4, 4);
	else
		__builtin_memcpy(r->peer.daddr, given.ip6, 16);
	r->peer.dport = bpf_ntohs(given.port);
}

/*
 * Where the kernel has copied the address to, or NULL. Until v6.8 that is at no place known here; from then on in a
 * struct io_async_msghdr, and on later kernels (6.18 for one) alone. A message begins with a pointer or with NULL, an
 * address with its family.
 */
static __always_inline u64 address_copied(struct io_kiocb *req)
{
	struct io_async_msghdr *message = BPF_CORE_READ(req, async_data);
	u64 first = 0;

	if (!message || !bpf_core_field_exists(message->addr))
		return 0;
	bpf_probe_read_kernel(&first, sizeof(first), message);
	if (!first || (first >> 48 == 0xffff && !(first & 7)))
		return (u64)message + bpf_core_field_offset(message->addr);
	return (u64)message;
}

__noinline int put_address(struct scratch *s, u64 req_at)
{
	struct io_kiocb *req = (void *)req_at;
	struct io_connect *command = COMMAND(io_connect, req);
	u32 address_len = BPF_CORE_READ(command, addr_len);
	u64 copied = address_copied(req);
	struct rb_connect *r;

	if (!s)
		return 0;
	r = (void *)s->data;
	if (copied)
		address_asked(s, r, copied, address_len);
	else
		peer_from_caller(s, r, (u64)BPF_CORE_READ(command, addr), address_len);
	return 0;
}

__noinline int ask_connect(u64 key, struct member *member)
{
	struct io_kiocb *req = (void *)key;
	struct file *file = file_asked(req);
	struct sock *sk = file && file_type(file) == S_IFSOCK ? sock_of(file) : NULL;
	struct request q = { .object = (u64)sk };
	struct scratch *s;
	struct rb_connect *r;

	/* A descriptor may still be made by a request before this one, in the same chain. */
	if (!member || (file && !sk))
		return 0;
	q.type = BPF_CORE_READ(sk, sk_type);
	if (sk && is_inet(BPF_CORE_READ(sk, __sk_common.skc_family)) && q.type == SOCK_STREAM &&
	    BPF_CORE_READ(sk, sk_socket, state) > SS_UNCONNECTED)
		return 0;	/* it asks how an earlier connect went */
	s = record_begin(sizeof(struct rb_connect));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_CONNECT, member->scope, member->start_ns, 0);
	r->type = q.type;
	put_address(s, key);
	r->peer.protocol = BPF_CORE_READ(sk, sk_protocol);
	q.peer.family = r->peer.family;
	if (!keep(key, &q, s) && sk && bpf_map_update_elem(&uring_sockets, &q.object, &key, BPF_ANY))
		count_loss(RB_LOST_PEER);
	return 0;
}

/* --- submission: bind, listen, accept --------------------------------------------------------------- */

static __always_inline void put_own_address(struct scratch *s, struct io_kiocb *req, struct rb_connect *r)
{
	struct io_bind *command = COMMAND(io_bind, req);
	u64 copied = address_copied(req);

	if (!copied || !bpf_core_field_exists(command->addr_len))	/* the request came with 6.11 */
		return;
	address_asked(s, r, copied, BPF_CORE_READ(command, addr_len));
	__builtin_memcpy(r->peer.saddr, r->peer.daddr, 16);
	__builtin_memset(r->peer.daddr, 0, 16);
	r->peer.sport = r->peer.dport;
	r->peer.dport = 0;
}

static __always_inline u32 own_kind(u8 opcode)
{
	return opcode == OP_BIND ? RB_BIND : opcode == OP_LISTEN ? RB_LISTEN : RB_ACCEPT;
}

__noinline int ask_own(u64 key, struct member *member)
{
	struct io_kiocb *req = (void *)key;
	struct file *file = file_asked(req);
	struct sock *sk = is_socket(file) ? sock_of(file) : NULL;
	struct request q = { .object = (u64)file };
	u8 opcode = BPF_CORE_READ(req, opcode);
	struct rb_connect *r;
	struct scratch *s;

	if (!member || (file && !sk))
		return 0;
	s = record_begin(sizeof(*r));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, own_kind(opcode), member->scope, member->start_ns, 0);
	r->type = BPF_CORE_READ(sk, sk_type);
	read_peer(sk, &r->peer);
	if (opcode == OP_BIND)
		put_own_address(s, req, r);
	else if (r->peer.family == AF_UNIX)
		unix_end(s, r, (void *)sk);
	if (opcode == OP_ACCEPT)
		q.detail = BPF_CORE_READ(COMMAND(io_accept, req), file_slot);
	return keep(key, &q, s);
}

/* An accept may go on after it has found somebody, and each is told by the request's name only. */
static __always_inline int ask_accept(u64 key, struct member *member)
{
	struct io_kiocb *req = (void *)key;
	struct asker asker = {
		.ctx = (u64)BPF_CORE_READ(req, ctx),
		.user_data = BPF_CORE_READ(req, cqe.user_data),
	};
	struct many_shots shots = {
		.opcode = OP_ACCEPT,
		.detail = BPF_CORE_READ(COMMAND(io_accept, req), file_slot),
	};

	bpf_map_update_elem(&many_shots, &asker, &shots, BPF_ANY);
	return ask_own(key, member);
}

/*
 * Closes at once, if it is not to wait for others. One that waits is left to the sweep: what it waits for may write
 * to the file still.
 */
static __always_inline int ask_close(struct io_kiocb *req, struct member *member)
{
	struct io_close *command = COMMAND(io_close, req);
	u32 waits = REQ_F_IO_DRAIN | REQ_F_LINK | REQ_F_HARDLINK;

	if (BPF_CORE_READ(req, flags) & waits || BPF_CORE_READ(req, ctx, submit_state.link.head))
		return 0;
	if (!BPF_CORE_READ(command, file_slot))
		let_go(file_of(BPF_CORE_READ(command, fd)), member->scope, member->start_ns);
	return 0;
}

static __always_inline int ask(struct io_kiocb *req, struct member *member, u8 opcode)
{
	if (is_send(opcode) || (is_write(opcode) && may_be_socket(file_asked(req))))
		return ask_send((u64)req, member) ? said_at_once((u64)req) : 0;
	if (is_write(opcode))
		return ask_write((u64)req, member);
	switch (opcode) {
	case OP_OPENAT:
	case OP_OPENAT2:
		return ask_open((u64)req, member);
	case OP_CONNECT:
		return ask_connect((u64)req, member);
	case OP_BIND:
	case OP_LISTEN:
		return ask_own((u64)req, member);
	case OP_ACCEPT:
		return ask_accept((u64)req, member);
	case OP_CLOSE:
		return ask_close(req, member);
	case OP_RENAMEAT:
		return ask_rename(req, member);
	case OP_UNLINKAT:
		return ask_unlink(req, member);
	case OP_MKDIRAT:
		return ask_mkdir(req, member);
	case OP_SYMLINKAT:
		return ask_symlink(req, member);
	case OP_LINKAT:
		return ask_link(req, member);
	case OP_FTRUNCATE:
		return ask_truncate((u64)req, member);
	}
	return 0;
}

/* --- completion ------------------------------------------------------------------------------- */

#define ECANCELED_BEFORE (-ECANCELED)	/* not carried out: its chain failed, or it was taken back */

/* A message, by whatever request. */
static __always_inline bool says(u64 key, struct request *q)
{
	struct kept *record;

	if (is_send(q->opcode))
		return true;
	if (!is_write(q->opcode) || q->kept != sizeof(struct asked_message))
		return false;
	record = bpf_map_lookup_elem(&kept, &key);
	return record && ((struct rb_head *)record->record)->kind == RB_HEAD;
}

/*
 * Its end was not seen, and what was said can be read by its own process alone, while it has the socket: else it
 * is lost.
 */
static __always_inline void said_late(u64 key, struct request *q, s32 result)
{
	struct file *file = (void *)q->object;

	if ((result <= 0 && result != -EINPROGRESS) || (is_write(q->opcode) && !file))
		return;
	if (result > 0 && is_of_current(q) && file && references(file) > 0 &&
	    (u32)BPF_CORE_READ(file, f_inode, i_ino) == q->detail)
		said(key, q, (u64)file, result);
	else
		count_loss(RB_LOST_REQUEST);
}

/* The end of a request that was not seen to complete. The record is the one that was kept. */
__noinline int finish_late(u64 key, struct request *q, s32 result)
{
	if (!q)
		return 0;
	if (says(key, q)) {
		said_late(key, q, result);
	} else if (is_write(q->opcode)) {
		if (is_written(q->opcode, result) || result == -EINPROGRESS)
			emit_kept(key, q, q->detail, RB_LATE);
	} else if (result != ECANCELED_BEFORE || q->set_off) {
		emit_kept(key, q, result, RB_LATE);
	}
	forget(key, q);
	return 0;
}

__noinline int finish_open(u64 key, struct request *q, s32 result)
{
	struct call c = { .result = result };
	struct file *file = NULL;
	u32 place;

	if (!q || result == ECANCELED_BEFORE)
		return 0;
	c.start_ns = q->start_ns;
	c.scope = q->scope;
	place = q->detail;
	if (result >= 0 && place)
		file = (void *)registered_file(q->ctx, place == FILE_INDEX_ALLOC ? result : place - 1);
	else if (result >= 0)
		file = file_of(result);
	if (!file || !is_of_current(q))
		return emit_kept(key, q, result, 0);
	return opened(&c, (u64)file, place ? RB_NO_DESCRIPTOR : result, q->open_flags);
}

/* Whom the socket is connected to, as after a system call. */
__noinline int emit_connected(struct request *q, u64 sk, s32 result)
{
	struct connecting w = {};
	struct rb_connect *r;
	struct scratch *s;

	if (!q)
		return 0;
	s = record_begin(sizeof(struct rb_connect));
	if (!s)
		return 0;
	w.type = q->type;
	w.set_off = q->set_off;
	w.peer = q->peer;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_CONNECT, q->scope, q->start_ns, result);
	r->head.pid = q->pid;
	r->head.tid = q->tid;
	fill_connect(s, r, (void *)sk, &w);
	record_end(s, &critical);
	return 0;
}

static __always_inline int flow_connected(struct request *q, u64 file_at, s32 result)
{
	struct sock *sk = sock_of((void *)file_at);
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if (!is_inet(family) || !is_of_current(q) || (result && result != -EINPROGRESS))
		return 0;
	return flow_begin(file_at, q->scope, q->start_ns, FLOW_NEW_PEER | (result ? 0 : FLOW_ESTABLISHED));
}

__noinline int finish_connect(u64 key, struct request *q, u64 file_at, s32 result)
{
	struct file *file = (void *)file_at;
	struct sock *sk = file && file_type(file) == S_IFSOCK ? sock_of(file) : NULL;
	u64 alone = (u64)sk;
	u16 answer;

	if (!q)
		return 0;
	if (!sk)
		return result == ECANCELED_BEFORE ? 0 : emit_kept(key, q, result, 0);
	if (!q->object && !bpf_map_delete_elem(&set_off_alone, &alone))
		return 0;	/* reported when it set off */
	q->type = BPF_CORE_READ(sk, sk_type);
	if (q->set_off) {
		result = settled_result(sk, result);
		emit_connected(q, (u64)sk, result);
		return flow_connected(q, (u64)file, result);
	}
	if (result == ECANCELED_BEFORE)
		return 0;
	if (result < 0) {
		answer = refusal_of(sk, result, &q->peer);
		kill_if(answer);
		return q->peer.family ? emit_kept(key, q, result, answer) : 0;
	}
	/* A TCP socket that did not set off was connected before. AF_UNSPEC dissolves an association. */
	if (BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP || !is_connected(sk))
		return 0;
	emit_connected(q, (u64)sk, result);
	return flow_connected(q, (u64)file, result);
}

/* Bound, listening or refused; the socket holds where, unless its family is one we do not read. */
__noinline int finish_own(u64 key, struct request *q, u64 file_at, s32 result)
{
	struct file *file = (void *)file_at;
	struct call c = { .result = result };
	struct own own = {};
	struct sock *sk;
	u16 family;

	if (!q || result == ECANCELED_BEFORE)
		return 0;
	sk = is_socket(file) ? sock_of(file) : NULL;
	own.kind = own_kind(q->opcode);
	own.file = file_at;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (result < 0 || !is_of_current(q) || (!is_inet(family) && family != AF_UNIX))
		return emit_kept(key, q, result, 0);
	c.scope = q->scope;
	c.start_ns = q->start_ns;
	return own_exit(&c, &own);
}

static __always_inline struct file *file_accepted(u64 ctx_at, u32 place, s32 result)
{
	if (!place)
		return file_of(result);
	return (void *)registered_file(ctx_at, place == FILE_INDEX_ALLOC ? result : place - 1);
}

__noinline int accepted(struct call *c, u64 file_at, u32 place)
{
	struct file *file = (void *)file_at;
	struct own own = { .kind = RB_ACCEPT };
	struct sock *sk;

	if (!c || !is_socket(file))
		return 0;
	sk = sock_of(file);
	own.file = file_at;
	if (is_inet(BPF_CORE_READ(sk, __sk_common.skc_family)))
		flow_begin(file_at, c->scope, c->start_ns, FLOW_INGRESS | FLOW_ESTABLISHED);
	if (place)
		c->result = RB_NO_DESCRIPTOR;
	return own_exit(c, &own);
}

static __always_inline int finish_accept(u64 key, struct request *q, s32 result)
{
	struct asker asker = { .ctx = q->ctx, .user_data = q->user_data };
	struct call *c;

	bpf_map_delete_elem(&many_shots, &asker);
	if (result == -EAGAIN || result == ECANCELED_BEFORE)
		return 0;
	if (result < 0 || !is_of_current(q))
		return emit_kept(key, q, result, 0);
	c = request_call(q->scope, q->start_ns);
	if (!c)
		return 0;
	c->result = result;
	return accepted(c, (u64)file_accepted(q->ctx, q->detail, result), q->detail);
}

/* A completion that is not the last of its request. */
__noinline int goes_on(u64 ctx, u64 user_data, s32 result)
{
	struct asker asker = { .ctx = ctx, .user_data = user_data };
	struct many_shots *shots = bpf_map_lookup_elem(&many_shots, &asker);
	struct member *member = shots ? current_member() : NULL;
	struct call *c;

	if (!shots || !member || result < 0)
		return 0;
	c = request_call(member->scope, member->start_ns);
	if (!c)
		return 0;
	c->result = result;
	return accepted(c, (u64)file_accepted(ctx, shots->detail, result), shots->detail);
}

/* --- completion: received -------------------------------------------------------------------------- */

static __always_inline void read_received(struct io_kiocb *req, struct message *m, u8 opcode)
{
	struct io_sr_msg *message = COMMAND(io_sr_msg, req);
	struct io_rw *rw = COMMAND(io_rw, req);

	switch (opcode) {
	case OP_RECV:
		m->base = (u64)BPF_CORE_READ(message, buf) - BPF_CORE_READ(message, done_io);
		m->size = m->result;
		break;
	case OP_RECVMSG:
		read_msghdr(m, (u64)BPF_CORE_READ(message, buf));
		break;
	case OP_READV:
		m->pieces = BPF_CORE_READ(rw, addr);
		m->piece_count = BPF_CORE_READ(rw, len);
		break;
	default:
		m->base = BPF_CORE_READ(rw, addr);
		m->size = m->result;
	}
}

static __always_inline bool is_peek(struct io_kiocb *req, u8 opcode)
{
	struct io_sr_msg *message = COMMAND(io_sr_msg, req);

	return (opcode == OP_RECV || opcode == OP_RECVMSG) && BPF_CORE_READ(message, msg_flags) & MSG_PEEK;
}

__noinline int finish_receive(u64 req_at, u32 opcode)
{
	struct io_kiocb *req = (void *)req_at;
	struct file *file = BPF_CORE_READ(req, file);
	struct member *member;
	struct message *m;
	struct call *c;

	if (!is_socket(file) || is_peek(req, opcode))
		return 0;
	member = current_member();
	m = message_begin(0, BPF_CORE_READ(req, cqe.res));
	c = member ? request_call(member->scope, member->start_ns) : NULL;
	if (!m || !c)
		return 0;
	read_received(req, m, opcode);
	return message_received(c, (u64)file, m);
}

static __always_inline void finish_write(struct io_kiocb *req, u8 opcode, s32 result, int fd)
{
	struct file *file = BPF_CORE_READ(req, file);
	struct member *member;
	struct call *c;

	if (!file || !is_written(opcode, result))
		return;
	member = current_member();
	c = member ? request_call(member->scope, member->start_ns) : NULL;
	if (c)
		wrote(c, (u64)file, fd, result, BY_CALL);
}

static __always_inline int finish(u64 key, struct request *q, struct io_kiocb *req, s32 result)
{
	if (is_open(q->opcode))
		finish_open(key, q, result);
	else if (q->opcode == OP_CONNECT)
		finish_connect(key, q, (u64)BPF_CORE_READ(req, file), result);
	else if (q->opcode == OP_ACCEPT)
		finish_accept(key, q, result);
	else if (is_own(q->opcode))
		finish_own(key, q, (u64)BPF_CORE_READ(req, file), result);
	else if (!is_write(q->opcode) && result != ECANCELED_BEFORE)
		emit_kept(key, q, result, 0);
	forget(key, q);
	return 0;
}

static __always_inline int finish_send(u64 key, struct request *q, struct io_kiocb *req, s32 result)
{
	if (is_of_current(q))
		said(key, q, (u64)BPF_CORE_READ(req, file), result);
	else if (result > 0)
		count_loss(RB_LOST_REQUEST);	/* a kernel thread ends what an exiting process left */
	forget(key, q);
	return 0;
}

/*
 * The third argument is the completion, or, on older kernels, the name of the request, and the result follows. Read
 * from memory, as the verifier goes by the kernel's own arguments.
 */
static __always_inline int another_word(void *ctx)
{
	u64 args[4] = {};
	struct io_uring_cqe *cqe;

	bpf_probe_read_kernel(args, sizeof(args), ctx);
	cqe = (void *)args[2];
	if (args[2] >> 48 == 0xffff)
		return goes_on(args[0], BPF_CORE_READ(cqe, user_data), BPF_CORE_READ(cqe, res));
	return goes_on(args[0], args[2], args[3]);
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_uring_complete, void *ctx_, struct io_kiocb *req)
{
	u64 key = (u64)req;
	struct request *q;
	s32 result;
	u8 opcode;

	if (!req)
		return another_word(ctx);
	q = take(key);
	opcode = BPF_CORE_READ(req, opcode);
	if (is_receive(opcode))
		return finish_receive(key, opcode);
	if (!q && !is_write(opcode))
		return 0;
	result = BPF_CORE_READ(req, cqe.res);
	if (q && says(key, q) && (is_send(opcode) || is_socket(BPF_CORE_READ(req, file))))
		return finish_send(key, q, req, result);
	if (is_write(opcode) && (!q || is_of_current(q)))
		finish_write(req, opcode, result, q && q->object ? q->detail : RB_NO_DESCRIPTOR);
	else if (q && !says(key, q) && is_write(opcode) && is_written(opcode, result))
		emit_kept(key, q, q->detail, 0);	/* a kernel thread ends what an exiting process left */
	return q ? finish(key, q, req, result) : 0;
}

/* The address of the request is read as a number, which functions verified on their own can take. */
static __always_inline int submitted(void *ctx)
{
	struct member *member = current_member();
	struct io_kiocb *req = NULL;
	struct request *q;

	if (!member || bpf_probe_read_kernel(&req, sizeof(req), ctx))
		return 0;
	member->has_requests = 1;
	q = take((u64)req);
	if (q)	/* of the request that had this struct before */
		finish_late((u64)req, q, BPF_CORE_READ(req, cqe.res));
	return ask(req, member, BPF_CORE_READ(req, opcode));
}

/* Until v6.4 the tracepoint is called io_uring_submit_sqe (2ad57931db64); the loader sees to that. */
SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_uring_submit, struct io_kiocb *req)
{
	return submitted(ctx);
}

/* --- sweep ------------------------------------------------------------------------------------ */

enum end {
	GOES_ON,
	ENDED,
	ENDED_UNSEEN,	/* the struct is gone, or somebody else's by now */
};

static __always_inline bool has_ended(struct io_kiocb *req, struct request *q)
{
	u32 flags = BPF_CORE_READ(req, flags);

	if (BPF_CORE_READ(req, cqe.res) != q->result_before || flags & REQ_F_FAIL)
		return true;
	if (q->opcode == OP_CONNECT)
		return is_connected((void *)q->object);
	if (is_send(q->opcode) || is_own(q->opcode))
		return false;
	return !is_write(q->opcode) && q->opcode != OP_FTRUNCATE && !(flags & REQ_F_NEED_CLEANUP);
}

__noinline int end_of(u64 key, struct request *q)
{
	struct io_kiocb *req = (void *)key;
	struct member *member;
	bool same;
	u64 age;

	if (!q)
		return GOES_ON;
	same = (u64)BPF_CORE_READ(req, ctx) == q->ctx && BPF_CORE_READ(req, cqe.user_data) == q->user_data &&
	       BPF_CORE_READ(req, opcode) == q->opcode;
	member = member_of(q->pid);
	if (member && member->start_ns != q->start_ns)
		member = NULL;
	age = bpf_ktime_get_boot_ns() - q->asked_ns;
	if (member && age < SWEPT_AFTER_NS)
		return GOES_ON;
	if (same && has_ended(req, q))
		return ENDED;
	return same && (member || age < GIVEN_UP_AFTER_NS) ? GOES_ON : ENDED_UNSEEN;
}

static long sweep_request(void *map, u64 *key, struct request *found, void *unused)
{
	int end = end_of(*key, found);
	u64 req = *key;
	u32 zero = 0;
	struct request *q = bpf_map_lookup_elem(&swept, &zero);

	if (end == GOES_ON || !q)
		return 0;
	*q = *found;
	if (bpf_map_delete_elem(map, key))
		return 0;
	finish_late(req, q, end == ENDED ? BPF_CORE_READ((struct io_kiocb *)req, cqe.res) : -EINPROGRESS);
	return 0;
}

/* The rings of a process still exist when it is traced to exit; later their requests cannot be read any more. */
static long exit_request(void *map, u64 *key, struct request *found, u32 *pid)
{
	struct request *q;
	u64 req = *key;
	int end;

	if (found->pid != *pid)
		return 0;
	end = end_of(req, found);
	q = end == GOES_ON ? NULL : take(req);
	if (q)
		finish_late(req, q, end == ENDED ? BPF_CORE_READ((struct io_kiocb *)req, cqe.res) : -EINPROGRESS);
	return 0;
}

static __always_inline void requests_exit(u32 pid)
{
	bpf_for_each_map_elem(&requests, exit_request, &pid, 0);
}

SEC("raw_tp/sweep_requests")
int sweep_requests(void *ctx)
{
	bpf_for_each_map_elem(&requests, sweep_request, NULL, 0);
	return 0;
}
