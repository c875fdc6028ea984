/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Files: opened for writing or created, closed after that, and the calls that change a name or an
 * attribute. Writes are added up in the kernel and reported once, when the last reference goes.
 */
#include "scope.h"
#include "path.h"
#include "call.h"
#include "flow.h"
#include "acting.h"
#include "kill.h"

#define FD_SCAN_MAX 65536

/* An open file description that can be written, by the address of its struct file. */
struct written {
	u64 inode;
	u64 bytes;
	u64 writes;
	u64 start_ns;
	u32 device;
	u32 mode;
	u32 pid;
	u32 scope;
	u64 mapped;	/* also through shared mappings */
	u64 found_ns;	/* when it was found open at an attach; else 0 */
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct written);
} files SEC(".maps");

/* How many hold the file: 1 when the caller is the last, 0 or less when it is gone. */
static __always_inline long references(struct file *file)
{
	struct file___count *old = (void *)file;

	/* file_ref_t counts from 0 for one holder, and is negative when there is none (v6.13). */
	if (bpf_core_field_exists(file->f_ref))
		return BPF_CORE_READ(file, f_ref.refcnt.counter) + 1;
	return BPF_CORE_READ(old, f_count.counter);
}

static __always_inline void fill_close(struct rb_close *r, struct written *w)
{
	r->inode = w->inode;
	r->bytes = w->bytes;
	r->writes = w->writes;
	r->device = w->device;
	r->mode = w->mode;
	r->path_len = 0;
	r->reserved = 0;
	if (w->mapped)
		r->head.flags |= RB_MAPPED;
}

/* The file is gone already, and with it its path; user space knows that from the open. */
static __always_inline bool emit_late_close(struct written *w, struct scratch *s)
{
	struct rb_close *r;

	if (!s)
		return false;
	r = (void *)s->data;
	record_head(&r->head, RB_CLOSE, w->scope, w->start_ns, 0);
	r->head.pid = w->pid;
	r->head.tid = w->pid;
	record_flag(s, RB_LATE);
	fill_close(r, w);
	record_end(s, &bulk);
	return true;
}

/* --- open -------------------------------------------------------------------------------- */

/* Whether the entry at the address of `file` is about `file`, and not about one that went unseen before it. */
static __always_inline bool is_about(struct written *w, struct file *file)
{
	return BPF_CORE_READ(file, f_inode, i_ino) == w->inode;
}

static __always_inline struct written *followed(struct file *file)
{
	u64 key = (u64)file;
	struct written *w = bpf_map_lookup_elem(&files, &key);

	return w && is_about(w, file) ? w : NULL;
}

/*
 * NULL when there is no room, or when the look at what is open at an attach came first: then it is followed.
 * A frame of its own: kernels before 6.13 add up the stack of a whole chain of calls, and allow 512 bytes.
 */
static __noinline struct written *follow(struct file *file, u32 scope, u64 start_ns)
{
	u64 key = (u64)file;
	struct written new = {
		.inode = BPF_CORE_READ(file, f_inode, i_ino),
		.start_ns = start_ns,
		.device = file_device(file),
		.mode = BPF_CORE_READ(file, f_inode, i_mode),
		.pid = bpf_get_current_pid_tgid() >> 32,
		.scope = scope,
	};
	struct written *w;
	int error;

	w = bpf_map_lookup_elem(&files, &key);
	if (w && is_about(w, file) && w->found_ns && bpf_ktime_get_boot_ns() - w->found_ns < CALL_END_NS)
		return NULL;
	if (w) {
		emit_late_close(w, record_begin(sizeof(struct rb_close)));
		bpf_map_delete_elem(&files, &key);
	}
	error = map_update(&files, &key, &new, BPF_NOEXIST);
	if (error) {
		if (error != -EEXIST)
			count_loss(RB_LOST_FILE);
		return NULL;
	}
	return bpf_map_lookup_elem(&files, &key);
}

static __noinline int emit_open(struct call *c, struct file *file, int fd, u32 open_flags, u16 flags)
{
	struct scratch *s = record_begin(sizeof(struct rb_open));
	struct rb_open *r;

	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_OPEN, c->scope, c->start_ns, fd);
	r->inode = BPF_CORE_READ(file, f_inode, i_ino);
	r->device = file_device(file);
	r->mode = BPF_CORE_READ(file, f_inode, i_mode);
	r->open_flags = open_flags;
	r->head.flags = flags;
	r->created = !(flags & RB_INHERITED) && BPF_CORE_READ(file, f_mode) & FMODE_CREATED;
	r->path_len = put_file_path(s, file);
	if (!(flags & RB_INHERITED))
		kill_writer(s);
	record_end(s, &bulk);
	return 0;
}

