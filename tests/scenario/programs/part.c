/* The C part of the mixed script: 10 files, 2 renames, 1 unlink, 8 connects of which 2 are refused, 7 children.
 * Usage: part OPEN_PORT CLOSED_PORT OPEN_SOCKET CLOSED_SOCKET; it works in the current directory. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int right, const char *what)
{
	if (!right) {
		perror(what);
		exit(9);
	}
}

static void connect_tcp(int port, int error)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int result;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	result = connect(fd, (struct sockaddr *)&to, sizeof(to));
	check(error ? result == -1 && errno == error : result == 0, "connect tcp");
	close(fd);
}

static void connect_unix(const char *path, int error)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int result;

	strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
	result = connect(fd, (struct sockaddr *)&to, sizeof(to));
	check(error ? result == -1 && errno == error : result == 0, "connect unix");
	close(fd);
}

static void write_file(int number)
{
	static const int how[] = { O_CREAT | O_WRONLY, O_CREAT | O_RDWR | O_EXCL, O_CREAT | O_WRONLY | O_APPEND };
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "c-%d", number);
	fd = openat(AT_FDCWD, name, how[number % 3], 0644);
	check(fd >= 0, name);
	for (int round = 0; round <= number; round++)
		check(write(fd, "seven!\n", 7) == 7, "write");
	close(fd);
}

static void child(char *number, int fast)
{
	char *argv[] = { "/bin/true", "from c", number, NULL };
	char *environment[] = { NULL };
	int status;
	pid_t pid;

	if (fast) {
		check(posix_spawn(&pid, argv[0], NULL, NULL, argv, environment) == 0, "posix_spawn");
	} else {
		pid = fork();
		if (pid == 0) {
			execve(argv[0], argv, environment);
			_exit(8);
		}
	}
	check(waitpid(pid, &status, 0) == pid && status == 0, "child");
}

int main(int argc, char **argv)
{
	char number[2] = "0";

	check(argc == 5, "usage");
	for (int i = 0; i < 10; i++)
		write_file(i);
	check(rename("c-0", "c-zero") == 0, "rename");
	check(renameat(AT_FDCWD, "c-1", AT_FDCWD, "c-one") == 0, "renameat");
	check(unlinkat(AT_FDCWD, "c-2", 0) == 0, "unlinkat");
	for (int i = 0; i < 4; i++)
		connect_tcp(atoi(argv[1]), 0);
	connect_tcp(atoi(argv[2]), ECONNREFUSED);
	for (int i = 0; i < 2; i++)
		connect_unix(argv[3], 0);
	connect_unix(argv[4], ECONNREFUSED);
	for (int i = 0; i < 7; i++) {
		number[0] = '0' + i;
		child(number, i % 2);
	}
	return 0;
}
