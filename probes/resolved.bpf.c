/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Addresses of allowed domains, allowed before the sandbox can know them. A resolver's answer is read from the packet
 * when it arrives, before it is in the socket's queue: whoever asked cannot connect sooner. Attached where the policy
 * allows domains and refuses the rest.
 *
 * An answer counts when a member asked: on this socket, by this number, for this name, and of the address that answers.
 * Questions get here only when guard.bpf.c has let them pass, so the resolver is one that the policy allows. One that
 * is watched itself is none. What is not plain UDP, and what more records or labels hold than are looked at, user space
 * learns from the same answer a moment later.
 */
#include "scope.h"
#include "guard.h"
#include "peers.h"

#define DNS_NAME_MAX 256
#define DNS_STEPS_MAX 512
#define DNS_A 1
#define DNS_AAAA 28
#define LABELS_MAX 16
#define ANSWER_WITHIN_NS 30000000000
#define ALLOWED_AT_LEAST_NS 60000000000	/* by then user space has put it into allowed_peers */
#define UDP_HEADER_BYTES 8

/* As text, lower case, without the last dot; `below`: any name below it, and not itself. */
struct domain {
	u8 name[DNS_NAME_MAX];
	u32 below;
};

/* Which entries of the policy allow it, from 1 on: places in domain_ports. */
struct domain_entries {
	u32 entry[DOMAIN_ENTRIES_MAX];
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct domain);
	__type(value, struct domain_entries);
} allowed_domains SEC(".maps");

struct question {
	u64 sk;
	u32 id;
	u32 reserved;
};

struct asked {
	u64 hash;		/* of name, type and class, as they are sent */
	u64 time_ns;
	u8 resolver[16];	/* aligned, as is that of struct packet: they are compared as numbers */
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct question);
	__type(value, struct asked);
} questions SEC(".maps");

/* Addresses that a member has answered from. */
struct address {
	u8 bytes[16];
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct address);
	__type(value, u8);
} watched_resolvers SEC(".maps");

struct dns_header {
	u16 id;
	u8 flags;		/* the highest bit: an answer; the second lowest: cut */
	u8 code;		/* in the lower half */
	u16 questions;
	u16 answers;
	u16 more[2];
};

struct packet {
	struct __sk_buff *skb;
	u32 at;			/* what is read next */
	u32 begin;		/* the DNS message */
	u16 sport;
	u16 dport;
	struct address from __attribute__((aligned(8)));
	struct address to __attribute__((aligned(8)));
};

/* UDP from or to port 53 alone; without extension headers. The addresses last: most packets have other ports. */
static __always_inline bool read_packet(struct __sk_buff *skb, struct packet *p)
{
	u8 first = 0, protocol = 0;
	u16 ports[2] = {};
	bool is_4;
	u32 at;

	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return false;
	is_4 = first >> 4 == 4;
	if (bpf_skb_load_bytes(skb, is_4 ? 9 : 6, &protocol, 1) || protocol != IPPROTO_UDP)
		return false;
	at = is_4 ? (first & 15) * 4 : 40;
	if (bpf_skb_load_bytes(skb, at, ports, sizeof(ports)))
		return false;
	p->sport = bpf_ntohs(ports[0]);
	p->dport = bpf_ntohs(ports[1]);
	if (p->sport != 53 && p->dport != 53)
		return false;
	if (is_4) {
		bpf_skb_load_bytes(skb, 12, p->from.bytes, 4);
		bpf_skb_load_bytes(skb, 16, p->to.bytes, 4);
	} else {
		bpf_skb_load_bytes(skb, 8, p->from.bytes, 16);
		bpf_skb_load_bytes(skb, 24, p->to.bytes, 16);
	}
	p->skb = skb;
	p->begin = at + UDP_HEADER_BYTES;
	p->at = p->begin + sizeof(struct dns_header);
	return true;
}

/* --- the question --------------------------------------------------------------------------- */

struct hashing {
	struct packet *p;
	u64 hash;
	u32 left;		/* of a label */
	u32 tail;		/* bytes read of type and class */
	u32 ends;
};

/* FNV-1a over the question; the agent chooses what it asks, and the resolver answers that or nothing. */
static long hash_step(u32 index, struct hashing *h)
{
	u8 byte = 0;

	if (bpf_skb_load_bytes(h->p->skb, h->p->at, &byte, 1))
		return 1;
	h->p->at++;
	h->hash = (h->hash ^ byte) * 0x100000001b3;
	if (h->tail) {
		h->tail--;
		h->ends = !h->tail;
		return h->ends;
	}
	if (h->left) {
		h->left--;
		return 0;
	}
	if (byte > 63)
		return 1;
	h->left = byte;
	h->tail = byte ? 0 : 4;
	return 0;
}

