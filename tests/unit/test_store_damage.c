/* SPDX-License-Identifier: MIT */
/* Every read of the dashboard's store against a damaged page of each table and index that it
 * needs: it must fail with ERR_CORRUPT, and never be taken for "nothing there".  The same for a
 * device that fails for a while. */
#include "test.h"

#include <sqlite3.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/json.h"
#include "common/mem.h"
#include "dashboard/store.h"
#include "dashboard/store_agents.h"
#include "dashboard/store_audit.h"
#include "dashboard/store_commands.h"
#include "dashboard/store_hosts.h"
#include "dashboard/store_lists.h"
#include "dashboard/store_overview.h"
#include "dashboard/store_reaper.h"
#include "dashboard/store_rollup.h"
#include "dashboard/store_runs.h"
#include "dashboard/store_series.h"
#include "dashboard/store_targets.h"

#define NOW INT64_C(1800000000000)
#define HOUR INT64_C(3600000)
#define ONLINE HOUR

static char path[] = "/tmp/k6fleet-test-damage.XXXXXX";

/* --- a database with something in each table --------------------------------------------- */

static const char rows[] =
	"INSERT INTO meta VALUES ('total', 3), ('paused', 1), ('pause_seq', 2);"
	"INSERT INTO hosts (host, managed, max_agents, desired, revision, last_seen_at) VALUES"
	" ('h', 1, 10, 3, 1, 1800000000000);"
	"INSERT INTO k6_agents (id, host, name, slot, status, last_seen_at, registered_at) VALUES"
	" ('i', 'h', 'a', 0, 'idle', 1800000000000, 1), ('j', 'h', 'b', 1, 'idle', 1800000000000, 1);"
	"INSERT INTO k6_targets (id, enabled, json, created_at, updated_at) VALUES"
	" ('t', 1, '{\"id\":\"t\",\"label\":\"one\",\"url\":\"http://a.example/\"}', 1, 1),"
	" ('u', 1, '{\"id\":\"u\",\"label\":\"two\",\"url\":\"http://b.example/\"}', 1, 1);"
	"INSERT INTO k6_commands (id, host, type, target_id, agents, sync, created_at) VALUES"
	" ('c', 'h', 'run', 't', 1, 0, 1800000000000), ('d', 'h', 'run', 't', 1, 0, 1800000000000);"
	"INSERT INTO k6_names VALUES (1, 0, '', 't'), (2, 1, 'h', 'a'), (3, 0, '', 'u');"
	"INSERT INTO k6_rollups VALUES ('t', 499999, 1, 1, 0, 0, 1, 0, 1, 1, 1, 5, NULL, 1);"
	"INSERT INTO k6_rollup_dirty VALUES (499998, 'u'), (499999, 't');"
	"INSERT INTO k6_audit (at, who, address, action, object) VALUES (1, 'admin', '::1', 'pause', ''),"
	" (2, 'admin', '::1', 'resume', '');"
	"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
	" INSERT INTO k6_runs (id, agent, host, target_id, status, started_at, planned_ms, p95_ms, error_rate, lag_ms,"
	" json, target_no, agent_no) SELECT 'r' || i, 'a', 'h', 't', CASE WHEN i % 10 = 0 THEN 'running' ELSE 'success' END,"
	" 1800000000000 - 40000 * i, 1000, i, 0.5, i, '{\"id\":\"r' || i || '\"}', 1, 2 FROM n;";

static void remove_database(void)
{
	char name[64];

	unlink(path);
	snprintf(name, sizeof(name), "%s-wal", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s-shm", path);
	unlink(name);
}

static char *sound; /* the bytes of this database, and their number */
static size_t sound_len;

static void make_sound(void)
{
	struct dash_store *s;
	struct err err;
	char *msg = NULL;
	sqlite3 *db;

	remove_database();
	s = dash_store_open(path, &err);
	if (!s)
		fail_msg("%s", err.msg);
	dash_store_close(s);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, rows, NULL, NULL, &msg) != SQLITE_OK)
		fail_msg("%s", msg);
	sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
	sqlite3_close(db);
	sound = fdio_read_file(path, 0, 1 << 24, &sound_len, &err);
	assert_non_null(sound);
}

