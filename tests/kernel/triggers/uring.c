/*
 * uring MODES ACT...: does acts by io_uring, with its system calls only, and prints the result of each.
 *
 * MODES, letters or "-":  s a thread of the ring submits (SQPOLL)   a each act on a worker (IOSQE_ASYNC)
 *   b all acts at once    l ... in one chain, each after the other   k no word of success (IOSQE_CQE_SKIP_SUCCESS)
 *   o no room for completions   d completions when asked for (DEFER_TASKRUN)   n waits for nothing
 * ACT, with its arguments: see acts below. Exits with 77 when the kernel has no io_uring, or not that of it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define ENTRIES 4096
#define BYTES (1 << 16)

/* Of 6.0 and later; the headers may be older. */
#define SEND_ZC 47
#define BIND 56
#define LISTEN 57
#define ACCEPT_MULTISHOT 1

static int ring, last = -1, acts;
static int server = -1, client = -1, datagrams = -1;	/* the last of each */
static char *submit, *complete, data[BYTES];
static struct io_uring_params params;
static struct io_uring_sqe *sqes;
static struct iovec fixed = { data, BYTES };
static unsigned submitted, reaped;
static int results[ENTRIES], known[ENTRIES];
static unsigned char flags;

static unsigned *at(char *base, unsigned offset)
{
	return (unsigned *)(base + offset);
}

static long enter(unsigned count, unsigned wait, unsigned how)
{
	return syscall(SYS_io_uring_enter, ring, count, wait, how, NULL, 0);
}

static void reap(unsigned until)
{
	unsigned head = *at(complete, params.cq_off.head);
	struct io_uring_cqe *cqes = (void *)(complete + params.cq_off.cqes);

	while (reaped < until) {
		if (head == __atomic_load_n(at(complete, params.cq_off.tail), __ATOMIC_ACQUIRE)) {
			if (enter(0, 1, IORING_ENTER_GETEVENTS) < 0 && errno != EINTR)
				exit(3);
			continue;
		}
		struct io_uring_cqe *cqe = cqes + (head++ & (params.cq_entries - 1));

		results[cqe->user_data] = cqe->res;
		reaped += !known[cqe->user_data];
		known[cqe->user_data] = 1;
		__atomic_store_n(at(complete, params.cq_off.head), head, __ATOMIC_RELEASE);
	}
}

static struct io_uring_sqe *next(int opcode, int fd)
{
	struct io_uring_sqe *sqe = sqes + (acts & (params.sq_entries - 1));

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->flags = flags;
	sqe->user_data = acts;
	return sqe;
}

static void names(struct io_uring_sqe *sqe, char *name, char *name2)
{
	sqe->addr = (unsigned long)name;
	sqe->addr2 = (unsigned long)name2;
}

static void buffer(struct io_uring_sqe *sqe, void *address, unsigned len)
{
	sqe->addr = (unsigned long)address;
	sqe->len = len;
	sqe->off = -1;
}

static void open2(char *name, int slot, int how)
{
	struct open_how *open_how = calloc(1, sizeof(*open_how));
	struct io_uring_sqe *sqe = next(IORING_OP_OPENAT2, AT_FDCWD);

	open_how->flags = how;
	open_how->mode = how & O_CREAT ? 0640 : 0;
	sqe->addr = (unsigned long)name;
	sqe->len = sizeof(*open_how);
	sqe->addr2 = (unsigned long)open_how;
	sqe->file_index = slot;
}

static void connect_to(int socket, void *address, unsigned len)
{
	struct io_uring_sqe *sqe = next(IORING_OP_CONNECT, socket);

	sqe->addr = (unsigned long)address;
	sqe->off = len;
}

static void connect_inet(int type, char *port)
{
	struct sockaddr_in *peer = calloc(1, sizeof(*peer));

	peer->sin_family = AF_INET;
	peer->sin_port = htons(atoi(port));
	peer->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client = socket(AF_INET, type, 0);
	connect_to(client, peer, sizeof(*peer));
}