/* What registers and result say of an open that is known by name only: a refused one, or a node, with a `mode`. */
static __always_inline void fill_open_by_name(struct rb_open *r, struct call *c, u32 open_flags, u32 mode)
{
	r->open_flags = open_flags;
	if (!mode)
		return;
	r->mode = mode & S_IFMT ? mode : mode | S_IFREG;
	r->created = !c->result;
}

static __always_inline s64 result_by_name(struct call *c, u32 mode)
{
	return mode && !c->result ? RB_NO_DESCRIPTOR : c->result;
}

static __noinline int open_acted(struct call *c, u32 open_flags, u32 mode)
{
	struct acted a = acted_by((u32)bpf_get_current_pid_tgid(), RB_OPEN);

	if (!a.head)
		return false;
	fill_open_by_name((void *)a.head, c, open_flags, mode);
	return acted_end(&a, result_by_name(c, mode));
}

static __noinline int emit_open_by_name(struct call *c, int dirfd, u64 name, u32 open_flags, u32 mode)
{
	struct rb_open *r;
	struct scratch *s;
	char first = 0;

	if (may_have_acted() && open_acted(c, open_flags, mode))
		return 0;
	s = record_begin(sizeof(struct rb_open));
	if (!s)
		return 0;
	r = (void *)s->data;
	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, RB_OPEN, c->scope, c->start_ns, result_by_name(c, mode));
	record_flag(s, RB_USER_EVIDENCE);
	fill_open_by_name(r, c, open_flags, mode);
	bpf_probe_read_user(&first, 1, (void *)name);
	r->path_len = put_base(s, dirfd, first == '/');
	r->name_len = put_user_name(s, (void *)name);
	if (r->created)
		kill_writer(s);
	record_end(s, &bulk);
	return 0;
}

/*
 * Opens for reading are told only of files with a name, or in a folder with a name, that a rule asks for: the rule
 * itself is judged in user space. A name is stored with zeros behind it; of a longer one this is its beginning.
 */
#define READ_NAME_LEN 64
#define READ_FOLDERS 4	/* how many folders above the file are looked at */
#define READ_FILE 1
#define READ_FOLDER 2

struct read_name {
	u8 text[READ_NAME_LEN];
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct read_name);
	__type(value, u32);
} read_names SEC(".maps");

LOADED volatile bool asks_for_reads;

static __noinline u32 asked_as(u64 dentry_at)
{
	struct dentry *dentry = (void *)dentry_at;
	struct read_name name = {};
	u32 *what;

	bpf_probe_read_kernel_str(name.text, sizeof(name.text), BPF_CORE_READ(dentry, d_name.name));
	what = bpf_map_lookup_elem(&read_names, &name);
	return what ? *what : 0;
}

static __noinline int is_asked_for(struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);

	if (asked_as((u64)dentry) & READ_FILE)
		return true;
	for (int i = 0; i < READ_FOLDERS; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

		if (!parent || parent == dentry)
			break;
		dentry = parent;
		if (asked_as((u64)dentry) & READ_FOLDER)
			return true;
	}
	return false;
}

/* Whether to open a file that way can change it. */
static __always_inline bool may_write(u32 open_flags)
{
	return open_flags & (O_ACCMODE | O_CREAT | O_TRUNC) && !(open_flags & O_PATH);
}

__noinline int opened(struct call *c, u64 file_at, int fd, u32 open_flags)
{
	struct file *file = (void *)file_at;
	u32 mode = BPF_CORE_READ(file, f_mode);

	if (!c)
		return 0;
	/* O_TRUNC empties a file even when it is opened for reading. */
	if (!(mode & (FMODE_WRITE | FMODE_CREATED)) && !(open_flags & O_TRUNC && !(open_flags & O_PATH))) {
		if (asks_for_reads && mode & FMODE_READ && is_lasting(file) && is_asked_for(file))
			emit_open(c, file, fd, open_flags, 0);
		return 0;
	}
	if (!is_lasting(file))
		return 0;
	if (mode & FMODE_WRITE) {
		mem_open(c, (u64)file);
		if (!follow(file, c->scope, c->start_ns) && followed(file))
			return 0;
	}
	return emit_open(c, file, fd, open_flags, 0);
}

