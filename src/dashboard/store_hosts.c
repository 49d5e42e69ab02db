/* SPDX-License-Identifier: MIT */
/* Hosts, and how many agents each shall keep: one total that is spread over those that are online, under a
 * revision that only grows. */
#include "dashboard/store_priv.h"

#include <stdlib.h>

#include "common/json.h"
#include "common/mem.h"

static int64_t revision(struct dash_store *s)
{
	return dash_store_get_int(s, "SELECT value FROM meta WHERE key = 'revision'", 0);
}

/* -1: nobody has set a total yet. */
static int64_t total(struct dash_store *s)
{
	return dash_store_get_int(s, "SELECT value FROM meta WHERE key = 'total'", -1);
}

static int64_t sum_of_hosts(struct dash_store *s)
{
	return dash_store_get_int(s, "SELECT sum(desired) FROM hosts WHERE managed", 0);
}

static int set_host_desired(
	struct dash_store *s, const char *host, int64_t agents, int64_t rev, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "UPDATE hosts SET desired = ?2, revision = ?3 WHERE host = ?1", err);

	if (!st)
		return -1;
	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, agents);
	sqlite3_bind_int64(st, 3, rev);
	return db_run(st, err);
}

struct share {
	char *host;
	int64_t cap, had, gets;
};

/* Evenly, each up to its cap: one more for everybody who has room, until all is given out. */
static void divide(struct share *shares, size_t n, int64_t count)
{
	while (count > 0) {
		size_t open = 0;
		int64_t each;

		for (size_t i = 0; i < n; i++)
			open += shares[i].gets < shares[i].cap;
		if (!open)
			return;
		each = count / (int64_t)open ? count / (int64_t)open : 1;
		for (size_t i = 0; i < n && count > 0; i++) {
			int64_t room = shares[i].cap - shares[i].gets;
			int64_t gets = each < room ? each : room;

			if (gets > count)
				gets = count;
			shares[i].gets += gets;
			count -= gets;
		}
	}
}

/* Spreads the total over the online managed hosts; only hosts whose share changes get a new
 * revision, so the others need not act. */
static int spread(
	struct dash_store *s, int64_t now_ms, int64_t online_ms, int64_t rev, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT host, max_agents, desired FROM hosts WHERE managed AND last_seen_at >= ?1 "
		"ORDER BY host",
		err);
	struct share *shares = NULL;
	size_t n = 0;
	int rc = 0;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, now_ms - online_ms);
	while (sqlite3_step(st) == SQLITE_ROW) {
		shares = x_realloc(shares, n + 1, sizeof(*shares));
		shares[n++] = (struct share){x_strdup(db_column_text(st, 0)),
			sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2), 0};
	}
	sqlite3_reset(st);
	divide(shares, n, total(s));
	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && shares[i].gets != shares[i].had)
			rc = set_host_desired(s, shares[i].host, shares[i].gets, rev, err);
		free(shares[i].host);
	}
	free(shares);
	return rc;
}

/* 1: found. */
static int find_host(
	struct dash_store *s, const char *host, struct dash_store_desired *out, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "SELECT desired, revision FROM hosts WHERE host = ?1", err);
	int rc;

	*out = (struct dash_store_desired){0, 0};
	if (!st)
		return -1;
	db_bind_text(st, 1, host);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*out = (struct dash_store_desired){
			sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1)};
	sqlite3_reset(st);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : dash_store_fail(s, err);
}

static int put_host(struct dash_store *s, const struct dash_store_host *h,
	const struct dash_store_desired *d, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT INTO hosts (host, managed, max_agents, desired, revision, version, k6_version, sandbox,"
		" last_seen_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (host) DO UPDATE SET"
		" managed = ?2, max_agents = ?3, desired = ?4, revision = ?5, version = ?6, k6_version = ?7,"
		" sandbox = ?8, last_seen_at = ?9",
		err);

	if (!st)
		return -1;
	db_bind_text(st, 1, h->host);
	sqlite3_bind_int(st, 2, h->managed);
	sqlite3_bind_int64(st, 3, h->max_agents);
	sqlite3_bind_int64(st, 4, d->agents);
	sqlite3_bind_int64(st, 5, d->revision);
	db_bind_text(st, 6, h->version);
	db_bind_text(st, 7, h->k6_version);
	db_bind_text(st, 8, h->sandbox);
	sqlite3_bind_int64(st, 9, now_ms);
	return db_run(st, err);
}

