/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which system calls matter, by number, on x86-64 and i386 (arch/x86/entry/syscalls/ in the kernel). */
#ifndef RUBICON_SYSCALLS_H
#define RUBICON_SYSCALLS_H

#define SYSCALL_TABLE_SIZE 512
#define X32_SYSCALL_BIT 0x40000000	/* x32 shares most numbers with x86-64 */
#define ABSENT (SYSCALL_TABLE_SIZE - 1)	/* a number no call has */

/* The order is that of the handlers in syscalls.bpf.c; the last groups are seen on the way in. */
enum act {
	ACT_NONE,
	ACT_OPEN,
	ACT_CREAT,
	ACT_OPENAT,
	ACT_OPENAT2,
	ACT_OPEN_BY_HANDLE,
	ACT_WRITE,		/* to the descriptor in the first argument */
	ACT_WRITEV,		/* likewise, from several places */
	ACT_WRITE_FROM_FILE,	/* likewise, from a file */
	ACT_WRITE_TO_THIRD,	/* ... in the third */
	ACT_FALLOCATE,
	ACT_MMAP,
	ACT_MMAP_OLD,		/* its arguments are in memory */
	ACT_MKNOD,
	ACT_MKNODAT,
	ACT_RENAME,
	ACT_RENAMEAT,
	ACT_RENAMEAT2,
	ACT_UNLINK,
	ACT_UNLINKAT,
	ACT_RMDIR,
	ACT_LINK,
	ACT_LINKAT,
	ACT_SYMLINK,
	ACT_SYMLINKAT,
	ACT_MKDIR,
	ACT_MKDIRAT,
	ACT_TRUNCATE,
	ACT_TRUNCATE_HALVES,	/* a length in two registers */
	ACT_FTRUNCATE,
	ACT_FTRUNCATE_HALVES,
	ACT_CHMOD,
	ACT_FCHMOD,
	ACT_FCHMODAT,
	ACT_FCHMODAT2,
	ACT_CHOWN,
	ACT_LCHOWN,
	ACT_FCHOWN,
	ACT_FCHOWNAT,
	ACT_BIND,
	ACT_LISTEN,
	ACT_ACCEPT,
	ACT_SEND,
	ACT_SENDTO,
	ACT_SENDMSG,
	ACT_SENDMMSG,
	ACT_RECVFROM,
	ACT_RECVMSG,
	ACT_RECVMMSG,
	ACT_EXECVE,
	ACT_EXECVEAT,
	ACT_CONNECT,
	ACT_SOCKETCALL,
	ACT_CLOSE,
	ACT_DUP2,
	ACT_CLOSE_RANGE,

	ACT_FIRST_NAME = ACT_RENAME,
	ACT_FIRST_ATTRIBUTE = ACT_FTRUNCATE,
	ACT_FIRST_SOCKET = ACT_BIND,
	ACT_FIRST_TASK = ACT_EXECVE,
	ACT_FIRST_ON_ENTER = ACT_CONNECT,
	ACT_FIRST_ONLY_ON_ENTER = ACT_CLOSE,
};

