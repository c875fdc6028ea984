/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What a program is told in its environment of the step it is for: RUBICON_STEP and TRACEPARENT. */
#ifndef RUBICON_TOLD_H
#define RUBICON_TOLD_H

#include "emit.h"

#define ENV_STRINGS_MAX 1024	/* that are looked at; a long one counts once for each RB_ENV_MAX bytes */
#define TOLD_BOTH 3

/* Eight letters as they lie in memory. */
#define LETTERS(a, b, c, d, e, f, g, h)                                                                        \
	((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 | (u64)(f) << 40 |        \
	 (u64)(g) << 48 | (u64)(h) << 56)

struct env_walk {
	u64 at;
	u64 end;
	u32 slot;
	u32 told;	/* which of the two were there */
	u32 inside;	/* of a long string */
};

static __always_inline u32 is_told(const u64 *letters)
{
	if (letters[0] == LETTERS('R', 'U', 'B', 'I', 'C', 'O', 'N', '_') &&
	    (letters[1] & 0xffffffffff) == LETTERS('S', 'T', 'E', 'P', '=', 0, 0, 0))
		return 1;
	if (letters[0] == LETTERS('T', 'R', 'A', 'C', 'E', 'P', 'A', 'R') &&
	    (letters[1] & 0xffffffff) == LETTERS('E', 'N', 'T', '=', 0, 0, 0, 0))
		return 2;
	return 0;
}

static long env_step(u32 index, struct env_walk *w)
{
	struct scratch *s = scratch_at(w->slot);
	u64 address = w->at, len;
	u32 what;
	long n;

	if (!s || address >= w->end)
		return 1;
	n = read_user_string((u8 *)s->word, RB_ENV_MAX, (void *)address);
	if (n <= 0)
		return 1;
	what = w->inside ? 0 : is_told(s->word);
	w->inside = n == RB_ENV_MAX;
	w->at = address + n - w->inside;	/* the NUL of a piece is not its own */
	if (!what || w->told & what)
		return 0;
	len = s->len;
	if (len > STRINGS_MAX)
		return 1;
	n = bounded(n, RB_ENV_MAX);
	if (bpf_probe_read_kernel(s->data + len, n, s->word))
		return 1;
	s->len = len + n;
	w->told |= what;
	return w->told == TOLD_BOTH;
}

/* Both variables, as they are; the first of each name, which is the one that getenv(3) finds. */
static __noinline u32 put_told(struct scratch *s, u64 address, u64 end)
{
	struct env_walk w = { .at = address, .end = end };
	u64 before;

	if (!s)
		return 0;
	w.slot = s->slot;
	before = s->len;
	bpf_loop(ENV_STRINGS_MAX, env_step, &w, 0);
	return s->len - before;
}

#endif
