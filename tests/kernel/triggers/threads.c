/*
 * threads exec LEAF      a thread that is not the leader becomes LEAF, while others are there
 * threads leader-first   the main thread exits, another ends the process with status 7
 * threads at-once N      N threads and the main one exit at the same moment, each by itself
 * threads killed         a thread ends the process by SIGKILL
 * threads files PATH N   N threads each write a file PATH<i>, and all exit at once with the files open
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_barrier_t together;
static const char *file;
static pthread_t leader;

static void *become(void *leaf)
{
	char *arguments[] = { "leaf", "5", NULL };

	dprintf(1, "%d", (int)syscall(SYS_gettid));
	execv(leaf, arguments);
	exit(127);
}

static void *sleep_on(void *unused)
{
	for (;;)
		pause();
}

static void *outlive(void *unused)
{
	pthread_join(leader, NULL);
	exit(7);
}

static void *leave(void *number)
{
	char path[4096];

	if (file) {
		snprintf(path, sizeof(path), "%s%ld", file, (long)number);
		if (write(open(path, O_WRONLY | O_CREAT, 0644), "12345", 5) != 5)
			exit(1);
	}
	pthread_barrier_wait(&together);
	syscall(SYS_exit, 0);
	return NULL;
}

static void *kill_all(void *unused)
{
	kill(getpid(), SIGKILL);
	return NULL;
}

static pthread_t start(void *(*routine)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, routine, argument))
		exit(1);
	return thread;
}

static int at_once(int count)
{
	pthread_barrier_init(&together, NULL, count + 1);
	for (long i = 0; i < count; i++)
		start(leave, (void *)i);
	pthread_barrier_wait(&together);
	syscall(SYS_exit, 0);
	return 1;
}

int main(int argc, char **argv)
{
	leader = pthread_self();
	if (!strcmp(argv[1], "exec")) {
		start(sleep_on, NULL);
		start(sleep_on, NULL);
		start(become, argv[2]);
		pause();
	}
	if (!strcmp(argv[1], "leader-first")) {
		start(outlive, NULL);
		pthread_exit(NULL);
	}
	if (!strcmp(argv[1], "at-once"))
		return at_once(atoi(argv[2]));
	if (!strcmp(argv[1], "files")) {
		file = argv[2];
		return at_once(atoi(argv[3]));
	}
	start(kill_all, NULL);
	pause();
	return 1;
}
