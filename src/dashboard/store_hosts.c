/* SPDX-License-Identifier: MIT */
/* Decides which number of agents each host has to keep: the host's own, or a share of the total. */
#include "dashboard/store_hosts.h"

#include <stdlib.h>

#include "common/json.h"
#include "common/mem.h"
#include "dashboard/store_priv.h"

/* The fleet's numbers as meta has them. */
struct fleet {
	int64_t revision;
	int64_t total; /* -1: nobody has set one yet */
};

static int read_fleet(struct dash_store *s, struct fleet *f, struct err *err)
{
	if (dash_store_get_int(
		    s, "SELECT value FROM meta WHERE key = 'revision'", 0, &f->revision, err) < 0)
		return -1;
	return dash_store_get_int(
		s, "SELECT value FROM meta WHERE key = 'total'", -1, &f->total, err);
}

/* Adds n to a total that somebody has set, which stays the sum of the shares. */
static int add_to_total(struct dash_store *s, const struct fleet *f, int64_t n, struct err *err)
{
	int64_t total = f->total + n;

	if (f->total < 0)
		return 0;
	return dash_store_set_meta(s, "total", total < 0 ? 0 : total, err);
}

static int set_host_desired(
	struct dash_store *s, const char *host, int64_t agents, int64_t rev, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "UPDATE hosts SET desired = ?2, revision = ?3 WHERE host = ?1", err);

	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, agents);
	sqlite3_bind_int64(st, 3, rev);
	return dash_store_run(s, st, err);
}

struct share {
	char *host;
	int64_t cap, had, gets;
};

struct shares {
	struct share *list;
	size_t count;
};

/* Divides count evenly, each share up to its cap, until everything is given out or all shares
 * are at their caps. */
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

static int add_share(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct shares *shares = arg;

	(void)err;
	shares->list = x_realloc(shares->list, shares->count + 1, sizeof(*shares->list));
	shares->list[shares->count++] = (struct share){x_strdup(db_column_text(st, 0)),
		sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2), 0};
	return 0;
}

/* Spreads the total over the online managed hosts.  Only a host whose share changes gets the new
 * revision, so the others need not act. */
static int spread(struct dash_store *s, const struct fleet *f, int64_t now_ms, int64_t online_ms,
	struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT host, max_agents, desired FROM hosts WHERE managed AND last_seen_at >= ?1 "
		"ORDER BY host",
		err);
	struct shares shares = {0};
	int rc;

	sqlite3_bind_int64(st, 1, now_ms - online_ms);
	rc = dash_store_each(s, st, add_share, &shares, err);
	divide(shares.list, shares.count, f->total);
	for (size_t i = 0; i < shares.count; i++) {
		const struct share *share = &shares.list[i];

		if (rc == 0 && share->gets != share->had)
			rc = set_host_desired(s, share->host, share->gets, f->revision, err);
		free(share->host);
	}
	free(shares.list);
	return rc;
}

static int read_desired(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct dash_store_desired *out = arg;

	(void)err;
	*out = (struct dash_store_desired){
		sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1)};
	return 0;
}

/* out is {0, 0} for a host that is not known. */
static enum found find_host(
	struct dash_store *s, const char *host, struct dash_store_desired *out, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "SELECT desired, revision FROM hosts WHERE host = ?1", err);

	*out = (struct dash_store_desired){0, 0};
	db_bind_text(st, 1, host);
	return dash_store_one(s, st, read_desired, out, err);
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

	db_bind_text(st, 1, h->host);
	sqlite3_bind_int(st, 2, h->managed);
	sqlite3_bind_int64(st, 3, h->max_agents);
	sqlite3_bind_int64(st, 4, d->agents);
	sqlite3_bind_int64(st, 5, d->revision);
	db_bind_text(st, 6, h->version);
	db_bind_text(st, 7, h->k6_version);
	db_bind_text(st, 8, h->sandbox);
	sqlite3_bind_int64(st, 9, now_ms);
	return dash_store_run(s, st, err);
}

/* A host that is new where a total is set: its share comes with a revision that is newer than
 * its own. */
static int give_share(struct dash_store *s, const struct dash_store_host *h, struct fleet *f,
	int64_t now_ms, int64_t online_ms, struct err *err)
{
	/* -1 differs from every share, so that spread() gives the host the revision. */
	const struct dash_store_desired none = {-1, h->desired.revision};

	if (f->revision < none.revision)
		f->revision = none.revision;
	f->revision++;
	if (dash_store_set_meta(s, "revision", f->revision, err) < 0 ||
		put_host(s, h, &none, now_ms, err) < 0)
		return -1;
	return spread(s, f, now_ms, online_ms, err);
}

/* The host's own number holds: somebody scaled it while the dashboard was away, or nobody has
 * ever set a total, and a fresh dashboard empties no fleet. */
static int take_over(struct dash_store *s, const struct dash_store_host *h, const struct fleet *f,
	int64_t more, int64_t now_ms, struct err *err)
{
	if (add_to_total(s, f, more, err) < 0 ||
		(h->desired.revision > f->revision &&
			dash_store_set_meta(s, "revision", h->desired.revision, err) < 0))
		return -1;
	return put_host(s, h, &h->desired, now_ms, err);
}

