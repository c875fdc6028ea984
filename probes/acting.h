/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a call acts on, by the kernel's own hand (tier A). Hooks inside the call (names.bpf.c) see the directory and
 * the name that the kernel has found, and put the record by; when the call returns, its result is added. A call that
 * fails before it gets there leaves nothing here, and is reported by the caller's words.
 */
#ifndef RUBICON_ACTING_H
#define RUBICON_ACTING_H

#include "scope.h"
#include "call.h"
#include "kill.h"

#define ACTING_BYTES 512	/* of a record with names of usual length; others go into a smaller map */
#define ACTING_LONG_BYTES (sizeof(struct rb_path) + 4 * RB_PATH_MAX)

/* Each begins as a struct scratch does from its length on. */
struct acting {
	u64 len;
	u8 record[ACTING_BYTES];
};

struct acting_long {
	u64 len;
	u8 record[ACTING_LONG_BYTES];
};

/* By thread. Whom there is no room for is reported by the caller's words. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, struct acting);
} acting SEC(".maps");

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct acting_long);
} acting_long SEC(".maps");

LOADED const volatile bool has_hooks_inside;	/* set before load: tier A */

/* --- inside the call ------------------------------------------------------------------------ */

/*
 * The hooks may be preempted, so they have buffers of their own: those after `user_slot`, one a CPU. Who finds one
 * in use goes without; who was preempted by another that uses it finds at the end that it is no longer his.
 */
static __always_inline u32 slot_inside(void)
{
	return user_slot + 1 + bpf_get_smp_processor_id();
}

static __always_inline struct scratch *acting_begin(u32 size)
{
	struct scratch *s = scratch_at(slot_inside());

	if (!s || s->busy)
		return NULL;
	s->busy = bpf_get_current_pid_tgid();
	s->slot = slot_inside();
	s->len = size;
	return s;
}

static __always_inline int acting_end(struct scratch *s)
{
	u32 tid = bpf_get_current_pid_tgid();
	bool mine = s->busy == tid;

	if (mine && s->len <= ACTING_BYTES)
		bpf_map_update_elem(&acting, &tid, &s->len, BPF_ANY);
	else if (mine && s->len <= ACTING_LONG_BYTES)
		bpf_map_update_elem(&acting_long, &tid, &s->len, BPF_ANY);
	s->busy = 0;
	return 0;
}

/* --- when it returns ------------------------------------------------------------------------ */

struct acted {
	struct acting *usual;
	struct acting_long *more;
	struct rb_head *head;	/* in one of them; NULL when there is none of that kind */
};

static __always_inline struct acted acted_by(u32 tid, u32 kind)
{
	struct acted a = { .usual = bpf_map_lookup_elem(&acting, &tid) };

	if (a.usual)
		a.head = (void *)a.usual->record;
	else if ((a.more = bpf_map_lookup_elem(&acting_long, &tid)))
		a.head = (void *)a.more->record;
	if (a.head && a.head->kind != kind)
		a.head = NULL;
	return a;
}

static __always_inline int acted_end(struct acted *a, s64 result)
{
	long error;

	a->head->time_ns = bpf_ktime_get_boot_ns();
	a->head->result = result;
	kill_marked(a->head, result);
	if (a->usual)
		error = bpf_ringbuf_output(&bulk, a->usual->record, bounded(a->usual->len, ACTING_BYTES), 0);
	else if (a->more)
		error = bpf_ringbuf_output(&bulk, a->more->record, bounded(a->more->len, ACTING_LONG_BYTES), 0);
	else
		return false;
	if (error)
		count_loss(a->head->kind);
	return true;
}

/* Begins a record with what was put by of that kind, which may then grow; NULL when there is nothing. */
static __always_inline struct scratch *record_of_acted(u16 kind)
{
	struct acted a = acted_by(bpf_get_current_pid_tgid(), kind);
	struct scratch *s = a.head ? record_begin(0) : NULL;
	long error = -1;
	u64 len = 0;

	if (!s)
		return NULL;
	if (a.usual) {
		len = bounded(a.usual->len, ACTING_BYTES);
		error = bpf_probe_read_kernel(s->data, len, a.usual->record);
	} else if (a.more) {
		len = bounded(a.more->len, ACTING_LONG_BYTES);
		error = bpf_probe_read_kernel(s->data, len, a.more->record);
	}
	s->len = len;
	if (error) {
		s->busy = 0;
		return NULL;
	}
	return s;
}

/* Takes back what was put by: the call has returned, or is begun again. */
static __always_inline void acting_forget_of(u32 tid)
{
	if (bpf_map_delete_elem(&acting, &tid))
		bpf_map_delete_elem(&acting_long, &tid);
}

static __always_inline void acting_forget(void)
{
	acting_forget_of(bpf_get_current_pid_tgid());
}

#endif
