/* SPDX-License-Identifier: MIT */
/*
 * The state that one image of the keeper leaves to the next: JSON, in a sealed memfd, read by
 * nobody else. One row of UPGRADE_STATE_TABLE gives a field its place in the struct and in the
 * JSON; writer and reader come from the same row.  Members of objects go by their key, so that
 * an older and a newer image understand each other: a key that is not there has the row's
 * fallback, one that nobody knows is ignored.  Members of a LIST or of LISTS go by their place:
 * a new one comes at the end.
 */
#ifndef K6FLEET_KEEPER_UPGRADE_STATE_H
#define K6FLEET_KEEPER_UPGRADE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* The form of the state.  Raise it when an older image could not understand a newer one's, or
 * the other way round; then each refuses the other (--check-handover), and the fleet is drained
 * and restarted. */
#define UPGRADE_FORMAT 1

/* Types of fields.  fd: a descriptor that the next image inherits, -1 for none.  text: NULL for
 * none. */
#define UPGRADE_STATE_TYPE_flag bool
#define UPGRADE_STATE_TYPE_i32 int32_t
#define UPGRADE_STATE_TYPE_u32 uint32_t
#define UPGRADE_STATE_TYPE_i64 int64_t
#define UPGRADE_STATE_TYPE_u64 uint64_t
#define UPGRADE_STATE_TYPE_fd int
#define UPGRADE_STATE_TYPE_text char *

/* clang-format off */
/* OBJECT(name, key): a JSON object.  LIST(name, key): a JSON array, one value a field.  LISTS(name, key): an array
 * of arrays, each as a LIST.  FIELD(type, name, key, fallback); END(name). */
#define UPGRADE_STATE_TABLE(OBJECT, LIST, LISTS, FIELD, END) \
	/* The command line. */ \
	OBJECT(options, "options") \
		FIELD(text, config, "config", NULL) \
		FIELD(flag, config_named, "configNamed", false) \
		FIELD(text, socket, "socket", NULL) \
		FIELD(text, workers, "workers", NULL) \
		FIELD(text, log_format, "logFormat", NULL) \
		FIELD(flag, verbose, "verbose", false) \
		END(options) \
	/* Of the two binaries, on the host. */ \
	OBJECT(paths, "paths") \
		FIELD(text, keeper, "keeper", NULL) \
		FIELD(text, supervisor, "supervisor", NULL) \
		END(paths) \
	/* struct sandbox but for its filters. */ \
	OBJECT(sandbox, "sandbox") \
		FIELD(u32, level, "level", 0)   /* enum sandbox_level */ \
		FIELD(u32, layers, "layers", 0) /* bits of enum sandbox_layer */ \
		FIELD(flag, as_root, "asRoot", false) \
		FIELD(flag, user_namespaces, "userNamespaces", false) \
		FIELD(i32, landlock, "landlock", 0) \
		FIELD(u32, uid, "uid", 0) \
		FIELD(u32, gid, "gid", 0) \
		END(sandbox) \
	/* How a supervisor is started; a group of UINT32_MAX is none. */ \
	OBJECT(supervisor, "supervisor") \
		FIELD(flag, as_root, "asRoot", false) \
		FIELD(u32, uid, "uid", 0) \
		FIELD(u32, gid, "gid", 0) \
		FIELD(u32, control_gid, "controlGid", UINT32_MAX) \
		FIELD(u32, read_gid, "readGid", UINT32_MAX) \
		FIELD(u32, restarts, "restarts", 0) \
		END(supervisor) \
	OBJECT(keeper, "keeper") \
		FIELD(text, k6_version, "k6Version", NULL) \
		FIELD(i64, memory_bytes, "memoryBytes", 0) \
		FIELD(i64, started_mono_ms, "startedMs", 0) \
		FIELD(i64, clock_offset_ms, "clockOffsetMs", 0) \
		FIELD(u32, epoch, "epoch", 0) \
		FIELD(flag, cgroup_cpu, "cgroupCpu", false) \
		END(keeper) \
	/* struct k6bin; its descriptor is among fds. */ \
	LIST(k6, "k6") \
		FIELD(flag, by_fd, "byFd", false) \
		FIELD(u64, dev, "dev", 0) \
		FIELD(u64, inode, "inode", 0) \
		FIELD(i64, size_bytes, "size", 0) \
		FIELD(i64, modified_s, "modifiedS", 0) \
		FIELD(i64, modified_ns, "modifiedNs", 0) \
		END(k6) \
	OBJECT(fds, "fds") \
		FIELD(fd, listen, "listen", -1) \
		FIELD(fd, heartbeats, "heartbeats", -1) \
		FIELD(fd, config, "config", -1) \
		FIELD(fd, state_dir, "state", -1) \
		FIELD(fd, metrics, "metrics", -1) \
		FIELD(fd, secret, "secret", -1) \
		FIELD(fd, ca, "ca", -1) \
		FIELD(fd, cert, "cert", -1) \
		FIELD(fd, key, "key", -1) \
		FIELD(fd, socket_dir, "socketDir", -1) \
		FIELD(fd, lifeline_read, "lifelineRead", -1) \
		FIELD(fd, lifeline_write, "lifelineWrite", -1) \
		FIELD(fd, cgroup, "cgroup", -1) \
		FIELD(fd, k6, "k6", -1) \
		FIELD(fd, host, "host", -1) \
		FIELD(fd, notify, "notify", -1) \
		FIELD(fd, journal, "journal", -1) \
		END(fds) \
	/* struct child, one a used slot. */ \
	LISTS(children, "children") \
		FIELD(u32, slot, "slot", 0) \
		FIELD(i32, pid, "pid", 0) \
		FIELD(u64, generation, "generation", 0) \
		FIELD(i64, started_mono_ms, "startedMs", 0) \
		FIELD(flag, alive, "alive", false) \
		FIELD(i32, wait_status, "waitStatus", 0) \
		FIELD(u32, restarts, "restarts", 0) \
		FIELD(u32, epoch, "epoch", 0) \
		FIELD(fd, chan, "chan", -1) \
		END(children)

