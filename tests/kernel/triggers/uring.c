/* uring PORT: a TCP connect to loopback by io_uring, without connect(2); exits with 0 when it succeeded. */
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in peer = { AF_INET, htons(atoi(argv[1])), { htonl(INADDR_LOOPBACK) } };
	struct io_uring_params p = { 0 };
	int ring = syscall(SYS_io_uring_setup, 1, &p);
	int sock = socket(AF_INET, SOCK_STREAM, 0);
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	char *submit, *complete;

	if (ring < 0)
		return 77;
	submit = mmap(0, p.sq_off.array + 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	complete = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof(*cqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
			IORING_OFF_CQ_RING);
	sqe = mmap(0, sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_CONNECT;
	sqe->fd = sock;
	sqe->addr = (unsigned long)&peer;
	sqe->off = sizeof(peer);
	*(unsigned *)(submit + p.sq_off.array) = 0;
	*(volatile unsigned *)(submit + p.sq_off.tail) = 1;
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return 1;
	cqe = (void *)(complete + p.cq_off.cqes);
	return cqe->res ? 2 : 0;
}
