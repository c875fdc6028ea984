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
