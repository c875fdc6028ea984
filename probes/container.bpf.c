/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Containers that start while we watch: their cgroup is taken in when it is made, before anybody is in it,
 * so that the first program of a container is seen however short it lives.
 */
#include "scope.h"

#define CONTAINER_NAME_LEN 64	/* an id of Docker, Podman and Kubernetes: as many hexadecimal digits */
#define SUFFIX_LEN 6		/* ".scope", when systemd makes the cgroup */
#define MONITOR_LEN 7		/* "conmon-": the cgroup of Podman's monitor, outside of the container */

struct container_name {
	char text[CONTAINER_NAME_LEN];	/* zeros behind it, if it is shorter */
};

/* Containers to be watched when they start, by name; user space puts them there. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct container_name);
	__type(value, u32);
} awaited SEC(".maps");

/* How many were found that nobody knew of: their scopes count up. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} found_scopes SEC(".maps");

LOADED volatile bool awaits_all;	/* every container, whether it is in `awaited` or not */
LOADED volatile bool awaits_some;

/* Not static, so that the verifier forgets each digit before the next. */
__noinline int is_hex_digit(u32 c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static __always_inline bool is_id(struct container_name *name)
{
	for (int i = 0; i < CONTAINER_NAME_LEN; i++) {
		if (!is_hex_digit(name->text[i]))
			return false;
	}
	return true;
}

static __always_inline bool ends_in_scope(const char *name, u32 len)
{
	char end[SUFFIX_LEN] = {};

	return len > SUFFIX_LEN && !bpf_probe_read_kernel(end, SUFFIX_LEN, name + len - SUFFIX_LEN) &&
	       end[0] == '.' && end[1] == 's' && end[2] == 'c' && end[3] == 'o' && end[4] == 'p' && end[5] == 'e';
}

static __always_inline bool is_monitor(const char *name, u32 len)
{
	char before[MONITOR_LEN] = {};

	return len >= CONTAINER_NAME_LEN + MONITOR_LEN &&
	       !bpf_probe_read_kernel(before, MONITOR_LEN, name + len - CONTAINER_NAME_LEN - MONITOR_LEN) &&
	       before[0] == 'c' && before[1] == 'o' && before[2] == 'n' && before[6] == '-';
}

/* The id in the name of a cgroup ("docker-ID.scope", "ID"), or all of a short name; false when it is no container's. */
static __always_inline bool read_container_name(const char *from, struct container_name *name)
{
	char whole[128];
	long n = bpf_probe_read_kernel_str(whole, sizeof(whole), from);
	u64 len;

	__builtin_memset(name, 0, sizeof(*name));
	if (n <= 1 || n == sizeof(whole))
		return false;
	len = n - 1;
	if (ends_in_scope(from, len))
		len -= SUFFIX_LEN;
	if (len < CONTAINER_NAME_LEN)
		return !bpf_probe_read_kernel(name, bounded(len, CONTAINER_NAME_LEN - 1), from);
	if (is_monitor(from, len))
		return false;
	return !bpf_probe_read_kernel(name, CONTAINER_NAME_LEN, from + len - CONTAINER_NAME_LEN);
}

static __always_inline long scope_found(struct container_name *name)
{
	u32 zero = 0, scope, *count;

	if (!awaits_all || !is_id(name))
		return NO_SCOPE;
	count = bpf_map_lookup_elem(&found_scopes, &zero);
	if (!count)
		return NO_SCOPE;
	scope = FIRST_FOUND_SCOPE + (*count)++;	/* cgroups are made one at a time, under cgroup_mutex */
	/* It has a cgroup in other hierarchies, too, and may start again. */
	bpf_map_update_elem(&awaited, name, &scope, BPF_ANY);
	return scope;
}

static __always_inline void emit_cgroup(u32 scope, u64 id, u32 version, const char *path)
{
	struct scratch *s = record_begin(sizeof(struct rb_cgroup));
	struct rb_cgroup *r;

	if (!s)
		return;
	r = (void *)s->data;
	record_head(&r->head, RB_CGROUP, scope, process_start_ns((void *)bpf_get_current_task()), 0);
	r->cgroup = id;
	r->version = version;
	r->name_len = put_kernel_name(s, path);
	record_end(s, &critical);
}

/* Version 2, or the version 1 hierarchy of the pids controller; 0 for all others. */
static __always_inline u32 version_of(struct cgroup *cgroup)
{
	if (!BPF_CORE_READ(cgroup, root, hierarchy_id))
		return 2;
	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		return 0;
	return BPF_CORE_READ(cgroup, root, subsys_mask) >> bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id) & 1;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup *made, const char *path)
{
	struct container_name name;
	u32 version, scope, *known;
	long found;
	u64 id;

	if (!awaits_some && !awaits_all)
		return 0;
	version = version_of(made);
	if (version != 2 && !(version && has_v1_scopes))
		return 0;
	if (!read_container_name(BPF_CORE_READ(made, kn, name), &name))
		return 0;
	known = bpf_map_lookup_elem(&awaited, &name);
	found = known ? *known : scope_found(&name);
	if (found == NO_SCOPE)
		return 0;
	scope = found;
	id = BPF_CORE_READ(made, kn, id);
	if (version == 1)
		id |= V1_CGROUP;
	if (bpf_map_update_elem(&scope_cgroups, &id, &scope, BPF_ANY)) {
		count_loss(RB_LOST_CGROUP);
		return 0;
	}
	emit_cgroup(scope, id & ~V1_CGROUP, version, path);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir, struct cgroup *gone, const char *path)
{
	u64 id;

	if (!has_cgroup_scopes)
		return 0;
	id = BPF_CORE_READ(gone, kn, id);
	if (BPF_CORE_READ(gone, root, hierarchy_id))
		id |= V1_CGROUP;
	/* Of version 1, ids of all hierarchies count from 1: only one of them is in the map. */
	if (version_of(gone))
		bpf_map_delete_elem(&scope_cgroups, &id);
	return 0;
}
