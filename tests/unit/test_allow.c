/* SPDX-License-Identifier: MIT */
/* allowed_hosts: permitted hosts, and the blocks of all other addresses. */
#include "test.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/allow.h"
#include "common/k6version.h"

static void hosts(void **state)
{
	static const char *const list[] = {
		"Example.org", "*.corp.test", "10.1.0.0/16", "127.0.0.1", "fd00::/8"};
	static const struct {
		const char *host;
		bool ok;
	} cases[] = {
		{"example.org", true},
		{"EXAMPLE.ORG.", true},
		{"www.example.org", false},
		{"a.corp.test", true},
		{"a.b.corp.test", true},
		{"corp.test", false},
		{"xcorp.test", false},
		{"10.1.2.3", true},
		{"10.2.0.1", false},
		{"127.0.0.1", true},
		{"127.0.0.2", false},
		{"localhost", false},
		{"fd12::1", true},
		{"fe80::1", false},
		{"::ffff:127.0.0.1", true},
		{"127.1", false},
		{"", false},
		{"10.1.0.0/16", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (allow_host(list, ARRAY_SIZE(list), cases[i].host) != cases[i].ok)
			fail_msg("%s", cases[i].host);
	}
}

static void entries(void **state)
{
	static const char *const good[] = {"a", "a.b-c.d", "*.x.y", "1.2.3.4", "1.2.3.0/24", "::1",
		"2001:db8::/32", "0.0.0.0/0"};
	static const char *const bad[] = {"", "*", "*.", "a b", "http://x", "x/24", "1.2.3.4/33",
		"1.2.3.4/", "::/129", "a..b", ".a", "x:80", "*.*.a"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(allow_check(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (allow_check(bad[i], &err) == 0)
			fail_msg("%s", bad[i]);
	}
}

static void hosts_of_urls(void **state)
{
	static const char *const cases[][2] = {
		{"http://A.example:80/x", "a.example"},
		{"https://u:p@h.example/@evil", "h.example"},
		{"http://allowed@evil.example", "evil.example"},
		{"http://a@b@evil.example:1?x", "evil.example"},
		{"http://[::1]:8080/", "::1"},
		{"http://1.2.3.4#x", "1.2.3.4"},
		{"http://good.example\\@evil.example/", NULL},
		{"http://[::1]evil/", NULL},
		{"http://ex%61mple.org/", NULL},
		{"http:///x", NULL},
		{"nothing", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *host = allow_url_host(cases[i][0]);

		if (!cases[i][1] ? host != NULL : !host || strcmp(host, cases[i][1]) != 0)
			fail_msg("%s: %s", cases[i][0], host ? host : "none");
		free(host);
	}
}

struct blocks {
	struct allow_block list[2000];
	size_t count;
};

static void collect(void *arg, const char *cidr)
{
	struct blocks *b = arg;

	assert_true(b->count < ARRAY_SIZE(b->list));
	assert_true(allow_parse_block(cidr, &b->list[b->count++]));
}

static bool is_blocked(const struct blocks *b, const char *address)
{
	struct allow_block a;
	bool v4 = !strchr(address, ':');

	assert_true(allow_parse_block(address, &a));
	for (size_t i = 0; i < b->count; i++) {
		const struct allow_block *k = &b->list[i];
		bool same = true;

		/* An IPv4 address is in no IPv6 block and vice versa, as in Go's net.IPNet. */
		if (v4 != (k->bits >= 96 && !memcmp(k->address, a.address, 12) && v4))
			continue;
		for (unsigned int bit = 0; bit < k->bits; bit++)
			same = same &&
				!((k->address[bit / 8] ^ a.address[bit / 8]) & (0x80 >> bit % 8));
		if (same)
			return true;
	}
	return false;
}

static void inside_out(void **state)
{
	struct allow_block allowed[3];
	struct blocks b = {.count = 0};
	char text[32];

	(void)state;
	assert_true(allow_parse_block("10.1.0.0/16", &allowed[0]));
	assert_true(allow_parse_block("127.0.0.1", &allowed[1]));
	assert_true(allow_parse_block("fd00::/8", &allowed[2]));
	allow_invert(allowed, 3, collect, &b);
	assert_false(is_blocked(&b, "10.1.255.255"));
	assert_false(is_blocked(&b, "127.0.0.1"));
	assert_false(is_blocked(&b, "fd00::1"));
	assert_true(is_blocked(&b, "127.0.0.2"));
	assert_true(is_blocked(&b, "127.0.0.0"));
	assert_true(is_blocked(&b, "10.0.255.255"));
	assert_true(is_blocked(&b, "10.2.0.0"));
	assert_true(is_blocked(&b, "0.0.0.0"));
	assert_true(is_blocked(&b, "255.255.255.255"));
	assert_true(is_blocked(&b, "::1"));
	assert_true(is_blocked(&b, "fe80::1"));
	for (int i = 0; i < 1000; i++) {
		uint32_t ip = (uint32_t)random() * 2 + (uint32_t)(random() & 1);
		struct in_addr in = {htonl(ip)};

		inet_ntop(AF_INET, &in, text, sizeof(text));
		assert_int_equal(is_blocked(&b, text), !(ip >> 16 == 0x0a01 || ip == 0x7f000001));
	}
	/* If nothing is allowed, two blocks cover all addresses; if everything is, there are
	 * none. */
	b.count = 0;
	allow_invert(NULL, 0, collect, &b);
	assert_true(is_blocked(&b, "1.2.3.4") && is_blocked(&b, "2001:db8::1"));
	b.count = 0;
	assert_true(allow_parse_block("0.0.0.0/0", &allowed[0]));
	assert_true(allow_parse_block("::/0", &allowed[1]));
	allow_invert(allowed, 2, collect, &b);
	assert_int_equal(b.count, 0);
}

static void versions(void **state)
{
	static const struct {
		const char *printed, *version;
		bool ok;
	} cases[] = {
		{"k6 v2.2.0 (go1.26.8, linux/amd64)", "v2.2.0", true},
		{"k6 v1.8.1 (commit/abc, go1.24, linux/amd64)", "v1.8.1", true},
		{"k6 v0.49.0 (go1.21.6, linux/amd64)", "v0.49.0", true},
		{"k6 v0.48.2 (go1.21, linux/amd64)", "v0.48.2", false},
		{"k6 v3.0.0", "v3.0.0", false},
		{"k6 v2.3.0-rc1 (devel)", "v2.3.0-rc1", true},
		{"bash, version 5", NULL, false},
		{"", NULL, false},
		{"v", NULL, false},
	};
	char version[K6VERSION_MAX];
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		err.msg[0] = '\0';
		assert_int_equal(
			k6version_parse(cases[i].printed, version, &err) == 0, cases[i].ok);
		if (cases[i].version)
			assert_string_equal(version, cases[i].version);
		if (!cases[i].ok && cases[i].version)
			assert_non_null(strstr(err.msg, cases[i].version));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
		cmocka_unit_test(entries),
		cmocka_unit_test(hosts_of_urls),
		cmocka_unit_test(inside_out),
		cmocka_unit_test(versions),
	};

	return cmocka_run_group_tests_name("allow", tests, NULL, NULL);
}
