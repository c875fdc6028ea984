/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The wire records: what the probes hand to user space, and the only definition of it.
 *
 * Every record is one struct below followed by its strings. A field named X_len holds the stored
 * length of the string X; the strings follow the struct in the order of their X_len fields, with
 * nothing between them and no terminator. User space reads this layout from the object's own BTF
 * and writes it into each trace; a change here needs a new RB_ABI_VERSION and the same change in
 * tracer/records.py, which is held against the BTF whenever the object is loaded.
 *
 * Three kinds of string:
 *   path   a walk through dentries and mounts, leaf first, each name followed by '/'; empty is the
 *          root. "bin/usr/" is /usr/bin. A slash in a name (only a memfd has that) is stored as '!'.
 *   name   bytes as a program gave them; relative to `path` in the same record.
 *   args   an argument vector, each argument ended by a NUL.
 */
#ifndef RUBICON_ABI_H
#define RUBICON_ABI_H

enum rb_abi {
	RB_ABI_VERSION = 2,
};

#define RB_PATH_MAX 4096	/* stored bytes of one path or name */
#define RB_ARGS_MAX 131072	/* stored bytes of one argument vector */
#define RB_ENV_MAX 320	/* stored bytes of one variable of an environment, its NUL among them */
#define RB_COMM_LEN 16
#define RB_PAYLOAD_MAX 2048	/* stored bytes of one message; a TLS ClientHello with a post-quantum key fits */

enum rb_kind {
	RB_FORK = 1,
	RB_EXEC = 2,
	RB_EXEC_FAILED = 3,
	RB_EXIT = 4,
	RB_PROCESS = 5,		/* a process that was there at the attach; struct rb_exec */
	RB_CONNECT = 6,
	RB_OPEN = 7,		/* opened for writing, or created; for reading, where somebody asked for such names */
	RB_CLOSE = 8,
	RB_RENAME = 9,
	RB_UNLINK = 10,
	RB_LINK = 11,
	RB_SYMLINK = 12,
	RB_MKDIR = 13,
	RB_RMDIR = 14,
	RB_TRUNCATE = 15,
	RB_CHMOD = 16,
	RB_CHOWN = 17,
	RB_BOUNDARY = 18,	/* an act on who one is, on others, or on the walls of the sandbox; see rb_act */
	RB_BIND = 19,		/* struct rb_connect; so the next two */
	RB_LISTEN = 20,
	RB_ACCEPT = 21,
	RB_SEND = 22,		/* the first message of a process on a socket to an address given with it */
	RB_FLOW = 23,		/* a socket is closed */
	RB_HEAD = 24,		/* the first bytes sent on a connection */
	RB_DNS = 25,		/* a message to or from port 53 */
	RB_CGROUP = 26,		/* a cgroup was made that now is a scope: that of a container which is awaited */
	RB_KIND_COUNT,
};

/* Why something is missing; counted per CPU, beside one counter for each kind and ring. */
enum rb_loss {
	RB_LOST_SCRATCH = RB_KIND_COUNT,	/* no room to build a record: the buffer was in use */
	RB_LOST_MEMBER,		/* a child could not be added to the scope */
	RB_LOST_FILE,		/* no room to follow a written file: its close has no totals */
	RB_LOST_PEER,		/* no room to follow a connect under way */
	RB_LOST_REQUEST,	/* no room to follow a request of io_uring under way: it is not reported */
	RB_LOST_FLOW,		/* no room to follow a socket: no RB_HEAD and RB_FLOW of it */
	RB_LOST_CGROUP,		/* no room for one more cgroup among the scopes: who is in it goes unwatched */
	RB_LOST_CALL,		/* no room to follow a boundary call under way: no old credentials, no signals */
	RB_LOSS_COUNT,
};

