/* SPDX-License-Identifier: MIT */
/* k6fleetctl's connection against servers that lie, stop in the middle, or are no k6fleetd. */
#include "test.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/json.h"
#include "common/sock.h"
#include "ctl/client.h"

#define HELLO "{\"k6fleet\":\"0.1.0\",\"protocol\":1}\n"
#define PATIENCE_S 60

/* What the server does with one connection. */
struct visit {
	const char *greeting; /* NULL: close at once */
	const char *response; /* after the request; NULL: close without one */
	size_t piece;         /* bytes a write; 0: all at once */
};

static char dir[] = "/tmp/k6fleet-test-XXXXXX";
static char *path;
static pid_t server;
static struct {
	atomic_int connections, requests;
} * seen;

static void say(int fd, const char *text, size_t piece)
{
	size_t len = strlen(text);

	if (!piece)
		piece = len;
	for (size_t at = 0; at < len; at += piece) {
		if (fdio_write_all(fd, text + at, len - at < piece ? len - at : piece) < 0)
			_exit(0);
		if (piece < len)
			usleep(200);
	}
}

static void wait_for_request(int fd)
{
	char c = '\0';

	while (c != '\n' && read(fd, &c, 1) == 1)
		;
	if (c == '\n')
		seen->requests++;
}

/* Serves each visit once, the last one for ever. */
_Noreturn static void serve(int listener, const struct visit *visits, size_t count)
{
	for (size_t i = 0;; i += i + 1 < count) {
		struct pollfd pfd = {.fd = listener, .events = POLLIN};
		int fd = poll(&pfd, 1, -1) == 1 ? accept(listener, NULL, NULL) : -1;

		if (fd < 0)
			_exit(1);
		seen->connections++;
		if (visits[i].greeting) {
			say(fd, visits[i].greeting, visits[i].piece);
			if (strchr(visits[i].greeting, '\n'))
				wait_for_request(fd);
			if (visits[i].response)
				say(fd, visits[i].response, visits[i].piece);
		}
		close(fd);
	}
}

static void start_server(const struct visit *visits, size_t count)
{
	struct err err;
	int listener = sock_listen(path, 0600, (gid_t)-1, (gid_t)-1, &err);

	assert_true(listener >= 0);
	seen->connections = seen->requests = 0;
	server = fork();
	assert_true(server >= 0);
	if (server == 0) {
		signal(SIGPIPE, SIG_IGN);
		alarm(PATIENCE_S);
		serve(listener, visits, count);
	}
	close(listener);
}

static void stop_server(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	unlink(path);
}

static int begin(void **state)
{
	(void)state;
	alarm(PATIENCE_S);
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	path = mkdtemp(dir) ? x_asprintf("%s/control.sock", dir) : NULL;
	return seen != MAP_FAILED && path && chmod(dir, 0755) == 0 ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	free(path);
	return rmdir(dir);
}

static int progress_seen;

static void count_progress(const json_t *progress)
{
	progress_seen += (int)json_get_int(progress, "n", 0);
}

/* One call of `verb`; returns the data, or NULL and the failure. */
static json_t *call_once(const char *verb, struct ctl_failure *failure)
{
	struct ctl_client client = {.socket = path, .fd = -1};
	json_t *data;

	progress_seen = 0;
	data = ctl_client_call(&client, json_pack("{s:s}", "verb", verb), count_progress, failure);
	ctl_client_close(&client);
	return data;
}

/* --- one visit, one outcome ----------------------------------------------------------- */