/* 0 when it is none. */
static __noinline u64 question_hash(struct packet *p)
{
	struct hashing h = { .p = p, .hash = 0xcbf29ce484222325 };

	bpf_loop(DNS_NAME_MAX + 4, hash_step, &h, 0);
	return h.ends ? h.hash : 0;
}

SEC("cgroup_skb/egress")
int on_dns_sent(struct __sk_buff *skb)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct packet p = {};
	struct dns_header header = {};
	struct question key = {};
	struct asked asked = {};
	u8 yes = 1;

	if (!network_guard || !member_of(BPF_CORE_READ(task, tgid)) || !read_packet(skb, &p))
		return 1;
	if (p.sport == 53)
		bpf_map_update_elem(&watched_resolvers, &p.from, &yes, BPF_ANY);
	if (p.dport != 53 || bpf_skb_load_bytes(skb, p.begin, &header, sizeof(header)))
		return 1;
	if (header.flags & 0x80 || header.questions != bpf_htons(1))
		return 1;
	key.sk = (u64)skb->sk;
	key.id = header.id;
	asked.hash = question_hash(&p);
	asked.time_ns = bpf_ktime_get_boot_ns();
	__builtin_memcpy(asked.resolver, p.to.bytes, 16);
	if (key.sk && asked.hash)
		bpf_map_update_elem(&questions, &key, &asked, BPF_ANY);
	return 1;
}

/* --- the answer ------------------------------------------------------------------------------ */

/* Of the packet that arrives now on this CPU: the softirq that delivers it is not interrupted by another. */
struct resolving {
	u8 name[DNS_NAME_MAX];	/* as it was asked for, as text */
	struct domain domain;
	struct named_peer named;
	u32 starts[LABELS_MAX];
	u32 labels;
	u32 len;
	u32 left;		/* of a label */
	u32 entries;
	u32 ends;
	u32 at_record;		/* behind its name */
	u32 records;
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct resolving);
} resolving SEC(".maps");

static __always_inline struct resolving *resolving_now(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&resolving, &zero);
}

