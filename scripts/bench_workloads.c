// SPDX-License-Identifier: Apache-2.0
// What scripts/bench runs bare and watched. Each does its work five times over, and prints each time the elapsed
// nanoseconds and those of CPU, its own and its children's: the start of the tracer does not count.
//
//   bench_workloads exec N            vfork, exec of /bin/true, wait
//   bench_workloads write N FOLDER    open, write 64 bytes, close; over 61 files
//   bench_workloads small N FOLDER    write one byte to a file that stays open
//   bench_workloads connect N         TCP connect over loopback, accept, close both
//   bench_workloads dns N             a question over UDP to a resolver of its own on loopback, and the answer
//   bench_workloads uring N FOLDER    `write` by io_uring, a request at a time
//   bench_workloads read N            read one byte of /dev/zero: nothing that is recorded
//   bench_workloads flood N FOLDER    `write` by two processes at once
//   bench_workloads crowd N FOLDER    `write` with 1,000 idle children
//   bench_workloads wait ...          the same, once a line comes on stdin
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES 61
#define TIMES 5
#define CROWD 1000

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

static void small_loop(long n, const char *folder)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/small", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	while (n--)
		if (write(fd, "x", 1) != 1)
			err(1, "%s", path);
	close(fd);
}

static void crowd(long n, const char *folder)
{
	pid_t idle[CROWD];
	int i;

	for (i = 0; i < CROWD; i++) {
		idle[i] = fork();
		if (idle[i] < 0)
			err(1, "fork");
		while (!idle[i])
			pause();
	}
	write_loop(n, folder, 0);
	for (i = 0; i < CROWD; i++)
		kill(idle[i], SIGKILL);
	while (wait(NULL) > 0)
		;
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

static const unsigned char question[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1";
static const unsigned char answer[] = "\xc0\x0c\0\1\0\1\0\0\1\0\0\4\xc0\0\2\1";	// 192.0.2.1

static void resolver(int fd)
{
	unsigned char message[512];
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, message, 256, 0, (void *)&from, &length)) > 1) {
		message[2] |= 0x80;
		message[7] = 1;
		memcpy(message + n, answer, sizeof(answer) - 1);
		sendto(fd, message, n + sizeof(answer) - 1, 0, (void *)&from, length);
	}
}

static void dns_loop(long n)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000099), .sin_port = htons(53)};
	unsigned char message[512];
	int server = socket(AF_INET, SOCK_DGRAM, 0), fd;

	if (bind(server, (void *)&here, sizeof(here)))
		err(1, "127.0.0.153:53");
	if (!fork()) {
		resolver(server);
		_exit(0);
	}
	close(server);
	while (n--) {
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		if (connect(fd, (void *)&here, sizeof(here)) || send(fd, question, sizeof(question) - 1, 0) < 0 ||
		    recv(fd, message, sizeof(message), 0) < 0)
			err(1, "dns");
		close(fd);
	}
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	sendto(fd, "", 1, 0, (void *)&here, sizeof(here));	// the resolver's end
	close(fd);
	wait(NULL);
}

struct ring {
	int fd;
	unsigned *tail, *mask, *array, *done_head, *done_tail, *done_mask;
	struct io_uring_sqe *requests;
	struct io_uring_cqe *results;
};

static void ring_open(struct ring *r)
{
	struct io_uring_params p = {};
	char *queue, *done;

	r->fd = syscall(SYS_io_uring_setup, 4, &p);
	if (r->fd < 0)
		err(1, "io_uring_setup");
	queue = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		     IORING_OFF_SQ_RING);
	done = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*r->results), PROT_READ | PROT_WRITE, MAP_SHARED,
		    r->fd, IORING_OFF_CQ_RING);
	r->requests = mmap(NULL, p.sq_entries * sizeof(*r->requests), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
			   IORING_OFF_SQES);
	if (queue == MAP_FAILED || done == MAP_FAILED || r->requests == MAP_FAILED)
		err(1, "mmap");
	r->tail = (void *)(queue + p.sq_off.tail);
	r->mask = (void *)(queue + p.sq_off.ring_mask);
	r->array = (void *)(queue + p.sq_off.array);
	r->done_head = (void *)(done + p.cq_off.head);
	r->done_tail = (void *)(done + p.cq_off.tail);
	r->done_mask = (void *)(done + p.cq_off.ring_mask);
	r->results = (void *)(done + p.cq_off.cqes);
}

// One request, and its result.
static int ring_do(struct ring *r, struct io_uring_sqe request)
{
	unsigned at = *r->tail & *r->mask;
	int result;

	r->requests[at] = request;
	r->array[at] = at;
	__atomic_store_n(r->tail, *r->tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		err(1, "io_uring_enter");
	result = r->results[*r->done_head & *r->done_mask].res;
	__atomic_store_n(r->done_head, *r->done_head + 1, __ATOMIC_RELEASE);
	return result;
}

static void uring_loop(long n, const char *folder)
{
	static const char block[64];
	struct ring ring;
	char path[4096];
	int fd;

	ring_open(&ring);
	while (n--) {
		snprintf(path, sizeof(path), "%s/%ld", folder, n % FILES);
		fd = ring_do(&ring, (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD,
							  .addr = (unsigned long)path, .len = 0600,
							  .open_flags = O_WRONLY | O_CREAT | O_TRUNC});
		if (fd < 0 || ring_do(&ring, (struct io_uring_sqe){.opcode = IORING_OP_WRITE, .fd = fd,
								   .addr = (unsigned long)block,
								   .len = sizeof(block)}) != sizeof(block))
			errx(1, "%s: io_uring", path);
		ring_do(&ring, (struct io_uring_sqe){.opcode = IORING_OP_CLOSE, .fd = fd});
	}
	close(ring.fd);
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
	else if (!strcmp(what, "small") && folder)
		small_loop(n, folder);
	else if (!strcmp(what, "connect"))
		connect_loop(n);
	else if (!strcmp(what, "dns"))
		dns_loop(n);
	else if (!strcmp(what, "uring") && folder)
		uring_loop(n, folder);
	else if (!strcmp(what, "read"))
		read_loop(n);
	else if (!strcmp(what, "flood") && folder)
		flood(n, folder);
	else if (!strcmp(what, "crowd") && folder)
		crowd(n, folder);
	else
		return 0;
	return 1;
}

int main(int argc, char **argv)
{
	long begin, cpu;
	int i;

	if (argc > 1 && !strcmp(argv[1], "wait")) {
		if (getchar() == EOF)
			return 0;
		argc--, argv++;
	}
	for (i = 0; i < TIMES; i++) {
		begin = now_ns();
		cpu = cpu_ns();
		if (argc < 3 || !work(argv[1], atol(argv[2]), argv[3]))
			errx(2, "usage: bench_workloads [wait] WORKLOAD N [FOLDER]");
		printf("%ld %ld\n", now_ns() - begin, cpu_ns() - cpu);
	}
	return 0;
}
