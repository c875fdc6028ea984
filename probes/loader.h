/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What differs between the two loaders, all of it. libbpf gets an object that was built before. BCC compiles the
 * same source at run time (tracer/capture/bcc.py) and gives bare instructions, which tracer/capture/link.py puts
 * together. There are no relocations then, so for BCC
 *  - kernel.h comes with the offsets of the kernel at hand written into it (tracer/capture/fit.py);
 *  - maps and variables are declared here and made by the loader: LOADED, and their names are numbers;
 *  - functions and programs are local and in one section, so that a call knows its target;
 *  - the arguments of a program are of no type, and are read as any kernel memory: FIELD; so is the current task, as
 *    a kernel without BTF has no type for it.
 */
#ifndef RUBICON_LOADER_H
#define RUBICON_LOADER_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#ifdef RUBICON_BCC

#define LOADED extern
#define FIELD(pointer, field) BPF_CORE_READ(pointer, field)
#define CURRENT_TASK() ((struct task_struct *)bpf_get_current_task())
/* A table of constants; the program `fill_tables` writes them once. */
#define TABLE(type, name, size, ...)			\
	LOADED volatile type name[size];		\
	static const type name##_first[size] = { __VA_ARGS__ }

#undef SEC
#define SEC(name) __attribute__((used))
#undef __noinline
#define __noinline static __attribute__((noinline, used))

/* A field that this kernel does not have is aligned in a way that no other is: see fit.py. */
#define __builtin_preserve_access_index(place) (place)
#define __builtin_preserve_field_info(field, what) \
	((what) == BPF_FIELD_EXISTS ? __alignof__(field) < ABSENT_ALIGNMENT : (unsigned long)&(field))

/* fit.py writes the numbers of the kernel at hand, -1 for what it does not have. */
#undef bpf_core_enum_value
#define bpf_core_enum_value(type, name) (name)
#undef bpf_core_enum_value_exists
#define bpf_core_enum_value_exists(type, name) ((int)(name) >= 0)

#else

#define LOADED
#define FIELD(pointer, field) ((pointer)->field)
#define CURRENT_TASK() ((struct task_struct *)bpf_get_current_task_btf())
#define TABLE(type, name, size, ...) static const volatile type name[size] = { __VA_ARGS__ }

#endif

#endif