static __always_inline u8 lower(u8 byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/* A byte of the name that was asked for. A label with a dot in it is none of a policy's. */
static long name_step(u32 index, struct packet *p)
{
	struct resolving *r = resolving_now();
	u8 byte = 0;

	if (!r || bpf_skb_load_bytes(p->skb, p->at, &byte, 1))
		return 1;
	p->at++;
	if (r->left) {
		if (byte == '.')
			return 1;
		r->left--;
		r->name[r->len & (DNS_NAME_MAX - 1)] = lower(byte);
		r->len++;
		return 0;
	}
	if (!byte) {
		p->at += 4;	/* type and class */
		r->ends = 1;
		return 1;
	}
	if (byte > 63 || r->labels >= LABELS_MAX || r->len + byte + 1 >= DNS_NAME_MAX)
		return 1;
	if (r->labels) {
		r->name[r->len & (DNS_NAME_MAX - 1)] = '.';
		r->len++;
	}
	r->starts[r->labels & (LABELS_MAX - 1)] = r->len;
	r->labels++;
	r->left = byte;
	return 0;
}

/* The name, or one that it is below. */
static long domain_step(u32 index, void *unused)
{
	struct resolving *r = resolving_now();
	struct domain_entries *found;
	u64 start, size;

	if (!r || index >= r->labels)
		return 1;
	start = r->starts[index & (LABELS_MAX - 1)];
	start = bounded(start, DNS_NAME_MAX - 1);
	size = bounded(r->len - start, DNS_NAME_MAX - 1);
	__builtin_memset(&r->domain, 0, sizeof(r->domain));
	bpf_probe_read_kernel(r->domain.name, size, r->name + start);
	r->domain.below = index > 0;
	found = bpf_map_lookup_elem(&allowed_domains, &r->domain);
	for (u32 i = 0; found && i < DOMAIN_ENTRIES_MAX; i++) {
		if (!found->entry[i] || r->entries >= DOMAIN_ENTRIES_MAX)
			break;
		r->named.entry[r->entries & (DOMAIN_ENTRIES_MAX - 1)] = found->entry[i];
		r->entries++;
	}
	return 0;
}

static __always_inline void add_entry(struct named_peer *named, u32 entry)
{
	for (u32 i = 0; entry && i < DOMAIN_ENTRIES_MAX; i++) {
		if (!named->entry[i])
			named->entry[i] = entry;
		if (named->entry[i] == entry)
			break;
	}
}

/* It may be known for another name, too, whose entries go behind those of this one, as far as there is room. */
static __noinline int allow_address(struct resolving *r, struct named_key *key, u32 ttl_seconds)
{
	u64 lasts_ns = (u64)ttl_seconds * 1000000000, now_ns = bpf_ktime_get_boot_ns();
	struct named_peer *known = bpf_map_lookup_elem(&named_peers, key);
	struct named_peer new = r->named;

	new.until_ns = now_ns + (lasts_ns > ALLOWED_AT_LEAST_NS ? lasts_ns : ALLOWED_AT_LEAST_NS);
	for (u32 i = 0; known && known->until_ns > now_ns && i < DOMAIN_ENTRIES_MAX; i++)
		add_entry(&new, known->entry[i]);
	return bpf_map_update_elem(&named_peers, key, &new, BPF_ANY);
}

struct dns_record {
	u16 type;
	u16 class;
	u16 ttl[2];
	u16 size;
} __attribute__((packed));

static __always_inline long read_record(struct packet *p, struct resolving *r)
{
	struct dns_record record = {};
	struct named_key key = {};
	u32 ttl_seconds, size;

	if (bpf_skb_load_bytes(p->skb, p->at, &record, sizeof(record)))
		return 1;
	p->at += sizeof(record);
	size = bpf_ntohs(record.size);
	ttl_seconds = (u32)bpf_ntohs(record.ttl[0]) << 16 | bpf_ntohs(record.ttl[1]);
	if (record.class == bpf_htons(1) && record.type == bpf_htons(DNS_A) && size == 4) {
		key.family = 4;
		if (!bpf_skb_load_bytes(p->skb, p->at, key.address, 4))
			allow_address(r, &key, ttl_seconds);
	} else if (record.class == bpf_htons(1) && record.type == bpf_htons(DNS_AAAA) && size == 16) {
		key.family = 6;
		if (!bpf_skb_load_bytes(p->skb, p->at, key.address, 16))
			allow_address(r, &key, ttl_seconds);
	}
	p->at += size;
	r->at_record = 0;
	r->records--;
	return !r->records;
}

/* A part of a record's name, or what follows it. */
static long record_step(u32 index, struct packet *p)
{
	struct resolving *r = resolving_now();
	u8 byte = 0;

	if (!r || bpf_skb_load_bytes(p->skb, p->at, &byte, 1))
		return 1;
	if (r->at_record)
		return read_record(p, r);
	if (byte > 63) {
		p->at += 2;	/* a pointer to the rest */
		r->at_record = 1;
	} else {
		p->at += byte + 1;
		r->at_record = !byte;
	}
	return 0;
}

/* Whether it answers what was asked on this socket, of whom it was asked. */
static __always_inline bool is_expected(struct packet *p, struct dns_header *header, u64 sk)
{
	struct question key = { .sk = sk, .id = header->id };
	struct asked *asked = bpf_map_lookup_elem(&questions, &key);
	u64 *of = asked ? (void *)asked->resolver : NULL, *from = (void *)p->from.bytes;

	if (!asked || bpf_ktime_get_boot_ns() - asked->time_ns > ANSWER_WITHIN_NS)
		return false;
	if (of[0] != from[0] || of[1] != from[1])
		return false;
	return question_hash(p) == asked->hash && !bpf_map_lookup_elem(&watched_resolvers, &p->from);
}

SEC("cgroup_skb/ingress")
int on_dns_received(struct __sk_buff *skb)
{
	struct packet p = {};
	struct dns_header header = {};
	struct resolving *r;

	if (!network_guard || !skb->sk || !read_packet(skb, &p) || p.sport != 53)
		return 1;
	r = resolving_now();
	if (!r || bpf_skb_load_bytes(skb, p.begin, &header, sizeof(header)))
		return 1;
	if (!(header.flags & 0x80) || header.code & 15 || header.questions != bpf_htons(1) || !header.answers)
		return 1;
	if (!is_expected(&p, &header, (u64)skb->sk))
		return 1;
	p.at = p.begin + sizeof(struct dns_header);
	__builtin_memset(r, 0, sizeof(*r));
	bpf_loop(DNS_NAME_MAX + 1, name_step, &p, 0);
	if (!r->ends)
		return 1;
	bpf_loop(LABELS_MAX, domain_step, NULL, 0);
	if (!r->entries)
		return 1;
	r->records = bpf_ntohs(header.answers);
	bpf_loop(DNS_STEPS_MAX, record_step, &p, 0);
	return 1;
}
