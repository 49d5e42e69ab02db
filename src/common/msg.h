/* SPDX-License-Identifier: MIT */
/*
 * The typed messages between keeper, supervisor and workers.  One table row each gives the
 * number, the name, the direction, the fields, the largest size and whether a descriptor
 * comes along.  Fields: '1' '4' '8' little-endian integers of that many bytes, 's' a counted
 * string (four bytes of length, then the bytes).  Nothing here does I/O; chan.c moves them.
 */
#ifndef K6FLEET_MSG_H
#define K6FLEET_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* kernel-side limit: two messages of this size fit default socket buffers, see unix(7). */
#define MSG_MAX_BYTES (128 * 1024)
#define MSG_PROTOCOL 4
/* Room for the longest text that a message of ours explains something with. */
#define MSG_TEXT_MAX 1024

enum msg_direction { MSG_TO_KEEPER, MSG_TO_SUPERVISOR_K, MSG_TO_WORKER, MSG_TO_SUPERVISOR_W };

/* clang-format off */
/* X(NAME, direction, fields, largest size in bytes, carries a descriptor) */
#define MSG_TABLE(X)                                                                               \
	/* keeper -> supervisor */                                                                 \
	/* protocol, memory of the host or our cgroup (bytes), supervisor restarts so far, sandbox    \
	 * level, layers, start of the keeper (monotonic ms), wall less monotonic clock then (ms),   \
	 * version of k6 (empty: there is none), control_group and control_read_group (2^32-1: none) */ \
	X(KEEPER_HELLO, MSG_TO_SUPERVISOR_K, "4844488s44", 512, false)                              \
	/* slot, generation, pid, started (monotonic ms), alive, wait status, fresh, restarts as SPAWN \
	 * said, stale: forked by an older binary or with older limits */                          \
	X(KEEPER_WORKER, MSG_TO_SUPERVISOR_K, "484814141", 64, true)                               \
	X(KEEPER_HANDED_OVER, MSG_TO_SUPERVISOR_K, "", 16, false)                                  \
	/* slot, generation, wait status */                                                        \
	X(KEEPER_EXITED, MSG_TO_SUPERVISOR_K, "484", 64, false)                                    \
	/* slot, generation, why */                                                                \
	X(KEEPER_SPAWN_FAILED, MSG_TO_SUPERVISOR_K, "48s", 2048, false)                            \
	/* enum msg_signal */                                                                      \
	X(KEEPER_SIGNAL, MSG_TO_SUPERVISOR_K, "4", 16, false)                                      \
	/* enum handover_fd, whether there is one: if not, the descriptor stands for nothing */    \
	X(KEEPER_FILE, MSG_TO_SUPERVISOR_K, "41", 32, true)                                        \
	/* as KEEP_RELOAD said, done, why not or which keys need a new start */                    \
	X(KEEPER_RELOADED, MSG_TO_SUPERVISOR_K, "81s", 2048, false)                                \
	/* version of the k6 that workers run from now on */                                        \
	X(KEEPER_K6, MSG_TO_SUPERVISOR_K, "s", 512, false)                                         \
	/* supervisor -> keeper */                                                                 \
	/* slot, generation, restarts so far, kept for the next supervisor */                      \
	X(KEEP_SPAWN, MSG_TO_KEEPER, "484", 32, false)                                             \
	/* slot, generation, signal (TERM or KILL) */                                              \
	X(KEEP_KILL, MSG_TO_KEEPER, "484", 32, false)                                              \
	X(KEEP_FORGET, MSG_TO_KEEPER, "48", 32, false)                                             \
	X(KEEP_READY, MSG_TO_KEEPER, "", 16, false)                                                \
	X(KEEP_PING, MSG_TO_KEEPER, "", 16, false)                                                 \
	/* desired, running, busy, dashboard state, enum msg_obstacle */                           \
	X(KEEP_STATUS, MSG_TO_KEEPER, "44444", 32, false)                                          \
	X(KEEP_QUIT, MSG_TO_KEEPER, "", 16, false)                                                 \
	/* who waits, with the binary on disk too */                                               \
	X(KEEP_RELOAD, MSG_TO_KEEPER, "81", 32, false)                                             \
	/* supervisor -> worker; the descriptor of RUN is a memfd with the target as JSON */       \
	/* run id, planned duration ms (0: the script's own), timeout ms (0: what the script plans),   \
	 * grace ms on top, wall ms that all agents wait for (0: none), what to call it, whether a    \
	 * failed check fails the run */                                                           \
	X(WORK_RUN, MSG_TO_WORKER, "s8888s1", 1024, true)                                          \
	X(WORK_CANCEL, MSG_TO_WORKER, "s", 128, false)                                             \
	X(WORK_STATE_REQ, MSG_TO_WORKER, "", 16, false)                                            \
	/* enum msg_log */                                                                         \
	X(WORK_LOG, MSG_TO_WORKER, "1", 16, false)                                                 \
	X(WORK_EXIT, MSG_TO_WORKER, "", 16, false)                                                 \
	/* worker -> supervisor */                                                                 \
	/* slot, generation, sandbox layers */                                                     \
	X(AGENT_HELLO, MSG_TO_SUPERVISOR_W, "484", 64, false)                                      \
	/* run id in hand, "" when idle */                                                         \
	X(AGENT_STATE, MSG_TO_SUPERVISOR_W, "s", 128, false)                                       \
	/* run id, started (wall ms) */                                                            \
	X(AGENT_STARTED, MSG_TO_SUPERVISOR_W, "s8", 128, false)                                    \
	/* run id, how long it will take (ms), as its k6 says */                                   \
	X(AGENT_PLANNED, MSG_TO_SUPERVISOR_W, "s8", 128, false)                                    \
	/* run id, whether it is what there was before WORK_LOG, output of k6 */                   \
	X(AGENT_LOG, MSG_TO_SUPERVISOR_W, "s1s", 80 * 1024, false)                                 \
	/* see result.h */                                                                         \
	X(AGENT_RESULT, MSG_TO_SUPERVISOR_W, "s11488s4sss888s", MSG_MAX_BYTES, false)

