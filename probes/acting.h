/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a call acts on, by the kernel's own hand. Hooks inside the call (names.bpf.c on tier A, and lsm.bpf.c where it
 * refuses) see the directory and the name that the kernel has found, and put the record by; when the call returns, its
 * result is added. A call that fails before it gets there leaves nothing here, and is reported by the caller's words.
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

/* By thread, or request_key(). Whom there is no room for is reported by the caller's words. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct acting);
} acting SEC(".maps");

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u64);
	__type(value, struct acting_long);
} acting_long SEC(".maps");

LOADED const volatile bool has_hooks_inside;	/* set before load: tier A */
LOADED volatile bool refuses_acts;		/* set once lsm.bpf.c is attached */

static __always_inline bool may_have_acted(void)
{
	return has_hooks_inside || refuses_acts;
}

#define REQUESTS_AT_ONCE 8

/* One of a process's requests of io_uring of a kind: whoever acts for a request knows no more of it. */
static __always_inline u64 request_key(u32 tgid, u32 kind, u32 number)
{
	return 1ULL << 63 | (u64)number << 48 | (u64)kind << 32 | tgid;
}

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

/* `actor` 0: nobody who would tell of it. */
static __always_inline int acting_end(struct scratch *s, u64 actor)
{
	_Static_assert(__builtin_offsetof(struct scratch, data) - __builtin_offsetof(struct scratch, len) ==
		       __builtin_offsetof(struct acting, record), "a buffer ends as an entry of the map begins");
	bool mine = actor && s->busy == (u32)bpf_get_current_pid_tgid();

	if (mine && s->len <= ACTING_BYTES)
		bpf_map_update_elem(&acting, &actor, &s->len, BPF_ANY);
	else if (mine && s->len <= ACTING_LONG_BYTES) {
		bpf_map_delete_elem(&acting, &actor);	/* what another hook knew before */
		bpf_map_update_elem(&acting_long, &actor, &s->len, BPF_ANY);
	}
	s->busy = 0;
	return 0;
}

/* Read as a number, which functions verified on their own can take; counted from 1. */
static __always_inline u64 argument(void *ctx, u32 place)
{
	u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), (u64 *)ctx + place - 1);
	return value;
}

/* Of what has a name; of a name that is not taken yet there is none. */
static __always_inline void fill_inode(struct rb_path *r, u64 dentry_at)
{
	struct dentry *dentry = (void *)dentry_at;
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);

	if (!inode)
		return;
	r->inode = BPF_CORE_READ(inode, i_ino);
	r->device = user_device(BPF_CORE_READ(inode, i_sb, s_dev));
}

static __always_inline u64 mount_in(u64 path)
{
	return (u64)BPF_CORE_READ((struct path *)path, mnt);
}

/* --- when it returns ------------------------------------------------------------------------ */

struct acted {
	struct acting *usual;
	struct acting_long *more;
	struct rb_head *head;	/* in one of them; NULL when there is none of that kind */
};

static __always_inline struct acted acted_by(u64 actor, u32 kind)
{
	struct acted a = { .usual = bpf_map_lookup_elem(&acting, &actor) };

	if (a.usual)
		a.head = (void *)a.usual->record;
	else if ((a.more = bpf_map_lookup_elem(&acting_long, &actor)))
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
	if (result != -EPERM)
		a->head->flags &= ~RB_REFUSED;
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

/* Whether the call under way was refused by lsm.bpf.c. */
static __always_inline bool was_refused(u32 kind)
{
	struct acted a = acted_by((u32)bpf_get_current_pid_tgid(), kind);

	return a.head && a.head->flags & RB_REFUSED;
}

/* A refused request of io_uring; its key in `actor`. */
static __always_inline struct acted request_refused(u32 tgid, u32 kind, u64 *actor)
{
	struct acted a = {};

	for (u32 i = 0; i < REQUESTS_AT_ONCE && !a.head; i++) {
		*actor = request_key(tgid, kind, i);
		a = acted_by(*actor, kind);
	}
	return a;
}

/* Begins a record with what was put by of that kind, which may then grow; NULL when there is nothing. */
static __always_inline struct scratch *record_of_acted(u16 kind)
{
	struct acted a = acted_by((u32)bpf_get_current_pid_tgid(), kind);
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

/* Takes back what was put by: the call has returned, or its thread is gone. Two hooks in one call may have left both. */
static __always_inline void acting_forget(u64 actor)
{
	bpf_map_delete_elem(&acting, &actor);
	bpf_map_delete_elem(&acting_long, &actor);
}

static long forget_request(void *map, u64 *key, void *record, u32 *tgid)
{
	if (*key >> 63 && (u32)*key == *tgid)
		bpf_map_delete_elem(map, key);
	return 0;
}

/* Of requests of io_uring that no completion was seen of, when their process is gone. */
static __always_inline void acting_forget_requests(u32 tgid)
{
	bpf_for_each_map_elem(&acting, forget_request, &tgid, 0);
	bpf_for_each_map_elem(&acting_long, forget_request, &tgid, 0);
}

#endif