#define UPGRADE_STATE_NO_GROUP(name, key)
#define UPGRADE_STATE_NO_FIELD(type, name, key, fallback)
#define UPGRADE_STATE_NO_END(name)

/* struct upgrade_state_options and so on. */
#define GROUP(name, key) struct upgrade_state_##name {
#define FIELD(type, name, key, fallback) UPGRADE_STATE_TYPE_##type name;
#define END(name) };
UPGRADE_STATE_TABLE(GROUP, GROUP, GROUP, FIELD, END)
#undef GROUP
#undef FIELD
#undef END

struct upgrade_state {
	char *version; /* of the program that left it */
#define ONE(name, key) struct upgrade_state_##name name;
#define MANY(name, key) struct upgrade_state_##name *name; size_t name##_count;
	UPGRADE_STATE_TABLE(ONE, ONE, MANY, UPGRADE_STATE_NO_FIELD, UPGRADE_STATE_NO_END)
#undef ONE
#undef MANY
};
/* clang-format on */

/* Returns the state as text with a NUL behind it; the caller frees it. */
char *upgrade_state_write(const struct upgrade_state *s);
/* Reads the text that upgrade_state_write() of this or another version with the same
 * UPGRADE_FORMAT has written. Returns 0, and the caller frees s with upgrade_state_clear().
 * Returns -1 and err, with s cleared, if the text is not a state of this format, a value has the
 * wrong type or does not fit its field, a path is missing, a slot is out of range or there
 * twice, a living child has no pid, or a child has no descriptor. */
int upgrade_state_read(const char *text, struct upgrade_state *s, struct err *err);
/* Frees all texts and children, which must come from malloc(3). */
void upgrade_state_clear(struct upgrade_state *s);
/* Calls fn for every descriptor in s that is not -1. */
void upgrade_state_each_fd(const struct upgrade_state *s, void (*fn)(void *arg, int fd), void *arg);

#endif