enum msg_type {
	MSG_NONE,
#define X(name, dir, fields, max, fd) MSG_##name,
	MSG_TABLE(X)
#undef X
	MSG_TYPES
};
/* clang-format on */

/* What a worker shall tell of its k6's output: no more, what there is, that and all that comes. */
enum msg_log { MSG_LOG_STOP, MSG_LOG_ONCE, MSG_LOG_FOLLOW };

/* What keeps all runs from being started. */
enum msg_obstacle { MSG_OBSTACLE_NONE, MSG_OBSTACLE_PAUSED, MSG_OBSTACLE_STORAGE, MSG_OBSTACLE_K6 };

enum msg_signal {
	MSG_SIGNAL_DRAIN = 1,
	MSG_SIGNAL_NOW,
	MSG_SIGNAL_HAND_OVER, /* commit and end: another supervisor goes on */
};

struct msg_info {
	const char *name;
	enum msg_direction direction;
	const char *fields;
	uint32_t max_bytes;
	bool carries_fd;
};

/* NULL for a number that no row has. */
const struct msg_info *msg_info(uint32_t type);

/* A message under construction; grows as needed, owned by whoever started it.  Most fit into the
 * writer itself, so that keeper and workers leave their heap alone.  Not to be copied. */
struct msg_writer {
	uint8_t *data;
	size_t len, cap;
	uint8_t small[128];
};

void msg_start(struct msg_writer *w, enum msg_type type);
void msg_put_u8(struct msg_writer *w, uint8_t v);
void msg_put_u32(struct msg_writer *w, uint32_t v);
void msg_put_u64(struct msg_writer *w, uint64_t v);
void msg_put_str(struct msg_writer *w, const char *s);
void msg_put_bytes(struct msg_writer *w, const void *p, size_t n);
/* A whole message that another process has packed. */
void msg_copy(struct msg_writer *w, const void *data, size_t len);
void msg_free(struct msg_writer *w);

/* A message being read.  After the first error every getter answers zero or "". */
struct msg_reader {
	const uint8_t *p, *end;
	bool failed;
};

/* Checks the whole message against its table row (known type of that direction, size, every
 * field, no trailing bytes) and leaves r at the first field.  Returns the type, or -1. */
int msg_open(struct msg_reader *r, const void *data, size_t len, enum msg_direction direction,
	struct err *err);
uint8_t msg_get_u8(struct msg_reader *r);
uint32_t msg_get_u32(struct msg_reader *r);
uint64_t msg_get_u64(struct msg_reader *r);
/* Points into the message; *len gets the count. */
const uint8_t *msg_get_bytes(struct msg_reader *r, size_t *len);
/* A copy with a NUL behind it, cut at the first NUL inside; the caller frees it. */
char *msg_get_str(struct msg_reader *r);

#endif
