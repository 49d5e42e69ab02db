/* SPDX-License-Identifier: MIT */
/* The control socket: real sockets on a simulated loop and clock, requests that end in the
 * test's hands. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/json.h"
#include "fake_loop.h"
#include "supervisor/control.h"
#include "supervisor/peers.h"

#define LINE_MAX_BYTES (2 * 1024 * 1024 + 65536)
#define REQUESTS_KEPT 1024

static char path[80];
static int listen_fd = -1;
static struct control *control;

static struct {
	struct control_ticket tickets[REQUESTS_KEPT];
	char last[64];
	unsigned int count;
	bool echo; /* answers at once */
} handled;

static void on_request(void *arg, struct control_ticket ticket, const json_t *request)
{
	assert_ptr_equal(arg, &handled);
	handled.tickets[handled.count++ % REQUESTS_KEPT] = ticket;
	snprintf(handled.last, sizeof(handled.last), "%s", json_get_text(request, "verb", "?"));
	if (handled.echo)
		control_respond(ticket, json_text(handled.last));
}

static int set_up(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	(void)state;
	fake_loop_reset();
	memset(&handled, 0, sizeof(handled));
	snprintf(path, sizeof(path), "/tmp/k6fleet-test-control.%d", (int)getpid());
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	unlink(path);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listen_fd, 128), 0);
	control = control_new(fake_loop(), listen_fd, on_request, &handled);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	control_free(control);
	assert_int_equal(fake_watchers(), 0);
	close(listen_fd);
	unlink(path);
	return 0;
}

/* --- the client's side ------------------------------------------------------------------ */

static int connect_raw(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	fake_turn();
}

/* All that has come, NUL-terminated; *closed: and then the end. */
static size_t take(int fd, char *buf, size_t size, bool *closed)
{
	size_t len = 0;

	*closed = false;
	for (;;) {
		ssize_t n;

		fake_turn();
		n = recv(fd, buf + len, size - 1 - len, 0);
		if (n > 0)
			len += (size_t)n;
		/* Reset: it was closed with something unread. */
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			*closed = true;
		if (n <= 0 || len == size - 1)
			break;
	}
	buf[len] = '\0';
	return len;
}

static void expect(int fd, const char *text)
{
	char buf[4096];
	bool closed;

	take(fd, buf, sizeof(buf), &closed);
	assert_string_equal(buf, text);
}

static bool is_closed(int fd)
{
	char buf[4096];
	bool closed;

	take(fd, buf, sizeof(buf), &closed);
	return closed;
}

static int connect_and_greet(void)
{
	int fd = connect_raw();
	char buf[256];
	bool closed;

	take(fd, buf, sizeof(buf), &closed);
	assert_non_null(strstr(buf, "{\"k6fleet\":"));
	assert_non_null(strstr(buf, "\"protocol\":1}\n"));
	return fd;
}

/* --- tests --------------------------------------------------------------------------------- */

static void nobody_is_let_in_before_the_start(void **state)
{
	int fd = connect_raw();

	(void)state;
	put(fd, "{\"verb\":\"early\"}\n");
	expect(fd, "");
	assert_int_equal(handled.count, 0);
	control_start(control);
	fake_turn();
	assert_string_equal(handled.last, "early");
	close(fd);
}

static void a_request_is_a_line(void **state)
{
	const char *text = "{\"verb\":\"status\"}\n";
	int fd;

	(void)state;
	control_start(control);
	fd = connect_and_greet();
	/* However it is cut. */
	for (const char *p = text; *p; p++)
		put(fd, (char[]){*p, '\0'});
	assert_int_equal(handled.count, 1);
	assert_string_equal(handled.last, "status");
	assert_true(control_is_open(handled.tickets[0]));
	assert_true(control_may_change(handled.tickets[0]));
	assert_non_null(strstr(control_peer(handled.tickets[0]), "uid="));
	control_progress(handled.tickets[0], json_pack("{s:i}", "n", 1));
	control_respond(handled.tickets[0], json_pack("{s:s}", "all", "well"));
	expect(fd, "{\"progress\":{\"n\":1}}\n{\"ok\":true,\"data\":{\"all\":\"well\"}}\n");
	put(fd, "{\"verb\":\"scale\"}\n");
	control_refuse(handled.tickets[1], "refused", "max_workers is %d", 3);
	expect(fd, "{\"ok\":false,\"code\":\"refused\",\"error\":\"max_workers is 3\"}\n");
	close(fd);
}

