/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which paths a policy allows. Its lists, wildcards and all, come as one deterministic automaton
 * (tracer/rules/automaton.py), which reads a path as it is walked: byte by byte, leaf first, each name followed by a
 * slash. So no path is too long, nothing has to be stored, and the answer is the one that the rules give to the
 * event.
 */
#ifndef RUBICON_ALLOWED_H
#define RUBICON_ALLOWED_H

#include "path.h"

enum path_list {
	LIST_WRITE,		/* files.write */
	LIST_EXEC,		/* process.exec */
	LIST_COUNT,
};

/* A row of cells for each state: where each class of bytes leads, and first whether the path may end there. */
struct path_table {
	u8 classes[256];
	u32 width;		/* cells of a row */
	u32 starts[LIST_COUNT];
	u32 reserved;
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct path_table);
} path_table SEC(".maps");

/* An array has no elements of less than 8 bytes. Sized at load: with nothing to guard, to one. */
struct path_cells {
	u16 rows[4];
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct path_cells);
} path_cells SEC(".maps");

#define ROW_REFUSED 0
#define CHUNK_BYTES 8
#define JUDGE_STEPS_MAX (1 << 15)	/* of a path of 2048 names, each takes three; mounts count too */

struct judging {
	u64 dentry;
	u64 mnt;	/* struct mount */
	u64 mnt_root;
	u64 name;
	u32 left;	/* of the name that is being read, and one for the slash behind it; 0: none is */
	u32 row;
	u32 slash;	/* what a slash in a name counts as: see hide_slash() */
	u32 is_deleted;	/* a program that no directory has: " (deleted)" follows its name */
	u32 has_ended;
};

/* Not static: else the verifier follows each way through a name, of which there are two for each letter. */
__noinline u32 cell_of(u32 index)
{
	u32 at = index / 4;
	struct path_cells *cells = bpf_map_lookup_elem(&path_cells, &at);

	return cells ? cells->rows[index & 3] : ROW_REFUSED;
}

static __always_inline u32 row_after(struct path_table *table, u32 row, u8 byte)
{
	return cell_of(row * table->width + table->classes[byte]);
}

/* Of " (deleted)"; not from a string, which BCC has no place for. */
static __always_inline u32 row_after_deleted(struct path_table *table, u32 row)
{
	u64 first = 0x6574656c65642820, last = 0x2964;

	for (u32 i = 0; i < 8; i++)
		row = row_after(table, row, first >> 8 * i);
	for (u32 i = 0; i < 2; i++)
		row = row_after(table, row, last >> 8 * i);
	return row;
}

/* The steps of the loop are not static either: what they leave in `j` is then any number, whatever it was before. */
__noinline int read_chunk(struct judging *j)
{
	u8 chunk[CHUNK_BYTES] = {};
	u32 zero = 0;
	struct path_table *table = bpf_map_lookup_elem(&path_table, &zero);
	u64 size;
	u32 row;

	if (!j || !table)
		return 1;
	size = bounded(j->left - 1, CHUNK_BYTES);
	row = j->row;
	if (bpf_probe_read_kernel(chunk, size, (void *)j->name)) {
		j->row = ROW_REFUSED;
		return 1;
	}
	for (u32 i = 0; i < CHUNK_BYTES && i < size; i++) {
		counts_up(i);
		row = row_after(table, row, chunk[i] == '/' ? j->slash : chunk[i]);
	}
	j->row = row;
	j->name += size;
	j->left -= size;
	return 0;
}

__noinline int end_name(struct judging *j)
{
	u32 zero = 0;
	struct path_table *table = bpf_map_lookup_elem(&path_table, &zero);
	struct dentry *dentry;
	u64 parent;
	u32 row;

	if (!j || !table)
		return 1;
	dentry = (void *)j->dentry;
	parent = (u64)BPF_CORE_READ(dentry, d_parent);
	row = j->row;
	if (j->is_deleted)
		row = row_after_deleted(table, row);
	j->is_deleted = 0;
	j->row = row_after(table, row, '/');
	j->left = 0;
	if (parent == j->dentry || !parent) {
		j->has_ended = 1;
		return 1;
	}
	j->dentry = parent;
	return 0;
}

/* What it branches on is unknown at the first call: see append_name(). */
static long judge_step(u32 index, struct judging *j)
{
	struct dentry *dentry = (void *)j->dentry;
	struct mount *mnt = (void *)j->mnt;
	struct mount *above;

	if (j->left > 1)
		return read_chunk(j) != 0;
	if (j->left == 1)
		return end_name(j) != 0;
	if (j->dentry != j->mnt_root) {
		j->slash = (u64)BPF_CORE_READ(dentry, d_parent) == j->dentry ? '!' : '/';
		j->name = (u64)BPF_CORE_READ(dentry, d_name.name);
		j->left = BPF_CORE_READ(dentry, d_name.len) + 1;
		return 0;
	}
	above = BPF_CORE_READ(mnt, mnt_parent);
	if (above == mnt || !above) {
		j->has_ended = 1;
		return 1;
	}
	j->dentry = (u64)BPF_CORE_READ(mnt, mnt_mountpoint);
	j->mnt = (u64)above;
	j->mnt_root = (u64)BPF_CORE_READ(above, mnt.mnt_root);
	return 0;
}

/*
 * Whether a list allows a path; what cannot be read is not allowed. `is_deleted`: of a program without a directory.
 * Not static for the verifier's sake; see cgroup_scope().
 */
__noinline int is_path_allowed(u32 list, u64 vfsmount, u64 dentry, u32 is_deleted)
{
	u32 zero = 0;
	struct path_table *table = bpf_map_lookup_elem(&path_table, &zero);
	struct judging j = { .dentry = dentry };

	if (!table || !vfsmount || !dentry)
		return false;
	j.mnt = mount_of((void *)vfsmount);
	j.mnt_root = (u64)BPF_CORE_READ((struct vfsmount *)vfsmount, mnt_root);
	j.row = table->starts[bounded(list, LIST_COUNT - 1)];
	j.left = table->reserved;
	j.slash = table->reserved;
	j.is_deleted = is_deleted;
	bpf_loop(JUDGE_STEPS_MAX, judge_step, &j, 0);
	if (!j.has_ended)
		return false;
	return cell_of(j.row * table->width) != ROW_REFUSED;
}

static __always_inline bool is_file_allowed(u32 list, struct file *file, bool is_deleted)
{
	return is_path_allowed(list, (u64)BPF_CORE_READ(file, f_path.mnt), (u64)BPF_CORE_READ(file, f_path.dentry),
			       is_deleted);
}

#endif
