/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A pass over all processes where there are no iterators, which want type information: along the kernel's own
 * list of them, as for_each_process() does. A raw tracepoint is run in an RCU section, which the list wants.
 */
#ifndef RUBICON_PASS_H
#define RUBICON_PASS_H

#include "loader.h"

#define PROCESSES_MAX (1 << 22)	/* PID_MAX_LIMIT */

struct pass {
	u64 at;
	u64 end;
	u32 found;
};

static __always_inline void pass_begin(struct pass *pass)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	pass->at = (u64)BPF_CORE_READ(task, group_leader);
	pass->end = pass->at;
}

/* Whether that was the last. */
static __always_inline bool pass_next(struct pass *pass)
{
	struct task_struct *task = (void *)pass->at;

	pass->at = (u64)BPF_CORE_READ(task, tasks.next) - bpf_core_field_offset(struct task_struct, tasks);
	return pass->at == pass->end;
}

#endif