static void the_next_request_waits_for_the_answer(void **state)
{
	int fd;

	(void)state;
	control_start(control);
	fd = connect_and_greet();
	put(fd, "{\"verb\":\"a\"}\n{\"verb\":\"b\"}\n{\"verb\":\"c\"}\n");
	assert_int_equal(handled.count, 1);
	control_respond(handled.tickets[0], json_null());
	fake_turn();
	/* One of each client a turn: the next one comes when the others have had theirs. */
	assert_int_equal(handled.count, 1);
	fake_advance(0);
	assert_int_equal(handled.count, 2);
	assert_string_equal(handled.last, "b");
	control_respond(handled.tickets[1], json_null());
	fake_turn();
	fake_advance(0);
	assert_string_equal(handled.last, "c");
	close(fd);
}

static void junk_closes_that_client_only(void **state)
{
	static const char *const junk[] = {
		"hello\n", "[]\n", "\n", "{\"a\":1,\"a\":2}\n", "{\"verb\":\n", "\xff\xfe\n"};
	char buf[1024];
	int other;

	(void)state;
	control_start(control);
	other = connect_and_greet();
	for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
		int fd = connect_and_greet();
		bool closed;

		put(fd, junk[i]);
		take(fd, buf, sizeof(buf), &closed);
		assert_non_null(strstr(buf, "\"ok\":false,\"code\":\"usage\""));
		assert_true(closed);
		close(fd);
	}
	assert_int_equal(handled.count, 0);
	put(other, "{\"verb\":\"ping\"}\n");
	assert_string_equal(handled.last, "ping");
	close(other);
}

/* Sends until the server reads no more or closes; returns how much it took. */
static size_t flood(int fd, size_t limit)
{
	static char block[65536];
	size_t sent = 0;

	memset(block, 'x', sizeof(block));
	while (sent < limit) {
		ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
		fake_turn();
	}
	return sent;
}

static void a_line_without_end_is_not_taken_for_ever(void **state)
{
	int fd, other;

	(void)state;
	control_start(control);
	other = connect_and_greet();
	fd = connect_and_greet();
	assert_in_range(flood(fd, 2 * LINE_MAX_BYTES), 1, LINE_MAX_BYTES + 1024 * 1024);
	assert_int_equal(handled.count, 0);
	close(fd);
	put(other, "{\"verb\":\"ping\"}\n");
	assert_string_equal(handled.last, "ping");
	close(other);
}

static void large_requests_share_a_limit(void **state)
{
	int fds[12];
	unsigned int closed = 0;

	(void)state;
	control_start(control);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = connect_and_greet();
		flood(fds[i], LINE_MAX_BYTES - 65536);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		closed += is_closed(fds[i]);
		close(fds[i]);
	}
	/* 16 MiB of all together: some of twelve times 2 MiB had to go. */
	assert_in_range(closed, 2, 10);
}

static void a_large_answer_comes_whole(void **state)
{
	static char buf[4 * 1024 * 1024];
	size_t len = 3 * 1024 * 1024;
	_cleanup_free_ char *text = x_calloc(1, len + 1);
	bool closed;
	int fd;

	(void)state;
	control_start(control);
	fd = connect_and_greet();
	put(fd, "{\"verb\":\"runs\"}\n");
	memset(text, 'y', len);
	control_respond(handled.tickets[0], json_string(text));
	fake_turn();
	assert_true(control_is_behind(handled.tickets[0]));
	assert_true(control_has_unsent(handled.tickets[0]));
	assert_int_equal(
		take(fd, buf, sizeof(buf), &closed), len + strlen("{\"ok\":true,\"data\":\"\"}\n"));
	assert_false(closed);
	assert_false(control_is_behind(handled.tickets[0]));
	assert_false(control_has_unsent(handled.tickets[0]));
	close(fd);
}