static void make_database(void)
{
	FILE *f;

	remove_database();
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(sound, sound_len, 1, f), 1);
	fclose(f);
}

/* Overwrites the head of the first page of a table or index, behind its flags. */
static void damage(const char *name)
{
	static const unsigned char bad[16] = {[0 ... 15] = 0xff};
	sqlite3_stmt *st;
	sqlite3 *db;
	long page;
	FILE *f;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_master WHERE name = ?1", -1, &st, NULL);
	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	if (sqlite3_step(st) != SQLITE_ROW)
		fail_msg("there is no %s", name);
	page = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	f = fopen(path, "r+be");
	assert_non_null(f);
	fseek(f, (page - 1) * 4096 + 8, SEEK_SET);
	fwrite(bad, sizeof(bad), 1, f);
	fclose(f);
}

/* --- the functions ------------------------------------------------------------------------ */

/* Each calls one function of the store and returns what it returns, or -1. */
typedef int call_fn(struct dash_store *s, struct err *err);

/* A function that makes an object, which is freed. */
#define MAKES(name, call) \
	static int name(struct dash_store *s, struct err *err) \
	{ \
		json_t *made = NULL; \
		int rc = (int)(call); \
\
		json_decref(made); \
		return rc; \
	}
/* A function that writes, in a transaction that is undone. */
#define CHANGES(name, call) \
	static int name(struct dash_store *s, struct err *err) \
	{ \
		json_t *made = json_array(); \
		struct dash_store_desired d; \
		int rc; \
\
		if (dash_store_begin(s, err) < 0) \
			return -1; \
		rc = (int)(call); \
		dash_store_rollback(s); \
		json_decref(made); \
		(void)d; \
		return rc; \
	}

MAKES(get_agent, dash_store_get_agent(s, "h", "a", &made, err))
MAKES(list_agents, dash_store_list_agents(s, &made, err))
MAKES(list_audit, dash_store_list_audit(s, 1, 10, &made, err))
MAKES(list_commands, dash_store_list_commands(s, "h", NOW, &made, err))
MAKES(get_host, dash_store_get_host(s, "h", NOW, ONLINE, &made, err))
MAKES(list_hosts, dash_store_list_hosts(s, NOW, ONLINE, &made, err))
MAKES(overview, dash_store_overview(s, &made, err))
MAKES(get_run, dash_store_get_run(s, "r1", &made, err))
MAKES(get_run_row, dash_store_get_run_row(s, "r1", &made, err))
MAKES(recent_runs, dash_store_recent_runs(s, "t", 5, &made, err))
MAKES(get_target, dash_store_get_target(s, "t", TARGET_FOR_ADMIN, &made, NULL, err))
MAKES(list_targets, dash_store_list_targets(s, TARGET_FOR_ADMIN, &made, err))
MAKES(list_targets_for, dash_store_list_targets_for(s, "h", NOW, &made, err))
MAKES(knows_target, dash_store_knows_target(s, "nobody", err))

static int series(struct dash_store *s, int64_t step_ms, struct err *err)
{
	const struct dash_store_range range = {NOW - 2 * HOUR, NOW + HOUR, step_ms};
	json_t *made = NULL;
	int rc = dash_store_series(s, "t", &range, &made, err);

	json_decref(made);
	return rc;
}

static int series_by_hours(struct dash_store *s, struct err *err)
{
	return series(s, HOUR, err);
}

static int series_by_minutes(struct dash_store *s, struct err *err)
{
	return series(s, 60000, err);
}

