/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Requests of io_uring under way. What is asked for is known when a request is submitted, how it went when it
 * completes, and its names are gone by then: so the record is made at once, and kept until the result is there.
 */
#ifndef RUBICON_URING_H
#define RUBICON_URING_H

#include "scope.h"

#define KEPT_BYTES 512		/* of a record with names of usual length; others go into a smaller map */
#define KEPT_LONG_BYTES (sizeof(struct rb_path) + 4 * RB_PATH_MAX)

struct request {
	u64 ctx;
	u64 user_data;
	u64 object;	/* connect: struct sock; write, send: struct file; 0 when not known at submission */
	u64 start_ns;
	u64 asked_ns;
	u32 pid;
	u32 tid;
	u32 scope;
	u32 kept;	/* bytes of the record */
	u32 detail;	/* open, accept: place in the ring's table, from 1, or 0; write: the descriptor; send: inode */
	u32 open_flags;
	s32 result_before;
	u16 type;	/* connect: SOCK_STREAM ... */
	u8 opcode;
	u8 set_off;	/* connect: a SYN is sent; `peer` is whom it goes to */
	struct rb_peer peer;
};

/* By the address of the kernel's struct io_kiocb. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct request);
} requests SEC(".maps");

/* The one that is being finished on this CPU: its size would take much of the stack. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct request);
} finishing SEC(".maps");

/* The one that the sweep finishes, which may be preempted, unlike the others. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct request);
} swept SEC(".maps");

struct kept {
	u8 record[KEPT_BYTES];
};

struct kept_long {
	u8 record[KEPT_LONG_BYTES];
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct kept);
} kept SEC(".maps");

LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u64);
	__type(value, struct kept_long);
} kept_long SEC(".maps");

/* Socket -> request that connects it. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, u64);
} uring_sockets SEC(".maps");

/* Sockets whose connect was reported when it set off, as no request was known to be about them. */
LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, u8);
} set_off_alone SEC(".maps");

/* Requests that complete many times, by how a completion names them. */
struct asker {
	u64 ctx;
	u64 user_data;
};

struct many_shots {
	u64 file;
	u32 detail;
	u32 opcode;
};

LOADED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct asker);
	__type(value, struct many_shots);
} many_shots SEC(".maps");

static __always_inline struct request *request_of_socket(struct sock *sk)
{
	u64 key = (u64)sk;
	u64 *request = bpf_map_lookup_elem(&uring_sockets, &key);

	if (!request)
		return NULL;
	key = *request;
	return bpf_map_lookup_elem(&requests, &key);
}

#endif
