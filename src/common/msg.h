/* SPDX-License-Identifier: MIT */
/*
 * The typed messages between keeper, supervisor and workers.  One row of MSG_TABLE gives a message
 * its number, name, direction, largest size, whether a descriptor comes along, and its fields in
 * their order on the wire.  From the same row come struct msg_X, its writer msg_put_X(), its reader
 * msg_get_X() and the check of msg_open(), so that none of them can differ in the order.  Nothing
 * here does I/O; chan.c moves messages.
 */
#ifndef K6FLEET_MSG_H
#define K6FLEET_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Two messages of this size fit into the default socket buffers, unix(7). */
#define MSG_MAX_BYTES (128 * 1024)
#define MSG_PROTOCOL 5
/* The oldest protocol of a keeper whose workers a supervisor takes over: AGENT_RESULT_4 is all
 * that differs. */
#define MSG_PROTOCOL_OLDEST 4
/* Room for the longest explanation in a message, with its NUL. */
#define MSG_TEXT_MAX 1024

enum msg_direction { MSG_TO_KEEPER, MSG_TO_SUPERVISOR_K, MSG_TO_WORKER, MSG_TO_SUPERVISOR_W };

/* Part of a message.  In a struct that msg_get_X() has filled it points into the message and is
 * valid as long as the bytes given to msg_open(); in one for msg_put_X() it points to the caller's
 * bytes.  Nobody frees it.  No NUL ends it. */
struct msg_bytes {
	const char *p;
	size_t len;
};

/* The types of fields, as FIELD(type, name) calls them.  On the wire integers are little-endian;
 * a flag is one byte (0 is false, all else true); text and bytes are a length of four bytes,
 * followed by the content.  The reader of a text sees it up to its first NUL, the reader of
 * bytes sees all. */
#define MSG_TYPE_flag bool
#define MSG_TYPE_u8 uint8_t
#define MSG_TYPE_u32 uint32_t
#define MSG_TYPE_i32 int32_t
#define MSG_TYPE_u64 uint64_t
#define MSG_TYPE_i64 int64_t
#define MSG_TYPE_text struct msg_bytes
#define MSG_TYPE_bytes struct msg_bytes

/* clang-format off */
/* MESSAGE(NAME, name, direction, largest size in bytes, carries a descriptor), then
 * FIELD(type, name) for each field, then END(name). */
