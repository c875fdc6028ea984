// SPDX-License-Identifier: Apache-2.0
// What scripts/bench runs bare and watched. Each does its work five times over, and prints each time the elapsed
// nanoseconds and those of CPU, its own and its children's: the start of the tracer does not count.
//
//   bench_workloads exec N            vfork, exec of /bin/true, wait
//   bench_workloads write N FOLDER    open, write 64 bytes, close; over 61 files
//   bench_workloads connect N         TCP connect over loopback, accept, close both
//   bench_workloads read N            read one byte of /dev/zero: nothing that is recorded
//   bench_workloads flood N FOLDER    `write` by two processes at once
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES 61
#define TIMES 5

extern char **environ;

static long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static long used_ns(int who)
{
	struct rusage used;

	getrusage(who, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000L +
	       (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000L;
}

static long cpu_ns(void)
{
	return used_ns(RUSAGE_SELF) + used_ns(RUSAGE_CHILDREN);
}

static void exec_loop(long n)
{
	char *argv[] = {"/bin/true", NULL};
	pid_t pid;

	while (n--) {
		if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ))
			err(1, "posix_spawn");
		if (waitpid(pid, NULL, 0) < 0)
			err(1, "waitpid");
	}
}

static void write_loop(long n, const char *folder, int writer)
{
	static const char block[64];
	char path[4096];
	int fd;

	while (n--) {
		snprintf(path, sizeof(path), "%s/%d-%ld", folder, writer, n % FILES);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || write(fd, block, sizeof(block)) != sizeof(block))
			err(1, "%s", path);
		close(fd);
	}
}

static void flood(long n, const char *folder)
{
	int writer;

	for (writer = 0; writer < 2; writer++) {
		if (!fork()) {
			write_loop(n, folder, writer);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
}

// Closed by a reset, so that no port stays in TIME_WAIT and many rounds do not run out of ports.
static void close_hard(int fd)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void connect_loop(long n)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(here);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd, accepted;

	if (bind(listener, (void *)&here, length) || listen(listener, 16) ||
	    getsockname(listener, (void *)&here, &length))
		err(1, "listen");
	while (n--) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (void *)&here, length))
			err(1, "connect");
		accepted = accept(listener, NULL, NULL);
		close_hard(fd);
		close(accepted);
	}
	close(listener);
}

static void read_loop(long n)
{
	int fd = open("/dev/zero", O_RDONLY);
	char byte;

	while (n--)
		if (read(fd, &byte, 1) != 1)
			err(1, "read");
	close(fd);
}

static int work(const char *what, long n, const char *folder)
{
	if (!strcmp(what, "exec"))
		exec_loop(n);
	else if (!strcmp(what, "write") && folder)
		write_loop(n, folder, 0);
	else if (!strcmp(what, "connect"))
		connect_loop(n);
	else if (!strcmp(what, "read"))
		read_loop(n);
	else if (!strcmp(what, "flood") && folder)
		flood(n, folder);
	else
		return 0;
	return 1;
}

int main(int argc, char **argv)
{
	long begin, cpu;
	int i;

	for (i = 0; i < TIMES; i++) {
		begin = now_ns();
		cpu = cpu_ns();
		if (argc < 3 || !work(argv[1], atol(argv[2]), argv[3]))
			errx(2, "usage: %s exec|write|connect|read|flood N [FOLDER]", argv[0]);
		printf("%ld %ld\n", now_ns() - begin, cpu_ns() - cpu);
	}
	return 0;
}