#define SYSCALLS(X)						\
	X(open,			2,	5,	ACT_OPEN)		\
	X(creat,		85,	8,	ACT_CREAT)		\
	X(openat,		257,	295,	ACT_OPENAT)		\
	X(openat2,		437,	437,	ACT_OPENAT2)		\
	X(open_by_handle_at,	304,	342,	ACT_OPEN_BY_HANDLE)	\
	X(write,		1,	4,	ACT_WRITE)		\
	X(pwrite64,		18,	181,	ACT_WRITE)		\
	X(writev,		20,	146,	ACT_WRITEV)		\
	X(pwritev,		296,	334,	ACT_WRITEV)		\
	X(pwritev2,		328,	379,	ACT_WRITEV)		\
	X(sendfile,		40,	187,	ACT_WRITE_FROM_FILE)	\
	X(sendfile64,		ABSENT,	239,	ACT_WRITE_FROM_FILE)	\
	X(splice,		275,	313,	ACT_WRITE_TO_THIRD)	\
	X(copy_file_range,	326,	377,	ACT_WRITE_TO_THIRD)	\
	X(fallocate,		285,	324,	ACT_FALLOCATE)		\
	X(mmap,			9,	192,	ACT_MMAP)		\
	X(old_mmap,		ABSENT,	90,	ACT_MMAP_OLD)		\
	X(mknod,		133,	14,	ACT_MKNOD)		\
	X(mknodat,		259,	297,	ACT_MKNODAT)		\
	X(rename,		82,	38,	ACT_RENAME)		\
	X(renameat,		264,	302,	ACT_RENAMEAT)		\
	X(renameat2,		316,	353,	ACT_RENAMEAT2)		\
	X(unlink,		87,	10,	ACT_UNLINK)		\
	X(unlinkat,		263,	301,	ACT_UNLINKAT)		\
	X(rmdir,		84,	40,	ACT_RMDIR)		\
	X(link,			86,	9,	ACT_LINK)		\
	X(linkat,		265,	303,	ACT_LINKAT)		\
	X(symlink,		88,	83,	ACT_SYMLINK)		\
	X(symlinkat,		266,	304,	ACT_SYMLINKAT)		\
	X(mkdir,		83,	39,	ACT_MKDIR)		\
	X(mkdirat,		258,	296,	ACT_MKDIRAT)		\
	X(truncate,		76,	92,	ACT_TRUNCATE)		\
	X(truncate64,		ABSENT,	193,	ACT_TRUNCATE_HALVES)	\
	X(ftruncate,		77,	93,	ACT_FTRUNCATE)		\
	X(ftruncate64,		ABSENT,	194,	ACT_FTRUNCATE_HALVES)	\
	X(chmod,		90,	15,	ACT_CHMOD)		\
	X(fchmod,		91,	94,	ACT_FCHMOD)		\
	X(fchmodat,		268,	306,	ACT_FCHMODAT)		\
	X(fchmodat2,		452,	452,	ACT_FCHMODAT2)		\
	X(chown,		92,	182,	ACT_CHOWN)		\
	X(chown32,		ABSENT,	212,	ACT_CHOWN)		\
	X(lchown,		94,	16,	ACT_LCHOWN)		\
	X(lchown32,		ABSENT,	198,	ACT_LCHOWN)		\
	X(fchown,		93,	95,	ACT_FCHOWN)		\
	X(fchown32,		ABSENT,	207,	ACT_FCHOWN)		\
	X(fchownat,		260,	298,	ACT_FCHOWNAT)		\
	X(bind,			49,	361,	ACT_BIND)		\
	X(listen,		50,	363,	ACT_LISTEN)		\
	X(accept,		43,	ABSENT,	ACT_ACCEPT)		\
	X(accept4,		288,	364,	ACT_ACCEPT)		\
	X(sendto,		44,	369,	ACT_SENDTO)		\
	X(sendmsg,		46,	370,	ACT_SENDMSG)		\
	X(sendmmsg,		307,	345,	ACT_SENDMMSG)		\
	X(recvfrom,		45,	371,	ACT_RECVFROM)		\
	X(recvmsg,		47,	372,	ACT_RECVMSG)		\
	X(recvmmsg,		299,	337,	ACT_RECVMMSG)		\
	X(recvmmsg_time64,	ABSENT,	417,	ACT_RECVMMSG)		\
	X(execve,		59,	11,	ACT_EXECVE)		\
	X(execveat,		322,	358,	ACT_EXECVEAT)		\
	X(connect,		42,	362,	ACT_CONNECT)		\
	X(socketcall,		ABSENT,	102,	ACT_SOCKETCALL)		\
	X(close,		3,	6,	ACT_CLOSE)		\
	X(dup2,			33,	63,	ACT_DUP2)		\
	X(dup3,			292,	330,	ACT_DUP2)		\
	X(close_range,		436,	436,	ACT_CLOSE_RANGE)

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
#define ENTRY_64(name, nr64, nr32, act) [nr64] = act,
#define ENTRY_32(name, nr64, nr32, act) [nr32] = act,
static const volatile u8 acts_64[SYSCALL_TABLE_SIZE] = { SYSCALLS(ENTRY_64) [ABSENT] = ACT_NONE };
static const volatile u8 acts_32[SYSCALL_TABLE_SIZE] = { SYSCALLS(ENTRY_32) [ABSENT] = ACT_NONE };
#pragma clang diagnostic pop

#endif
