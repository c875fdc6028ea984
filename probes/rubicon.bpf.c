/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The one object: every family, and the system call hooks that call into them. */
#include "boundary.bpf.c"
#include "network.bpf.c"
#include "socket.bpf.c"
#include "file.bpf.c"
#include "uring.bpf.c"
#include "guard.bpf.c"
#include "resolved.bpf.c"
#include "found.bpf.c"
#include "process.bpf.c"
#include "container.bpf.c"
#include "syscalls.bpf.c"
#ifndef RUBICON_BCC
/* hooks inside the calls want types */
#include "names.bpf.c"
#include "inside.bpf.c"
#endif
#ifndef RUBICON_BCC
#include "lsm.bpf.c"	/* security modules are asked by trampolines */
#endif

struct rb_layout *rb_layout;	/* never used: it puts the type into the BTF */

char LICENSE[] SEC("license") = "GPL";
