/* SPDX-License-Identifier: MIT */
/* The supervisor's store: every read against every damaged page of its database, and what
 * becomes of its state. */
#include "test.h"

#include <ev.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "common/json.h"
#include "supervisor/fleet_store.h"
#include "supervisor/fleet_store_db.h"

#define NOW INT64_C(1800000000000)
#define RUNS 300
#define PAGE 4096

static char dir[] = "/tmp/k6fleet-test-store.XXXXXX";
static char path[80];

static void remove_files(void)
{
	static const char *const ends[] = {"", "-wal", "-shm"};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char name[96];

		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
}

static void run_id(int i, char id[40])
{
	snprintf(id, 40, "0190aaaa-bbbb-7ccc-8ddd-%012d", i);
}

static struct fleet_store_db *open_db(void)
{
	struct err err;
	struct fleet_store_db *db = fleet_store_db_open(path, &err);

	if (!db)
		fail_msg("%s", err.msg);
	fleet_store_db_use_outbox(db, true);
	return db;
}

static int try(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	int rc = fleet_store_db_begin(db, err);

	if (rc == 0)
		rc = fleet_store_db_do(db, t, err);
	if (rc == 0)
		rc = fleet_store_db_commit(db, err);
	if (rc < 0)
		fleet_store_db_rollback(db);
	return rc;
}

static void do_task(struct fleet_store_db *db, struct fleet_store_task *t)
{
	struct err err;

	if (try(db, t, &err) < 0)
		fail_msg("%s", err.msg);
	fleet_store_task_clear(t);
}

/* json NULL: a sound one. */
static void put_json(struct fleet_store_db *db, int i, enum run_status status, const char *json)
{
	struct fleet_store_task t = {.type = FLEET_STORE_PUT_RUN};
	char id[40];

	run_id(i, id);
	t.put_run.id = x_strdup(id);
	t.put_run.agent = x_asprintf("web1-%d", i % 50);
	t.put_run.target_id = x_asprintf("target-%d", i % 20);
	t.put_run.target_label = x_strdup("shop");
	t.put_run.json = json
		? x_strdup(json)
		: x_asprintf(
			  "{\"id\":\"%s\",\"status\":\"%s\",\"resources\":{\"maxRssBytes\":%d,\"tmpBytes\":1}}",
			  id, run_status_names[status], 1000 + i);
	t.put_run.log = i % 3 ? NULL : x_strdup("a log");
	t.put_run.status = status;
	t.put_run.scheduled_ms = NOW + i;
	do_task(db, &t);
}

static void put(struct fleet_store_db *db, int i, enum run_status status)
{
	put_json(db, i, status, NULL);
}

/* Hundreds of runs, so that each table and index has more than one page. */
static void make_database(void)
{
	struct fleet_store_db *db;

	remove_files();
	db = open_db();
	for (int i = 0; i < RUNS; i++) {
		struct fleet_store_task t = {.type = FLEET_STORE_META_SET},
					o = {.type = FLEET_STORE_ORIGIN_SET};

		t.meta_set.key = x_asprintf("key-%d", i);
		t.meta_set.value = x_asprintf("%0100d", i);
		do_task(db, &t);
		o.origin_set.target_id = x_asprintf("target-%d-%060d", i, i);
		o.origin_set.wall_ms = NOW + i;
		do_task(db, &o);
		put(db, i, i % 4 ? RUN_SUCCESS : RUN_RUNNING);
	}
	fleet_store_db_close(db);
}

/* A page as a bad sector leaves it. */
static void damage(unsigned page)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	char bytes[16];

	memset(bytes, 0xff, sizeof(bytes));
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), (page - 1) * PAGE + 8), sizeof(bytes));
	close(fd);
}

/* --- reads: each returns its result as a text, or -1 with err --------------------------------- */

static int as_text(
	struct fleet_store_db *db, struct fleet_store_task *t, char **out, struct err *err)
{
	int rc = try(db, t, err);

	if (rc == 0)
		*out = json_compact(t->result);
	fleet_store_task_clear(t);
	return rc;
}

static int read_meta(struct fleet_store_db *db, char **out, struct err *err)
{
	enum found found = fleet_store_db_meta_get(db, "key-150", out, err);

	assert_int_not_equal(found, NOT_FOUND);
	return found == FOUND ? 0 : -1;
}