#define MSG_TABLE(MESSAGE, FIELD, END)                                                             \
	/* --- keeper -> supervisor --- */                                                         \
	/* The first message to each supervisor. */                                                \
	MESSAGE(KEEPER_HELLO, keeper_hello, MSG_TO_SUPERVISOR_K, 512, false)                       \
		FIELD(u32, protocol)            /* MSG_PROTOCOL */                                 \
		FIELD(i64, memory_bytes)        /* of the host, or of the keeper's cgroup */       \
		FIELD(u32, supervisor_restarts) /* so far */                                       \
		FIELD(u32, sandbox_level)       /* enum sandbox_level */                           \
		FIELD(u32, sandbox_layers)      /* bits of enum sandbox_layer */                   \
		FIELD(i64, started_mono_ms)     /* start of the keeper */                          \
		FIELD(i64, clock_offset_ms)     /* wall clock less monotonic clock at that start */ \
		FIELD(text, k6_version)         /* "": there is no k6 */                           \
		FIELD(u32, control_gid)         /* of control_group; UINT32_MAX: none */           \
		FIELD(u32, read_gid)            /* of control_read_group; UINT32_MAX: none */      \
		END(keeper_hello)                                                                  \
	/* A worker that exists; the descriptor is the supervisor's end of its socket. */          \
	MESSAGE(KEEPER_WORKER, keeper_worker, MSG_TO_SUPERVISOR_K, 64, true)                       \
		FIELD(u32, slot)                                                                   \
		FIELD(u64, generation)                                                             \
		FIELD(u32, pid)                                                                    \
		FIELD(i64, started_mono_ms)                                                        \
		FIELD(flag, alive)                                                                 \
		FIELD(i32, wait_status)         /* as of waitpid(2); 0 while it lives */           \
		FIELD(flag, fresh)              /* forked just now, on KEEP_SPAWN */               \
		FIELD(u32, restarts)            /* as KEEP_SPAWN said */                           \
		FIELD(flag, stale)              /* forked by an older binary or with older limits */ \
		END(keeper_worker)                                                                 \
	/* Every worker that exists has been told. */                                              \
	MESSAGE(KEEPER_HANDED_OVER, keeper_handed_over, MSG_TO_SUPERVISOR_K, 16, false)            \
		END(keeper_handed_over)                                                            \
	MESSAGE(KEEPER_EXITED, keeper_exited, MSG_TO_SUPERVISOR_K, 64, false)                      \
		FIELD(u32, slot)                                                                   \
		FIELD(u64, generation)                                                             \
		FIELD(i32, wait_status)         /* as of waitpid(2) */                             \
		END(keeper_exited)                                                                 \
	MESSAGE(KEEPER_SPAWN_FAILED, keeper_spawn_failed, MSG_TO_SUPERVISOR_K, 2048, false)        \
		FIELD(u32, slot)                                                                   \
		FIELD(u64, generation)                                                             \
		FIELD(text, why)                                                                   \
		END(keeper_spawn_failed)                                                           \
	MESSAGE(KEEPER_SIGNAL, keeper_signal, MSG_TO_SUPERVISOR_K, 16, false)                      \
		FIELD(u32, what)                /* enum msg_signal */                              \
		END(keeper_signal)                                                                 \
	/* The descriptor is the file, or any other one where there is no file. */                 \
	MESSAGE(KEEPER_FILE, keeper_file, MSG_TO_SUPERVISOR_K, 32, true)                           \
		FIELD(u32, which)               /* enum handover_fd */                             \
		FIELD(flag, exists)                                                                \
		END(keeper_file)                                                                   \
	MESSAGE(KEEPER_RELOADED, keeper_reloaded, MSG_TO_SUPERVISOR_K, 2048, false)                \
		FIELD(u64, asker)               /* as KEEP_RELOAD said; 0: a signal */             \
		FIELD(flag, done)                                                                  \
		FIELD(text, text)               /* why not, or which keys need a new start */      \
		END(keeper_reloaded)                                                               \
	MESSAGE(KEEPER_K6, keeper_k6, MSG_TO_SUPERVISOR_K, 512, false)                             \
		FIELD(text, version)            /* of the k6 that new workers run from now on */   \
		END(keeper_k6)                                                                     \
	/* --- supervisor -> keeper --- */                                                         \
	MESSAGE(KEEP_SPAWN, keep_spawn, MSG_TO_KEEPER, 32, false)                                  \
		FIELD(u32, slot)                                                                   \
		FIELD(u64, generation)                                                             \
		FIELD(u32, restarts)            /* so far, kept for the next supervisor */         \
		END(keep_spawn)                                                                    \
	MESSAGE(KEEP_KILL, keep_kill, MSG_TO_KEEPER, 32, false)                                    \
		FIELD(u32, slot)                                                                   \
		FIELD(u64, generation)                                                             \
		FIELD(u32, sig)                 /* SIGTERM or SIGKILL */                           \
		END(keep_kill)                                                                     \
	MESSAGE(KEEP_FORGET, keep_forget, MSG_TO_KEEPER, 32, false)                                \
		FIELD(u32, slot)                                                                   \
		FIELD(u64, generation)                                                             \
		END(keep_forget)                                                                   \
	/* The fleet has its size for the first time. */                                           \
	MESSAGE(KEEP_READY, keep_ready, MSG_TO_KEEPER, 16, false)                                  \
		END(keep_ready)                                                                    \
	MESSAGE(KEEP_PING, keep_ping, MSG_TO_KEEPER, 16, false)                                    \
		END(keep_ping)                                                                     \
	/* For the service manager's STATUS line. */                                               \
	MESSAGE(KEEP_STATUS, keep_status, MSG_TO_KEEPER, 32, false)                                \
		FIELD(u32, desired)                                                                \
		FIELD(u32, running)             /* agents */                                       \
		FIELD(u32, busy)                /* agents with a run */                            \
		FIELD(u32, dashboard)           /* enum msg_dashboard */                           \
		FIELD(u32, obstacle)            /* enum msg_obstacle */                            \
		END(keep_status)                                                                   \
	/* The supervisor has ended everything: the keeper must end, too. */                       \
	MESSAGE(KEEP_QUIT, keep_quit, MSG_TO_KEEPER, 16, false)                                    \
		END(keep_quit)                                                                     \
	MESSAGE(KEEP_RELOAD, keep_reload, MSG_TO_KEEPER, 32, false)                                \
		FIELD(u64, asker)               /* the client that waits; KEEPER_RELOADED names it */ \
		FIELD(flag, binary)             /* hand over to the binary on disk, too */         \
		END(keep_reload)                                                                   \
	/* --- supervisor -> worker --- */                                                         \
	/* The descriptor is a memfd with the target as JSON. */                                   \
	MESSAGE(WORK_RUN, work_run, MSG_TO_WORKER, 1024, true)                                     \
		FIELD(text, run_id)                                                                \
		FIELD(i64, planned_ms)          /* duration; 0: the script's own */                \
		FIELD(i64, timeout_ms)          /* 0: what the script plans */                     \
		FIELD(i64, grace_ms)            /* on top of either */                             \
		FIELD(i64, start_wall_ms)       /* that all agents wait for; 0: none */            \
		FIELD(text, label)              /* what the process title calls the target */      \
		FIELD(flag, checks_count)       /* a failed check fails the run */                 \
		END(work_run)                                                                      \
	MESSAGE(WORK_CANCEL, work_cancel, MSG_TO_WORKER, 128, false)                               \
		FIELD(text, run_id)                                                                \
		END(work_cancel)                                                                   \
	/* Asks for AGENT_STATE. */                                                                \
	MESSAGE(WORK_STATE_REQ, work_state_req, MSG_TO_WORKER, 16, false)                          \
		END(work_state_req)                                                                \
	MESSAGE(WORK_LOG, work_log, MSG_TO_WORKER, 16, false)                                      \
		FIELD(u8, what)                 /* enum msg_log */                                 \
		END(work_log)                                                                      \
	/* The worker ends when it is idle. */                                                     \
	MESSAGE(WORK_EXIT, work_exit, MSG_TO_WORKER, 16, false)                                    \
		END(work_exit)                                                                     \
	/* --- worker -> supervisor --- */                                                         \
	MESSAGE(AGENT_HELLO, agent_hello, MSG_TO_SUPERVISOR_W, 64, false)                          \
		FIELD(u32, slot)                                                                   \
		FIELD(u64, generation)                                                             \
		FIELD(u32, sandbox_layers)      /* bits of enum sandbox_layer */                   \
		END(agent_hello)                                                                   \
	MESSAGE(AGENT_STATE, agent_state, MSG_TO_SUPERVISOR_W, 128, false)                         \
		FIELD(text, run_id)             /* in hand; "": idle */                            \
		END(agent_state)                                                                   \
	MESSAGE(AGENT_STARTED, agent_started, MSG_TO_SUPERVISOR_W, 128, false)                     \
		FIELD(text, run_id)                                                                \
		FIELD(i64, started_wall_ms)                                                        \
		END(agent_started)                                                                 \
	MESSAGE(AGENT_PLANNED, agent_planned, MSG_TO_SUPERVISOR_W, 128, false)                     \
		FIELD(text, run_id)                                                                \
		FIELD(i64, planned_ms)          /* how long the run will take, as its k6 says */   \
		END(agent_planned)                                                                 \
	MESSAGE(AGENT_LOG, agent_log, MSG_TO_SUPERVISOR_W, 80 * 1024, false)                       \
		FIELD(text, run_id)                                                                \
		FIELD(flag, first)              /* output of before WORK_LOG */                    \
		FIELD(bytes, output)            /* of k6 */                                        \
		END(agent_log)                                                                     \
	/* AGENT_RESULT of a worker of protocol 4, which a hand-over may have left.  See run_v4.h. */ \
	MESSAGE(AGENT_RESULT_4, agent_result_4, MSG_TO_SUPERVISOR_W, MSG_MAX_BYTES, false)         \
		FIELD(text, run_id)                                                                \
		FIELD(u8, status)                                                                  \
		FIELD(u8, reason)                                                                  \
		FIELD(i32, exit_code)                                                              \
		FIELD(u64, started_wall_ms)                                                        \
		FIELD(u64, finished_wall_ms)                                                       \
		FIELD(text, message)                                                               \
		FIELD(u32, metrics_mask)                                                           \
		FIELD(bytes, metrics)                                                              \
		FIELD(bytes, quantiles)                                                            \
		FIELD(bytes, thresholds)                                                           \
		FIELD(u64, cpu_ms)                                                                 \
		FIELD(u64, max_rss_bytes)                                                          \
		FIELD(u64, tmp_bytes)                                                              \
		FIELD(text, log)                                                                   \
		END(agent_result_4)                                                                \
	/* Of a run that has ended. */                                                             \
	MESSAGE(AGENT_RESULT, agent_result, MSG_TO_SUPERVISOR_W, MSG_MAX_BYTES, false)             \
		FIELD(bytes, fields)            /* as run_put() of common/run.h writes them */     \
		END(agent_result)