static int list(struct dash_store *s, struct dash_store_run_filter f, struct err *err)
{
	json_t *made = NULL;
	int rc;

	f.page = 1;
	f.page_size = 10;
	rc = dash_store_list_runs(s, &f, &made, err);
	json_decref(made);
	if (rc < 0)
		return rc;
	rc = f.sort ? 0 : dash_store_next_runs(s, &f, 10, &made, err);
	if (rc == 0 && !f.sort)
		json_decref(made);
	return rc;
}

#define LISTS(name, ...) \
	static int name(struct dash_store *s, struct err *err) \
	{ \
		return list(s, (struct dash_store_run_filter){__VA_ARGS__}, err); \
	}

LISTS(runs, .to_ms = 0)
LISTS(runs_of_target, .target_id = "t")
LISTS(runs_of_agent, .agent = "a")
LISTS(runs_of_host, .host = "h")
LISTS(runs_by_status, .status = "running")
LISTS(runs_by_p95, .sort = "-p95_ms")
LISTS(runs_by_errors, .sort = "-error_rate")
LISTS(runs_by_lag, .sort = "-lagMs")

static int next_runs(struct dash_store *s, struct err *err)
{
	struct dash_store_run_filter f = {.target_id = "t"};
	json_t *made = NULL;
	int rc = dash_store_next_runs(s, &f, 10, &made, err);

	json_decref(made);
	return rc;
}

static void ignore_sample(void *arg, const struct sample *sample)
{
	(void)arg;
	(void)sample;
}

static int each_sample(struct dash_store *s, struct err *err)
{
	return dash_store_each_sample(s, NOW - HOUR, ignore_sample, NULL, err);
}

static int each_overdue(struct dash_store *s, struct err *err)
{
	return dash_store_each_overdue(s, NOW, 1, ignore_sample, NULL, err);
}

static int get_total(struct dash_store *s, struct err *err)
{
	struct dash_store_desired d;

	return dash_store_get_total(s, &d, err);
}

static int is_paused(struct dash_store *s, struct err *err)
{
	bool paused;

	return dash_store_is_paused(s, &paused, err);
}

static int find_target(struct dash_store *s, struct err *err)
{
	char id[64];
	int n;

	return dash_store_find_target(s, "one", &n, id, err);
}

static int reap(struct dash_store *s, struct err *err)
{
	const struct dash_store_rules rules = {1, 1, 1, false};
	struct dash_store_reaped reaped;
	json_t *changed = json_array();
	int rc = dash_store_reap(s, &rules, NOW + HOUR, &reaped, changed, err);

	json_decref(changed);
	return rc;
}

static int expire(struct dash_store *s, struct err *err)
{
	return dash_store_expire(s, NOW, err);
}

static int rollup_step(struct dash_store *s, struct err *err)
{
	return dash_store_rollup_step(s, NOW + 2 * HOUR, err);
}

static const struct body_agent_registration agent = {.name = "c", .slot = BODY_UNKNOWN};
static const struct body_agent_heartbeat beat = {.name = "a",
	.status = "idle",
	.restarts = BODY_UNKNOWN,
	.rss_bytes = BODY_UNKNOWN};
static const struct dash_store_host known_host = {.host = "h", .managed = true};
static const struct dash_store_host new_host = {.host = "n",
	.managed = true,
	.has_desired = true,
	.max_agents = 5,
	.desired = {1, 1}};
static const struct dash_store_order order = {"t", 1, false};

