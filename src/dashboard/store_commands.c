/* SPDX-License-Identifier: MIT */
/* Commands are rows that the host reads with its next poll. Pausing is also kept in meta, for
 * hosts that are away. */
#include "dashboard/store_commands.h"

#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/uuid.h"
#include "dashboard/store_priv.h"

/* The row of a new command; texts are borrowed. */
struct command {
	const char *host, *type, *target_id, *run_id;
	int64_t agents, pause_seq;
	bool sync, at_once;
};

static int insert(struct dash_store *s, const struct command *c, int64_t now_ms, json_t *made,
	struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT INTO k6_commands (id, host, type, target_id, run_id, agents, sync, created_at, at_once,"
		" pause_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
		err);
	char id[UUID_MAX];

	uuid_make_v7(now_ms, id);
	db_bind_text(st, 1, id);
	db_bind_text(st, 2, c->host);
	db_bind_text(st, 3, c->type);
	db_bind_text(st, 4, c->target_id);
	db_bind_text(st, 5, c->run_id);
	sqlite3_bind_int64(st, 6, c->agents);
	sqlite3_bind_int(st, 7, c->sync);
	sqlite3_bind_int64(st, 8, now_ms);
	sqlite3_bind_int(st, 9, c->at_once);
	sqlite3_bind_int64(st, 10, c->pause_seq);
	if (dash_store_run(s, st, err) < 0)
		return -1;
	json_array_append_new(made,
		json_pack("{s:s, s:s, s:o, s:o}", "id", id, "type", c->type, "host",
			json_text(c->host), "agents",
			c->agents ? json_integer(c->agents) : json_null()));
	return 0;
}

struct host {
	char *name;
	int64_t idle, agents, given;
};

struct hosts {
	struct host *list;
	size_t count;
};

static void free_hosts(struct hosts *h)
{
	for (size_t i = 0; i < h->count; i++)
		free(h->list[i].name);
	free(h->list);
}

#define _cleanup_hosts_ _cleanup_(free_hosts)

/* Columns: host, idle agents, agents. */
static int add_host(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct hosts *h = arg;

	(void)err;
	h->list = x_realloc(h->list, h->count + 1, sizeof(*h->list));
	h->list[h->count++] = (struct host){.name = x_strdup(db_column_text(st, 0)),
		.idle = sqlite3_column_int64(st, 1),
		.agents = sqlite3_column_int64(st, 2)};
	return 0;
}

/* Assigns runs to the hosts round-robin: first up to the number of idle agents, then to busy
 * agents. Never more than one run an agent. */
static void share_out(struct hosts *h, int64_t count)
{
	for (int pass = 0; pass < 2; pass++) {
		bool given = true;

		while (count && given) {
			given = false;
			for (size_t i = 0; i < h->count && count; i++) {
				struct host *host = &h->list[i];

				if (host->given >= (pass ? host->agents : host->idle))
					continue;
				host->given++;
				count--;
				given = true;
			}
		}
	}
}

int dash_store_command_run(struct dash_store *s, const struct dash_store_order *order,
	int64_t now_ms, int64_t online_ms, json_t *made, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT h.host, (SELECT count(*) FROM k6_agents a WHERE a.host = h.host AND a.status = 'idle'),"
		" h.desired FROM hosts h WHERE h.managed AND h.last_seen_at >= ?1 AND h.desired > 0"
		" ORDER BY 2 DESC, h.host",
		err);
	_cleanup_hosts_ struct hosts hosts = {0};

	sqlite3_bind_int64(st, 1, now_ms - online_ms);
	if (dash_store_each(s, st, add_host, &hosts, err) < 0)
		return -1;
	share_out(&hosts, order->agents);
	for (size_t i = 0; i < hosts.count; i++) {
		const struct command c = {.host = hosts.list[i].name,
			.type = "run",
			.target_id = order->target_id,
			.agents = hosts.list[i].given,
			.sync = order->sync};

		if (c.agents && insert(s, &c, now_ms, made, err) < 0)
			return -1;
	}
	return 0;
}

int dash_store_command_cancel(struct dash_store *s, const char *run_id, const char *host,
	int64_t now_ms, json_t *made, struct err *err)
{
	return insert(s, &(struct command){.host = host, .type = "cancel", .run_id = run_id},
		now_ms, made, err);
}

/* --- pause and resume --------------------------------------------------------------- */

/* The present state as meta has it. */
struct pause {
	int64_t seq, paused, at_once;
};

/* Reads a number of meta that is 0..max.  Before the first pause there is none: 0.  Anything
 * else is damage, never "not paused".  Returns 0, or -1 with err. */
static int read_number(
	struct dash_store *s, const char *sql, int64_t max, int64_t *out, struct err *err)
{
	if (dash_store_get_int(s, sql, 0, out, err) < 0)
		return -1;
	if (*out < 0 || *out > max)
		return dash_store_damaged(
			s, "the row of meta that says what is paused makes no sense", err);
	return 0;
}

#define NUMBER_OF_META(key) \
	"SELECT iif(typeof(value) = 'integer', value, -1) FROM meta WHERE key = '" key "'"

static int read_paused(struct dash_store *s, int64_t *paused, struct err *err)
{
	return read_number(s, NUMBER_OF_META("paused"), 1, paused, err);
}