static struct sockaddr_in *loopback(char *port)
{
	struct sockaddr_in *address = calloc(1, sizeof(*address));

	address->sin_family = AF_INET;
	address->sin_port = htons(atoi(port));
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static struct msghdr *message(char *port, char *text)
{
	struct msghdr *header = calloc(1, sizeof(*header));
	struct iovec *parts = calloc(2, sizeof(*parts));

	parts[0] = (struct iovec){ text, 1 };
	parts[1] = (struct iovec){ text + 1, strlen(text) - 1 };
	header->msg_iov = parts;
	header->msg_iovlen = 2;
	if (port) {
		header->msg_name = loopback(port);
		header->msg_namelen = sizeof(struct sockaddr_in);
	}
	return header;
}

static void connect_unix(char *name)
{
	struct sockaddr_un *peer = calloc(1, sizeof(*peer));
	unsigned len = strlen(name);

	peer->sun_family = AF_UNIX;
	memcpy(peer->sun_path + (*name == '@'), name + (*name == '@'), len - (*name == '@'));
	connect_to(socket(AF_UNIX, SOCK_STREAM, 0), peer, 2 + len + (*name != '@'));
}

/* The act that `a` begins with; how many words it took. */
static int prepare(char **a)
{
	struct io_uring_sqe *sqe;

#define ACT(name) (!strcmp(a[0], name))
	if (ACT("open")) {	/* NAME */
		sqe = next(IORING_OP_OPENAT, AT_FDCWD);
		names(sqe, a[1], NULL);
		sqe->open_flags = O_WRONLY | O_CREAT;
		sqe->len = 0600;
		return 2;
	}
	if (ACT("read")) {	/* NAME */
		sqe = next(IORING_OP_OPENAT, AT_FDCWD);
		names(sqe, a[1], NULL);
		return 2;
	}
	if (ACT("open2"))	/* NAME */
		return open2(a[1], 0, O_RDWR | O_CREAT), 2;
	if (ACT("slot"))	/* NAME: into the ring's own table */
		return open2(a[1], 1, O_RDWR | O_CREAT), 2;
	if (ACT("write") || ACT("writeto")) {	/* BYTES; or FD BYTES */
		int to = a[0][5] ? atoi(*++a) : last;

		buffer(next(IORING_OP_WRITE, to), data, atoi(a[1]));
		return 2;
	}
	if (ACT("writeslot")) {	/* BYTES */
		sqe = next(IORING_OP_WRITE, 0);
		buffer(sqe, data, atoi(a[1]));
		sqe->flags |= IOSQE_FIXED_FILE;
		return 2;
	}
	if (ACT("writev")) {	/* BYTES: in two parts */
		struct iovec *parts = calloc(2, sizeof(*parts));

		parts[0] = (struct iovec){ data, 1 };
		parts[1] = (struct iovec){ data, atoi(a[1]) - 1 };
		buffer(next(IORING_OP_WRITEV, last), parts, 2);
		return 2;
	}
	if (ACT("writefixed")) {	/* BYTES */
		buffer(next(IORING_OP_WRITE_FIXED, last), data, atoi(a[1]));
		return 2;
	}
	if (ACT("close"))
		return next(IORING_OP_CLOSE, last), 1;
	if (ACT("rename")) {	/* OLD NEW */
		sqe = next(IORING_OP_RENAMEAT, AT_FDCWD);
		names(sqe, a[1], a[2]);
		sqe->len = AT_FDCWD;
		return 3;
	}
	if (ACT("link")) {	/* OLD NEW */
		sqe = next(IORING_OP_LINKAT, AT_FDCWD);
		names(sqe, a[1], a[2]);
		sqe->len = AT_FDCWD;
		return 3;
	}
	if (ACT("symlink"))	/* TARGET NEW */
		return names(next(IORING_OP_SYMLINKAT, AT_FDCWD), a[1], a[2]), 3;
	if (ACT("unlink"))	/* NAME */
		return names(next(IORING_OP_UNLINKAT, AT_FDCWD), a[1], NULL), 2;
	if (ACT("rmdir")) {	/* NAME */
		sqe = next(IORING_OP_UNLINKAT, AT_FDCWD);
		names(sqe, a[1], NULL);
		sqe->unlink_flags = AT_REMOVEDIR;
		return 2;
	}
	if (ACT("mkdir")) {	/* NAME */
		sqe = next(IORING_OP_MKDIRAT, AT_FDCWD);
		names(sqe, a[1], NULL);
		sqe->len = 0750;
		return 2;
	}
	if (ACT("truncate")) {	/* BYTES */
		next(55, last)->off = atoi(a[1]);	/* IORING_OP_FTRUNCATE, of 6.9 */
		return 2;
	}
	if (ACT("allocate")) {	/* BYTES */
		next(IORING_OP_FALLOCATE, last)->addr = atoi(a[1]);
		return 2;
	}
	if (ACT("tcp"))		/* PORT */
		return connect_inet(SOCK_STREAM, a[1]), 2;
	if (ACT("udp"))		/* PORT */
		return connect_inet(SOCK_DGRAM, a[1]), 2;
	if (ACT("unix"))	/* NAME, abstract with an @ before it */
		return connect_unix(a[1]), 2;
	if (ACT("bind")) {	/* PORT: a new socket, by a number of its own */
		server = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
		sqe = next(BIND, server);
		sqe->addr = (unsigned long)loopback(a[1]);
		sqe->off = sizeof(struct sockaddr_in);
		return 2;
	}
	if (ACT("listen"))
		return next(LISTEN, server)->len = 64, 1;
	if (ACT("serve")) {	/* PORT: by system calls */
		server = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
		if (bind(server, (void *)loopback(a[1]), sizeof(struct sockaddr_in)) || listen(server, 64))
			exit(5);
		return next(IORING_OP_NOP, -1), 2;
	}
	if (ACT("accept"))
		return next(IORING_OP_ACCEPT, server), 1;
	if (ACT("accepts"))	/* all that are there */
		return next(IORING_OP_ACCEPT, server)->ioprio = ACCEPT_MULTISHOT, 1;
	if (ACT("acceptslot")) {	/* into the ring's own table */
		next(IORING_OP_ACCEPT, server)->file_index = 1;
		return 1;
	}
	if (ACT("send"))	/* TEXT */
		return buffer(next(IORING_OP_SEND, client), a[1], strlen(a[1])), sqes[acts & (params.sq_entries - 1)].off = 0, 2;
	if (ACT("sendzc"))	/* TEXT */
		return buffer(next(SEND_ZC, client), a[1], strlen(a[1])), sqes[acts & (params.sq_entries - 1)].off = 0, 2;
	if (ACT("sendwrite"))	/* TEXT */
		return buffer(next(IORING_OP_WRITE, client), a[1], strlen(a[1])), 2;
	if (ACT("sendslot")) {	/* TEXT */
		sqe = next(IORING_OP_SEND, 0);
		sqe->addr = (unsigned long)a[1];
		sqe->len = strlen(a[1]);
		sqe->flags |= IOSQE_FIXED_FILE;
		return 2;
	}
	if (ACT("sendmsg")) {	/* TEXT */
		sqe = next(IORING_OP_SENDMSG, client);
		sqe->addr = (unsigned long)message(NULL, a[1]);
		sqe->len = 1;
		return 2;
	}
	if (ACT("sendto") || ACT("sendmsgto")) {	/* PORT TEXT */
		if (datagrams < 0)
			datagrams = socket(AF_INET, SOCK_DGRAM, 0);
		sqe = next(a[0][4] == 'm' ? IORING_OP_SENDMSG : IORING_OP_SEND, datagrams);
		sqe->addr = (unsigned long)(a[0][4] == 'm' ? (void *)message(a[1], a[2]) : (void *)a[2]);
		sqe->len = a[0][4] == 'm' ? 1 : strlen(a[2]);
		if (a[0][4] == 't') {
			sqe->addr2 = (unsigned long)loopback(a[1]);
			*(unsigned short *)&sqe->file_index = sizeof(struct sockaddr_in);	/* addr_len */
		}
		return 3;
	}
	if (ACT("receive") || ACT("receiveread")) {	/* BYTES, at most */
		sqe = next(a[0][7] ? IORING_OP_READ : IORING_OP_RECV, client);
		sqe->addr = (unsigned long)data;
		sqe->len = atoi(a[1]);
		return 2;
	}
	if (ACT("hang")) {	/* reads from a pipe that nobody writes to */
		static char byte;
		int ends[2];

		if (pipe(ends))
			exit(2);
		buffer(next(IORING_OP_READ, ends[0]), &byte, 1);
		return 1;
	}
	exit(2);
}

static void open_ring(const char *modes)
{
	unsigned entries = ENTRIES;

	params.flags = IORING_SETUP_CQSIZE;
	params.cq_entries = 2 * ENTRIES;
	if (strchr(modes, 'o'))
		params.cq_entries = entries = 1;
	if (strchr(modes, 's'))
		params.flags |= IORING_SETUP_SQPOLL;
	if (strchr(modes, 'd'))
		params.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	params.sq_thread_idle = 10;
	ring = syscall(SYS_io_uring_setup, entries, &params);
	if (ring < 0)
		exit(77);
	submit = mmap(0, params.sq_off.array + 4 * params.sq_entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		      IORING_OFF_SQ_RING);
	complete = mmap(0, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
			PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(0, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	for (unsigned i = 0; i < params.sq_entries; i++)
		at(submit, params.sq_off.array)[i] = i;
	syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &fixed, 1);
	syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &(int){ -1 }, 1);
}

static void hand_in(const char *modes)
{
	unsigned count = acts - submitted;

	__atomic_store_n(at(submit, params.sq_off.tail), acts, __ATOMIC_RELEASE);
	submitted = acts;
	if (!strchr(modes, 's')) {
		if (enter(count, 0, 0) != count)
			exit(4);
	} else {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (*at(submit, params.sq_off.flags) & IORING_SQ_NEED_WAKEUP)
			enter(0, 0, IORING_ENTER_SQ_WAKEUP);
	}
	if (strpbrk(modes, "kon"))
		return;
	reap(acts);
	if (results[acts - 1] > 2)
		last = results[acts - 1];
}

int main(int argc, char **argv)
{
	const char *modes = argv[1];
	char **end = argv + argc;
	int first = 1;

	open_ring(modes);
	if (strchr(modes, 'a'))
		flags |= IOSQE_ASYNC;
	if (strchr(modes, 'k'))
		flags |= IOSQE_CQE_SKIP_SUCCESS;
	for (char **a = argv + 2; a < end;) {
		int opens = !strncmp(*a, "open", 4) || !strcmp(*a, "read"), before = last;

		if (strchr(modes, 'o') && first) {	/* fills the queue of completions */
			next(IORING_OP_NOP, -1);
			acts++;
			hand_in(modes);
			first = 0;
			continue;
		}
		if (strchr(modes, 'l'))
			flags |= IOSQE_IO_LINK;
		a += !strcmp(*a, "writeto") + prepare(a);
		acts++;
		if (a >= end && strchr(modes, 'l'))
			sqes[(acts - 1) & (params.sq_entries - 1)].flags &= ~IOSQE_IO_LINK;
		if (!strchr(modes, 'b'))
			hand_in(modes);
		if (!opens)
			last = before;
	}
	if (strchr(modes, 'b'))
		hand_in(modes);
	if (strpbrk(modes, "ko"))
		usleep(200000);		/* a worker may be at it still, and nothing tells */
	for (int i = 0; i < acts; i++)
		known[i] ? printf("%d\n", results[i]) : printf("?\n");
	return 0;
}