CHANGES(register_agent, dash_store_register_agent(s, "h", &agent, NOW, (char[64]){""}, err))
CHANGES(heartbeat, dash_store_heartbeat(s, "h", &beat, NOW, &(bool){false}, err))
CHANGES(register_known_host, dash_store_register_host(s, &known_host, NOW, ONLINE, &d, err))
CHANGES(register_new_host, dash_store_register_host(s, &new_host, NOW, ONLINE, &d, err))
CHANGES(touch_host, dash_store_touch_host(s, "h", NOW, &d, err))
CHANGES(scale_host, dash_store_scale_host(s, "h", 2, &d, err))
CHANGES(set_total, dash_store_set_total(s, 4, NOW, ONLINE, err))
CHANGES(reconcile, dash_store_reconcile(s, NOW, ONLINE, err))
CHANGES(command_run, dash_store_command_run(s, &order, NOW, ONLINE, made, err))
CHANGES(command_cancel, dash_store_command_cancel(s, "r1", "h", NOW, made, err))
CHANGES(command_pause, dash_store_command_pause(s, true, true, NOW, made, err))
CHANGES(command_catch_up, dash_store_command_catch_up(s, "h", NOW, err))
CHANGES(command_done, dash_store_command_done(s, "h", "c", err))
CHANGES(expire_commands, dash_store_expire_commands(s, NOW + HOUR, err))
CHANGES(delete_target, dash_store_delete_target(s, "t", err))
CHANGES(expire_rollups, dash_store_expire_rollups(s, NOW, err))

static int change_target(struct dash_store *s, bool insert, struct err *err)
{
	struct target *t = target_new();
	int rc = dash_store_begin(s, err);

	free(t->id);
	t->id = x_strdup("t");
	free(t->label);
	t->label = x_strdup("new");
	t->url = x_strdup("http://n.example/");
	if (rc == 0)
		rc = insert ? dash_store_insert_target(s, t, NOW, err)
			    : (int)dash_store_update_target(s, t, NOW, err);
	dash_store_rollback(s);
	target_free(t);
	return rc;
}

static int insert_target(struct dash_store *s, struct err *err)
{
	return change_target(s, true, err);
}

static int update_target(struct dash_store *s, struct err *err)
{
	return change_target(s, false, err);
}

static int take_in(struct dash_store *s, char *id, char *agent_name, struct err *err)
{
	struct dash_store_run run = {.started_ms = NOW - HOUR};
	struct dash_store_upserted out = {0};
	int rc = dash_store_begin(s, err);

	run_init(&run.run);
	run.run.id = id;
	run.run.host = (char[]){"h"};
	run.run.agent = agent_name;
	run.run.target_id = (char[]){"t"};
	run.run.status = RUN_SUCCESS;
	run.run.started_ms = run.started_ms;
	if (rc == 0)
		rc = dash_store_upsert_run(s, &run, &out, err);
	free(out.text);
	dash_store_rollback(s);
	return rc;
}

static int upsert_run(struct dash_store *s, struct err *err)
{
	return take_in(s, (char[]){"new"}, (char[]){"a"}, err);
}

/* The agent has no number yet. */
static int upsert_run_of_new_agent(struct dash_store *s, struct err *err)
{
	return take_in(s, (char[]){"new"}, (char[]){"z"}, err);
}

/* r10 is running: its row is read and replaced. */
static int upsert_known_run(struct dash_store *s, struct err *err)
{
	return take_in(s, (char[]){"r10"}, (char[]){"a"}, err);
}

static int add_audit(struct dash_store *s, struct err *err)
{
	const struct dash_store_audit entry = {"admin", "::1", "pause", "", NULL};
	int rc = dash_store_begin(s, err);

	if (rc == 0)
		rc = dash_store_add_audit(s, &entry, NOW, err);
	dash_store_rollback(s);
	return rc;
}

static int backup(struct dash_store *s, struct err *err)
{
	char copy[64];
	int rc;

	snprintf(copy, sizeof(copy), "%s-copy", path);
	rc = dash_store_backup(s, copy, err);
	unlink(copy);
	return rc;
}

