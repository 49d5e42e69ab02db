/* SPDX-License-Identifier: MIT */
/* Whose entry it is, what a user of the control socket may have at a time, and what the journal
 * is told. */
#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/uuid.h"
#include "supervisor/peers.h"

static void connections_are_limited_by_uid_and_in_all(void **state)
{
	struct peers *p = peers_new();
	struct peer *users[PEERS_CONNECTIONS_MAX] = {NULL};
	unsigned int n = 0;
	char why[160];

	(void)state;
	for (unsigned int i = 0; i < PEERS_CONNECTIONS_PER_UID; i++)
		assert_non_null(users[n++] = peers_admit(p, 1000, 0, why, sizeof(why)));
	assert_null(peers_admit(p, 1000, 0, why, sizeof(why)));
	assert_non_null(strstr(why, "uid 1000 has 64 connections open"));
	/* Another user is not affected; the last connections are reserved for root. */
	for (uid_t uid = 1001; n < PEERS_CONNECTIONS_MAX - PEERS_CONNECTIONS_FOR_ROOT; uid += n % 2)
		assert_non_null(users[n++] = peers_admit(p, uid, 0, why, sizeof(why)));
	assert_null(peers_admit(p, 5000, 0, why, sizeof(why)));
	assert_non_null(strstr(why, "connections are open, and no more are taken"));
	for (unsigned int i = 0; i < PEERS_CONNECTIONS_FOR_ROOT; i++)
		assert_non_null(users[n++] = peers_admit(p, 0, 0, why, sizeof(why)));
	assert_null(peers_admit(p, 0, 0, why, sizeof(why)));
	for (unsigned int i = 0; i < PEERS_CONNECTIONS_FOR_ROOT; i++)
		peers_leave(p, users[--n]);
	/* A closed connection makes room for its user. */
	assert_null(peers_admit(p, 1000, 0, why, sizeof(why)));
	peers_leave(p, users[0]);
	assert_non_null(users[0] = peers_admit(p, 1000, 0, why, sizeof(why)));
	for (unsigned int i = 0; i < n; i++)
		peers_leave(p, users[i]);
	peers_free(p);
}

static void requests_are_limited_by_uid_also_over_connections(void **state)
{
	struct peers *p = peers_new();
	char why[160];
	struct peer *one = peers_admit(p, 1000, 0, why, sizeof(why)), *other;
	int64_t wait;

	(void)state;
	for (int i = 0; i < PEERS_REQUESTS_BURST; i++)
		assert_int_equal(peers_request(one, 50), 0);
	wait = peers_request(one, 50);
	assert_in_range(wait, 1, 1000 / PEERS_REQUESTS_PER_S);
	/* A new connection does not help, and other users are not affected. */
	peers_leave(p, one);
	one = peers_admit(p, 1000, 50, why, sizeof(why));
	assert_int_equal(peers_request(one, 50), wait);
	other = peers_admit(p, 1001, 50, why, sizeof(why));
	assert_int_equal(peers_request(other, 50), 0);
	assert_int_equal(peers_request(one, 50 + wait), 0);
	assert_in_range(peers_request(one, 50 + wait), 1, 1000 / PEERS_REQUESTS_PER_S);
	/* A second later, as many requests pass as are allowed in a second. */
	for (int i = 0; i < PEERS_REQUESTS_PER_S; i++)
		assert_int_equal(peers_request(one, 1050 + wait), 0);
	assert_true(peers_request(one, 1050 + wait) > 0);
	/* After a long time the user is forgotten and has the full burst again. */
	peers_leave(p, one);
	one = peers_admit(p, 1000, 60000, why, sizeof(why));
	for (int i = 0; i < PEERS_REQUESTS_BURST; i++)
		assert_int_equal(peers_request(one, 60000), 0);
	peers_leave(p, one);
	peers_leave(p, other);
	peers_free(p);
}

static void without_a_read_group_the_mode_of_the_socket_decides(void **state)
{
	const struct peers_groups none = {(gid_t)-1, (gid_t)-1}, only_control = {10, (gid_t)-1};
	const struct peers_groups both = {10, 20}, only_read = {(gid_t)-1, 20};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(peers_access(pair[0], 4242, 4242, &none), PEER_CHANGES);
	assert_int_equal(peers_access(pair[0], 4242, 4242, &only_control), PEER_CHANGES);
	assert_int_equal(peers_access(pair[0], 0, 0, &both), PEER_CHANGES);
	assert_int_equal(peers_access(pair[0], 4242, 10, &both), PEER_CHANGES);
	assert_int_equal(peers_access(pair[0], 4242, 20, &both), PEER_READS);
	assert_int_equal(peers_access(pair[0], 4242, 20, &only_read), PEER_READS);
	assert_int_equal(peers_access(pair[0], 4242, 30, &only_read), PEER_NONE);
	/* Nobody, as one is whose credentials cannot be told. */
	assert_int_equal(peers_access(pair[0], (uid_t)-1, (gid_t)-1, &only_read), PEER_NONE);
	close(pair[0]);
	close(pair[1]);
}

static const char *received(int fd, char *buf, size_t size)
{
	ssize_t n = recv(fd, buf, size - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void the_journal_gets_fields_that_no_message_can_forge(void **state)
{
	char id[UUID_MAX], buf[8192], want[256];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	log_init("k6fleetd", LOG_LEVEL_INFO, false);
	log_use_journal(pair[1]);
	uuid_make_v7(1795470000123, id);
	log_agent_event(LOG_LEVEL_WARN, "k6agent-3", "run ended", LOG_RUN(id),
		LOG_QUOTED("target", "x\nAGENT=k6agent-0"));
	received(pair[0], buf, sizeof(buf));
	snprintf(want, sizeof(want), "\nRUN=%s\n", id);
	assert_non_null(strstr(buf, "PRIORITY=4\n"));
	assert_non_null(strstr(buf, "\nSYSLOG_IDENTIFIER=k6fleetd\n"));
	assert_non_null(strstr(buf, "\nK6FLEET_SUBJECT=k6agent-3\nAGENT=k6agent-3\n"));
	assert_non_null(strstr(buf, want));
	assert_non_null(strstr(buf, "target=\"x\\x0aAGENT=k6agent-0\"\n"));
	assert_null(strstr(buf, "\nAGENT=k6agent-0"));
	log_info("fleet", "scale from=1 to=2 run=nonsense");
	received(pair[0], buf, sizeof(buf));
	assert_non_null(strstr(buf, "PRIORITY=6\n"));
	assert_null(strstr(buf, "AGENT="));
	assert_null(strstr(buf, "RUN="));
	log_use_journal(-1);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_are_limited_by_uid_and_in_all),
		cmocka_unit_test(requests_are_limited_by_uid_also_over_connections),
		cmocka_unit_test(without_a_read_group_the_mode_of_the_socket_decides),
		cmocka_unit_test(the_journal_gets_fields_that_no_message_can_forge),
	};

	return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
