/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Egress that a policy does not allow, refused with EPERM. The programs are attached at the root of the cgroup
 * hierarchy and act for members alone, so that neither leaving the cgroup nor a socket made elsewhere helps.
 * Anybody else pays one look-up for a connect.
 *
 * Without a list of everything there is nothing to be looked through: whoever is not in `allowed_peers`, and is no
 * domain that was just resolved, is refused.
 */
#include "scope.h"
#include "guard.h"
#include "peer.h"
#include "peers.h"

#define ALLOW 1
#define REFUSE 0

/* bpf_get_current_pid_tgid is for these programs since 6.10 only. */
static __always_inline struct member *member_here(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return member_of(BPF_CORE_READ(task, tgid));
}

static __always_inline void remember(u64 sk, struct rb_peer *peer)
{
	struct refusal refusal = { .peer = *peer, .flags = RB_REFUSED };

	if (network_guard == GUARD_KILL)
		refusal.flags |= RB_KILLED;
	bpf_map_update_elem(&refusals, &sk, &refusal, BPF_ANY);
}

static __always_inline int judge_peer(struct bpf_sock_addr *context, struct peer_key *key, struct rb_peer *peer)
{
	u32 protocol = context->protocol;
	u64 sk = (u64)context->sk;

	peer->dport = bpf_ntohs(context->user_port);
	peer->protocol = protocol;
	if (is_peer_allowed(key, peer->dport, protocol))
		return ALLOW;
	remember(sk, peer);
	return REFUSE;
}

static __always_inline int guard_4(struct bpf_sock_addr *context)
{
	struct peer_key key = { .bits = 8 + 32, .family = 4 };
	struct rb_peer peer = { .family = AF_INET };
	u32 address;

	if (!network_guard || !member_here())
		return ALLOW;
	address = context->user_ip4;
	__builtin_memcpy(key.address, &address, 4);
	__builtin_memcpy(peer.daddr, &address, 4);
	return judge_peer(context, &key, &peer);
}

static __always_inline int guard_6(struct bpf_sock_addr *context)
{
	struct peer_key key = { .bits = 8 + 128, .family = 6 };
	struct rb_peer peer = { .family = AF_INET6 };
	u32 words[4];

	if (!network_guard || !member_here())
		return ALLOW;
	words[0] = context->user_ip6[0];
	words[1] = context->user_ip6[1];
	words[2] = context->user_ip6[2];
	words[3] = context->user_ip6[3];
	__builtin_memcpy(peer.daddr, words, 16);
	__builtin_memcpy(key.address, words, 16);
	if (!words[0] && !words[1] && words[2] == bpf_htonl(0xffff)) {
		key.bits = 8 + 32;
		key.family = 4;
		__builtin_memset(key.address, 0, 16);
		__builtin_memcpy(key.address, &words[3], 4);
	}
	return judge_peer(context, &key, &peer);
}

SEC("cgroup/connect4")
int guard_connect4(struct bpf_sock_addr *context)
{
	return guard_4(context);
}

SEC("cgroup/connect6")
int guard_connect6(struct bpf_sock_addr *context)
{
	return guard_6(context);
}

SEC("cgroup/sendmsg4")
int guard_sendmsg4(struct bpf_sock_addr *context)
{
	return guard_4(context);
}

SEC("cgroup/sendmsg6")
int guard_sendmsg6(struct bpf_sock_addr *context)
{
	return guard_6(context);
}

/*
 * Raw sockets, ICMP, SCTP, MPTCP: those have no place where their peers could be judged, so there are none.
 * Programs that would rather have MPTCP take TCP instead.
 */
SEC("cgroup/sock_create")
int guard_socket(struct bpf_sock *context)
{
	u32 protocol = context->protocol, family = context->family, type = context->type;

	if (!network_guard || !member_here() || !is_inet(family))
		return ALLOW;
	if (type == SOCK_RAW)
		return REFUSE;
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ? ALLOW : REFUSE;
}