enum rb_flag {
	RB_USER_EVIDENCE = 1 << 0,	/* `name` or `args` were read from the caller's memory */
	RB_UNREADABLE = 1 << 1,		/* a field could not be read and is empty */
	RB_LATE = 1 << 2,		/* found after the fact; `pid` is who opened it, or asked for it */
	RB_PATH_CUT = 1 << 3,		/* a path is stored without the names next to the root */
	RB_NAME_CUT = 1 << 4,
	RB_ARGS_CUT = 1 << 5,
	RB_DELETED = 1 << 6,		/* the file has no name any more, or never had one */
	RB_INHERITED = 1 << 7,		/* opened before the watch, or by a stranger; this is its first write */
	RB_MAPPED = 1 << 8,		/* written through a shared mapping, too: `bytes` and `writes` do not tell all */
	RB_JOINED = 1 << 9,		/* came into the scope from outside: was moved into its cgroup, or born there */
	RB_FOUND = 1 << 10,		/* was open when the watch began; `result` of a connection is its state now */
	RB_REFUSED = 1 << 11,		/* by us, as the policy does not allow it */
	RB_KILLED = 1 << 12,		/* who did it gets SIGKILL from us, and runs no more */
	RB_USER_ARGS = 1 << 13,		/* of an exec that failed: so were `args`, and nothing else */
};

#define RB_NO_DESCRIPTOR 0x7fffffff	/* result of an open that made none: io_uring's own table, mknod */

enum rb_stdio {
	RB_STDIO_CLOSED,
	RB_STDIO_FILE,
	RB_STDIO_PIPE,
	RB_STDIO_SOCKET,
	RB_STDIO_TERMINAL,
	RB_STDIO_OTHER,
};

/* What a BOUNDARY record is about: the system call. From RB_ACT_SETNS on they are seen on the way in, too. */
enum rb_act {
	RB_ACT_MOUNT = 1,	/* name: where; name2: source; name3: type; value1: flags */
	RB_ACT_UMOUNT,		/* name; value1: flags */
	RB_ACT_PIVOT_ROOT,	/* name: the new root; name2: where the old one goes */
	RB_ACT_CHROOT,		/* path: the new root; refused: name */
	RB_ACT_MOVE_MOUNT,	/* name to name2; value1: flags */
	RB_ACT_FSOPEN,		/* name3: type; value1: flags */
	RB_ACT_FSPICK,		/* name; value1: flags */
	RB_ACT_FSCONFIG,	/* value1: command; name2: key; name3: value, when it is text */
	RB_ACT_FSMOUNT,		/* value1: flags; value2: MOUNT_ATTR_... */
	RB_ACT_OPEN_TREE,	/* name; value1: flags */
	RB_ACT_MOUNT_SETATTR,	/* name; value1: flags; value2, value3: MOUNT_ATTR_... set and cleared */
	RB_ACT_PTRACE,		/* value1: request; value2: the pid asked for */
	RB_ACT_PROCESS_VM_WRITEV,	/* value2: the pid asked for; result: bytes */
	RB_ACT_BPF,		/* value1: command; value2: type of program or map, or the id asked for; name: path, or name */
	RB_ACT_PERF_EVENT_OPEN,	/* value1: type; value2: pid asked for; value3: CPU; value4: config */
	RB_ACT_INIT_MODULE,	/* value1: bytes; name2: parameters */
	RB_ACT_FINIT_MODULE,	/* path: the file; name2: parameters; value1: flags */
	RB_ACT_DELETE_MODULE,	/* name2; value1: flags */
	RB_ACT_MEMFD_CREATE,	/* name2; value1: flags */
	RB_ACT_ADD_KEY,		/* name2: description; name3: type; value2: keyring */
	RB_ACT_REQUEST_KEY,	/* likewise */
	RB_ACT_KEYCTL,		/* value1: operation; value2 to value4: its arguments */
	RB_ACT_IO_URING_SETUP,	/* value1: flags; value2: entries */
	RB_ACT_USERFAULTFD,	/* value1: flags */
	RB_ACT_PIDFD_GETFD,	/* value1: the descriptor there; path: the file, when it has one */
	RB_ACT_CLONE,		/* with new namespaces; value1: flags */
	RB_ACT_MEM_OPEN,	/* path: /proc/PID/mem, opened for writing */
	/*
	 * name2: path in its hierarchy, or when joined at birth its last name; value1: id. By a member: the target is who
	 * was moved. By a stranger: the head names who was moved, the target is the stranger.
	 */
	RB_ACT_CGROUP_MOVE,
	RB_ACT_SETNS,		/* value1: kind of namespace; value2: its inode number; value3: whether it is the scope's own */
	RB_ACT_UNSHARE,		/* value1: flags */
	RB_ACT_SETUID,		/* value1 to value3: ids as asked for, up to RB_ACT_SETFSGID */
	RB_ACT_SETGID,
	RB_ACT_SETREUID,
	RB_ACT_SETREGID,
	RB_ACT_SETRESUID,
	RB_ACT_SETRESGID,
	RB_ACT_SETFSUID,
	RB_ACT_SETFSGID,
	RB_ACT_SETGROUPS,	/* value1: how many */
	RB_ACT_CAPSET,
	RB_ACT_KILL,		/* value1: signal; value2: pid or group asked for, up to RB_ACT_RT_TGSIGQUEUEINFO */
	RB_ACT_TKILL,
	RB_ACT_TGKILL,
	RB_ACT_PIDFD_SEND_SIGNAL,
	RB_ACT_RT_SIGQUEUEINFO,
	RB_ACT_RT_TGSIGQUEUEINFO,
	/*
	 * No call: a stranger begins to run a program in a container's network, and in no other namespace of it. The head
	 * names the container's first process, the target is the stranger. path: the program; value1: the namespace's number.
	 */
	RB_ACT_NETWORK_ENTER,
	RB_ACT_COUNT,
};