#define MSG_NO_FIELD(type, name)
#define MSG_NO_END(name)

enum msg_type {
	MSG_NONE,
#define MESSAGE(NAME, name, dir, max, fd) MSG_##NAME,
	MSG_TABLE(MESSAGE, MSG_NO_FIELD, MSG_NO_END)
#undef MESSAGE
	MSG_TYPES
};

/* struct msg_keeper_hello and so on. */
#define MESSAGE(NAME, name, dir, max, fd) struct msg_##name {
#define FIELD(type, name) MSG_TYPE_##type name;
#define END(name) };
MSG_TABLE(MESSAGE, FIELD, END)
#undef MESSAGE
#undef FIELD
#undef END
/* clang-format on */

/* The output of its k6 that a worker must send: nothing more; the last output once; the last
 * and all further output. */
enum msg_log { MSG_LOG_STOP, MSG_LOG_ONCE, MSG_LOG_FOLLOW };

/* Why no run starts at all. */
enum msg_obstacle { MSG_OBSTACLE_NONE, MSG_OBSTACLE_PAUSED, MSG_OBSTACLE_STORAGE, MSG_OBSTACLE_K6 };

/* The connection to the dashboard, for the service manager's STATUS line. */
enum msg_dashboard { MSG_DASHBOARD_NONE, MSG_DASHBOARD_OK, MSG_DASHBOARD_UNREACHABLE };

