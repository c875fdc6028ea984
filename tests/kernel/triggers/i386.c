/*
 * i386 FOLDER PORT REFUSED LEAF: one act of each kind through the 32-bit system calls (int $0x80). Built with
 * -m32 -nostdlib, as it must not need a 32-bit C library.
 */
#define O_WRONLY 1
#define O_CREAT 0100
#define AF_INET 2
#define SOCK_STREAM 1

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

struct address {
	unsigned short family;
	unsigned char port[2];
	unsigned char ip[4];
	unsigned char zero[8];
};

static struct address loopback(unsigned port)
{
	struct address a = { AF_INET, { port >> 8, port & 255 }, { 127, 0, 0, 1 }, { 0 } };

	return a;
}

/* socketcall(2): 1 is socket, 3 connect */
static long stream_socket(void)
{
	long arguments[] = { AF_INET, SOCK_STREAM, 0 };

	return call(102, 1, (long)arguments, 0, 0, 0);
}

static void connects(unsigned port, unsigned refused)
{
	struct address open = loopback(port), closed = loopback(refused);
	long old[] = { stream_socket(), (long)&open, sizeof(open) };

	call(102, 3, (long)old, 0, 0, 0);
	call(362, stream_socket(), (long)&open, sizeof(open), 0, 0);
	call(362, stream_socket(), (long)&closed, sizeof(closed), 0, 0);
}

static void files(void)
{
	long fd = call(5, (long)"opened", O_WRONLY | O_CREAT, 0644, 0, 0);

	call(4, fd, (long)"seven..", 7, 0, 0);
	call(194, fd, 3, 1, 0, 0);	/* ftruncate64: 3 + (1 << 32) */
	call(6, fd, 0, 0, 0, 0);
	fd = call(8, (long)"created", 0644, 0, 0, 0);
	call(6, fd, 0, 0, 0, 0);
	call(5, (long)"missing/file", O_WRONLY, 0, 0, 0);
	call(38, (long)"created", (long)"renamed", 0, 0, 0);
	call(10, (long)"renamed", 0, 0, 0, 0);
	call(10, (long)"renamed", 0, 0, 0, 0);
}

__attribute__((used)) void begin(long *stack)
{
	char **argv = (char **)(stack + 1);
	char *arguments[] = { "leaf", "11", 0 };

	call(12, (long)argv[1], 0, 0, 0, 0);
	files();
	connects(number(argv[2]), number(argv[3]));
	call(11, (long)"missing/program", (long)arguments, 0, 0, 0);
	call(11, (long)argv[4], (long)arguments, 0, 0, 0);
	call(1, 1, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start: mov %esp, %eax\n push %eax\n call begin\n");