/* How the process an act is aimed at stands to the one that acts. */
enum rb_relation {
	RB_NO_TARGET,
	RB_SELF,
	RB_INSIDE,		/* in the same scope */
	RB_OUTSIDE,
};

/* time_ns and start_ns count from boot, sleep included. pid is the process (tgid), tid the thread. */
struct rb_head {
	__u64 time_ns;
	__u64 start_ns;
	__u32 pid;
	__u32 tid;
	__u16 kind;
	__u16 flags;
	__u32 scope;
	__s32 result;		/* what the call returned; negative is -errno */
	__u32 cut_bytes;	/* true length of the string a ..._CUT flag names; 0 when unknown */
};

/* head names the child. */
struct rb_fork {
	struct rb_head head;
	__u64 parent_start_ns;
	__u64 cgroup;
	__u32 parent_pid;
	__u32 ns_pid;
};

/* The head names who made it; its scope is that of the cgroup. */
struct rb_cgroup {
	struct rb_head head;
	__u64 cgroup;
	__u32 version;		/* 1 or 2: of its hierarchy */
	__u32 name_len;		/* name: path from the root of the hierarchy */
};

struct rb_peer {
	__u8 daddr[16];		/* network order; IPv4 in the first four */
	__u8 saddr[16];
	__u16 dport;		/* host order */
	__u16 sport;
	__u16 family;
	__u16 protocol;
};

/* The file behind a descriptor that can be written to and keeps what it is given; else both are 0. */
struct rb_file_id {
	__u64 inode;
	__u64 device;
};

struct rb_exec {
	struct rb_head head;
	__u64 parent_start_ns;
	__u64 cgroup;
	__u64 inode;
	__u32 device;
	__u32 parent_pid;
	__u32 ns_pid;
	__u32 old_tid;		/* the thread that called exec, when not the leader */
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 ns_mnt;
	__u32 ns_net;
	__u32 ns_pidns;
	__u32 ns_user;
	__u32 args_total;	/* true length of the argument vector in bytes */
	__u8 stdio[4];		/* enum rb_stdio of descriptors 0, 1, 2 */
	struct rb_peer stdin_peer;
	struct rb_file_id stdin_file;
	struct rb_file_id stdout_file;
	struct rb_file_id stderr_file;
	__u8 comm[RB_COMM_LEN];
	__u32 path_len;		/* path: the executable that runs */
	__u32 name_len;		/* name: what the kernel was asked to run; a script's own name */
	__u32 cwd_len;		/* path */
	__u32 env_len;		/* RUBICON_STEP=... and TRACEPARENT=..., where they are; as args */
	__u32 args_len;
};

struct rb_exec_failed {
	struct rb_head head;
	__u32 path_len;		/* path: what name is relative to */
	__u32 name_len;
	__u32 args_len;
	__u32 args_total;
};

struct rb_exit {
	struct rb_head head;
	__u32 status;		/* as wait(2) gives it */
	__u32 reserved;
};

/* connect, bind, listen, accept; the last three: saddr, path and name are the socket's own. */
struct rb_connect {
	struct rb_head head;
	struct rb_peer peer;
	__u16 type;		/* SOCK_STREAM ... */
	__u16 reserved;
	__u32 path_len;		/* path: a unix peer bound in a file system */
	/* name: sun_path as bound or asked for, its leading NUL when abstract; of other families the sockaddr */
	__u32 name_len;
	__u32 reserved2;
};