int dash_store_register_host(struct dash_store *s, const struct dash_store_host *h, int64_t now_ms,
	int64_t online_ms, struct dash_store_desired *out, struct err *err)
{
	struct dash_store_desired d;
	struct fleet f;
	enum found known =
		read_fleet(s, &f, err) < 0 ? FOUND_ERROR : find_host(s, h->host, &d, err);

	if (known == FOUND_ERROR)
		return -1;
	if (h->managed && h->has_desired && known == NOT_FOUND && f.total >= 0) {
		if (give_share(s, h, &f, now_ms, online_ms, err) < 0)
			return -1;
		return find_host(s, h->host, out, err) == FOUND_ERROR ? -1 : 0;
	}
	if (h->managed && h->has_desired &&
		(known == NOT_FOUND || h->desired.revision > d.revision)) {
		*out = h->desired;
		return take_over(s, h, &f, h->desired.agents - d.agents, now_ms, err);
	}
	/* What is known here is as new or newer: the host takes it. */
	*out = d;
	return put_host(s, h, &d, now_ms, err);
}

int dash_store_touch_host(struct dash_store *s, const char *host, int64_t now_ms,
	struct dash_store_desired *out, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "UPDATE hosts SET last_seen_at = ?2 WHERE host = ?1", err);

	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, now_ms);
	if (dash_store_run(s, st, err) < 0)
		return -1;
	return find_host(s, host, out, err) == FOUND_ERROR ? -1 : 0;
}

enum found dash_store_scale_host(struct dash_store *s, const char *host, int64_t agents,
	struct dash_store_desired *out, struct err *err)
{
	struct dash_store_desired d;
	struct fleet f;
	enum found known = read_fleet(s, &f, err) < 0 ? FOUND_ERROR : find_host(s, host, &d, err);

	if (known != FOUND)
		return known;
	*out = (struct dash_store_desired){agents, f.revision + 1};
	if (add_to_total(s, &f, agents - d.agents, err) < 0 ||
		dash_store_set_meta(s, "revision", out->revision, err) < 0 ||
		set_host_desired(s, host, agents, out->revision, err) < 0)
		return FOUND_ERROR;
	return FOUND;
}

int dash_store_set_total(
	struct dash_store *s, int64_t count, int64_t now_ms, int64_t online_ms, struct err *err)
{
	struct fleet f;

	if (read_fleet(s, &f, err) < 0)
		return -1;
	f.total = count;
	f.revision++;
	if (dash_store_set_meta(s, "total", f.total, err) < 0 ||
		dash_store_set_meta(s, "revision", f.revision, err) < 0)
		return -1;
	return spread(s, &f, now_ms, online_ms, err);
}

int dash_store_reconcile(struct dash_store *s, int64_t now_ms, int64_t online_ms, struct err *err)
{
	struct fleet f;

	if (read_fleet(s, &f, err) < 0)
		return -1;
	/* Nobody has set a total yet: the numbers of the hosts hold. */
	if (f.total < 0)
		return 0;
	f.revision++;
	if (dash_store_set_meta(s, "revision", f.revision, err) < 0)
		return -1;
	return spread(s, &f, now_ms, online_ms, err);
}

int dash_store_get_total(struct dash_store *s, struct dash_store_desired *out, struct err *err)
{
	struct fleet f;

	if (read_fleet(s, &f, err) < 0 ||
		(f.total < 0 &&
			dash_store_get_int(s, "SELECT sum(desired) FROM hosts WHERE managed", 0,
				&f.total, err) < 0))
		return -1;
	*out = (struct dash_store_desired){f.total, f.revision};
	return 0;
}

#define HOST_COLUMNS \
	"host, managed, max_agents, desired, revision, version, k6_version, sandbox, last_seen_at," \
	" (SELECT count(*) FROM k6_agents a WHERE a.host = hosts.host AND a.status <> 'offline')"

/* arg: the wall time in ms since when a host is online. */
static json_t *host_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	const int64_t *since_ms = arg;

	(void)err;
	return json_pack("{s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "host",
		dash_store_text_column(st, 0), "managed", sqlite3_column_int(st, 1), "online",
		sqlite3_column_int64(st, 8) >= *since_ms, "desired", dash_store_int_column(st, 3),
		"revision", dash_store_int_column(st, 4), "agents", dash_store_int_column(st, 9),
		"maxAgents", dash_store_int_column(st, 2), "lastSeenAt",
		json_time(sqlite3_column_int64(st, 8)), "version", dash_store_text_column(st, 5),
		"k6Version", dash_store_text_column(st, 6), "sandbox",
		dash_store_text_column(st, 7));
}

enum found dash_store_get_host(struct dash_store *s, const char *host, int64_t now_ms,
	int64_t online_ms, json_t **object, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "SELECT " HOST_COLUMNS " FROM hosts WHERE host = ?1", err);
	int64_t since_ms = now_ms - online_ms;

	db_bind_text(st, 1, host);
	return dash_store_object(s, st, host_row, &since_ms, object, err);
}

int dash_store_list_hosts(
	struct dash_store *s, int64_t now_ms, int64_t online_ms, json_t **list, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "SELECT " HOST_COLUMNS " FROM hosts ORDER BY host", err);
	int64_t since_ms = now_ms - online_ms;

	return dash_store_list(s, st, host_row, &since_ms, list, err);
}