static int read_running(struct fleet_store_db *db, char **out, struct err *err)
{
	struct run_list list = {0};
	int rc = fleet_store_db_running(db, &list, err);

	if (rc == 0)
		*out = x_asprintf(
			"%zu %s %s", list.count, list.runs[0].id, list.runs[list.count - 1].id);
	run_list_clear(&list);
	return rc;
}

static int read_origins(struct fleet_store_db *db, char **out, struct err *err)
{
	json_t *origins;
	int rc = fleet_store_db_origins(db, &origins, err);

	if (rc == 0)
		*out = json_compact(origins);
	json_decref(origins);
	return rc;
}

static int read_outbox_count(struct fleet_store_db *db, char **out, struct err *err)
{
	int64_t n;
	int rc = fleet_store_db_count_outbox(db, &n, err);

	if (rc == 0)
		*out = x_asprintf("%lld", (long long)n);
	return rc;
}

static int read_outbox(struct fleet_store_db *db, char **out, struct err *err)
{
	struct fleet_store_task t = {
		.type = FLEET_STORE_FETCH_OUTBOX, .fetch_outbox = {.limit = RUNS}};

	return as_text(db, &t, out, err);
}

static int read_list(struct fleet_store_db *db, char **out, struct err *err)
{
	struct fleet_store_task t = {.type = FLEET_STORE_LIST_RUNS, .list_runs = {.limit = RUNS}};

	t.list_runs.target = x_strdup("");
	t.list_runs.agent = x_strdup("");
	return as_text(db, &t, out, err);
}

static int read_filtered(struct fleet_store_db *db, char **out, struct err *err)
{
	struct fleet_store_task t = {.type = FLEET_STORE_LIST_RUNS, .list_runs = {.limit = RUNS}};

	t.list_runs.target = x_strdup("target-7");
	t.list_runs.agent = x_strdup("web1-7");
	return as_text(db, &t, out, err);
}

static int read_run(struct fleet_store_db *db, char **out, struct err *err)
{
	struct fleet_store_task t = {.type = FLEET_STORE_GET_RUN};
	char id[40];

	run_id(150, id);
	t.get_run.id = x_strdup(id);
	return as_text(db, &t, out, err);
}

static int read_run_by_end(struct fleet_store_db *db, char **out, struct err *err)
{
	struct fleet_store_task t = {.type = FLEET_STORE_GET_RUN};

	t.get_run.id = x_strdup("000000000150");
	return as_text(db, &t, out, err);
}

static int read_last_results(struct fleet_store_db *db, char **out, struct err *err)
{
	struct fleet_store_task t = {.type = FLEET_STORE_LAST_RESULTS};

	return as_text(db, &t, out, err);
}

/* Not reads alone, but they must find what they change. */
static int prune_old(struct fleet_store_db *db, char **out, struct err *err)
{
	struct fleet_store_task t = {.type = FLEET_STORE_PRUNE,
		.prune = {.before_wall_ms = NOW + RUNS, .max_bytes = INT64_MAX}};
	int rc = try(db, &t, err);

	if (rc == 0)
		*out = x_asprintf("%lld", (long long)t.prune.deleted);
	fleet_store_task_clear(&t);
	return rc;
}

static int acknowledge(struct fleet_store_db *db, char **out, struct err *err)
{
	struct fleet_store_task t = {.type = FLEET_STORE_ACK};
	char id[40];

	run_id(150, id);
	t.ack.acks = json_pack("[[s, i]]", id, 1);
	if (try(db, &t, err) < 0) {
		fleet_store_task_clear(&t);
		return -1;
	}
	fleet_store_task_clear(&t);
	return read_outbox_count(db, out, err);
}

static const struct {
	const char *name;
	int (*read)(struct fleet_store_db *db, char **out, struct err *err);
	const char *objects; /* whose first pages the read cannot do without */
} reads[] = {
	{"meta_get", read_meta, "meta"},
	{"running", read_running, "runs runs_running"},
	{"origins", read_origins, "origins"},
	{"count_outbox", read_outbox_count, "runs_outbox"},
	{"fetch_outbox", read_outbox, "runs runs_outbox"},
	{"list_runs", read_list, "runs"},
	{"list_runs with filters", read_filtered, "runs"},
	{"get_run", read_run, "runs sqlite_autoindex_runs_1"},
	{"get_run by the end", read_run_by_end, "runs"},
	{"last_results", read_last_results, "runs"},
	{"prune", prune_old, "runs_at"},
	{"ack", acknowledge, "runs sqlite_autoindex_runs_1"},
};

