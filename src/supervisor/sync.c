/* SPDX-License-Identifier: MIT */
/*
 * Five conversations, each with a timer and at most one request under way: register (which also
 * carries a desired count that the dashboard has not heard of), scale, poll, heartbeat, outbox.  A
 * failed request is repeated after a delay with jitter; until then the fleet goes on with what it
 * knows.
 */
#include "supervisor/sync.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#include "common/body.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sandbox_layers.h"
#include "common/units.h"
#include "supervisor/http_client.h"

#define BACKOFF_MIN_MS 500
/* A request every 15 s costs a dashboard little during an outage, and ends the outage for this host
 * soon after. */
#define BACKOFF_MAX_MS 15000
#define OUTBOX_BATCH_MAX 500
/* Records that are written within this time are sent in one batch. */
#define OUTBOX_GATHER_MS 50

enum conversation { REGISTER, SCALE, POLL, HEARTBEAT, OUTBOX, CONVERSATIONS };

static const char *const conversation_names[CONVERSATIONS] = {
	[REGISTER] = "register",
	[SCALE] = "scale",
	[POLL] = "targets",
	[HEARTBEAT] = "heartbeat",
	[OUTBOX] = "runs",
};

struct talk {
	struct sync *sync;
	enum conversation what;
	ev_timer timer;
	bool under_way;
	bool in_store; /* the request under way is one to the local store */
	bool again;    /* asked for again while a request was under way */
	unsigned int failures;
};

struct sync {
	struct sync_parts with;
	struct http_client *http; /* NULL: no dashboard is configured */
	bool started;
	struct talk talks[CONVERSATIONS];
	char *etag;
	bool targets_refused; /* the last list could not be taken, which has been logged */
	bool registered;
	bool scale_pending; /* this host's count is on its way: older responses are ignored */
	enum sync_state state;
	int64_t last_contact_ms;
	char last_error[256];
	int batch;
	json_t *posting;       /* rows of the outbox request under way */
	json_t *acknowledging; /* commands in the heartbeat under way */
	struct log_limit limit;
};

static void start_talk(struct talk *t);

static void schedule_talk(struct talk *t, int64_t delay_ms)
{
	struct ev_loop *loop = t->sync->with.loop;

	ev_timer_stop(loop, &t->timer);
	ev_timer_set(&t->timer, (double)delay_ms / 1000, 0.);
	ev_timer_start(loop, &t->timer);
}

/* Starts the conversation after delay_ms at the latest; if a request is under way, right after
 * it. */
static void hurry(struct talk *t, int64_t delay_ms)
{
	if (t->under_way)
		t->again = true;
	else if (!ev_is_active(&t->timer) ||
		ev_timer_remaining(t->sync->with.loop, &t->timer) * 1000 > (double)delay_ms)
		schedule_talk(t, delay_ms);
}

static double random_share(void)
{
	return 0.5 + (double)(random() % 1000) / 2000; /* 0.5 .. 1 */
}