static const struct {
	const char *damaged, *function;
	call_fn *call;
} cases[] = {
#define CASE(damaged, function) \
	{ \
		damaged, #function, function \
	}
	CASE("meta", get_total),
	CASE("meta", is_paused),
	CASE("meta", register_known_host),
	CASE("meta", set_total),
	CASE("meta", reconcile),
	CASE("meta", scale_host),
	CASE("meta", command_pause),
	CASE("meta", command_catch_up),
	CASE("hosts", get_host),
	CASE("hosts", list_hosts),
	CASE("hosts", overview),
	CASE("hosts", register_known_host),
	CASE("hosts", register_new_host),
	CASE("hosts", touch_host),
	CASE("hosts", scale_host),
	CASE("hosts", set_total),
	CASE("hosts", reconcile),
	CASE("hosts", command_run),
	CASE("hosts", command_pause),
	CASE("hosts", command_catch_up),
	CASE("hosts", command_done),
	CASE("k6_agents", get_agent),
	CASE("k6_agents", list_agents),
	CASE("k6_agents", list_hosts),
	CASE("k6_agents", get_host),
	CASE("k6_agents", overview),
	CASE("k6_agents", register_agent),
	CASE("k6_agents", heartbeat),
	CASE("k6_agents", command_run),
	CASE("k6_agents", reap),
	CASE("sqlite_autoindex_k6_agents_2", get_agent),
	CASE("sqlite_autoindex_k6_agents_2", register_agent),
	CASE("sqlite_autoindex_k6_agents_2", heartbeat),
	CASE("k6_targets", get_target),
	CASE("k6_targets", list_targets),
	CASE("k6_targets", list_targets_for),
	CASE("k6_targets", find_target),
	CASE("k6_targets", delete_target),
	CASE("sqlite_autoindex_k6_targets_1", get_target),
	CASE("sqlite_autoindex_k6_targets_1", overview),
	CASE("sqlite_autoindex_k6_targets_1", knows_target),
	CASE("sqlite_autoindex_k6_targets_1", delete_target),
	CASE("k6_commands", list_commands),
	CASE("k6_commands", command_run),
	CASE("k6_commands", command_cancel),
	CASE("k6_commands", command_pause),
	CASE("k6_commands", command_done),
	CASE("k6_commands", expire_commands),
	CASE("k6_commands_host", list_commands),
	CASE("k6_commands_host", command_catch_up),
	CASE("k6_commands_host", command_cancel),
	CASE("sqlite_autoindex_k6_commands_1", command_cancel),
	CASE("sqlite_autoindex_k6_commands_1", command_done),
	CASE("sqlite_autoindex_k6_names_1", recent_runs),
	CASE("sqlite_autoindex_k6_names_1", runs_of_target),
	CASE("sqlite_autoindex_k6_names_1", runs_of_agent),
	CASE("sqlite_autoindex_k6_names_1", runs_of_host),
	CASE("sqlite_autoindex_k6_names_1", knows_target),
	CASE("sqlite_autoindex_k6_names_1", series_by_minutes),
	CASE("k6_names", runs_of_agent),
	CASE("k6_runs", get_run),
	CASE("k6_runs", get_run_row),
	CASE("k6_runs", recent_runs),
	CASE("k6_runs", runs),
	CASE("k6_runs", runs_of_target),
	CASE("k6_runs", runs_of_agent),
	CASE("k6_runs", runs_by_status),
	CASE("k6_runs", runs_by_p95),
	CASE("k6_runs", next_runs),
	CASE("k6_runs", series_by_minutes),
	CASE("k6_runs", series_by_hours),
	CASE("k6_runs", each_sample),
	CASE("k6_runs", each_overdue),
	CASE("k6_runs", rollup_step),
	CASE("k6_runs", reap),
	CASE("k6_runs", expire),
	CASE("sqlite_autoindex_k6_runs_1", get_run),
	CASE("sqlite_autoindex_k6_runs_1", get_run_row),
	CASE("k6_runs_time", runs),
	CASE("k6_runs_time", runs_of_target),
	CASE("k6_runs_time", each_sample),
	CASE("k6_runs_time", expire),
	CASE("k6_runs_target", recent_runs),
	CASE("k6_runs_target", next_runs),
	CASE("k6_runs_target", runs_of_target),
	CASE("k6_runs_target", series_by_minutes),
	CASE("k6_runs_target", rollup_step),
	CASE("k6_runs_agent", runs_of_agent),
	CASE("k6_runs_agent", reap),
	CASE("k6_runs_status", runs_by_status),
	CASE("k6_runs_status", each_overdue),
	CASE("k6_runs_status", reap),
	CASE("k6_runs_p95", runs_by_p95),
	CASE("k6_runs_errors", runs_by_errors),
	CASE("k6_runs_lag", runs_by_lag),
	CASE("k6_rollups", series_by_hours),
	CASE("k6_rollups", knows_target),
	CASE("k6_rollups", expire_rollups),
	CASE("k6_rollup_dirty", series_by_hours),
	CASE("k6_rollup_dirty", rollup_step),
	CASE("k6_rollup_dirty", expire),
	CASE("k6_audit", list_audit),
	CASE("k6_audit", add_audit),
	CASE("k6_targets", insert_target),
	CASE("k6_targets", update_target),
	CASE("sqlite_autoindex_k6_targets_1", insert_target),
	CASE("sqlite_autoindex_k6_targets_1", update_target),
	CASE("k6_names", upsert_run_of_new_agent),
	CASE("sqlite_autoindex_k6_names_1", upsert_run),
	CASE("sqlite_autoindex_k6_names_1", upsert_run_of_new_agent),
	CASE("k6_runs", upsert_run),
	CASE("k6_runs", upsert_known_run),
	CASE("sqlite_autoindex_k6_runs_1", upsert_run),
	CASE("sqlite_autoindex_k6_runs_1", upsert_known_run),
	CASE("k6_runs_time", upsert_run),
	CASE("k6_runs_target", upsert_run),
	CASE("k6_runs_agent", upsert_run),
	CASE("k6_runs_status", upsert_run),
	CASE("k6_runs_status", upsert_known_run),
	CASE("k6_runs_p95", upsert_run),
	CASE("k6_runs_errors", upsert_run),
	CASE("k6_runs_lag", upsert_run),
	CASE("k6_rollups", upsert_run),
	/* dash_store_version() has no row: SQLite has its two numbers in memory. */
	CASE("meta", backup),
	CASE("hosts", backup),
	CASE("k6_agents", backup),
	CASE("k6_targets", backup),
	CASE("k6_names", backup),
	CASE("k6_runs", backup),
	CASE("k6_rollups", backup),
	CASE("k6_audit", backup),
#undef CASE
};

