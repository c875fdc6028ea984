// SPDX-License-Identifier: Apache-2.0
// What scripts/bench runs bare and watched. Each prints its own elapsed nanoseconds, so that the start of the
// tracer does not count:
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
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES 61

extern char **environ;

static long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
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
}

static void read_loop(long n)
{
	int fd = open("/dev/zero", O_RDONLY);
	char byte;

	while (n--)
		if (read(fd, &byte, 1) != 1)
			err(1, "read");
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	long n = argc > 2 ? atol(argv[2]) : 0, begin = now_ns();

	if (!strcmp(what, "exec"))
		exec_loop(n);
	else if (!strcmp(what, "write") && argc > 3)
		write_loop(n, argv[3], 0);
	else if (!strcmp(what, "connect"))
		connect_loop(n);
	else if (!strcmp(what, "read"))
		read_loop(n);
	else if (!strcmp(what, "flood") && argc > 3)
		flood(n, argv[3]);
	else
		errx(2, "usage: %s exec|write|connect|read|flood N [FOLDER]", argv[0]);
	printf("%ld\n", now_ns() - begin);
	return 0;
}
