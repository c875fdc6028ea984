/*
 * spawn WAY COUNT LEAF [CGROUP]: starts LEAF with the arguments "0", "1", ... one after another, and waits
 * for each. WAY is fork, vfork, posix_spawn, clone3, or clone3 into CGROUP with a fifth argument.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *arguments[] = { "leaf", NULL, NULL };
static char *environment[] = { NULL };

static pid_t by_clone3(const char *leaf, const char *cgroup)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t pid;

	if (cgroup) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid) {
		execve(leaf, arguments, environment);
		_exit(127);
	}
	if (cgroup)
		close(args.cgroup);
	return pid;
}

static pid_t start(const char *way, const char *leaf, const char *cgroup)
{
	pid_t pid = -1;

	if (!strcmp(way, "posix_spawn")) {
		posix_spawn(&pid, leaf, NULL, NULL, arguments, environment);
		return pid;
	}
	if (!strcmp(way, "clone3"))
		return by_clone3(leaf, cgroup);
	pid = strcmp(way, "vfork") ? fork() : vfork();
	if (!pid) {
		execve(leaf, arguments, environment);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	char number[16];
	int status;

	for (int i = 0; i < atoi(argv[2]); i++) {
		snprintf(number, sizeof(number), "%d", i);
		arguments[1] = number;
		if (waitpid(start(argv[1], argv[3], argv[4]), &status, 0) < 0 || WEXITSTATUS(status) != i)
			return 1;
	}
	return 0;
}