/*
 * send, head, dns. result is the length of the message or -errno, the caller's memory is where data comes from.
 * Of a send, the peer is the address given with it.
 */
struct rb_payload {
	struct rb_head head;
	struct rb_peer peer;
	__u64 inode;		/* of the socket */
	__u32 offset;		/* head: bytes sent on the connection before */
	__u16 type;
	__u8 ingress;		/* the connection was accepted */
	__u8 received;
	__u32 name_len;		/* as in rb_connect */
	__u32 data_len;
};

struct rb_flow {
	struct rb_head head;
	struct rb_peer peer;
	__u64 inode;
	__u64 duration_ns;	/* since it was connected, accepted or first used */
	__u64 bytes_in;
	__u64 bytes_out;
	__u64 packets_in;	/* of datagram sockets, messages */
	__u64 packets_out;
	__u16 type;
	__u8 ingress;
	__u8 reserved[5];
};

/*
 * result is the descriptor, also of a file that was INHERITED, or RB_NO_DESCRIPTOR. Refused, or without a file to look
 * at any more: path is the directory, name what was asked for.
 */
struct rb_open {
	struct rb_head head;
	__u64 inode;
	__u32 device;
	__u32 mode;
	__u32 open_flags;
	__u32 created;
	__u32 path_len;
	__u32 name_len;
};

struct rb_close {
	struct rb_head head;
	__u64 inode;
	__u64 bytes;
	__u64 writes;
	__u32 device;
	__u32 mode;
	__u32 path_len;
	__u32 reserved;
};

/* rename, unlink, link, symlink, mkdir, rmdir, truncate, chmod, chown */
struct rb_path {
	struct rb_head head;
	/*
	 * truncate: length; chmod, mkdir: mode; chown: uid; rename, link: the flags of the call. Those of a chmod
	 * or chown stand in the upper half.
	 */
	__u64 value;
	__u64 value2;		/* chown: gid */
	__u64 inode;		/* when a descriptor named the file, or a hook inside the call saw it; else 0 */
	__u32 device;
	__u32 path_len;		/* path: the file, or what name is relative to */
	__u32 name_len;
	__u32 path2_len;	/* rename, link: the new name */
	__u32 name2_len;	/* symlink: the target, as given */
	__u32 reserved;
};

struct rb_target {
	__u64 start_ns;
	__u32 pid;
	__u32 relation;		/* enum rb_relation */
	__u8 comm[RB_COMM_LEN];
};

struct rb_credentials {
	__u64 permitted;	/* capabilities, a bit each */
	__u64 effective;
	__u32 uid;
	__u32 euid;
	__u32 suid;
	__u32 fsuid;
	__u32 gid;
	__u32 egid;
	__u32 sgid;
	__u32 fsgid;
};

/* `old` is as before the call where rb_act says that it is seen on the way in, else as `new`. */
struct rb_boundary {
	struct rb_head head;
	__u64 value1;
	__u64 value2;
	__u64 value3;
	__u64 value4;
	struct rb_target target;
	struct rb_credentials old;
	struct rb_credentials new;
	__u32 act;
	__u32 user_ns_level;	/* of who acts; 0 is the initial user namespace */
	__u32 path_len;		/* path: what name is relative to */
	__u32 name_len;
	__u32 path2_len;	/* path: what name2 is relative to, when it is a place */
	__u32 name2_len;
	__u32 name3_len;
	__u32 reserved;
};

/* Everything user space must know, in one type that the object's BTF is sure to hold. */
struct rb_layout {
	enum rb_abi abi;
	enum rb_kind kind;
	enum rb_loss loss;
	enum rb_flag flag;
	enum rb_stdio stdio;
	struct rb_fork fork;
	struct rb_exec exec;
	struct rb_exec_failed exec_failed;
	struct rb_exit exit;
	struct rb_connect connect;
	struct rb_open open;
	struct rb_close close;
	struct rb_path path;
	struct rb_payload payload;
	struct rb_flow flow;
	enum rb_act act;
	enum rb_relation relation;
	struct rb_boundary boundary;
	struct rb_cgroup cgroup;
};

#endif