static const struct {
	const char *name;
	struct visit visit;
	enum ctl_exit status;
	const char *text; /* of the failure, or the data */
} rows[] = {
	{"a response", {HELLO, "{\"ok\":true,\"data\":{\"a\":1}}\n", 0}, CTL_OK, "{\"a\":1}"},
	{"byte by byte", {HELLO, "{\"ok\":true,\"data\":[1,2]}\n", 1}, CTL_OK, "[1,2]"},
	{"more lines than one", {HELLO, "{\"ok\":true,\"data\":1}\n{\"ok\":false}\n", 0}, CTL_OK,
		"1"},
	{"no data", {HELLO, "{\"ok\":true}\n", 0}, CTL_OK, "null"},
	{"progress first",
		{HELLO, "{\"progress\":{\"n\":1}}\n{\"progress\":{\"n\":2}}\n{\"ok\":true,\"data\":\"d\"}\n",
			0},
		CTL_OK, "\"d\""},
	{"a greeting with the words of a refusal",
		{"{\"k6fleet\":\"\\\"ok\\\":false\",\"x\":{\"ok\":false}}\n",
			"{\"ok\":true,\"data\":1}\n", 0},
		CTL_OK, "1"},
	{"turned away", {"{\"ok\":false,\"code\":\"denied\",\"error\":\"not for you\"}\n", NULL, 0},
		CTL_DENIED, "not for you"},
	{"turned away for now",
		{"{\"ok\":false,\"code\":\"busy\",\"error\":\"too many\"}\n", NULL, 0}, CTL_FAILED,
		"too many"},
	{"refused", {HELLO, "{\"ok\":false,\"code\":\"refused\",\"error\":\"no\"}\n", 0},
		CTL_FAILED, "no"},
	{"refused for its form", {HELLO, "{\"ok\":false,\"code\":\"usage\",\"error\":\"no\"}\n", 0},
		CTL_USAGE, "no"},
	{"refused for the user",
		{HELLO, "{\"ok\":false,\"code\":\"denied\",\"error\":\"no\"}\n", 0}, CTL_DENIED,
		"no"},
	{"refused without a word", {HELLO, "{\"ok\":false}\n", 0}, CTL_FAILED,
		"refused without a reason"},
	{"ok that is no boolean", {HELLO, "{\"ok\":1,\"data\":5}\n", 0}, CTL_FAILED,
		"refused without a reason"},
	{"an error of the wrong type", {HELLO, "{\"ok\":false,\"code\":7,\"error\":[]}\n", 0},
		CTL_FAILED, "refused without a reason"},
	{"a web server", {"HTTP/1.1 400 Bad Request\r\n\r\n", NULL, 0}, CTL_NO_DAEMON,
		"the program that responds is not k6fleetd"},
	{"JSON of somebody else", {"{\"hello\":\"world\"}\n", NULL, 0}, CTL_NO_DAEMON,
		"the program that responds is not k6fleetd"},
	{"a greeting that is no object", {"[\"k6fleet\"]\n", NULL, 0}, CTL_NO_DAEMON,
		"the program that responds is not k6fleetd"},
	{"an empty line", {"\n", NULL, 0}, CTL_NO_DAEMON,
		"the program that responds is not k6fleetd"},
	{"a response that is no JSON", {HELLO, "pong\n", 0}, CTL_NO_DAEMON,
		"the program that responds is not k6fleetd"},
	{"a response that is no object", {HELLO, "[]\n", 0}, CTL_NO_DAEMON,
		"the program that responds is not k6fleetd"},
	{"half a response in a line", {HELLO, "{\"ok\":true,\"data\":{\n}}\n", 0}, CTL_NO_DAEMON,
		"the program that responds is not k6fleetd"},
	{"bytes that are not UTF-8", {HELLO, "{\"ok\":true,\"data\":\"\xff\"}\n", 0}, CTL_NO_DAEMON,
		"the program that responds is not k6fleetd"},
};

static void each_server_has_its_outcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ctl_failure failure = {0};
		_cleanup_json_ json_t *data = NULL;
		_cleanup_free_ char *text = NULL;

		start_server(&rows[i].visit, 1);
		data = call_once("status", &failure);
		stop_server();
		text = data ? json_compact(data) : x_strdup(failure.text);
		if ((data ? CTL_OK : failure.status) != rows[i].status ||
			strcmp(text, rows[i].text) != 0)
			fail_msg("%s: %d %s", rows[i].name, failure.status, text);
		assert_int_equal(progress_seen, !strcmp(rows[i].name, "progress first") ? 3 : 0);
	}
}

/* --- connections that are cut ----------------------------------------------------------- */

static void a_request_without_harm_is_sent_again(void **state)
{
	static const struct visit visits[] = {{NULL, NULL, 0}, {HELLO, NULL, 0},
		{HELLO, "{\"ok\":true,\"da", 0}, {"{\"k6fl", NULL, 0},
		{HELLO, "{\"ok\":true,\"data\":7}\n", 0}};
	struct ctl_failure failure;
	_cleanup_json_ json_t *data = NULL;

	(void)state;
	start_server(visits, ARRAY_SIZE(visits));
	data = call_once("status", &failure);
	stop_server();
	assert_int_equal(json_integer_value(data), 7);
	assert_int_equal(seen->connections, 5);
}

static void a_restart_is_sent_once(void **state)
{
	static const struct visit visits[] = {
		{HELLO, NULL, 0}, {HELLO, "{\"ok\":true,\"data\":7}\n", 0}};
	static const char *const verbs[] = {"restart", "stop", "run"};
	struct ctl_failure failure;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		start_server(visits, ARRAY_SIZE(visits));
		assert_null(call_once(verbs[i], &failure));
		stop_server();
		assert_int_equal(failure.status, CTL_NO_DAEMON);
		assert_non_null(strstr(failure.text, "closed the connection before it responded"));
		assert_int_equal(seen->requests, 1);
	}
}