__noinline int open_exit(struct call *c, int dirfd, u64 name, u32 open_flags)
{
	struct file *file;

	if (!c)
		return 0;
	file = file_of(c->result);
	if (file)
		return opened(c, (u64)file, c->result, open_flags);
	/* Refused, or another thread has closed it already: then only the caller's words are left. */
	if (may_write(open_flags))
		emit_open_by_name(c, dirfd, name, open_flags, 0);
	return 0;
}

/*
 * A node: a file, a pipe, a device or a socket that is made and not opened. The record is that of an open; the type
 * is in its mode.
 */
__noinline int mknod_exit(struct call *c, int dirfd, u64 name, u32 mode)
{
	if (!c)
		return 0;
	return emit_open_by_name(c, dirfd, name, O_CREAT | O_EXCL, mode ? mode : S_IFREG);
}

/* --- write --------------------------------------------------------------------------------- */

/* Opened before the watch began, or by a stranger: the first write reports it. */
static __noinline struct written *first_write(struct call *c, struct file *file, int fd)
{
	if (!(BPF_CORE_READ(file, f_mode) & FMODE_WRITE) || file_type(file) == S_IFIFO || !is_lasting(file))
		return NULL;
	if (follow(file, c->scope, c->start_ns))	/* else each write would be a first one */
		emit_open(c, file, fd, BPF_CORE_READ(file, f_flags), RB_INHERITED);
	return followed(file);
}

enum how {
	BY_CALL,
	BY_MAPPING,
};

__noinline int wrote(struct call *c, u64 file_at, int fd, u64 bytes, u32 how)
{
	struct file *file = (void *)file_at;
	struct written *w;

	if (!c || !file)
		return 0;
	w = followed(file);
	if (!w)
		w = first_write(c, file, fd);
	if (!w)
		return 0;
	if (how == BY_MAPPING) {
		w->mapped = 1;
		return 0;
	}
	__sync_fetch_and_add(&w->bytes, bytes);
	__sync_fetch_and_add(&w->writes, 1);
	return 0;
}

/* `base` and `count` are the bytes in the caller's memory, or, `gathered`, where those lie. */
__noinline int write_exit(struct call *c, int fd, u64 base, u64 count, u32 gathered)
{
	struct file *file;

	if (!c || c->result <= 0)
		return 0;
	file = file_of(fd);
	if (file && file_type(file) == S_IFSOCK)
		return socket_written(c, fd, base, count, gathered);
	return wrote(c, (u64)file, fd, c->result, BY_CALL);
}

/* Changes which bytes a file has, also by taking some away, and tells no number: a write of none. */
static __always_inline int fallocate_exit(struct call *c, int fd)
{
	return c->result ? 0 : wrote(c, (u64)file_of(fd), fd, 0, BY_CALL);
}

#define MAP_TYPE 0xf
#define MAP_SHARED 1
#define MAP_SHARED_VALIDATE 3
#define MAP_ANONYMOUS 0x20
#define ERRNO_MAX 4095

/*
 * What is written through a shared mapping is no call, so the mapping stands for it; also one that is only
 * for reading yet, as mprotect(2) can change that when the file is open for writing.
 */
static __always_inline int map_exit(struct call *c, u32 flags, int fd)
{
	u32 type = flags & MAP_TYPE;

	if (!c || (c->result < 0 && c->result >= -ERRNO_MAX) || flags & MAP_ANONYMOUS)
		return 0;
	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return 0;
	return wrote(c, (u64)file_of(fd), fd, 0, BY_MAPPING);
}

/* The one way to map that i386 had until 2.4: its arguments are in memory. */
static __always_inline int map_old_exit(struct call *c, u64 arguments)
{
	u32 a[5] = {};

	if (bpf_probe_read_user(a, sizeof(a), (void *)arguments))
		return 0;
	return map_exit(c, a[3], a[4]);
}

/* --- close --------------------------------------------------------------------------------- */

