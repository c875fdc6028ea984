/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * For a kernel without BTF: where it keeps what, from its own headers. Not a part of the probes. The loader lets
 * clang compile this, with a pointer to each struct of kernel.h, and reads the type information that comes of it
 * (tracer/capture/headers.py). So first the headers, then what the kernel keeps to its sources: as it is there, up to
 * the last field that is read. A struct that is declared neither here nor there counts as one the kernel does not have.
 */
#include <linux/version.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/fdtable.h>
#include <linux/mount.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/user_namespace.h>
#include <linux/proc_ns.h>
#include <linux/cred.h>
#include <linux/cgroup.h>
#include <linux/kernfs.h>
#include <linux/binfmts.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <linux/un.h>
#include <net/af_unix.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <linux/io_uring_types.h>

/* fs/mount.h */
struct mount {
	struct hlist_node mnt_hash;
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct mnt_namespace {
	struct ns_common ns;
};

/* fs/proc/internal.h */
struct proc_inode {
	struct pid *pid;
	unsigned int fd;
	union {
		int (*op)(void);
	};
	struct proc_dir_entry *pde;
	struct ctl_table_header *sysctl;
	const struct ctl_table *sysctl_entry;
	struct hlist_node sibling_inodes;
	const struct proc_ns_operations *ns_ops;
	struct inode vfs_inode;
};

/* io_uring: rsrc.h, openclose.c, fs.c, truncate.c, net.c, net.h, rw.c. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
struct io_rsrc_node {
	unsigned char type;
	int refs;
	u64 tag;
	unsigned long file_ptr;
};
#endif

struct io_open {
	struct file *file;
	int dfd;
	u32 file_slot;
	struct filename *filename;
	struct open_how how;
};

struct io_rename {
	struct file *file;
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct io_unlink {
	struct file *file;
	int dfd;
	int flags;
	struct filename *filename;
};

struct io_mkdir {
	struct file *file;
	int dfd;
	umode_t mode;
	struct filename *filename;
};

struct io_link {
	struct file *file;
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct io_close {
	struct file *file;
	int fd;
	u32 file_slot;
};

struct io_connect {
	struct file *file;
	struct sockaddr *addr;
	int addr_len;
};

/* Since v6.9 (b4bb1900c12e) and v6.11 (7481fd93fa0a). */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
struct io_ftrunc {
	struct file *file;
	loff_t len;
};
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
struct io_bind {
	struct file *file;
	int addr_len;
};
#endif

struct io_accept {
	struct file *file;
	struct sockaddr *addr;
	int *addr_len;
	int flags;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
	int iou_flags;
#endif
	u32 file_slot;
};

struct io_sr_msg {
	struct file *file;
	void *buf;
	int len;
	unsigned int done_io;
	unsigned int msg_flags;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)	/* later not looked at */
	u16 flags;
	u16 addr_len;
	u16 buf_group;
	void *addr;
#endif
};

struct io_rw {
	struct kiocb kiocb;
	u64 addr;
	u32 len;
};

/* In 6.13 and 6.14 not looked at: an address there is what the caller says. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
struct io_async_msghdr {
	struct iovec fast_iov[8];
	struct iovec *free_iov;
	struct sockaddr *uaddr;
	struct msghdr msg;
	struct __kernel_sockaddr_storage addr;
};
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
struct io_async_msghdr {
	struct iovec fast_iov;
	struct iovec *free_iov;
	int free_iov_nr;
	int namelen;
	__kernel_size_t controllen;
	__kernel_size_t payloadlen;
	struct sockaddr *uaddr;
	struct msghdr msg;
	struct __kernel_sockaddr_storage addr;
};
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
struct io_async_msghdr {
	struct iovec *vec;
	unsigned int vec_nr;
	int namelen;
	struct iovec fast_iov;
	__kernel_size_t controllen;
	__kernel_size_t payloadlen;
	struct sockaddr *uaddr;
	struct msghdr msg;
	struct __kernel_sockaddr_storage addr;
};
#endif