static int64_t backoff_ms(const struct talk *t, const struct http_reply *reply)
{
	int64_t ms = BACKOFF_MIN_MS;

	if (reply->retry_after_ms)
		return reply->retry_after_ms;
	for (unsigned int i = 1; i < t->failures && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	return (int64_t)((double)ms * random_share());
}

static void note_success(struct talk *t)
{
	struct sync *s = t->sync;

	if (s->state != SYNC_CONNECTED)
		log_event(LOG_LEVEL_INFO, "dashboard", "connected",
			LOG_WORD("url", s->with.conf->dashboard.url));
	s->state = SYNC_CONNECTED;
	s->last_contact_ms = units_now_mono_ms();
	s->last_error[0] = '\0';
	t->failures = 0;
}

/* Logs the failure, once for each change of state, and sets the timer for the next try. */
static void note_failure(struct talk *t, const struct http_reply *reply, const char *why)
{
	struct sync *s = t->sync;
	enum sync_state state = reply->status ? SYNC_REFUSED : SYNC_UNREACHABLE;
	int64_t delay;

	t->failures++;
	delay = backoff_ms(t, reply);
	if (reply->status == 401)
		snprintf(s->last_error, sizeof(s->last_error),
			"the dashboard does not accept the secret (401): compare DASHBOARD_SECRET or secret_file "
			"on both sides");
	else if (reply->status)
		snprintf(s->last_error, sizeof(s->last_error),
			"the dashboard answered %s with %d%s%.120s", conversation_names[t->what],
			reply->status, why ? ": " : "", why ? why : "");
	else
		snprintf(s->last_error, sizeof(s->last_error), "%.200s", reply->error);
	if (reply->status)
		s->last_contact_ms = units_now_mono_ms();
	if (s->state != state || log_limit_allows(&s->limit, 2))
		log_event(LOG_LEVEL_WARN, "dashboard", "request failed, runs are kept",
			LOG_WORD("request", conversation_names[t->what]),
			LOG_INT("next_try_ms", delay),
			LOG_INT("outbox", fleet_store_outbox_count(s->with.store)),
			LOG_ERROR(s->last_error));
	s->state = state;
	schedule_talk(t, delay);
}

static struct body_desired own_desired(const struct sync *s)
{
	return (struct body_desired){.known = true,
		.agents = desired_count(s->with.desired),
		.revision = desired_revision(s->with.desired)};
}

/* Takes the dashboard's desired count if its revision is newer; with tie_wins also if it is the
 * same. */
static void take_desired(struct sync *s, const json_t *answer, bool tie_wins)
{
	struct body_desired desired;
	int64_t agents, revision;

	body_desired_read(json_object_get(answer, "desired"), &desired);
	agents = desired.agents;
	revision = desired.revision;
	if (agents < 0 || revision < 0 || s->scale_pending)
		return;
	if (revision < desired_revision(s->with.desired) ||
		(revision == desired_revision(s->with.desired) && !tie_wins))
		return;
	if (agents > s->with.conf->max_workers) {
		if (log_limit_allows(&s->limit, 2))
			log_event(LOG_LEVEL_WARN, "dashboard", "wants more than max_workers allows",
				LOG_INT("agents", agents),
				LOG_INT("max_workers", s->with.conf->max_workers));
		agents = s->with.conf->max_workers;
	}
	if (revision != desired_revision(s->with.desired) ||
		agents != desired_count(s->with.desired))
		desired_set(s->with.desired, (unsigned int)agents, revision, false, "dashboard");
}

/* --- register ------------------------------------------------------------------ */

static void on_registered(struct talk *t, const struct http_reply *reply, const json_t *answer)
{
	struct sync *s = t->sync;

	(void)reply;
	s->registered = true;
	s->scale_pending = false;
	take_desired(s, answer, true);
	hurry(&s->talks[POLL], 0);
	hurry(&s->talks[HEARTBEAT], 0);
	hurry(&s->talks[OUTBOX], 0);
}

static json_t *registration(const struct sync *s)
{
	const struct conf *conf = s->with.conf;
	const struct host_facts *host = s->with.host;
	_cleanup_json_ json_t *agents = agents_registrations(s->with.agents);
	const struct body_registration b = {
		.host = conf->host_name,
		.managed = true,
		.max_agents = conf->max_workers,
		.version = PACKAGE_VERSION,
		.k6_version = host->k6_version,
		.sandbox = sandbox_level_name(host->sandbox_level),
		.desired = own_desired(s),
		.agents = agents,
	};

	return body_registration_json(&b);
}

/* --- scale ------------------------------------------------------------------------- */

static void on_scaled(struct talk *t, const struct http_reply *reply, const json_t *answer)
{
	(void)reply;
	t->sync->scale_pending = false;
	take_desired(t->sync, answer, true);
}

/* The registration carries the count, too, and also works after the dashboard has lost this
 * host. */
static void scale_failed(struct talk *t)
{
	struct talk *again = &t->sync->talks[REGISTER];
	int64_t delay = (int64_t)(ev_timer_remaining(t->sync->with.loop, &t->timer) * 1000);

	ev_timer_stop(t->sync->with.loop, &t->timer);
	t->failures = 0;
	hurry(again, delay > 0 ? delay : 0);
}

/* --- targets --------------------------------------------------------------------- */

static void on_targets(struct talk *t, const struct http_reply *reply, const json_t *answer)
{
	struct sync *s = t->sync;
	struct err err;

	if (reply->status == 200) {
		if (targets_apply(s->with.targets, json_object_get(answer, "targets"), &err) < 0) {
			if (!s->targets_refused)
				log_event(LOG_LEVEL_WARN, "dashboard", "targets kept as they were",
					LOG_ERROR(err.msg));
			s->targets_refused = true;
		} else {
			s->targets_refused = false;
			free(s->etag);
			s->etag = x_strdup(reply->etag);
		}
		take_desired(s, answer, false);
	} else {
		s->targets_refused = false;
	}
	/* Pending commands may find an idle agent now. */
	if (reply->status == 200
			? commands_take(s->with.commands, json_object_get(answer, "commands"))
			: commands_retry(s->with.commands))
		hurry(&s->talks[HEARTBEAT], 0);
	schedule_talk(t, s->with.conf->dashboard.poll_ms);
}

/* --- heartbeat --------------------------------------------------------------------- */

/* Agents that have ended are in one more heartbeat, as stopped. */
static json_t *heartbeat(const struct sync *s)
{
	_cleanup_json_ json_t *agents = agents_heartbeats(s->with.agents);
	const struct body_heartbeat b = {
		.host = s->with.conf->host_name,
		.desired = own_desired(s),
		.agents = agents,
		.commands_done = s->acknowledging,
	};

	return body_heartbeat_json(&b);
}

static void on_heartbeat(struct talk *t, const struct http_reply *reply, const json_t *answer)
{
	struct sync *s = t->sync;

	(void)reply;
	commands_acknowledged(s->with.commands, s->acknowledging);
	take_desired(s, answer, false);
	if (json_array_size(json_object_get(answer, "unknown")))
		hurry(&s->talks[REGISTER], 0);
	schedule_talk(t, s->with.conf->dashboard.heartbeat_ms);
}

/* --- outbox ------------------------------------------------------------------------ */

static void on_acked(void *arg, const struct err *err)
{
	struct talk *t = arg;

	t->in_store = false;
	(void)err; /* if this failed, the runs are sent again; the dashboard counts each once */
	t->under_way = false;
	if (t->again || fleet_store_outbox_count(t->sync->with.store) > 0) {
		t->again = false;
		schedule_talk(t, 0);
	}
}

static void on_runs(struct talk *t, const struct http_reply *reply, const json_t *answer)
{
	struct sync *s = t->sync;
	_cleanup_json_ json_t *acks = json_array();
	json_t *rejected = json_object_get(answer, "rejected"), *item;
	size_t i;

	(void)reply;
	json_array_foreach (s->posting, i, item) {
		const char *id = json_get_text(json_object_get(item, "run"), "id", "");

		json_array_append_new(acks, json_pack("[s, O]", id, json_object_get(item, "rev")));
	}
	json_array_foreach (rejected, i, item)
		log_event(LOG_LEVEL_ERROR, "dashboard", "refused for good",
			LOG_RUN(json_get_text(item, "id", "?")),
			LOG_ERROR(json_get_text(item, "error", "no reason given")));
	json_decref(s->posting);
	s->posting = NULL;
	if (s->batch < OUTBOX_BATCH_MAX)
		s->batch = s->batch * 2 > OUTBOX_BATCH_MAX ? OUTBOX_BATCH_MAX : s->batch * 2;
	t->under_way = t->in_store = true;
	fleet_store_ack(s->with.store, acks, on_acked, t);
}

/* Handles a batch that was refused as a whole: halves it until the record to blame is alone.
 * Returns false if the reply is no such refusal. */
static bool runs_refused(struct talk *t, const struct http_reply *reply)
{
	struct sync *s = t->sync;
	size_t n = json_array_size(s->posting);

	if (reply->status != 413 && reply->status != 400 && reply->status != 422)
		return false;
	if (n > 1) {
		s->batch = (int)(n / 2);
		schedule_talk(t, 0);
		return true;
	}
	if (n == 1) {
		_cleanup_json_ json_t *answer = json_pack("{s:[{s:O, s:s}]}", "rejected", "id",
			json_object_get(
				json_object_get(json_array_get(s->posting, 0), "run"), "id"),
			"error", reply->body_len < 300 ? reply->body : "refused");

		note_success(t);
		on_runs(t, reply, answer);
		return true;
	}
	return false;
}

static void on_reply(void *arg, const struct http_reply *reply);

static void post_runs(void *arg, json_t *rows, const struct err *err)
{
	struct talk *t = arg;
	struct sync *s = t->sync;
	_cleanup_json_ json_t *body = NULL;
	_cleanup_free_ char *text = NULL;
	json_t *row, *runs;
	size_t i;

	t->in_store = false;
	if (err || !s->http || !json_array_size(rows)) {
		t->under_way = false;
		if (t->again) {
			t->again = false;
			schedule_talk(t, OUTBOX_GATHER_MS);
		}
		return;
	}
	s->posting = json_incref(rows);
	runs = json_array();
	json_array_foreach (rows, i, row)
		json_array_append(runs, json_object_get(row, "run"));
	body = json_pack("{s:o}", "runs", runs);
	text = json_compact(body);
	http_client_send(s->http, "/api/k6/runs", text, NULL, on_reply, t);
}

/* --- common to all ------------------------------------------------------------------- */

static void on_reply(void *arg, const struct http_reply *reply)
{
	static void (*const handlers[CONVERSATIONS])(
		struct talk *, const struct http_reply *, const json_t *) = {
		[REGISTER] = on_registered,
		[SCALE] = on_scaled,
		[POLL] = on_targets,
		[HEARTBEAT] = on_heartbeat,
		[OUTBOX] = on_runs,
	};
	struct talk *t = arg;
	struct sync *s = t->sync;
	_cleanup_json_ json_t *answer = NULL;
	json_error_t jerr;
	bool again = t->again;

	s->with.count_request(s->with.arg, reply->status);
	t->under_way = t->again = false;
	if (reply->status == 200)
		answer = json_loadb(reply->body, reply->body_len, JSON_REJECT_DUPLICATES, &jerr);
	if (json_is_object(answer) || (reply->status == 304 && t->what == POLL)) {
		note_success(t);
		handlers[t->what](t, reply, answer);
	} else if (t->what != OUTBOX || !runs_refused(t, reply)) {
		/* 404 means that the dashboard has lost this host, or that no dashboard is
		 * there. */
		note_failure(t, reply,
			reply->status == 200 ? "an answer that is not a JSON object" : NULL);
		if (t->what == SCALE)
			scale_failed(t);
	}
	if (t->what == OUTBOX && !t->under_way) {
		json_decref(s->posting);
		s->posting = NULL;
	}
	if (again && !t->failures)
		hurry(t, 0);
}

static void start_talk(struct talk *t)
{
	struct sync *s = t->sync;
	_cleanup_json_ json_t *body = NULL;
	_cleanup_free_ char *text = NULL, *path = NULL;

	if (t->under_way) {
		t->again = true;
		return;
	}
	/* All other requests need a registration. */
	if (!s->http || !s->started || (t->what != REGISTER && !s->registered))
		return;
	t->under_way = true;
	switch (t->what) {
	case REGISTER:
		body = registration(s);
		text = json_compact(body);
		http_client_send(s->http, "/api/k6/agents/register", text, NULL, on_reply, t);
		break;
	case SCALE:
		body = json_pack("{s:I}", "agents", (json_int_t)desired_count(s->with.desired));
		text = json_compact(body);
		path = x_asprintf("/api/k6/hosts/%s/scale", s->with.conf->host_name);
		http_client_send(s->http, path, text, NULL, on_reply, t);
		break;
	case POLL:
		path = x_asprintf("/api/k6/targets?host=%s", s->with.conf->host_name);
		http_client_send(s->http, path, NULL, s->etag, on_reply, t);
		break;
	case HEARTBEAT:
		json_decref(s->acknowledging);
		s->acknowledging = commands_done(s->with.commands);
		body = heartbeat(s);
		text = json_compact(body);
		http_client_send(s->http, "/api/k6/agents/heartbeat", text, NULL, on_reply, t);
		break;
	case OUTBOX:
		t->in_store = true;
		fleet_store_fetch_outbox(s->with.store, s->batch, post_runs, t);
		break;
	case CONVERSATIONS: break;
	}
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	start_talk(timer->data);
}

/* Sets *out, to NULL if no dashboard is configured.  Returns 0, or -1 and err. */
static int make_client(const struct sync *s, const struct conf *conf, const char *secret,
	struct http_client **out, struct err *err)
{
	const struct http_client_config config = {
		.base_url = conf->dashboard.url,
		.bearer = secret ? secret : "",
		.ca_file = conf->dashboard.ca_file ? conf->dashboard.ca_file : "",
		.client_cert = conf->dashboard.client_cert ? conf->dashboard.client_cert : "",
		.client_key = conf->dashboard.client_key ? conf->dashboard.client_key : "",
		.user_agent = "k6fleet-supervisor/" PACKAGE_VERSION,
		.timeout_ms = conf->dashboard.timeout_ms,
	};

	*out = NULL;
	if (!conf->dashboard.url[0])
		return 0;
	*out = http_client_new(s->with.loop, &config, err);
	return *out ? 0 : -1;
}

struct sync *sync_new(const struct sync_parts *parts, const char *secret, struct err *err)
{
	struct sync *s = x_calloc(1, sizeof(*s));

	s->with = *parts;
	s->batch = OUTBOX_BATCH_MAX;
	s->last_contact_ms = -1;
	if (make_client(s, parts->conf, secret, &s->http, err) < 0) {
		free(s);
		return NULL;
	}
	s->state = s->http ? SYNC_CONNECTING : SYNC_NONE;
	for (int i = 0; i < CONVERSATIONS; i++) {
		struct talk *t = &s->talks[i];

		t->sync = s;
		t->what = (enum conversation)i;
		ev_init(&t->timer, on_timer);
		t->timer.data = t;
	}
	return s;
}

void sync_reconfigure(struct sync *s, const struct conf *conf, const char *secret)
{
	struct http_client *http;
	struct err err;

	s->with.conf = conf;
	if (make_client(s, conf, secret, &http, &err) < 0) {
		log_event(LOG_LEVEL_ERROR, "dashboard", "kept as it was", LOG_ERROR(err.msg));
		return;
	}
	/* Requests under way are dropped: records stay in the outbox, everything else is sent
	 * anew. */
	http_client_free(s->http);
	s->http = http;
	if (!http)
		s->state = SYNC_NONE;
	else if (s->state == SYNC_NONE)
		s->state = SYNC_CONNECTING;
	json_decref(s->posting);
	s->posting = NULL;
	free(s->etag);
	s->etag = NULL;
	s->registered = false;
	for (int i = 0; i < CONVERSATIONS; i++) {
		struct talk *t = &s->talks[i];

		ev_timer_stop(s->with.loop, &t->timer);
		t->under_way = t->under_way && t->in_store;
		t->failures = 0;
	}
	hurry(&s->talks[REGISTER], 0);
}

void sync_free(struct sync *s)
{
	if (!s)
		return;
	for (int i = 0; i < CONVERSATIONS; i++)
		ev_timer_stop(s->with.loop, &s->talks[i].timer);
	http_client_free(s->http);
	json_decref(s->posting);
	json_decref(s->acknowledging);
	free(s->etag);
	free(s);
}

void sync_start(struct sync *s)
{
	s->started = true;
	schedule_talk(&s->talks[REGISTER], 0);
}

void sync_kick_outbox(struct sync *s)
{
	if (s->registered && !s->talks[OUTBOX].failures)
		hurry(&s->talks[OUTBOX], OUTBOX_GATHER_MS);
}

void sync_scaled(struct sync *s)
{
	s->scale_pending = true;
	if (s->registered)
		hurry(&s->talks[SCALE], 0);
	else if (!s->talks[REGISTER].failures)
		hurry(&s->talks[REGISTER], 0);
}

void sync_agents_changed(struct sync *s)
{
	if (s->registered && !s->talks[REGISTER].failures)
		hurry(&s->talks[REGISTER], 200);
}

enum sync_state sync_state(const struct sync *s)
{
	return s->state;
}

const char *sync_state_name(enum sync_state state)
{
	static const char *const names[SYNC_STATE_COUNT] = {
#define X(id, name) [SYNC_##id] = name,
		SYNC_STATES(X)
#undef X
	};

	return names[state];
}

enum msg_dashboard sync_state_for_keeper(enum sync_state state)
{
	static const enum msg_dashboard told[SYNC_STATE_COUNT] = {
		[SYNC_NONE] = MSG_DASHBOARD_NONE,
		[SYNC_CONNECTED] = MSG_DASHBOARD_OK,
		[SYNC_UNREACHABLE] = MSG_DASHBOARD_UNREACHABLE,
		[SYNC_CONNECTING] = MSG_DASHBOARD_UNREACHABLE,
		[SYNC_REFUSED] = MSG_DASHBOARD_UNREACHABLE,
	};

	return told[state];
}

int64_t sync_last_contact_ms(const struct sync *s)
{
	return s->last_contact_ms >= 0 ? units_now_mono_ms() - s->last_contact_ms : -1;
}

const char *sync_last_error(const struct sync *s)
{
	return s->last_error;
}
