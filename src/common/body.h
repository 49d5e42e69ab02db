/* SPDX-License-Identifier: MIT */
/*
 * The bodies of POST /api/k6/agents/register and .../heartbeat: what a host tells the dashboard
 * of itself and of its agents.  The supervisor writes them, the dashboard reads them; both from
 * the rows below, so that they cannot differ.
 *
 * An agent of another make may send a body without "agents": then the body itself has the
 * members of the one agent, and both structs are read from the same object.
 *
 * Reading is lenient, as the API promises to agents: a member that is missing or of another type
 * counts as unknown, members without a row are ignored.  Which values are allowed is checked by
 * the dashboard's api_agents.c.
 */
#ifndef K6FLEET_BODY_H
#define K6FLEET_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A number that is not known; an unknown text or list is NULL, an unknown object has known ==
 * false. */
#define BODY_UNKNOWN INT64_MIN

/* X(kind, member, name in JSON, how an unknown value is written: OMITTED or NULLED).
 * Kinds: TEXT and LIST are borrowed, NUMBER, FLAG, or the name of a struct below. */
/* clang-format off */
#define BODY_DESIRED(X) \
	X(NUMBER, agents, "agents", OMITTED) \
	X(NUMBER, revision, "revision", OMITTED)

#define BODY_REGISTRATION(X) \
	X(TEXT, host, "host", OMITTED) \
	X(FLAG, managed, "managed", OMITTED)     /* the host has a supervisor, which scales it */ \
	X(NUMBER, max_agents, "maxAgents", OMITTED) \
	X(TEXT, version, "version", OMITTED) \
	X(TEXT, k6_version, "k6Version", OMITTED) \
	X(TEXT, sandbox, "sandbox", OMITTED) \
	X(DESIRED, desired, "desired", OMITTED)  /* as the host has it */ \
	X(LIST, agents, "agents", OMITTED)

#define BODY_AGENT_REGISTRATION(X) \
	X(TEXT, name, "name", OMITTED) \
	X(NUMBER, slot, "slot", OMITTED) \
	X(NUMBER, pid, "pid", NULLED) \
	X(TEXT, version, "version", OMITTED)     /* the host's version if the agent reports none */ \
	X(TEXT, k6_version, "k6Version", OMITTED)

#define BODY_HEARTBEAT(X) \
	X(TEXT, host, "host", OMITTED) \
	X(DESIRED, desired, "desired", OMITTED) \
	X(LIST, agents, "agents", OMITTED) \
	X(LIST, commands_done, "commandsDone", OMITTED)

#define BODY_PROGRESS(X) \
	X(NUMBER, elapsed_ms, "elapsedMs", OMITTED) \
	X(NUMBER, duration_ms, "durationMs", OMITTED) \
	X(NUMBER, vus, "vus", OMITTED) \
	X(NUMBER, iterations, "iterations", OMITTED)

#define BODY_AGENT_HEARTBEAT(X) \
	X(TEXT, name, "name", OMITTED) \
	X(TEXT, status, "status", OMITTED)       /* of agent_state.h */ \
	X(TEXT, current_run_id, "currentRunId", NULLED) \
	X(NUMBER, rss_bytes, "rssBytes", NULLED) \
	X(NUMBER, restarts, "restarts", OMITTED) \
	X(PROGRESS, progress, "progress", OMITTED)
/* clang-format on */

#define BODY_TYPE_TEXT const char *
#define BODY_TYPE_NUMBER int64_t
#define BODY_TYPE_FLAG bool
#define BODY_TYPE_LIST json_t *
#define BODY_TYPE_DESIRED struct body_desired
#define BODY_TYPE_PROGRESS struct body_progress

#define BODY_MEMBER(kind, member, name, unknown) BODY_TYPE_##kind member;

struct body_desired {
	bool known;
	BODY_DESIRED(BODY_MEMBER)
};
struct body_progress {
	bool known;
	BODY_PROGRESS(BODY_MEMBER)
};
struct body_registration {
	BODY_REGISTRATION(BODY_MEMBER)
};
struct body_agent_registration {
	BODY_AGENT_REGISTRATION(BODY_MEMBER)
};
struct body_heartbeat {
	BODY_HEARTBEAT(BODY_MEMBER)
};
struct body_agent_heartbeat {
	BODY_AGENT_HEARTBEAT(BODY_MEMBER)
};
#undef BODY_MEMBER

/* X(struct, rows): each has a writer and a reader. */
#define BODY_STRUCTS(X) \
	X(desired, BODY_DESIRED) \
	X(progress, BODY_PROGRESS) \
	X(registration, BODY_REGISTRATION) \
	X(agent_registration, BODY_AGENT_REGISTRATION) \
	X(heartbeat, BODY_HEARTBEAT) \
	X(agent_heartbeat, BODY_AGENT_HEARTBEAT)

/* body_X_json() returns the object as a new reference; lists in it are shared.  body_X_read()
 * sets every member; texts and lists are borrowed from the object, which may be of any type or
 * NULL. */
#define BODY_DECLARE(what, rows) \
	json_t *body_##what##_json(const struct body_##what *b); \
	void body_##what##_read(const json_t *object, struct body_##what *b);
BODY_STRUCTS(BODY_DECLARE)
#undef BODY_DECLARE

#endif
