/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* A system call of a watched process, the same whichever table it came through. */
#ifndef RUBICON_CALL_H
#define RUBICON_CALL_H

#include "scope.h"

struct call {
	u64 args[6];
	s64 result;
	u64 start_ns;
	u32 scope;
	u32 compat;
};

/* The result before a signal is handled, ERESTARTSYS to ERESTART_RESTARTBLOCK; the caller never sees it. */
static __always_inline bool is_interrupted(s64 result)
{
	return result <= -512 && result >= -516;
}

static __always_inline bool is_compat(void)
{
	/* Read in place, without a helper: many numbers mean something in one table only. */
	struct task_struct *task = CURRENT_TASK();

	return FIELD(task, thread_info.status) & TS_COMPAT;
}

/* i386 calls pass 32-bit values; the upper halves of the registers are the caller's to fill. */
static __always_inline void call_read(struct call *c, struct pt_regs *regs, struct member *member, bool compat)
{
	c->scope = member->scope;
	c->start_ns = member->start_ns;
	c->compat = compat;
	if (compat) {
		c->args[0] = (u32)FIELD(regs, bx);
		c->args[1] = (u32)FIELD(regs, cx);
		c->args[2] = (u32)FIELD(regs, dx);
		c->args[3] = (u32)FIELD(regs, si);
		c->args[4] = (u32)FIELD(regs, di);
		c->args[5] = (u32)FIELD(regs, bp);
	} else {
		c->args[0] = FIELD(regs, di);
		c->args[1] = FIELD(regs, si);
		c->args[2] = FIELD(regs, dx);
		c->args[3] = FIELD(regs, r10);
		c->args[4] = FIELD(regs, r8);
		c->args[5] = FIELD(regs, r9);
	}
}

#endif
