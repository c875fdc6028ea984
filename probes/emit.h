/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How a record gets out: it is built in a scratch buffer of this CPU, then copied into one of two
 * rings. Critical records (process, network) and bulk records (files, totals) have a ring each, so that a
 * flood of files cannot push out an exec. What cannot be handed over is counted, per CPU and kind.
 *
 * The ring wakes its reader only when the reader had caught up, and the reader rests some
 * milliseconds after each wake-up: at most a few hundred wake-ups a second, whatever the load.
 */
#ifndef RUBICON_EMIT_H
#define RUBICON_EMIT_H

#include "loader.h"
#include <asm/errno.h>
#include "abi.h"

#define STRINGS_MAX (5 * RB_PATH_MAX)	/* where the last string of a record may begin */
#define RECORD_MAX (STRINGS_MAX + RB_ARGS_MAX)

LOADED struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} critical SEC(".maps");

LOADED struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} bulk SEC(".maps");

/*
 * For who asks which error it was. Until 6.3 programs call the map's own function, which gives an int, with nothing in
 * the upper half of the register (v6.4, d7ba4cc900bf): as a long, -EEXIST would be a large number.
 */
static __always_inline int map_update(void *map, const void *key, const void *value, u64 flags)
{
	return bpf_map_update_elem(map, key, value, flags);
}

/*
 * First in a loop that may end early: it counts up to a constant, as written. Clang would turn it around, say into a count
 * down to 0, and until 6.7 the verifier does not see the end of that.
 */
#define counts_up(i) barrier_var(i)

struct losses {
	u64 count[RB_LOSS_COUNT];
};

/* Sized to the number of CPUs at load; read by user space through a mapping. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct losses);
} losses SEC(".maps");

struct scratch {
	u32 busy;
	u32 slot;
	u64 dentry[3];	/* of a dentry, d_parent and what is behind it: see path.h */
	u64 word[RB_ENV_MAX / 8];	/* see told.h */
	/* From here on as in struct acting. */
	u64 len;	/* 64 bits wide, as the verifier loses the bounds of what is widened */
	u8 data[RECORD_MAX];
};

/*
 * One for each CPU, and a last one for programs that user space runs (iterators, the sweep), which
 * may be preempted in the middle. Sized at load. Not a per-CPU map: those cannot hold values over 32 KiB.
 */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* Makes the compiler forget what it knows of `value`, so that it neither moves nor merges its use. */
#define OPAQUE(value) asm volatile("" : "+r"(value))

/*
 * `value`, at most `max`. The verifier must see the bound on the very register that is used, and the
 * compiler, left to itself, compares a copy.
 */
static __always_inline u64 bounded(u64 value, u64 max)
{
	OPAQUE(value);
	return value > max ? max : value;
}

static __always_inline void count_loss(u32 reason)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct losses *here = bpf_map_lookup_elem(&losses, &cpu);

	if (here && reason < RB_LOSS_COUNT)
		here->count[reason]++;
}

LOADED const volatile u32 user_slot;	/* set before load: one past the last CPU */

static __always_inline struct scratch *scratch_at(u32 slot)
{
	return bpf_map_lookup_elem(&scratches, &slot);
}

/*
 * Opens a scratch buffer for a record of `size` fixed bytes. The flag guards against a program that
 * interrupts another on the same CPU; it then counts a loss instead of mixing bytes.
 */
static __always_inline struct scratch *record_begin_at(u32 slot, u32 size)
{
	struct scratch *s = scratch_at(slot);

	if (!s || s->busy) {
		count_loss(RB_LOST_SCRATCH);
		return NULL;
	}
	s->busy = 1;
	s->len = size;
	s->slot = slot;
	return s;
}

static __always_inline struct scratch *record_begin(u32 size)
{
	return record_begin_at(bpf_get_smp_processor_id(), size);
}

static __always_inline void record_head(struct rb_head *head, u16 kind, u32 scope, u64 start_ns, s64 result)
{
	u64 pid_tgid = bpf_get_current_pid_tgid();

	head->time_ns = bpf_ktime_get_boot_ns();
	head->start_ns = start_ns;
	head->pid = pid_tgid >> 32;
	head->tid = pid_tgid;
	head->kind = kind;
	head->flags = 0;
	head->scope = scope;
	head->result = result;
	head->cut_bytes = 0;
}

static __always_inline void record_end(struct scratch *s, void *ring)
{
	struct rb_head *head = (void *)s->data;
	u64 len = s->len;

	if (len <= RECORD_MAX && bpf_ringbuf_output(ring, s->data, len, 0))
		count_loss(head->kind);
	s->busy = 0;
}

static __always_inline void record_flag(struct scratch *s, u16 flag)
{
	((struct rb_head *)s->data)->flags |= flag;
}

static __always_inline void record_cut(struct scratch *s, u16 flag, u32 true_bytes)
{
	struct rb_head *head = (void *)s->data;

	head->flags |= flag;
	head->cut_bytes = true_bytes;
}

/* Bytes read, the NUL among them; negative when they cannot be read. Until 6.11 the helper gave 0 for "". */
static __always_inline long read_user_string(u8 *to, u32 size, const void *address)
{
	long n = bpf_probe_read_user_str(to, size, address);

	if (n)
		return n;
	*to = 0;
	return 1;
}

/* The string functions below append to the record and return the stored length. */

static __always_inline u32 put_user_name(struct scratch *s, const void *address)
{
	u64 len = s->len;
	char more = 0;
	long n;

	if (len > STRINGS_MAX - RB_PATH_MAX)
		return 0;
	n = read_user_string(s->data + len, RB_PATH_MAX, address);
	if (n <= 0) {
		record_flag(s, RB_UNREADABLE);
		return 0;
	}
	n -= 1;
	if (n == RB_PATH_MAX - 1 && !bpf_probe_read_user(&more, 1, address + n) && more)
		record_cut(s, RB_NAME_CUT, 0);
	s->len = len + n;
	return n;
}

static __always_inline u32 put_kernel_name(struct scratch *s, const void *address)
{
	u64 len = s->len;
	long n;

	if (len > STRINGS_MAX - RB_PATH_MAX)
		return 0;
	n = bpf_probe_read_kernel_str(s->data + len, RB_PATH_MAX, address);
	if (n <= 0) {
		record_flag(s, RB_UNREADABLE);
		return 0;
	}
	n -= 1;
	s->len = len + n;
	return n;
}

/* `size` raw bytes of kernel memory, at most RB_PATH_MAX. */
static __always_inline u32 put_kernel_bytes(struct scratch *s, const void *address, u64 size)
{
	u64 len = s->len;

	if (len > STRINGS_MAX - RB_PATH_MAX)
		return 0;
	size = bounded(size, RB_PATH_MAX);
	if (bpf_probe_read_kernel(s->data + len, size, address)) {
		record_flag(s, RB_UNREADABLE);
		return 0;
	}
	s->len = len + size;
	return size;
}

#endif