struct page {
	char *object; /* whose root it is, NULL: some other page */
};

static unsigned count_pages(struct page **out)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	unsigned n = 0;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA page_count", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (unsigned)sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	*out = x_calloc(n + 1, sizeof(**out));
	assert_int_equal(
		sqlite3_prepare_v2(db, "SELECT rootpage, name FROM sqlite_master", -1, &st, NULL),
		SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW)
		(*out)[sqlite3_column_int(st, 0)].object =
			x_strdup((const char *)sqlite3_column_text(st, 1));
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static bool needs(const char *objects, const char *object)
{
	const char *at = strstr(objects, object);
	size_t len = strlen(object);

	return at && (at == objects || at[-1] == ' ') && (at[len] == ' ' || !at[len]);
}

/* From the whole database, which each read leaves as it was. */
static void copy_database(const char *from)
{
	_cleanup_free_ char *command = x_asprintf("cp %s %s", from, path);

	remove_files();
	assert_int_equal(system(command), 0);
}

static void a_damaged_page_is_never_an_empty_answer(void **state)
{
	_cleanup_free_ char *whole = x_asprintf("%s.whole", path);
	_cleanup_free_ char *command = x_asprintf("cp %s %s", path, whole);
	struct page *pages;
	unsigned count, roots = 0, errors = 0;

	(void)state;
	make_database();
	count = count_pages(&pages);
	assert_int_equal(system(command), 0);
	for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
		_cleanup_free_ char *want = NULL;
		struct err err;

		copy_database(whole);
		for (unsigned p = 1; p <= count; p++) {
			_cleanup_free_ char *got = NULL;
			struct fleet_store_db *db;
			int rc;

			/* Page 1 has the schema: without it nothing opens.  The first round
			 * tells what is right. */
			copy_database(whole);
			if (p > 1)
				damage(p);
			db = open_db();
			rc = reads[i].read(db, &got, &err);
			fleet_store_db_close(db);
			if (p == 1) {
				assert_int_equal(rc, 0);
				want = steal_ptr(got);
				continue;
			}
			errors += rc < 0;
			roots += rc < 0 && pages[p].object;
			if (rc < 0 && err.code != ERR_CORRUPT)
				fail_msg("%s, page %u: %s is %s", reads[i].name, p, err.msg,
					err_code_name(err.code));
			if (rc == 0 && strcmp(got, want) != 0)
				fail_msg("%s, page %u: \"%.200s\" instead of \"%.200s\"",
					reads[i].name, p, got, want);
			if (rc == 0 && pages[p].object && needs(reads[i].objects, pages[p].object))
				fail_msg("%s does not notice that %s is damaged", reads[i].name,
					pages[p].object);
		}
	}
	assert_true(roots >= ARRAY_SIZE(reads) && errors > 10 * roots / 4);
	for (unsigned p = 0; p <= count; p++)
		free(pages[p].object);
	free(pages);
	unlink(whole);
}

/* A record that is no JSON: of one that still runs the columns are known, one that was asked for
 * is an error, and in the outbox it keeps nobody waiting. */
