/* SPDX-License-Identifier: MIT */
/* Who hears of a reload that the supervisor cannot apply. */
#include "test.h"

#include <unistd.h>

#include "fake_loop.h"
#include "supervisor/handed.h"
#include "supervisor/reload.h"

/* --- neighbours ------------------------------------------------------------------------------ */

static unsigned int refused, responded, applied;

struct conf *handed_read_config(struct err *err)
{
	err_set(err, "line 3: too damaged");
	return NULL;
}

void keeper_link_send(struct keeper_link *k, struct msg_writer *m)
{
	(void)k;
	(void)m;
}

void control_respond(struct control_ticket ticket, json_t *data)
{
	(void)ticket;
	json_decref(data);
	responded++;
}

void control_refuse(struct control_ticket ticket, const char *code, const char *fmt, ...)
{
	(void)ticket;
	(void)fmt;
	assert_string_equal(code, "refused");
	refused++;
}

static void on_apply(void *arg, const struct conf *old, const struct conf *conf)
{
	(void)arg;
	(void)old;
	(void)conf;
	applied++;
}

/* --- tests ----------------------------------------------------------------------------------- */

/* Passes the keeper's message on; logged gets what was written to standard error. */
static void done(struct reload *r, uint64_t asker, bool ok, char *logged, size_t size)
{
	struct msg_keeper_reloaded m = {
		.asker = asker, .done = ok, .text = msg_text("no such key")};
	int saved, fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reload_done(r, &m);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(fds[0], logged, size - 1);
	logged[n > 0 ? n : 0] = '\0';
	close(fds[0]);
}

static void what_cannot_be_applied_is_logged(void **state)
{
	struct reload *r = reload_new(NULL, NULL, on_apply, NULL);
	char logged[1000];

	(void)state;
	/* A signal: nobody waits for a response. */
	done(r, 0, true, logged, sizeof(logged));
	assert_non_null(strstr(logged, "error reload: "));
	assert_non_null(strstr(logged, "line 3: too damaged"));
	assert_int_equal(refused, 0);
	/* A client gets it, too. */
	reload_ask(r, (struct control_ticket){.client = 7}, false);
	done(r, 7, true, logged, sizeof(logged));
	assert_non_null(strstr(logged, "line 3: too damaged"));
	assert_int_equal(refused, 1);
	/* What the keeper refuses, the keeper has logged. */
	reload_ask(r, (struct control_ticket){.client = 8}, false);
	done(r, 8, false, logged, sizeof(logged));
	assert_string_equal(logged, "");
	assert_int_equal(refused, 2);
	assert_int_equal(responded, 0);
	assert_int_equal(applied, 0);
	reload_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_applied_is_logged),
	};

	return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
