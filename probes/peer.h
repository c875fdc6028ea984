/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Both ends of a socket, as the kernel holds them. */
#ifndef RUBICON_PEER_H
#define RUBICON_PEER_H

#include "fd.h"
#include <bpf/bpf_endian.h>
#include "abi.h"

static __always_inline struct sock *sock_of(struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);

	return BPF_CORE_READ(socket, sk);
}

/*
 * Sockets that were told of, by inode number: when they were found open at an attach, or 0 for those seen in a
 * call. So that one with several holders, or in a call at that very moment, is told of once.
 */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, u64);
} told SEC(".maps");

static __always_inline void tell(struct file *file)
{
	u64 inode = BPF_CORE_READ(file, f_inode, i_ino), by_call = 0;

	bpf_map_update_elem(&told, &inode, &by_call, BPF_ANY);
}

static __always_inline bool found_since(struct file *file, u64 since_ns)
{
	u64 inode = BPF_CORE_READ(file, f_inode, i_ino);
	u64 *found_ns = bpf_map_lookup_elem(&told, &inode);

	return found_ns && *found_ns >= since_ns && *found_ns;
}

#define CALL_END_NS 100000000	/* from where a call has made its descriptor to its end, at most */

/* What a call has just made may have been found open before the call was over. */
static __always_inline bool just_found(struct file *file)
{
	return found_since(file, bpf_ktime_get_boot_ns() - CALL_END_NS);
}

/* An address as calls are given it: struct sockaddr_in and sockaddr_in6 over one another. */
struct given_address {
	u16 family;
	u16 port;
	u32 ip4;	/* of IPv6 the flow */
	u8 ip6[16];
};

static __always_inline bool is_inet(u16 family)
{
	return family == AF_INET || family == AF_INET6;
}

static __always_inline void read_peer(struct sock *sk, struct rb_peer *peer)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	peer->family = family;
	peer->protocol = BPF_CORE_READ(sk, sk_protocol);
	if (family != AF_INET && family != AF_INET6)
		return;
	peer->dport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	peer->sport = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (family == AF_INET) {
		BPF_CORE_READ_INTO((u32 *)peer->daddr, sk, __sk_common.skc_daddr);
		BPF_CORE_READ_INTO((u32 *)peer->saddr, sk, __sk_common.skc_rcv_saddr);
	} else {
		BPF_CORE_READ_INTO(&peer->daddr, sk, __sk_common.skc_v6_daddr);
		BPF_CORE_READ_INTO(&peer->saddr, sk, __sk_common.skc_v6_rcv_saddr);
	}
}

#endif