static void a_damaged_record_is_said(void **state)
{
	struct fleet_store_task outbox = {
		.type = FLEET_STORE_FETCH_OUTBOX, .fetch_outbox = {.limit = 10}};
	struct fleet_store_task t = {.type = FLEET_STORE_PUT_RUN};
	_cleanup_free_ char *text = NULL;
	struct run_list list = {0};
	struct fleet_store_db *db;
	struct err err;

	(void)state;
	remove_files();
	db = open_db();
	t.put_run.id = x_strdup("0190aaaa-bbbb-7ccc-8ddd-000000000150");
	t.put_run.agent = x_strdup("web1-3");
	t.put_run.target_id = x_strdup("t-1");
	t.put_run.target_label = x_strdup("shop");
	t.put_run.json = x_strdup("{\"id\":");
	t.put_run.scheduled_ms = NOW;
	do_task(db, &t);
	put(db, 1, RUN_SUCCESS);
	assert_int_equal(fleet_store_db_running(db, &list, &err), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.runs[0].agent, "web1-3");
	assert_string_equal(list.runs[0].id, "0190aaaa-bbbb-7ccc-8ddd-000000000150");
	assert_int_equal(list.runs[0].scheduled_ms, NOW);
	run_list_clear(&list);
	assert_int_equal(read_run(db, &text, &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	assert_non_null(strstr(err.msg, "-000000000150"));
	assert_int_equal(read_list(db, &text, &err), -1);
	assert_int_equal(try(db, &outbox, &err), 0);
	assert_int_equal(json_array_size(outbox.result), 1);
	assert_string_equal(outbox.fetch_outbox.damaged, "0190aaaa-bbbb-7ccc-8ddd-000000000150");
	fleet_store_task_clear(&outbox);
	fleet_store_db_close(db);
}

/* Returns how many records the outbox gives, from which run on. */
static size_t fetch(struct fleet_store_db *db, int limit, char first[40])
{
	struct fleet_store_task t = {
		.type = FLEET_STORE_FETCH_OUTBOX, .fetch_outbox = {.limit = limit}};
	struct err err;
	size_t n;

	if (try(db, &t, &err) < 0)
		fail_msg("%s", err.msg);
	assert_non_null(t.fetch_outbox.damaged);
	n = json_array_size(t.result);
	snprintf(first, 40, "%s",
		json_get_text(json_object_get(json_array_get(t.result, 0), "run"), "id", ""));
	fleet_store_task_clear(&t);
	return n;
}

/* However many damaged ones are in front, and whatever their damage: a bad sector within the
 * text may leave JSON, of another type or with another id. */
static void damaged_records_block_no_outbox(void **state)
{
	static const char *const texts[] = {"", "{\"id\":", "[]", "{}", "{\"id\":\"another\"}"};
	struct fleet_store_db *db;
	char want[40], first[40];

	(void)state;
	remove_files();
	db = open_db();
	put_json(db, 0, RUN_SUCCESS, texts[0]);
	put(db, 1000, RUN_SUCCESS);
	run_id(1000, want);
	assert_int_equal(fetch(db, 1, first), 1);
	assert_string_equal(first, want);
	fleet_store_db_close(db);
	remove_files();
	db = open_db();
	for (int i = 0; i < 600; i++)
		put_json(db, i, RUN_SUCCESS, texts[i % (int)ARRAY_SIZE(texts)]);
	for (int i = 1000; i < 1500; i++) {
		put(db, i, RUN_SUCCESS);
		if (i % 2)
			put_json(db, i + 1000, RUN_SUCCESS, texts[0]);
	}
	assert_int_equal(fetch(db, 500, first), 500);
	assert_string_equal(first, want);
	assert_int_equal(fetch(db, 1, first), 1);
	assert_string_equal(first, want);
	assert_int_equal(fetch(db, 1000, first), 500);
	assert_int_equal(fetch(db, 7, first), 7);
	fleet_store_db_close(db);
}

/* Its memory is not known; its result is. */
static void a_damaged_record_spoils_no_last_results(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct fleet_store_db *db;
	struct err err;

	(void)state;
	remove_files();
	db = open_db();
	put(db, 1, RUN_SUCCESS);
	put_json(db, 2, RUN_FAILED, "{\"id\":");
	if (read_last_results(db, &text, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(text,
		"{\"agents\":{\"web1-1\":\"success\",\"web1-2\":\"failed\"},"
		"\"targets\":{\"target-1\":1002}}");
	fleet_store_db_close(db);
}

static void what_is_not_there_is_no_error(void **state)
{
	struct fleet_store_task t = {.type = FLEET_STORE_GET_RUN};
	struct run_list list = {0};
	char *value = NULL;
	struct fleet_store_db *db;
	struct err err;

	(void)state;
	remove_files();
	db = open_db();
	assert_int_equal(fleet_store_db_meta_get(db, "paused", &value, &err), NOT_FOUND);
	assert_null(value);
	assert_int_equal(fleet_store_db_running(db, &list, &err), 0);
	assert_int_equal(list.count, 0);
	t.get_run.id = x_strdup("0190aaaa-bbbb-7ccc-8ddd-000000000150");
	assert_int_equal(try(db, &t, &err), 0);
	assert_true(json_is_null(t.result));
	fleet_store_task_clear(&t);
	fleet_store_db_close(db);
}

/* --- the state ------------------------------------------------------------------------------ */

static bool answered;
static struct err answer;

static void on_result(void *arg, json_t *result, const struct err *err)
{
	(void)result;
	answered = true;
	answer = err ? *err : (struct err){0};
	ev_break(arg, EVBREAK_ALL);
}

static void on_done(void *arg, const struct err *err)
{
	on_result(arg, NULL, err);
}

static void wait_for(struct ev_loop *loop)
{
	for (answered = false; !answered;)
		ev_run(loop, 0);
}

static void a_damaged_store_starts_no_runs(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct fleet_store *s;
	struct page *pages;
	struct run run;
	unsigned count;
	struct err err;

	(void)state;
	make_database();
	count = count_pages(&pages);
	for (unsigned p = 0; p <= count; p++) {
		if (pages[p].object && !strcmp(pages[p].object, "sqlite_autoindex_runs_1"))
			damage(p);
		free(pages[p].object);
	}
	free(pages);
	s = fleet_store_open(loop, dir, false, &err);
	assert_non_null(s);
	assert_int_equal(fleet_store_outbox_count(s), RUNS);
	assert_int_equal(fleet_store_start(s, &err), 0);
	assert_int_equal(fleet_store_state(s), FLEET_STORE_OK);
	fleet_store_get_run(s, "0190aaaa-bbbb-7ccc-8ddd-000000000150", on_result, loop);
	wait_for(loop);
	assert_int_equal(answer.code, ERR_CORRUPT);
	assert_int_equal(fleet_store_state(s), FLEET_STORE_FAILING);
	assert_non_null(strstr(fleet_store_error(s), ".recover"));
	/* A write elsewhere that succeeds heals nothing. */
	fleet_store_probe(s);
	fleet_store_list_runs(s, 1, "", "", false, on_result, loop);
	wait_for(loop);
	assert_int_equal(answer.msg[0], '\0');
	assert_int_equal(fleet_store_state(s), FLEET_STORE_FAILING);
	/* Who waits for a write hears of its error. */
	run_init(&run);
	run.id = x_strdup("0190aaaa-bbbb-7ccc-8ddd-000000000999");
	run.agent = x_strdup("a");
	run.target_id = x_strdup("t");
	run.target_label = x_strdup("t");
	fleet_store_put_run(s, &run, on_done, loop);
	wait_for(loop);
	assert_int_equal(answer.code, ERR_CORRUPT);
	run_clear(&run);
	fleet_store_close(s);
	ev_loop_destroy(loop);
}

/* Who may read must not be able to stop the fleet by reading. */
static void a_damaged_record_fails_its_reads_only(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct fleet_store_db *db;
	struct fleet_store *s;
	struct err err;
	char id[40];

	(void)state;
	remove_files();
	db = open_db();
	put_json(db, 1, RUN_SUCCESS, "{\"id\":");
	put(db, 2, RUN_SUCCESS);
	fleet_store_db_close(db);
	s = fleet_store_open(loop, dir, false, &err);
	assert_non_null(s);
	assert_int_equal(fleet_store_start(s, &err), 0);
	run_id(1, id);
	fleet_store_list_runs(s, 10, "", "", false, on_result, loop);
	wait_for(loop);
	assert_int_equal(answer.code, ERR_MALFORMED);
	assert_non_null(strstr(answer.msg, id));
	fleet_store_get_run(s, id, on_result, loop);
	wait_for(loop);
	assert_int_equal(answer.code, ERR_MALFORMED);
	assert_non_null(strstr(answer.msg, id));
	assert_int_equal(fleet_store_state(s), FLEET_STORE_OK);
	run_id(2, id);
	fleet_store_get_run(s, id, on_result, loop);
	wait_for(loop);
	assert_int_equal(answer.msg[0], '\0');
	fleet_store_close(s);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_there_is_no_error),
		cmocka_unit_test(a_damaged_page_is_never_an_empty_answer),
		cmocka_unit_test(a_damaged_record_is_said),
		cmocka_unit_test(damaged_records_block_no_outbox),
		cmocka_unit_test(a_damaged_record_spoils_no_last_results),
		cmocka_unit_test(a_damaged_record_fails_its_reads_only),
		cmocka_unit_test(a_damaged_store_starts_no_runs),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/supervisor.db", dir);
	rc = cmocka_run_group_tests_name("fleet_store", tests, NULL, NULL);
	remove_files();
	rmdir(dir);
	return rc;
}