/* Called when the current task is about to let go of `file`; reports it if nobody else holds it. */
static __noinline int let_go_at(u32 slot, struct file *file, u32 scope, u64 start_ns)
{
	u64 key = (u64)file;
	struct written *w;
	struct rb_close *r;
	struct scratch *s;

	if (!file || !(BPF_CORE_READ(file, f_mode) & FMODE_WRITE) || references(file) != 1)
		return 0;
	w = followed(file);
	if (!w)
		return file_type(file) == S_IFSOCK ? flow_end(key, scope, start_ns, slot) : 0;
	s = record_begin_at(slot, sizeof(struct rb_close));
	if (!s)
		return 0;
	r = (void *)s->data;
	record_head(&r->head, RB_CLOSE, scope, start_ns, 0);
	fill_close(r, w);
	bpf_map_delete_elem(&files, &key);
	r->path_len = put_file_path(s, file);
	record_end(s, &bulk);
	return 0;
}

static __always_inline int let_go(struct file *file, u32 scope, u64 start_ns)
{
	return let_go_at(bpf_get_smp_processor_id(), file, scope, start_ns);
}

static __always_inline int close_enter(struct call *c, int fd)
{
	return let_go(file_of(fd), c->scope, c->start_ns);
}

/* dup2 closes what was open under the new number, if the old number is good and another. */
static __always_inline int dup2_enter(struct call *c, int oldfd, int newfd)
{
	if (oldfd == newfd || !file_of(oldfd))
		return 0;
	return close_enter(c, newfd);
}

/* Over the open descriptors of a table; `bits` are those still to visit of the 64 that begin at `base`. */
struct fd_scan {
	struct fdtable *fdt;
	unsigned long *open_fds;
	u64 bits;
	u64 start_ns;
	u32 base;
	u32 last;
	u32 scope;
};

/* The number of the lowest bit; BPF has no instruction for it. */
static __always_inline u32 lowest_bit(u64 bits)
{
	u64 bit = bits & -bits;

	return (bit & 0xaaaaaaaaaaaaaaaa ? 1 : 0) | (bit & 0xcccccccccccccccc ? 2 : 0) |
	       (bit & 0xf0f0f0f0f0f0f0f0 ? 4 : 0) | (bit & 0xff00ff00ff00ff00 ? 8 : 0) |
	       (bit & 0xffff0000ffff0000 ? 16 : 0) | (bit & 0xffffffff00000000 ? 32 : 0);
}

static __always_inline void fd_scan_word(struct fd_scan *scan, u32 base)
{
	unsigned long word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), scan->open_fds + base / 64);
	scan->base = base;
	scan->bits = word;
}

/* One step takes the next open descriptor, or the next word of the bitmap. */
static long fd_scan_step(u32 index, struct fd_scan *scan)
{
	u32 fd;

	if (!scan->bits) {
		if (scan->base + 64 > scan->last)
			return 1;
		fd_scan_word(scan, scan->base + 64);
		return 0;
	}
	fd = scan->base + lowest_bit(scan->bits);
	scan->bits &= scan->bits - 1;
	if (fd > scan->last)
		return 1;
	let_go(file_in(scan->fdt, fd), scan->scope, scan->start_ns);
	return 0;
}

static __noinline int let_go_range(u32 first, u32 last, u32 scope, u64 start_ns)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	u32 max = BPF_CORE_READ(fdt, max_fds);
	struct fd_scan scan = { .fdt = fdt, .start_ns = start_ns, .scope = scope };

	if (!max || first >= max)
		return 0;
	scan.open_fds = BPF_CORE_READ(fdt, open_fds);
	scan.last = last < max ? last : max - 1;
	fd_scan_word(&scan, first & ~63u);
	scan.bits &= ~0ULL << (first & 63);
	bpf_loop(FD_SCAN_MAX, fd_scan_step, &scan, 0);
	return 0;
}

#define CLOSE_RANGE_UNSHARE (1U << 1)
#define CLOSE_RANGE_CLOEXEC (1U << 2)

static __always_inline int close_range_enter(struct call *c, u32 first, u32 last, u32 flags)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (first > last || flags & CLOSE_RANGE_CLOEXEC)
		return 0;
	if (flags & CLOSE_RANGE_UNSHARE && BPF_CORE_READ(task, files, count.counter) > 1)
		return 0;	/* only this thread's copy of the table lets go */
	return let_go_range(first, last, c->scope, c->start_ns);
}

