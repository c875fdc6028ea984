/*
 * boundary32 PID: each boundary act once by the 32-bit system calls (int $0x80), most of them refused; PID, a stranger,
 * gets a SIGURG by each call that sends signals.
 */
struct call {
	long nr, args[5];
};

#define CLONE_NEWUTS 0x4000000
#define SIGCHLD 17
#define SIGURG 23
#define NOBODY 0x3fffff
#define NO_FD 999
#define HERE -100		/* AT_FDCWD */
#define STRANGER -0x7777	/* stands for PID */
#define PIDFD -0x7778		/* ... and a pidfd of it */
#define TEXT(text) (long)text

static char nothing[128];
static unsigned groups[2] = { 5, 7 };
static unsigned header[2] = { 0x20080522 }, capabilities[6] = { 1, 1 };
static long vector[2] = { (long)nothing, sizeof(nothing) };
/* siginfo_t: number, errno, code (SI_QUEUE) */
static int info[32] = { SIGURG, 0, -1 };
static unsigned long long clone_arguments[8] = { [0] = CLONE_NEWUTS, [4] = SIGCHLD };

static const struct call calls[] = {
	/* namespaces */
	{ 310, { CLONE_NEWUTS } },
	{ 346, { NO_FD, CLONE_NEWUTS } },
	{ 120, { CLONE_NEWUTS | SIGCHLD } },
	{ 435, { TEXT(clone_arguments), sizeof(clone_arguments) } },
	/* mounts */
	{ 21, { TEXT("none"), TEXT("missing"), TEXT("tmpfs"), 1 } },
	{ 52, { TEXT("missing"), 2 } },
	{ 22, { TEXT("missing") } },	/* umount, which has no flags */
	{ 217, { TEXT("missing"), TEXT("missing") } },
	{ 61, { TEXT("missing") } },
	{ 429, { NO_FD, TEXT(""), HERE, TEXT("missing"), 4 } },
	{ 430, { TEXT("nonesuch"), 1 } },
	{ 431, { NO_FD, 6 } },
	{ 432, { NO_FD, 1, 1 } },
	{ 433, { HERE, TEXT("missing"), 1 } },
	{ 428, { HERE, TEXT("missing"), 1 } },
	{ 442, { HERE, TEXT("missing"), 0, TEXT(nothing), 32 } },
	/* others */
	{ 26, { 16, NOBODY } },	/* PTRACE_ATTACH */
	{ 348, { NOBODY, TEXT(vector), 1, TEXT(vector), 1 } },
	{ 438, { NO_FD } },
	/* the kernel */
	{ 357, { 5, TEXT(nothing), sizeof(nothing) } },
	{ 336, { TEXT(nothing), 0, -1, -1, 1 << 30 } },
	{ 128, { TEXT("no module"), 9, TEXT("") } },
	{ 350, { NO_FD, TEXT(""), 0 } },
	{ 129, { TEXT("nonesuch"), 04000 } },
	{ 356, { TEXT("memory"), 1 } },
	{ 286, { TEXT("nonesuch"), TEXT("name"), 0, 0, -2 } },
	{ 287, { TEXT("nonesuch"), TEXT("name") } },
	{ 288, { 999 } },
	{ 425, { 0, TEXT(nothing) } },
	{ 374, { 1 << 30 } },
	/* signals */
	{ 37, { STRANGER, SIGURG } },
	{ 238, { STRANGER, SIGURG } },
	{ 270, { STRANGER, STRANGER, SIGURG } },
	{ 424, { PIDFD, SIGURG } },
	{ 178, { STRANGER, SIGURG, TEXT(info) } },
	{ 335, { STRANGER, STRANGER, SIGURG, TEXT(info) } },
	/* credentials: 16 bits and 32 */
	{ 206, { 2, TEXT(groups) } },
	{ 81, { 0 } },
	{ 216, { 11 } },
	{ 139, { 13 } },
	{ 210, { 17, 17, 0 } },
	{ 170, { 19, 19, 0 } },
	{ 204, { -1, 23 } },
	{ 71, { -1, 29 } },
	{ 214, { 31 } },
	{ 46, { 37 } },
	{ 215, { 41 } },
	{ 138, { 43 } },
	{ 208, { -1, 1000, 0 } },
	{ 164, { -1, 0, -1 } },
	{ 203, { -1, 1000 } },
	{ 70, { -1, 0 } },
	{ 185, { TEXT(header), TEXT(capabilities) } },
	{ 23, { 1000 } },
	{ 213, { 0 } },
	{ 213, { 47 } },
};

static long call(long nr, const long *args)
{
	long result;

	__asm__ volatile("push %%ebp\n xor %%ebp, %%ebp\n int $0x80\n pop %%ebp"
			 : "=a"(result)
			 : "a"(nr), "b"(args[0]), "c"(args[1]), "d"(args[2]), "S"(args[3]), "D"(args[4])
			 : "memory");
	return result;
}

static long number(const char *text)
{
	long value = 0;

	while (*text)
		value = value * 10 + (*text++ - '0');
	return value;
}

__attribute__((used)) void begin(long *stack)
{
	long pid = number(((char **)(stack + 1))[1]);
	long none[5] = { 0 }, any[5] = { -1 }, target[5] = { pid }, pidfd = call(434, target);

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct call c = calls[i];

		for (int n = 0; n < 5; n++)
			c.args[n] = c.args[n] == STRANGER ? pid : c.args[n] == PIDFD ? pidfd : c.args[n];
		if (!call(c.nr, c.args) && (c.nr == 120 || c.nr == 435))
			call(1, none);	/* the child */
	}
	call(7, any);	/* waitpid, twice */
	call(7, any);
	call(1, none);
}

__asm__(".globl _start\n_start: mov %esp, %eax\n push %eax\n call begin\n");