enum msg_signal {
	MSG_SIGNAL_DRAIN = 1,
	MSG_SIGNAL_NOW,
	MSG_SIGNAL_HAND_OVER, /* commit and end: another supervisor takes over */
};

struct msg_info {
	const char *name;
	enum msg_direction direction;
	uint32_t max_bytes;
	bool carries_fd;
	const char *fields; /* a character each: bytes on the wire, 's' for a counted string */
};

/* Returns the row of this number, static; NULL if there is none. */
const struct msg_info *msg_info(uint32_t type);

/* A message under construction.  Begins as {0}, grows as needed, and is freed with msg_free().
 * A short message lies in the writer itself, so that keeper and workers do not touch their heap;
 * so a writer must not be copied. */
struct msg_writer {
	uint8_t *data;
	size_t len, cap;
	uint8_t small[128];
};

/* Primitives for the content of a field of type bytes, and for msg.c itself.  A message is
 * written by its msg_put_X() below. */
void msg_start(struct msg_writer *w, enum msg_type type);
void msg_put_u8(struct msg_writer *w, uint8_t v);
void msg_put_u32(struct msg_writer *w, uint32_t v);
void msg_put_u64(struct msg_writer *w, uint64_t v);
void msg_put_str(struct msg_writer *w, const char *s);
void msg_put_bytes(struct msg_writer *w, const void *p, size_t n);
/* All that is put between these two calls becomes one counted string.  msg_end_bytes() takes the
 * value that msg_begin_bytes() returned. */
size_t msg_begin_bytes(struct msg_writer *w);
void msg_end_bytes(struct msg_writer *w, size_t begin);
/* Makes w a whole message that another process has packed. */
void msg_copy(struct msg_writer *w, const void *data, size_t len);
void msg_free(struct msg_writer *w);

/* A message being read.  After the first error `failed` is set and every getter returns zero or
 * "". */
struct msg_reader {
	const uint8_t *p, *end;
	uint32_t type;
	bool failed;
};

/* Checks the whole message against its table row (known type of that direction, size, every
 * field, no trailing bytes) and leaves r at the first field.  Returns the type, or -1 and err. */
int msg_open(struct msg_reader *r, const void *data, size_t len, enum msg_direction direction,
	struct err *err);
/* Primitives, as above. */
uint8_t msg_get_u8(struct msg_reader *r);
uint32_t msg_get_u32(struct msg_reader *r);
uint64_t msg_get_u64(struct msg_reader *r);
/* Returns a pointer into the message, NULL after an error; *len gets the count. */
const uint8_t *msg_get_bytes(struct msg_reader *r, size_t *len);
/* Returns a copy with a NUL behind it, cut at the first NUL inside; the caller frees it. */
char *msg_get_str(struct msg_reader *r);

/* msg_put_X() makes w the message of this type; what w held before is dropped, and m may be NULL
 * where the message has no field.  The caller frees w with msg_free(). msg_get_X() fills m from
 * a message that msg_open() has accepted as of this type; it cannot fail then. A reader of
 * another type, or one read before, fails (r->failed) and gives zeros and empty strings. */
/* clang-format off */
#define MESSAGE(NAME, name, dir, max, fd)                                                          \
	void msg_put_##name(struct msg_writer *w, const struct msg_##name *m);                     \
	void msg_get_##name(struct msg_reader *r, struct msg_##name *m);
MSG_TABLE(MESSAGE, MSG_NO_FIELD, MSG_NO_END)
#undef MESSAGE
/* clang-format on */

/* The string s, without its NUL; it stays the caller's. */
struct msg_bytes msg_text(const char *s);
/* Whether the text is s. */
bool msg_text_is(struct msg_bytes text, const char *s);
/* Returns a copy with a NUL behind it; the caller frees it. */
char *msg_text_dup(struct msg_bytes text);
/* Copies the text into buf with a NUL behind it, cut to size - 1 bytes. */
void msg_text_copy(char *buf, size_t size, struct msg_bytes text);

#endif
