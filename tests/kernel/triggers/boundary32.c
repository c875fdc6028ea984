/* boundary32 PID: boundary acts through the 32-bit system calls (int $0x80); PID gets a SIGURG. */
static long call(long nr, long a, long b, long c, long d, long e)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "memory");
	return result;
}

static unsigned number(const char *text)
{
	unsigned value = 0;

	while (*text)
		value = value * 10 + (*text++ - '0');
	return value;
}

__attribute__((used)) void begin(long *stack)
{
	char **argv = (char **)(stack + 1);

	call(310, 0x4000000, 0, 0, 0, 0);	/* unshare(CLONE_NEWUTS) */
	call(21, (long)"none", (long)"missing", (long)"tmpfs", 1, 0);
	call(22, (long)"missing", 0, 0, 0, 0);	/* umount, which has no flags */
	call(26, 16, 0x3fffff, 0, 0, 0);	/* ptrace(PTRACE_ATTACH) */
	call(37, number(argv[1]), 23, 0, 0, 0);
	call(210, 1000, 1000, 1000, 0, 0);	/* setresgid32 */
	call(213, 1000, 0, 0, 0, 0);	/* setuid32 */
	call(213, 0, 0, 0, 0, 0);
	call(356, (long)"memory", 1, 0, 0, 0);
	call(1, 0, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start: mov %esp, %eax\n push %eax\n call begin\n");
