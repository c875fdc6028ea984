/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which system calls matter, by number, on x86-64 and i386 (arch/x86/entry/syscalls/ in the kernel). */
#ifndef RUBICON_SYSCALLS_H
#define RUBICON_SYSCALLS_H

#include "call.h"

#define SYSCALL_TABLE_SIZE 549
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
	ACT_CHMOD,
	ACT_FCHMODAT,
	ACT_FCHMODAT2,
	ACT_CHOWN,
	ACT_LCHOWN,
	ACT_FCHOWNAT,
	ACT_FTRUNCATE,
	ACT_FTRUNCATE_HALVES,
	ACT_FCHMOD,
	ACT_FCHOWN,
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
	ACT_CLONE3,
	ACT_BOUNDARY = 128,	/* and enum rb_act upwards */

	ACT_FIRST_NAME = ACT_RENAME,
	ACT_LAST_OPEN = ACT_OPENAT2,
	ACT_FIRST_BY_NAME = ACT_MKNOD,
	ACT_LAST_BY_NAME = ACT_FCHOWNAT,
	ACT_FIRST_ATTRIBUTE = ACT_CHMOD,
	ACT_FIRST_SOCKET = ACT_BIND,
	ACT_FIRST_TASK = ACT_EXECVE,
	ACT_FIRST_ON_ENTER = ACT_CONNECT,
	ACT_FIRST_ONLY_ON_ENTER = ACT_CLOSE,
	ACT_LAST_ON_ENTER = ACT_CLOSE_RANGE,
	ACT_FIRST_BOUNDARY_ON_ENTER = ACT_BOUNDARY + RB_ACT_SETNS,
	ACT_FIRST_SIGNAL = ACT_BOUNDARY + RB_ACT_KILL,
};

#define BOUNDARY(act) (ACT_BOUNDARY + RB_ACT_##act)

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
	X(close_range,		436,	436,	ACT_CLOSE_RANGE)	\
	X(clone3,		435,	435,	ACT_CLONE3)		\
	X(clone,		56,	120,	BOUNDARY(CLONE))	\
	X(mount,		165,	21,	BOUNDARY(MOUNT))	\
	X(umount2,		166,	52,	BOUNDARY(UMOUNT))	\
	X(umount,		ABSENT,	22,	BOUNDARY(UMOUNT))	\
	X(pivot_root,		155,	217,	BOUNDARY(PIVOT_ROOT))	\
	X(chroot,		161,	61,	BOUNDARY(CHROOT))	\
	X(move_mount,		429,	429,	BOUNDARY(MOVE_MOUNT))	\
	X(fsopen,		430,	430,	BOUNDARY(FSOPEN))	\
	X(fsconfig,		431,	431,	BOUNDARY(FSCONFIG))	\
	X(fsmount,		432,	432,	BOUNDARY(FSMOUNT))	\
	X(fspick,		433,	433,	BOUNDARY(FSPICK))	\
	X(open_tree,		428,	428,	BOUNDARY(OPEN_TREE))	\
	X(open_tree_attr,	467,	467,	BOUNDARY(OPEN_TREE))	\
	X(mount_setattr,	442,	442,	BOUNDARY(MOUNT_SETATTR))	\
	X(ptrace,		101,	26,	BOUNDARY(PTRACE))	\
	X(process_vm_writev,	311,	348,	BOUNDARY(PROCESS_VM_WRITEV))	\
	X(bpf,			321,	357,	BOUNDARY(BPF))		\
	X(perf_event_open,	298,	336,	BOUNDARY(PERF_EVENT_OPEN))	\
	X(init_module,		175,	128,	BOUNDARY(INIT_MODULE))	\
	X(finit_module,		313,	350,	BOUNDARY(FINIT_MODULE))	\
	X(delete_module,	176,	129,	BOUNDARY(DELETE_MODULE))	\
	X(memfd_create,		319,	356,	BOUNDARY(MEMFD_CREATE))	\
	X(add_key,		248,	286,	BOUNDARY(ADD_KEY))	\
	X(request_key,		249,	287,	BOUNDARY(REQUEST_KEY))	\
	X(keyctl,		250,	288,	BOUNDARY(KEYCTL))	\
	X(io_uring_setup,	425,	425,	BOUNDARY(IO_URING_SETUP))	\
	X(userfaultfd,		323,	374,	BOUNDARY(USERFAULTFD))	\
	X(pidfd_getfd,		438,	438,	BOUNDARY(PIDFD_GETFD))	\
	X(setns,		308,	346,	BOUNDARY(SETNS))	\
	X(unshare,		272,	310,	BOUNDARY(UNSHARE))	\
	X(setuid,		105,	23,	BOUNDARY(SETUID))	\
	X(setuid32,		ABSENT,	213,	BOUNDARY(SETUID))	\
	X(setgid,		106,	46,	BOUNDARY(SETGID))	\
	X(setgid32,		ABSENT,	214,	BOUNDARY(SETGID))	\
	X(setreuid,		113,	70,	BOUNDARY(SETREUID))	\
	X(setreuid32,		ABSENT,	203,	BOUNDARY(SETREUID))	\
	X(setregid,		114,	71,	BOUNDARY(SETREGID))	\
	X(setregid32,		ABSENT,	204,	BOUNDARY(SETREGID))	\
	X(setresuid,		117,	164,	BOUNDARY(SETRESUID))	\
	X(setresuid32,		ABSENT,	208,	BOUNDARY(SETRESUID))	\
	X(setresgid,		119,	170,	BOUNDARY(SETRESGID))	\
	X(setresgid32,		ABSENT,	210,	BOUNDARY(SETRESGID))	\
	X(setfsuid,		122,	138,	BOUNDARY(SETFSUID))	\
	X(setfsuid32,		ABSENT,	215,	BOUNDARY(SETFSUID))	\
	X(setfsgid,		123,	139,	BOUNDARY(SETFSGID))	\
	X(setfsgid32,		ABSENT,	216,	BOUNDARY(SETFSGID))	\
	X(setgroups,		116,	81,	BOUNDARY(SETGROUPS))	\
	X(setgroups32,		ABSENT,	206,	BOUNDARY(SETGROUPS))	\
	X(capset,		126,	185,	BOUNDARY(CAPSET))	\
	X(kill,			62,	37,	BOUNDARY(KILL))		\
	X(tkill,		200,	238,	BOUNDARY(TKILL))	\
	X(tgkill,		234,	270,	BOUNDARY(TGKILL))	\
	X(pidfd_send_signal,	424,	424,	BOUNDARY(PIDFD_SEND_SIGNAL))	\
	X(rt_sigqueueinfo,	129,	178,	BOUNDARY(RT_SIGQUEUEINFO))	\
	X(rt_tgsigqueueinfo,	297,	335,	BOUNDARY(RT_TGSIGQUEUEINFO))

