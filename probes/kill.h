/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who opens a file for writing where `files.write` does not allow it, or changes a name there, is killed on its way out
 * of the call. Judged is the record as it stands in its buffer, whatever route it came: the path that the kernel has
 * walked, and a name as it was given, which is read name by name from its end, as a path is stored.
 *
 * In doubt nobody is killed here: user space judges all of it again. Left to that are failures, names with ".." in
 * them, what was cut, and who still builds a container.
 */
#ifndef RUBICON_KILL_H
#define RUBICON_KILL_H

#include "allowed.h"
#include "guard.h"
#include "scope.h"

#define WORDS_STEPS_MAX (4 * RB_PATH_MAX)

enum reading {
	READING_BACK,	/* through a name, to the slash before it */
	READING_NAME,
	READING_PATH,
};

struct words {
	u32 slot;
	u32 what;	/* enum reading */
	u32 row;
	u32 path;	/* where the path begins in the record; the given name follows it */
	u32 name;
	u32 begin;	/* of the name that is read, from there; and its end */
	u32 end;
	u32 next;	/* the byte to be read */
	u32 has_ended;
};

static __always_inline u8 byte_at(struct scratch *s, u32 at)
{
	u64 place = bounded(at, STRINGS_MAX);

	return s->data[place];
}

static __always_inline void name_ends(struct words *w)
{
	w->end = w->begin ? w->begin - 1 : 0;
	w->begin = w->end;
	w->what = READING_BACK;
}

static __always_inline long read_back(struct words *w, struct scratch *s)
{
	u32 len = w->end - w->begin;
	bool is_dot;

	if (!w->end) {
		w->what = READING_PATH;
		w->next = 0;
		return 0;
	}
	if (w->begin && byte_at(s, w->name + w->begin - 1) != '/') {
		w->begin--;
		return 0;
	}
	is_dot = byte_at(s, w->name + w->begin) == '.';
	if (len == 2 && is_dot && byte_at(s, w->name + w->begin + 1) == '.')
		return 1;
	if (!len || (len == 1 && is_dot)) {
		name_ends(w);
		return 0;
	}
	w->what = READING_NAME;
	w->next = w->begin;
	return 0;
}

/* What it branches on is unknown at the first call: see append_name(). */
static long words_step(u32 index, struct words *w)
{
	struct scratch *s = scratch_at(w->slot);
	u32 zero = 0, path;
	struct path_table *table = bpf_map_lookup_elem(&path_table, &zero);

	if (!s || !table)
		return 1;
	if (w->what == READING_BACK)
		return read_back(w, s);
	if (w->what == READING_NAME) {
		w->row = row_after(table, w->row, byte_at(s, w->name + w->next));
		w->next++;
		if (w->next < w->end)
			return 0;
		w->row = row_after(table, w->row, '/');
		name_ends(w);
		return 0;
	}
	path = w->path + w->next;
	if (path >= w->name) {
		w->has_ended = 1;
		return 1;
	}
	w->row = row_after(table, w->row, byte_at(s, path));
	w->next++;
	return 0;
}

static __always_inline bool is_name_refused(struct scratch *s, u32 path, u32 path_len, u32 name_len)
{
	u32 zero = 0;
	struct path_table *table = bpf_map_lookup_elem(&path_table, &zero);
	struct words w = { .slot = s->slot, .path = path, .begin = name_len, .end = name_len };

	if (!table)
		return false;
	w.name = path + path_len;
	w.what = table->reserved;
	w.next = table->reserved;
	w.row = table->starts[LIST_WRITE];
	bpf_loop(WORDS_STEPS_MAX, words_step, &w, 0);
	return w.has_ended && cell_of(w.row * table->width) == ROW_REFUSED;
}

/* A struct rb_open or rb_path, with its strings. Not static for the verifier's sake; see cgroup_scope(). */
__noinline int is_record_refused(struct scratch *s)
{
	struct rb_open *open;
	struct rb_path *r;
	u32 second;

	if (!s)
		return false;
	open = (void *)s->data;
	r = (void *)s->data;
	if (r->head.flags & (RB_PATH_CUT | RB_NAME_CUT | RB_UNREADABLE))
		return false;
	if (r->head.kind == RB_OPEN)
		return is_name_refused(s, sizeof(*open), open->path_len, open->name_len);
	if (is_name_refused(s, sizeof(*r), r->path_len, r->name_len))
		return true;
	if (r->head.kind != RB_RENAME && r->head.kind != RB_LINK)
		return false;
	second = sizeof(*r) + r->path_len + r->name_len;
	return is_name_refused(s, second, r->path2_len, r->name2_len);
}

/* Marks the record of who is to be killed, once the act has succeeded. */
static __always_inline void mark_writer(struct scratch *s)
{
	struct rb_head *head = (void *)s->data;
	struct member *member;

	if (write_guard != GUARD_KILL)
		return;
	member = current_member();
	if (member && !member->is_building && is_record_refused(s))
		head->flags |= RB_KILLED;
}

/* The act of a marked record has come to its end. */
static __always_inline void kill_marked(struct rb_head *head, s64 result)
{
	if (result < 0)
		head->flags &= ~RB_KILLED;
	kill_if(head->flags);
}

static __always_inline void kill_writer(struct scratch *s)
{
	struct rb_head *head = (void *)s->data;

	mark_writer(s);
	kill_if(head->flags);
}

#endif