struct seen {
	int changes;
	enum err_code code;
};

static void see(void *arg, const struct err *why)
{
	struct seen *seen = arg;

	seen->changes++;
	seen->code = why ? why->code : ERR_OTHER;
}

static void reads_of_damaged_pages_fail(void **state)
{
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct seen seen = {0};
		struct dash_store *s;
		struct err err = {0};
		int rc;

		make_database();
		damage(cases[i].damaged);
		s = dash_store_open(path, &err);
		if (!s)
			fail_msg("%s: %s", cases[i].damaged, err.msg);
		dash_store_watch(s, see, &seen);
		rc = cases[i].call(s, &err);
		if (rc != -1 || err.code != ERR_CORRUPT || seen.changes != 1 ||
			seen.code != ERR_CORRUPT || dash_store_check(s, &err) == 0) {
			print_error("%s of damaged %s: %d %s (%s), noted %d\n", cases[i].function,
				cases[i].damaged, rc, err_code_name(err.code),
				rc < 0 ? err.msg : "", seen.changes);
			failed++;
		}
		dash_store_close(s);
	}
	assert_int_equal(failed, 0);
}

/* The same calls work where nothing is damaged: the table above proves nothing by itself. */
static void the_same_reads_work_otherwise(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct seen seen = {0};
		struct dash_store *s;
		struct err err;

		make_database();
		s = dash_store_open(path, &err);
		assert_non_null(s);
		dash_store_watch(s, see, &seen);
		if (cases[i].call(s, &err) < 0)
			fail_msg("%s: %s", cases[i].function, err.msg);
		assert_int_equal(seen.changes, 0);
		assert_int_equal(dash_store_check(s, &err), 0);
		dash_store_close(s);
	}
}