static int read_pause(struct dash_store *s, struct pause *p, struct err *err)
{
	if (read_number(s, NUMBER_OF_META("pause_seq"), INT64_MAX - 1, &p->seq, err) < 0 ||
		read_paused(s, &p->paused, err) < 0)
		return -1;
	return read_number(s, NUMBER_OF_META("pause_at_once"), 1, &p->at_once, err);
}

int dash_store_is_paused(struct dash_store *s, bool *paused, struct err *err)
{
	int64_t n;

	if (read_paused(s, &n, err) < 0)
		return -1;
	*paused = n != 0;
	return 0;
}

static int insert_pause(struct dash_store *s, const struct pause *p, const char *host,
	int64_t now_ms, json_t *made, struct err *err)
{
	return insert(s,
		&(struct command){.host = host,
			.type = p->paused ? "pause" : "resume",
			.pause_seq = p->seq,
			.at_once = p->at_once != 0},
		now_ms, made, err);
}

int dash_store_command_pause(struct dash_store *s, bool pause, bool at_once, int64_t now_ms,
	json_t *made, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "SELECT host, 0, 0 FROM hosts WHERE managed ORDER BY host", err);
	_cleanup_hosts_ struct hosts hosts = {0};
	struct pause p;

	if (read_pause(s, &p, err) < 0)
		return -1;
	p = (struct pause){.seq = p.seq + 1, .paused = pause, .at_once = at_once};
	/* Only the last command counts. */
	if (dash_store_set_meta(s, "paused", p.paused, err) < 0 ||
		dash_store_set_meta(s, "pause_at_once", p.at_once, err) < 0 ||
		dash_store_set_meta(s, "pause_seq", p.seq, err) < 0 ||
		dash_store_exec(
			s, "DELETE FROM k6_commands WHERE type IN ('pause', 'resume')", err) < 0 ||
		dash_store_each(s, st, add_host, &hosts, err) < 0)
		return -1;
	for (size_t i = 0; i < hosts.count; i++) {
		if (insert_pause(s, &p, hosts.list[i].name, now_ms, made, err) < 0)
			return -1;
	}
	return 0;
}

int dash_store_command_catch_up(
	struct dash_store *s, const char *host, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT 1 FROM hosts h WHERE h.host = ?1 AND h.managed AND h.pause_seq < ?2 AND NOT EXISTS"
		" (SELECT 1 FROM k6_commands c WHERE c.host = h.host AND c.pause_seq = ?2 AND c.created_at > ?3)",
		err);
	_cleanup_json_ json_t *made = json_array();
	enum found behind;
	struct pause p;

	if (read_pause(s, &p, err) < 0)
		return -1;
	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, p.seq);
	sqlite3_bind_int64(st, 3, now_ms - DASH_STORE_COMMAND_LIFE_MS);
	behind = dash_store_one(s, st, NULL, NULL, err);
	if (behind != FOUND)
		return behind == FOUND_ERROR ? -1 : 0;
	return insert_pause(s, &p, host, now_ms, made, err);
}

static json_t *command_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	const char *type = db_column_text(st, 1);
	json_t *o = json_pack("{s:s, s:s}", "id", db_column_text(st, 0), "type", type);

	(void)arg;
	(void)err;
	if (sqlite3_column_type(st, 2) != SQLITE_NULL)
		json_object_set_new(o, "targetId", json_text(db_column_text(st, 2)));
	if (sqlite3_column_type(st, 3) != SQLITE_NULL)
		json_object_set_new(o, "runId", json_text(db_column_text(st, 3)));
	if (sqlite3_column_int64(st, 4)) {
		json_object_set_new(o, "agents", json_integer(sqlite3_column_int64(st, 4)));
		json_object_set_new(o, "sync", json_boolean(sqlite3_column_int(st, 5)));
	}
	if (!strcmp(type, "pause"))
		json_object_set_new(o, "now", json_boolean(sqlite3_column_int(st, 6)));
	return o;
}

int dash_store_list_commands(
	struct dash_store *s, const char *host, int64_t now_ms, json_t **list, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT id, type, target_id, run_id, agents, sync, at_once FROM k6_commands WHERE host = ?1 AND created_at > ?2"
		" ORDER BY seq LIMIT 1000",
		err);

	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, now_ms - DASH_STORE_COMMAND_LIFE_MS);
	return dash_store_list(s, st, command_row, NULL, list, err);
}

int dash_store_command_done(struct dash_store *s, const char *host, const char *id, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"UPDATE hosts SET pause_seq = c.pause_seq FROM k6_commands c WHERE hosts.host = ?1 AND c.host = ?1"
		" AND c.id = ?2 AND c.pause_seq > hosts.pause_seq",
		err);

	db_bind_text(st, 1, host);
	db_bind_text(st, 2, id);
	if (dash_store_run(s, st, err) < 0)
		return -1;
	st = dash_store_stmt(s, "DELETE FROM k6_commands WHERE host = ?1 AND id = ?2", err);
	db_bind_text(st, 1, host);
	db_bind_text(st, 2, id);
	return dash_store_run(s, st, err);
}

int dash_store_expire_commands(struct dash_store *s, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "DELETE FROM k6_commands WHERE created_at <= ?1", err);

	sqlite3_bind_int64(st, 1, now_ms - DASH_STORE_COMMAND_LIFE_MS);
	return dash_store_run(s, st, err);
}
