/*
 * Calls whose memory another thread rewrites meanwhile, N times; prints what the kernel really did.
 *
 * race open PATH N           the last byte of PATH flips between A and B; prints which file was opened
 * race unlink PATH N         likewise; prints which was removed, and makes it again each time
 * race udp PORT PORT N       the port flips; prints the peer's port, from the kernel
 * race tcp PORT PORT N       likewise; both are listened to
 * race exec PATH N           the last byte of PATH and the first argument flip; PATH is "race" itself, as two copies
 * race print X               (what the copies do) prints the last byte of its executable, and X
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile char *volatile flipped[2];
static volatile unsigned long turns;

static void *flip(void *unused)
{
	for (;; turns++)
		for (char c = 'A'; c <= 'B'; c++)
			for (int i = 0; i < 2; i++)
				if (flipped[i])
					*flipped[i] = c;
	return NULL;
}

/* Now and then: not before the other thread has had a turn, however busy the machine is. */
static void await_turn(long i)
{
	static unsigned long seen;

	if (i % 16)
		return;
	while (turns - seen < 2)
		sched_yield();
	seen = turns;
}

static in_port_t ports[2];
static volatile in_port_t *port;

static void *flip_port(void *unused)
{
	for (;; turns++)
		for (int i = 0; i < 2; i++)
			for (int again = 0; again < 16; again++)	/* as long there as the other, and turns++ */
				*port = ports[i];
	return NULL;
}

static void *take_in(void *listener)
{
	for (;;) {
		int s = accept((long)listener, NULL, NULL);
		char byte = 0;

		/* A word that it is accepted, then until the other side has closed: the queue stays short. */
		while (write(s, &byte, 1) == 1 && read(s, &byte, 1) > 0)
			;
		close(s);
	}
	return NULL;
}

static void check(int failed)
{
	if (failed) {
		perror("race");
		exit(1);
	}
}

static void race_open(char *path, long n)
{
	char *last = path + strlen(path) - 1;
	struct stat a, found;

	*last = 'A';
	check(stat(path, &a));
	flipped[0] = last;
	for (long i = 0; i < n; i++) {
		int fd;

		await_turn(i);
		fd = open(path, O_WRONLY);

		check(fd < 0 || fstat(fd, &found));
		putchar(found.st_ino == a.st_ino ? 'A' : 'B');
		close(fd);
	}
}

static void race_unlink(char *path, long n)
{
	char name[4096];

	strcpy(name, path);
	flipped[0] = path + strlen(path) - 1;
	for (long i = 0; i < n; i++) {
		for (char c = 'A'; c <= 'B'; c++) {
			name[strlen(name) - 1] = c;
			mknod(name, S_IFREG | 0600, 0);
		}
		await_turn(i);
		check(unlink(path));
		putchar(access(name, F_OK) ? 'B' : 'A');	/* name ends with B now */
	}
}

static void race_connect(int type, char *const given[], long n)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } }, peer;
	pthread_t thread;

	for (int i = 0; i < 2; i++) {
		ports[i] = htons(atoi(given[i]));
		if (type == SOCK_STREAM) {
			long listener = socket(AF_INET, SOCK_STREAM, 0);
			int yes = 1;

			to.sin_port = ports[i];
			setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
			check(bind(listener, (void *)&to, sizeof(to)) || listen(listener, 128));
			pthread_create(&thread, NULL, take_in, (void *)listener);
		}
	}
	port = &to.sin_port;
	pthread_create(&thread, NULL, flip_port, NULL);
	for (long i = 0; i < n; i++) {
		struct linger none = { 1, 0 };
		socklen_t length = sizeof(peer);
		char byte;
		int s = socket(AF_INET, type, 0);

		setsockopt(s, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
		await_turn(i);
		check(connect(s, (void *)&to, sizeof(to)) || getpeername(s, (void *)&peer, &length));
		check(type == SOCK_STREAM && read(s, &byte, 1) != 1);
		printf("%d ", ntohs(peer.sin_port));
		close(s);
	}
}

static void race_exec(char *path, long n)
{
	char argument[] = "A", *arguments[] = { "race", "print", argument, NULL };

	flipped[0] = path + strlen(path) - 1;
	pid_t child;

	flipped[1] = argument;
	for (long i = 0; i < n; i++) {
		await_turn(i);
		/* The child borrows this memory, and the other thread goes on in it. */
		child = vfork();
		if (!child) {
			execv(path, arguments);
			_exit(127);
		}
		check(child < 0 || waitpid(child, NULL, 0) != child);
	}
}

static void print(const char *argument)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
	char out[2] = { path[n - 1], argument[0] };

	check(write(1, out, 2) != 2);
}

int main(int argc, char **argv)
{
	long n = atol(argv[argc - 1]);
	pthread_t thread;

	if (!strcmp(argv[1], "print")) {
		print(argv[2]);
		return 0;
	}
	if (strcmp(argv[1], "udp") && strcmp(argv[1], "tcp"))
		pthread_create(&thread, NULL, flip, NULL);
	if (!strcmp(argv[1], "open"))
		race_open(argv[2], n);
	else if (!strcmp(argv[1], "unlink"))
		race_unlink(argv[2], n);
	else if (!strcmp(argv[1], "udp"))
		race_connect(SOCK_DGRAM, argv + 2, n);
	else if (!strcmp(argv[1], "tcp"))
		race_connect(SOCK_STREAM, argv + 2, n);
	else if (!strcmp(argv[1], "exec"))
		race_exec(argv[2], n);
	fflush(stdout);
	_exit(0);
}
