/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Who may be connected to: by address and port, and at what addresses domains were just said to be. */
#ifndef RUBICON_PEERS_H
#define RUBICON_PEERS_H

#include "loader.h"

#define PORT_RANGES_MAX 16
#define DOMAIN_ENTRIES_MAX 4	/* of a policy, that allow one name */

/* Family and address; `bits` counts those of both (a prefix of n bits: 8 + n). An IPv4 address is an IPv4 address,
 * also where it is written as an IPv6 one. */
struct peer_key {
	u32 bits;
	u8 family;		/* 4 or 6 */
	u8 address[16];
	u8 reserved[3];
};

struct port_range {
	u16 low;
	u16 high;
};

/* The ports of the innermost prefix and of all around it. No range at all: any port. */
struct allowed_ports {
	u32 count;
	struct port_range ranges[PORT_RANGES_MAX];
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct peer_key);
	__type(value, struct allowed_ports);
} allowed_peers SEC(".maps");

/* What no domain makes allowed. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct peer_key);
	__type(value, struct allowed_ports);
} taken_peers SEC(".maps");

/* The ports of the policy's entries that are domains, from 1 on. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct allowed_ports);
} domain_ports SEC(".maps");

struct named_key {
	u32 family;		/* 4 or 6 */
	u8 address[16];
};

/* An address that a resolver has just told: the entries that allow its name, and how long that counts. */
struct named_peer {
	u64 until_ns;
	u32 entry[DOMAIN_ENTRIES_MAX];
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct named_key);
	__type(value, struct named_peer);
} named_peers SEC(".maps");

static __always_inline bool is_in(struct allowed_ports *ports, u16 port)
{
	if (!ports->count)
		return true;
	for (u32 i = 0; i < PORT_RANGES_MAX; i++) {
		counts_up(i);
		if (i >= ports->count)
			break;
		if (ports->ranges[i].low <= port && port <= ports->ranges[i].high)
			return true;
	}
	return false;
}

/* getaddrinfo(3) connects UDP sockets to port 0 to learn its own address, and sends nothing (RFC 6724). */
static __always_inline bool is_port_allowed(struct allowed_ports *allowed, u16 port, u32 protocol)
{
	return (!port && protocol == IPPROTO_UDP) || is_in(allowed, port);
}

static __noinline int is_named_peer(struct peer_key *key, u32 port, u32 protocol)
{
	struct named_key name = { .family = key->family };
	struct allowed_ports *ports;
	struct named_peer *named;

	__builtin_memcpy(name.address, key->address, 16);
	named = bpf_map_lookup_elem(&named_peers, &name);
	if (!named || named->until_ns < bpf_ktime_get_boot_ns())
		return false;
	ports = bpf_map_lookup_elem(&taken_peers, key);
	if (ports && is_in(ports, port))
		return false;
	for (u32 i = 0; i < DOMAIN_ENTRIES_MAX; i++) {
		u32 entry = named->entry[i];

		ports = bpf_map_lookup_elem(&domain_ports, &entry);
		if (ports && is_port_allowed(ports, port, protocol))
			return true;
	}
	return false;
}

static __always_inline bool is_peer_allowed(struct peer_key *key, u16 port, u32 protocol)
{
	struct allowed_ports *allowed = bpf_map_lookup_elem(&allowed_peers, key);

	return (allowed && is_port_allowed(allowed, port, protocol)) || is_named_peer(key, port, protocol);
}

#endif