static void a_handover_is_asked_for_once(void **state)
{
	static const struct visit visits[] = {{HELLO, NULL, 0}};
	struct ctl_client client = {.socket = path, .fd = -1};
	struct ctl_failure failure;

	(void)state;
	client.socket = path;
	start_server(visits, 1);
	assert_null(ctl_client_call(
		&client, json_pack("{s:s, s:b}", "verb", "reload", "binary", 1), NULL, &failure));
	stop_server();
	ctl_client_close(&client);
	assert_int_equal(failure.status, CTL_NO_DAEMON);
	assert_int_equal(seen->requests, 1);
}

static void a_server_that_always_cuts_is_given_up(void **state)
{
	static const struct visit visits[] = {{HELLO, NULL, 0}};
	struct ctl_failure failure;

	(void)state;
	start_server(visits, 1);
	assert_null(call_once("status", &failure));
	stop_server();
	assert_int_equal(failure.status, CTL_NO_DAEMON);
	assert_in_range(seen->connections, 2, 11);
}

static void calls_share_a_connection(void **state)
{
	static const struct visit visits[] = {{HELLO,
		"{\"ok\":true,\"data\":1}\n{\"ok\":true,\"data\":2}\n{\"ok\":true,\"data\":3}\n",
		0}};
	struct ctl_client client = {.fd = -1};
	struct ctl_failure failure;

	(void)state;
	client.socket = path;
	start_server(visits, 1);
	for (int i = 1; i <= 3; i++) {
		json_t *data = ctl_client_call(
			&client, json_pack("{s:s}", "verb", "ping"), NULL, &failure);

		assert_int_equal(json_integer_value(data), i);
		json_decref(data);
	}
	stop_server();
	ctl_client_close(&client);
	assert_int_equal(seen->connections, 1);
}

/* --- as text ------------------------------------------------------------------------------ */

static void a_response_is_passed_on_as_it_came(void **state)
{
	static const struct {
		const char *response, *text;
	} good[] = {{"{\"ok\":true,\"data\":{\"b\":1.50,\"a\":[]}}\n", "{\"b\":1.50,\"a\":[]}"},
		{"{\"data\":{\"b\":1},\"ok\":true}\n", "{\"b\":1}"},
		{"{\"ok\": true, \"data\": 3}\n", "3"}};
	struct ctl_failure failure;
	struct visit visit = {.greeting = HELLO};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct ctl_client client = {.fd = -1};
		_cleanup_free_ char *text = NULL;

		client.socket = path;
		visit.response = good[i].response;
		start_server(&visit, 1);
		text = ctl_client_call_text(
			&client, json_pack("{s:s}", "verb", "status"), &failure);
		stop_server();
		ctl_client_close(&client);
		assert_string_equal(text, good[i].text);
	}
	{
		struct ctl_client client = {.fd = -1};

		client.socket = path;
		visit.response = "{\"ok\":false,\"code\":\"denied\",\"error\":\"no\"}\n";
		start_server(&visit, 1);
		assert_null(ctl_client_call_text(
			&client, json_pack("{s:s}", "verb", "status"), &failure));
		stop_server();
		ctl_client_close(&client);
		assert_int_equal(failure.status, CTL_DENIED);
	}
}

/* --- no connection ------------------------------------------------------------------------ */

static void nobody_there_says_how_to_start_it(void **state)
{
	struct ctl_failure failure;

	(void)state;
	assert_null(call_once("status", &failure));
	assert_int_equal(failure.status, CTL_NO_DAEMON);
	assert_non_null(strstr(failure.text, path));
	assert_non_null(strstr(failure.text, "No such file or directory"));
	assert_non_null(strstr(failure.text, "\nStart it with: systemctl start k6fleetd"));
}

static void a_foreign_socket_says_who_may(void **state)
{
	static const struct visit visits[] = {{HELLO, "{\"ok\":true,\"data\":1}\n", 0}};
	struct ctl_failure failure;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_server(visits, 1);
	assert_int_equal(seteuid(65534), 0);
	assert_null(call_once("status", &failure));
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(failure.status, CTL_DENIED);
	assert_non_null(strstr(failure.text, "not allowed to use"));
	assert_non_null(strstr(failure.text, "use sudo"));
	stop_server();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_server_has_its_outcome),
		cmocka_unit_test(a_request_without_harm_is_sent_again),
		cmocka_unit_test(a_restart_is_sent_once),
		cmocka_unit_test(a_handover_is_asked_for_once),
		cmocka_unit_test(a_server_that_always_cuts_is_given_up),
		cmocka_unit_test(calls_share_a_connection),
		cmocka_unit_test(a_response_is_passed_on_as_it_came),
		cmocka_unit_test(nobody_there_says_how_to_start_it),
		cmocka_unit_test(a_foreign_socket_says_who_may),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