static void who_does_not_read_is_not_asked_for_more(void **state)
{
	static char buf[4 * 1024 * 1024];
	_cleanup_free_ char *text = x_calloc(1, 1024 * 1024 + 1);
	bool closed;
	int fd;

	(void)state;
	control_start(control);
	fd = connect_and_greet();
	put(fd, "{\"verb\":\"a\"}\n{\"verb\":\"b\"}\n");
	memset(text, 'z', 1024 * 1024);
	control_respond(handled.tickets[0], json_string(text));
	for (int i = 0; i < 10; i++) {
		fake_turn();
		fake_advance(1000);
	}
	assert_int_equal(handled.count, 1);
	take(fd, buf, sizeof(buf), &closed);
	fake_advance(0);
	fake_turn();
	assert_string_equal(handled.last, "b");
	close(fd);
}

static void answers_to_somebody_who_has_left_go_nowhere(void **state)
{
	int fd;

	(void)state;
	control_start(control);
	fd = connect_and_greet();
	put(fd, "{\"verb\":\"follow\"}\n");
	close(fd);
	fake_turn();
	assert_false(control_is_open(handled.tickets[0]));
	assert_true(control_is_behind(handled.tickets[0]));
	assert_false(control_may_change(handled.tickets[0]));
	assert_string_equal(control_peer(handled.tickets[0]), "somebody");
	control_progress(handled.tickets[0], json_pack("{}"));
	control_respond(handled.tickets[0], json_pack("{}"));
	control_refuse(handled.tickets[0], "refused", "too late");
	/* Nor to the next client. */
	fd = connect_and_greet();
	expect(fd, "");
	close(fd);
}

static void a_user_who_asks_too_often_waits(void **state)
{
	unsigned int n = 0;
	int fd;

	(void)state;
	control_start(control);
	handled.echo = true;
	fd = connect_and_greet();
	for (; n < PEERS_REQUESTS_BURST; n++)
		put(fd, "{\"verb\":\"ping\"}\n");
	assert_int_equal(handled.count, n);
	put(fd, "{\"verb\":\"ping\"}\n");
	assert_int_equal(handled.count, n);
	assert_int_equal(fake_next_timer(), 1000 / PEERS_REQUESTS_PER_S);
	fake_advance(1000 / PEERS_REQUESTS_PER_S);
	assert_int_equal(handled.count, n + 1);
	close(fd);
}

static void a_user_has_so_many_connections(void **state)
{
	int fds[PEERS_CONNECTIONS_PER_UID], one_more;
	char buf[512];
	bool closed;

	(void)state;
	control_start(control);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = connect_and_greet();
	one_more = connect_raw();
	take(one_more, buf, sizeof(buf), &closed);
	assert_non_null(strstr(buf, "\"code\":\"refused\""));
	assert_true(closed);
	close(one_more);
	close(fds[0]);
	fake_turn();
	fds[0] = connect_and_greet();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static void what_is_ready_is_flushed_at_the_end(void **state)
{
	char buf[256];
	int fd;

	(void)state;
	control_start(control);
	fd = connect_and_greet();
	put(fd, "{\"verb\":\"reload\"}\n");
	control_respond(handled.tickets[0], json_string("handing over"));
	control_flush(control);
	assert_true(recv(fd, buf, sizeof(buf), 0) > 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST_OF(nobody_is_let_in_before_the_start),
		TEST_OF(a_request_is_a_line),
		TEST_OF(the_next_request_waits_for_the_answer),
		TEST_OF(junk_closes_that_client_only),
		TEST_OF(a_line_without_end_is_not_taken_for_ever),
		TEST_OF(large_requests_share_a_limit),
		TEST_OF(a_large_answer_comes_whole),
		TEST_OF(who_does_not_read_is_not_asked_for_more),
		TEST_OF(answers_to_somebody_who_has_left_go_nowhere),
		TEST_OF(a_user_who_asks_too_often_waits),
		TEST_OF(a_user_has_so_many_connections),
		TEST_OF(what_is_ready_is_flushed_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