int dash_store_register_host(struct dash_store *s, const struct dash_store_host *h, int64_t now_ms,
	int64_t online_ms, struct dash_store_desired *out, struct err *err)
{
	struct dash_store_desired d;
	int64_t rev = revision(s), sum = total(s);
	int known = find_host(s, h->host, &d, err);

	if (known < 0)
		return -1;
	if (!h->managed || !h->has_desired) {
		if (put_host(s, h, &d, now_ms, err) < 0)
			return -1;
		*out = d;
		return 0;
	}
	if (known && h->desired.revision <= d.revision) {
		/* We are as new or newer: the host takes what we have. */
	} else if (known || sum < 0) {
		/* The host's own count is newer (somebody scaled it while we were away), or nobody has
		 * ever set a total: a fresh dashboard empties no fleet. */
		if (known && sum >= 0) {
			int64_t changed = sum + h->desired.agents - d.agents;

			if (dash_store_set_meta(s, "total", changed < 0 ? 0 : changed, err) < 0)
				return -1;
		}
		d = h->desired;
		if (d.revision > rev && dash_store_set_meta(s, "revision", d.revision, err) < 0)
			return -1;
	} else {
		/* New here, and there is a total: it gets its share, with a revision it will heed. */
		d = h->desired;
		rev = (rev > d.revision ? rev : d.revision) + 1;
		d.agents = -1; /* differs from any share, so that spread() gives it the revision */
		if (dash_store_set_meta(s, "revision", rev, err) < 0 ||
			put_host(s, h, &d, now_ms, err) < 0 ||
			spread(s, now_ms, online_ms, rev, err) < 0 ||
			find_host(s, h->host, out, err) < 0)
			return -1;
		return 0;
	}
	*out = d;
	return put_host(s, h, &d, now_ms, err);
}

int dash_store_touch_host(struct dash_store *s, const char *host, int64_t now_ms,
	struct dash_store_desired *out, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "UPDATE hosts SET last_seen_at = ?2 WHERE host = ?1", err);

	if (!st)
		return -1;
	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, now_ms);
	if (db_run(st, err) < 0)
		return -1;
	return find_host(s, host, out, err) < 0 ? -1 : 0;
}

int dash_store_scale_host(struct dash_store *s, const char *host, int64_t agents,
	struct dash_store_desired *out, struct err *err)
{
	struct dash_store_desired d;
	int64_t sum = total(s), rev = revision(s) + 1;
	int known = find_host(s, host, &d, err);

	if (known <= 0)
		return known;
	if (sum >= 0) {
		int64_t changed = sum + agents - d.agents;

		if (dash_store_set_meta(s, "total", changed < 0 ? 0 : changed, err) < 0)
			return -1;
	}
	*out = (struct dash_store_desired){agents, rev};
	if (dash_store_set_meta(s, "revision", rev, err) < 0 ||
		set_host_desired(s, host, agents, rev, err) < 0)
		return -1;
	return 1;
}

int dash_store_set_total(
	struct dash_store *s, int64_t count, int64_t now_ms, int64_t online_ms, struct err *err)
{
	int64_t rev = revision(s) + 1;

	if (dash_store_set_meta(s, "total", count, err) < 0 ||
		dash_store_set_meta(s, "revision", rev, err) < 0)
		return -1;
	return spread(s, now_ms, online_ms, rev, err);
}

int dash_store_reconcile(struct dash_store *s, int64_t now_ms, int64_t online_ms, struct err *err)
{
	int64_t rev = revision(s) + 1;

	/* Nobody has set a total yet: what the hosts have is right. */
	if (total(s) < 0)
		return 0;
	if (dash_store_set_meta(s, "revision", rev, err) < 0)
		return -1;
	return spread(s, now_ms, online_ms, rev, err);
}

int dash_store_get_total(struct dash_store *s, struct dash_store_desired *out, struct err *err)
{
	int64_t sum = total(s);

	(void)err;
	*out = (struct dash_store_desired){sum >= 0 ? sum : sum_of_hosts(s), revision(s)};
	return 0;
}

json_t *dash_store_list_hosts(
	struct dash_store *s, int64_t now_ms, int64_t online_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT host, managed, max_agents, desired, revision, version, k6_version, sandbox, last_seen_at,"
		" (SELECT count(*) FROM k6_agents a WHERE a.host = hosts.host AND a.status <> 'offline')"
		" FROM hosts ORDER BY host",
		err);
	json_t *list = json_array();

	while (st && sqlite3_step(st) == SQLITE_ROW) {
		json_array_append_new(list,
			json_pack("{s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "host",
				dash_store_text_column(st, 0), "managed", sqlite3_column_int(st, 1),
				"online", sqlite3_column_int64(st, 8) >= now_ms - online_ms,
				"desired", dash_store_int_column(st, 3), "revision",
				dash_store_int_column(st, 4), "agents",
				dash_store_int_column(st, 9), "maxAgents",
				dash_store_int_column(st, 2), "lastSeenAt",
				json_time(sqlite3_column_int64(st, 8)), "version",
				dash_store_text_column(st, 5), "k6Version",
				dash_store_text_column(st, 6), "sandbox",
				dash_store_text_column(st, 7)));
	}
	sqlite3_reset(st);
	return list;
}