/* At exit the last user of a descriptor table lets go of all it holds. */
static __always_inline void files_exit(struct member *member)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, files, count.counter) == 1)
		let_go_range(0, ~0U, member->scope, member->start_ns);
}

/*
 * The last reference can also go unseen: with a mapping, a message, an exec, or when two holders
 * close at the same moment. User space runs the sweep now and then to report those.
 */
static long sweep_step(void *map, u64 *key, struct written *w, void *unused)
{
	struct file *file = (void *)*key;

	if (references(file) > 0 && BPF_CORE_READ(file, f_mode) & FMODE_WRITE && is_about(w, file))
		return 0;
	if (!emit_late_close(w, record_begin_at(user_slot, sizeof(struct rb_close))))
		return 1;
	bpf_map_delete_elem(map, key);
	return 0;
}

static long flow_sweep_step(void *map, u64 *key, struct flow *flow, void *unused)
{
	struct file *file = (void *)*key;

	if (references(file) > 0 && is_flow_of(flow, file))
		return 0;
	if (!emit_late_flow(flow, record_begin_at(user_slot, sizeof(struct rb_flow))))
		return 1;
	bpf_map_delete_elem(map, key);
	return 0;
}

SEC("raw_tp/sweep")
int sweep(void *ctx)
{
	bpf_for_each_map_elem(&files, sweep_step, NULL, 0);
	bpf_for_each_map_elem(&flows, flow_sweep_step, NULL, 0);
	return 0;
}

/* --- names and attributes ------------------------------------------------------------------ */

struct path_call {
	u64 name;
	u64 name2;
	u64 value;
	u64 value2;
	int dirfd;
	int dirfd2;
	u32 kind;
};

static __always_inline struct rb_path *path_begin(struct call *c, struct path_call *p, struct scratch *s)
{
	struct rb_path *r = (void *)s->data;

	__builtin_memset(r, 0, sizeof(*r));
	record_head(&r->head, p->kind, c->scope, c->start_ns, c->result);
	r->value = p->value;
	r->value2 = p->value2;
	return r;
}

static __noinline int path_acted(struct call *c, struct path_call *p)
{
	struct acted a = acted_by((u32)bpf_get_current_pid_tgid(), p->kind);
	struct rb_path *r = (void *)a.head;

	if (!r)
		return false;
	r->value = p->value;
	r->value2 = p->value2;
	return acted_end(&a, c->result);
}

/*
 * By name. Without hooks inside the call only the caller's words are to be had: the directory is
 * the kernel's, the name is read back from the caller, and the record says so.
 */
__noinline int path_exit(struct call *c, struct path_call *p)
{
	struct rb_path *r;
	struct scratch *s;
	char first = 0;

	if (!c || !p)
		return 0;
	if (may_have_acted() && path_acted(c, p))
		return 0;
	s = record_begin(sizeof(struct rb_path));
	if (!s)
		return 0;
	r = path_begin(c, p, s);
	record_flag(s, RB_USER_EVIDENCE);
	bpf_probe_read_user(&first, 1, (void *)p->name);
	r->path_len = put_base(s, p->dirfd, first == '/');
	r->name_len = put_user_name(s, (void *)p->name);
	if (p->kind == RB_RENAME || p->kind == RB_LINK) {
		bpf_probe_read_user(&first, 1, (void *)p->name2);
		r->path2_len = put_base(s, p->dirfd2, first == '/');
	}
	if (p->name2)
		r->name2_len = put_user_name(s, (void *)p->name2);
	if (c->result >= 0)
		kill_writer(s);
	record_end(s, &bulk);
	return 0;
}

/* By descriptor: the kernel holds the file. */
__noinline int path_fd_exit(struct call *c, struct path_call *p)
{
	struct file *file;
	struct rb_path *r;
	struct scratch *s;

	if (!c || !p)
		return 0;
	file = file_of(p->dirfd);
	if (!file)
		return 0;	/* EBADF */
	if (refuses_acts && path_acted(c, p))
		return 0;
	s = record_begin(sizeof(struct rb_path));
	if (!s)
		return 0;
	r = path_begin(c, p, s);
	r->inode = BPF_CORE_READ(file, f_inode, i_ino);
	r->device = file_device(file);
	r->path_len = put_file_path(s, file);
	if (c->result >= 0)
		kill_writer(s);
	record_end(s, &bulk);
	return 0;
}
