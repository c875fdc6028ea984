/* gate FD PROGRAM [ARG...]: says on FD that it is there, waits for a byte, closes FD, and becomes PROGRAM. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = atoi(argv[1]);
	char byte = 'r';

	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		return 125;
	close(fd);
	execv(argv[2], argv + 2);
	return 126;
}
