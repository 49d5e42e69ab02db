/* SPDX-License-Identifier: MIT */
/*
 * Bodies of HTTP requests, through the router, the checks and a store on disk: no answer is a
 * 5xx, each has a type and, where it is JSON, is JSON.  The first byte chooses the operation;
 * the rest is the body.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/events.h"
#include "dashboard/live.h"
#include "dashboard/page_cache.h"
#include "dashboard/routes.h"
#include "dashboard/settings.h"
#include "dashboard/store.h"
#include "dashboard/stream.h"
#include "dashboard/throttle.h"

#define AGENT "Bearer agent-secret"
/* The HTTP server decodes the user and the password. */
#define ADMIN "Basic …"
/* After so many inputs the store is a new one, so that a find does not depend on all that came
 * before. */
#define INPUTS_PER_STORE 2000

static const struct operation {
	const char *method, *path, *authorization;
} operations[] = {
	{"POST", "/api/k6/runs", AGENT},
	{"POST", "/api/k6/agents/register", AGENT},
	{"POST", "/api/k6/agents/heartbeat", AGENT},
	{"POST", "/api/admin/k6/targets/import", ADMIN},
	{"POST", "/api/admin/k6/targets", ADMIN},
	{"PUT", "/api/admin/config", ADMIN},
	{"PUT", "/api/admin/k6/hosts/web1", ADMIN},
	{"POST", "/api/k6/hosts/web1/scale", AGENT},
	{"POST", "/api/admin/k6/pause", ADMIN},
};
/* What an operation has stored is read after it. */
static const char *const reads[] = {"/api/dashboard/k6/runs", "/api/dashboard/k6/agents",
	"/api/admin/k6/targets/export", "/api/dashboard/k6/overview", "/api/dashboard/k6/hosts",
	"/api/metrics", "/api/dashboard/k6/runs.csv"};

static struct settings settings;
static struct api api;
static char dir[64];

static void remove_store(void)
{
	static const char *const parts[] = {"db", "db-wal", "db-shm", "db.unclean"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		_cleanup_free_ char *path = x_asprintf("%s/%s", dir, parts[i]);

		unlink(path);
	}
}

static void open_store(void)
{
	_cleanup_free_ char *path = x_asprintf("%s/db", dir);
	struct err err;

	api.store = dash_store_open(path, &err);
	if (!api.store)
		fprintf(stderr, "%s\n", err.msg);
	FUZZ_HOLDS(api.store);
	api.live = live_new();
	api.events = events_new(units_now_wall_ms());
	api.pages = page_cache_new();
}

static void close_store(void)
{
	page_cache_free(api.pages);
	events_free(api.events);
	live_free(api.live);
	dash_store_close(api.store);
	remove_store();
}

static void at_end(void)
{
	close_store();
	rmdir(dir);
	throttle_free(api.throttle);
	free(api.secret);
	free(api.admin);
	settings_free(&settings);
}

static void set_up(void)
{
	struct err err;

	snprintf(dir, sizeof(dir), "%s/k6fleet-fuzz.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	FUZZ_HOLDS(mkdtemp(dir));
	log_init("fuzz", LOG_LEVEL_ERROR, false);
	FUZZ_HOLDS(settings_load(&settings, NULL, "", &err) == 0);
	api.config = &settings;
	api.secret = x_strdup("agent-secret");
	api.admin = x_strdup("admin:pass-for-tests");
	api.throttle = throttle_new(0);
	open_store();
	atexit(at_end);
}

static const char *no_query(const struct api_request *req, const char *name)
{
	(void)req;
	(void)name;
	return NULL;
}

static void read_stream(struct stream *stream)
{
	char buf[4096];

	while (!stream->waits && stream->read(stream->state, buf, sizeof(buf)) > 0)
		;
	stream->close(stream->state);
}

static void call(const char *method, const char *path, const char *authorization, const char *body,
	size_t len)
{
	struct api_request req = {.api = &api,
		.method = method,
		.path = path,
		.authorization = authorization,
		.user = !strcmp(authorization, ADMIN) ? "admin" : NULL,
		.password = !strcmp(authorization, ADMIN) ? "pass-for-tests" : NULL,
		.content_type = "application/json",
		.address = "127.0.0.1",
		.body = body,
		.body_len = len,
		.query = no_query};
	struct api_response res = {.status = 500, .type = "application/json"};

	routes_handle(&req, &res);
	if (res.status >= 500)
		fprintf(stderr, "%s %s: %d %.*s\n", method, path, res.status, (int)res.body_len,
			res.body ? res.body : "");
	FUZZ_HOLDS(res.status >= 200 && res.status < 500 && res.type);
	if (res.body && res.body_len && !strcmp(res.type, "application/json")) {
		_cleanup_json_ json_t *json = json_loadb(res.body, res.body_len, 0, NULL);

		FUZZ_HOLDS(json);
	}
	if (res.stream)
		read_stream(res.stream);
	free(res.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int inputs;
	const struct operation *op;

	if (!api.store)
		set_up();
	else if (++inputs % INPUTS_PER_STORE == 0) {
		close_store();
		open_store();
	}
	if (!size)
		return 0;
	op = &operations[data[0] % (sizeof(operations) / sizeof(operations[0]))];
	call(op->method, op->path, op->authorization, (const char *)data + 1, size - 1);
	call("GET", reads[inputs % (int)(sizeof(reads) / sizeof(reads[0]))], ADMIN, NULL, 0);
	return 0;
}