static size_t list_names(char names[][64], size_t max)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	size_t n = 0;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_prepare_v2(db, "SELECT name FROM sqlite_master WHERE rootpage > 0", -1, &st, NULL);
	while (sqlite3_step(st) == SQLITE_ROW && n < max)
		snprintf(names[n++], sizeof(names[0]), "%s",
			(const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

/* Damage of any table or index is found at the start, before anybody asks. */
static void damage_is_found_at_the_start(void **state)
{
	char names[64][64];
	size_t n;

	(void)state;
	make_database();
	n = list_names(names, ARRAY_SIZE(names));
	assert_true(n > 20);
	for (size_t i = 0; i < n; i++) {
		struct seen seen = {0};
		struct dash_store *s;
		struct err err = {0};

		make_database();
		damage(names[i]);
		s = dash_store_open(path, &err);
		if (!s)
			fail_msg("%s: %s", names[i], err.msg);
		dash_store_watch(s, see, &seen);
		if (seen.code != ERR_CORRUPT || dash_store_check(s, &err) == 0)
			fail_msg("%s: nothing was noted", names[i]);
		/* It stays damaged. */
		assert_int_equal(dash_store_check(s, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_int_equal(seen.changes, 1);
		dash_store_close(s);
	}
}

/* Damage inside a row is noted as that of a page is, and the error names the row. */
static void rows_that_make_no_sense_are_damage(void **state)
{
	static const struct {
		const char *sql, *row;
		call_fn *call;
	} bad[] = {
		{"UPDATE k6_targets SET json = '{\"id\":' WHERE id = 'u'", "target u",
			list_targets},
		{"UPDATE k6_targets SET json = '{\"vus\":\"x\"}' WHERE id = 'u'", "\"u\"",
			list_targets_for},
		{"UPDATE k6_targets SET json = '{\"vus\":\"x\"}' WHERE id = 't'", "\"t\"",
			get_target},
		{"UPDATE k6_runs SET json = 'x' WHERE id = 'r1'", "run r1", get_run},
		{"UPDATE k6_runs SET json = 'x' WHERE id = 'r1'", "run r1", get_run_row},
		{"UPDATE k6_runs SET json = 'x' WHERE id = 'r1'", "run r1", runs},
		{"UPDATE k6_runs SET json = 'x' WHERE id = 'r1'", "run r1", next_runs},
		{"UPDATE k6_runs SET quantiles = x'00' WHERE id = 'r1'", "run r1", get_run},
		{"UPDATE k6_runs SET quantiles = '[1]' WHERE id = 'r1'", "row 1 of k6_runs",
			each_sample},
		{"UPDATE k6_agents SET progress = '{'", "agent a on h", list_agents},
		{"UPDATE k6_agents SET progress = '{'", "agent a on h", get_agent},
		{"UPDATE k6_audit SET detail = '{'", "entry 2 of the audit trail", list_audit},
		{"DELETE FROM k6_rollup_dirty; UPDATE k6_rollups SET digest = x'00'",
			"target t, hour 499999", series_by_hours},
		{"UPDATE k6_rollups SET digest = ''", "target t, hour 499999", upsert_run},
		{"UPDATE meta SET value = 7 WHERE key = 'paused'", "of meta", is_paused},
		{"UPDATE meta SET value = 'x' WHERE key = 'paused'", "of meta", is_paused},
		{"UPDATE meta SET value = 7 WHERE key = 'paused'", "of meta", command_catch_up},
		{"UPDATE meta SET value = -1 WHERE key = 'pause_seq'", "of meta", command_catch_up},
		{"UPDATE meta SET value = x'00' WHERE key = 'pause_seq'", "of meta", command_pause},
		{"INSERT INTO meta VALUES ('pause_at_once', 2)", "of meta", command_catch_up},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct seen seen = {0};
		struct dash_store *s;
		struct err err = {0};
		sqlite3 *db;

		make_database();
		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, bad[i].sql, NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		s = dash_store_open(path, &err);
		assert_non_null(s);
		dash_store_watch(s, see, &seen);
		/* A second call notes nothing new. */
		for (int call = 0; call < 2; call++) {
			if (bad[i].call(s, &err) != -1 || err.code != ERR_CORRUPT ||
				!strstr(err.msg, bad[i].row))
				fail_msg("%s: %s", bad[i].sql, err.msg);
			assert_int_equal(seen.changes, 1);
			assert_int_equal(seen.code, ERR_CORRUPT);
		}
		assert_int_equal(dash_store_check(s, &err), -1);
		assert_int_equal(err.code, ERR_CORRUPT);
		dash_store_close(s);
	}
}

/* --- a device that fails --------------------------------------------------------------------- */

static sqlite3_io_methods failing_methods;
static const sqlite3_io_methods *real_methods;
static int (*real_open)(
	sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out);
static bool device_fails;

static int failing_read(sqlite3_file *file, void *buf, int n, sqlite3_int64 offset)
{
	if (device_fails)
		return SQLITE_IOERR_READ;
	return real_methods->xRead(file, buf, n, offset);
}

static int failing_open(
	sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out)
{
	int rc = real_open(vfs, name, file, flags, out);

	if (rc == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB)) {
		real_methods = file->pMethods;
		failing_methods = *real_methods;
		failing_methods.xRead = failing_read;
		/* Else pages are read by memory mapping or by xFetch. */
		failing_methods.iVersion = 2;
		file->pMethods = &failing_methods;
	}
	return rc;
}

static void a_device_may_fail_and_recover(void **state)
{
	static sqlite3_vfs vfs;
	struct seen seen = {0};
	sqlite3 *other;
	struct dash_store *s;
	struct err err;

	(void)state;
	vfs = *sqlite3_vfs_find(NULL);
	real_open = vfs.xOpen;
	vfs.zName = "failing";
	vfs.xOpen = failing_open;
	sqlite3_vfs_register(&vfs, 1);
	make_database();
	s = dash_store_open(path, &err);
	assert_non_null(s);
	dash_store_watch(s, see, &seen);
	/* Another process has written, so the pages in memory are not valid any more. */
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(other, "UPDATE meta SET value = 4 WHERE key = 'total'", 0, 0, 0), 0);
	device_fails = true;
	assert_int_equal(list_audit(s, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(list_audit(s, &err), -1);
	assert_int_equal(backup(s, &err), -1);
	assert_int_equal(add_audit(s, &err), -1);
	assert_int_equal(seen.changes, 1);
	assert_int_equal(seen.code, ERR_IO);
	assert_int_equal(dash_store_check(s, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	device_fails = false;
	assert_int_equal(list_audit(s, &err), 0);
	assert_int_equal(seen.changes, 1);
	assert_int_equal(dash_store_check(s, &err), 0);
	assert_int_equal(seen.changes, 2);
	assert_int_equal(seen.code, ERR_OTHER);
	dash_store_close(s);
	sqlite3_close(other);
	sqlite3_vfs_unregister(&vfs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_of_damaged_pages_fail),
		cmocka_unit_test(the_same_reads_work_otherwise),
		cmocka_unit_test(damage_is_found_at_the_start),
		cmocka_unit_test(rows_that_make_no_sense_are_damage),
		cmocka_unit_test(a_device_may_fail_and_recover),
	};
	int fd = mkstemp(path), rc;

	if (fd < 0)
		return 1;
	close(fd);
	make_sound();
	rc = cmocka_run_group_tests_name("store_damage", tests, NULL, NULL);
	remove_database();
	free(sound);
	return rc;
}
