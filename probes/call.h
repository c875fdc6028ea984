/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* A system call of a watched process, the same whichever table it came through. */
#ifndef RUBICON_CALL_H
#define RUBICON_CALL_H

#include "scope.h"

#define X32_SYSCALL_BIT 0x40000000	/* x32 shares most numbers with x86-64 */
#define X32_FIRST_OWN 512	/* of the others, whose structures in memory are those of i386 */

struct call {
	u64 args[6];
	s64 result;
	u64 start_ns;
	u32 scope;
	u32 compat;	/* structures in memory have pointers of 32 bits */
};

/* The result before a signal is handled, ERESTARTSYS to ERESTART_RESTARTBLOCK; the caller never sees it. */
static __always_inline bool is_interrupted(s64 result)
{
	return result <= -512 && result >= -516;
}

/* The kernel looks at the lower half of the register alone (do_syscall_64); the other is the caller's to fill. */
static __always_inline u32 call_number(struct pt_regs *regs)
{
	return FIELD(regs, orig_ax);
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
	c->compat = compat || call_number(regs) >= (X32_SYSCALL_BIT | X32_FIRST_OWN);
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