/* The numbers that only x32 has. */
#define SYSCALLS_X32(X)						\
	X(writev,		516,	ACT_WRITEV)		\
	X(recvfrom,		517,	ACT_RECVFROM)		\
	X(sendmsg,		518,	ACT_SENDMSG)		\
	X(recvmsg,		519,	ACT_RECVMSG)		\
	X(execve,		520,	ACT_EXECVE)		\
	X(ptrace,		521,	BOUNDARY(PTRACE))	\
	X(rt_sigqueueinfo,	524,	BOUNDARY(RT_SIGQUEUEINFO))	\
	X(pwritev,		535,	ACT_WRITEV)		\
	X(rt_tgsigqueueinfo,	536,	BOUNDARY(RT_TGSIGQUEUEINFO))	\
	X(recvmmsg,		537,	ACT_RECVMMSG)		\
	X(sendmmsg,		538,	ACT_SENDMMSG)		\
	X(process_vm_writev,	540,	BOUNDARY(PROCESS_VM_WRITEV))	\
	X(execveat,		545,	ACT_EXECVEAT)		\
	X(pwritev2,		547,	ACT_WRITEV)

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
#define ENTRY_64(name, nr64, nr32, act) [nr64] = act,
#define ENTRY_32(name, nr64, nr32, act) [nr32] = act,
#define ENTRY_X32(name, nr, act) [nr] = act,
TABLE(u8, acts_64, SYSCALL_TABLE_SIZE, SYSCALLS(ENTRY_64) SYSCALLS_X32(ENTRY_X32) [ABSENT] = ACT_NONE);
TABLE(u8, acts_32, SYSCALL_TABLE_SIZE, SYSCALLS(ENTRY_32) [ABSENT] = ACT_NONE);
#pragma clang diagnostic pop

static __always_inline u32 act_of(struct pt_regs *regs, bool *compat)
{
	u64 nr = call_number(regs) & ~X32_SYSCALL_BIT;

	if (nr >= SYSCALL_TABLE_SIZE)
		return ACT_NONE;
	/* One look tells most calls apart, whichever table they come from. */
	if (!acts_64[nr] && !acts_32[nr])
		return ACT_NONE;
	*compat = is_compat();
	return *compat ? acts_32[nr] : acts_64[nr];
}

#endif
