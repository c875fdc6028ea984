/*
 * Calls by numbers that are written in other ways. `wide`: with the upper half of the register, which the kernel does not
 * look at. `x32 PORT PROGRAM`: by x32's numbers, also those that it alone has, whose structures have pointers of 32 bits;
 * becomes PROGRAM with the argument 13, or exits with 77 where the kernel has none.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WIDE 0xdeadbeef00000000UL
#define X32 0x40000000UL
#define NONE 77

static long call(unsigned long number, const void *a, const void *b, unsigned long c, unsigned long d)
{
	register unsigned long r10 asm("r10") = d;
	long result;

	asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}

static void *below_4g(const void *bytes, size_t size)
{
	void *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	return memcpy(place, bytes, size);
}

static int wide(void)
{
	long fd = call(WIDE | 257, (void *)AT_FDCWD, "wide", O_CREAT | O_WRONLY, 0644);

	if (fd < 0 || call(WIDE | 1, (void *)fd, "12345", 5, 0) != 5 || call(WIDE | 3, (void *)fd, 0, 0, 0))
		return 1;
	return call(WIDE | 87, "wide", 0, 0, 0) != 0;
}

/* In a child: whoever is traced stops when it becomes another program. */
static int x32_ptrace(void)
{
	int status = 1;

	if (!fork())
		_exit(call(X32 | 521, 0, 0, 0, 0) != 0);
	wait(&status);
	return status;
}

static int x32_connect(const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return call(X32 | 42, (void *)(long)fd, &to, sizeof(to), 0) || close(fd);
}

static int x32_exec(const char *program)
{
	uint32_t argv[] = { (uintptr_t)below_4g("leaf", 5), (uintptr_t)below_4g("13", 3), 0 };

	return call(X32 | 520, program, below_4g(argv, sizeof(argv)), 0, 0);
}

static int x32(const char *port, const char *program)
{
	uint32_t text = (uintptr_t)below_4g("seven b", 8), pieces[] = { text, 3, text, 4 }, argv[] = { text, 0 };
	long fd = call(X32 | 257, (void *)AT_FDCWD, "x32", O_CREAT | O_WRONLY, 0644);

	if (fd == -ENOSYS)
		return NONE;
	if (call(X32 | 516, (void *)fd, below_4g(pieces, sizeof(pieces)), 2, 0) != 7 || close(fd))
		return 1;
	if (call(X32 | 520, "missing", below_4g(argv, sizeof(argv)), 0, 0) != -ENOENT)
		return 2;
	if (x32_ptrace() || x32_connect(port))
		return 3;
	if (call(X32 | 82, "x32", "renamed", 0, 0) || call(X32 | 87, "renamed", 0, 0, 0))
		return 4;
	return x32_exec(program) ? 5 : 6;
}

int main(int argc, char **argv)
{
	return argc > 3 && !strcmp(argv[1], "x32") ? x32(argv[2], argv[3]) : wide();
}
