// SPDX-License-Identifier: Apache-2.0
// The demo's stand-in for ssh and for a miner: connects to where its arguments point, says so, and stays until
// the other end closes.
//
//   ssh -N -R 2222:localhost:22 ops@203.0.113.66           connects to 203.0.113.66:22
//   worker -o stratum+tcp://203.0.113.99:3333              connects to 203.0.113.99:3333
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define POOL "stratum+tcp://"

static int parse(const char *arg, struct sockaddr_in *peer)
{
	char host[INET_ADDRSTRLEN];
	int port = 22;
	const char *at = strchr(arg, '@');

	if (!strncmp(arg, POOL, strlen(POOL))) {
		if (sscanf(arg + strlen(POOL), "%15[0-9.]:%d", host, &port) != 2)
			return 0;
	} else if (!at || sscanf(at + 1, "%15[0-9.]", host) != 1) {
		return 0;
	}
	peer->sin_family = AF_INET;
	peer->sin_port = htons(port);
	return inet_pton(AF_INET, host, &peer->sin_addr) == 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_in peer = {};
	char byte;
	int fd, i;

	for (i = 1; i < argc && !parse(argv[i], &peer); i++)
		;
	if (i >= argc) {
		fprintf(stderr, "%s: no address among the arguments\n", argv[0]);
		return 2;
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof(peer))) {
		perror(argv[0]);
		return 1;
	}
	puts("connected");
	fflush(stdout);
	while (read(fd, &byte, 1) > 0)
		;
	return 0;
}
