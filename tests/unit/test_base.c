/* SPDX-License-Identifier: MIT */
/* The lowest floor of src/common: err, fdio, hash, utf8, json, json_fast. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/hash.h"
#include "common/json.h"
#include "common/json_fast.h"
#include "common/utf8.h"

/* --- err --------------------------------------------------------------------------- */

static void every_way_to_set_an_error_sets_its_code(void **state)
{
	struct err err = {.code = ERR_CORRUPT};

	(void)state;
	assert_int_equal(err_set(&err, "no %s", "luck"), -1);
	assert_int_equal(err.code, ERR_OTHER);
	assert_string_equal(err.msg, "no luck");
	assert_int_equal(err_code_set(&err, ERR_NEWER, "version %d", 7), -1);
	assert_int_equal(err.code, ERR_NEWER);
	assert_string_equal(err.msg, "version 7");
	assert_int_equal(err_prefix(&err, "the file %s", "x"), -1);
	assert_int_equal(err.code, ERR_NEWER);
	assert_string_equal(err.msg, "the file x: version 7");
	assert_int_equal(err_set(NULL, "x"), -1);
	assert_int_equal(err_code_set(NULL, ERR_IO, "x"), -1);
	assert_int_equal(err_sys(NULL, EIO, "x"), -1);
	assert_int_equal(err_prefix(NULL, "x"), -1);
}

static void an_errno_has_its_code(void **state)
{
	static const struct {
		int errnum;
		enum err_code code;
	} rows[] = {{ENOSPC, ERR_NO_SPACE}, {EDQUOT, ERR_NO_SPACE}, {EIO, ERR_IO},
		{EACCES, ERR_ACCESS}, {EPERM, ERR_ACCESS}, {EROFS, ERR_READ_ONLY},
		{ENOENT, ERR_NOT_FOUND}, {EEXIST, ERR_EXISTS}, {EBUSY, ERR_BUSY},
		{EAGAIN, ERR_BUSY}, {EADDRINUSE, ERR_BUSY}, {EFBIG, ERR_TOO_LARGE},
		{EMSGSIZE, ERR_TOO_LARGE}, {EINVAL, ERR_SYSTEM}, {ENOMEM, ERR_SYSTEM}};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(err_sys(&err, rows[i].errnum, "open %s", "f"), -1);
		assert_int_equal(err.code, rows[i].code);
		assert_memory_equal(err.msg, "open f: ", 8);
		assert_string_equal(err.msg + 8, strerror(rows[i].errnum));
	}
	assert_string_equal(err_code_name(ERR_NO_SPACE), "NO_SPACE");
	assert_string_equal(err_code_name(ERR_CODE_COUNT), "?");
	for (unsigned int code = 0; code < ERR_CODE_COUNT; code++)
		assert_true(strlen(err_code_name((enum err_code)code)) > 1);
}

static void a_long_message_is_cut_and_keeps_its_end(void **state)
{
	char text[ERR_MAX * 2];
	struct err err;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_code_set(&err, ERR_IO, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MAX - 1);
	err_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MAX - 1);
	err_sys(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MAX - 1);
	assert_int_equal(err.code, ERR_IO);
}

/* --- fdio -------------------------------------------------------------------------- */

static char dir[] = "/tmp/k6fleet-test-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
	_cleanup_free_ char *command = x_asprintf("rm -rf '%s'", dir);

	(void)state;
	return chdir("/") == 0 ? system(command) : -1; /* NOLINT: a fixed name of this test's own */
}

static void put_file(const char *name, const char *data, size_t len)
{
	_cleanup_fd_ int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fdio_write_all(fd, data, len), 0);
}

static void a_file_is_read_whole_or_not_at_all(void **state)
{
	_cleanup_free_ char *text = NULL, *empty = NULL;
	struct err err;
	size_t len = 0;

	(void)state;
	put_file("five", "a\0b\nc", 5);
	text = fdio_read_file("five", 0, 5, &len, &err);
	assert_non_null(text);
	assert_int_equal(len, 5);
	assert_memory_equal(text, "a\0b\nc", 6);
	assert_null(fdio_read_file("five", 0, 4, &len, &err));
	assert_int_equal(err.code, ERR_TOO_LARGE);
	assert_string_equal(err.msg, "five is larger than 4 bytes");
	put_file("empty", "", 0);
	empty = fdio_read_file("empty", 0, 4, &len, &err);
	assert_string_equal(empty, "");
	assert_int_equal(len, 0);
	assert_null(fdio_read_file("missing", 0, 4, &len, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.msg, "cannot read missing: No such file or directory");
	assert_null(fdio_read_file(".", 0, 4, &len, &err));
	assert_int_equal(err.code, ERR_SYSTEM);
}

static void a_memfd_is_read_from_its_beginning(void **state)
{
	struct err err;
	size_t len;
	int fd = fdio_seal("job", "0123456789", 10, &err);
	char *text;

	(void)state;
	assert_true(fd >= 0);
	for (int i = 0; i < 2; i++) {
		text = fdio_read_all(fd, "the job", 10, &len, &err);
		assert_string_equal(text, "0123456789");
		assert_int_equal(len, 10);
		free(text);
	}
	assert_null(fdio_read_all(fd, "the job", 9, NULL, &err));
	assert_string_equal(err.msg, "the job is larger than 9 bytes");
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
	assert_null(fdio_read_all(-1, "the job", 9, NULL, &err));
	assert_string_equal(err.msg, "cannot read the job: Bad file descriptor");
}

static void a_pipe_is_read_to_its_end(void **state)
{
	size_t wanted = 50000, len = 0;
	_cleanup_free_ char *sent = x_calloc(wanted, 1), *got = NULL;
	struct err err;
	int p[2];

	(void)state;
	for (size_t i = 0; i < wanted; i++)
		sent[i] = (char)('a' + i % 26);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(fdio_write_all(p[1], sent, wanted), 0);
	close(p[1]);
	got = fdio_read_all(p[0], "k6", 1 << 20, &len, &err);
	assert_int_equal(len, wanted);
	assert_memory_equal(got, sent, wanted);
	close(p[0]);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(fdio_write_all(p[1], sent, wanted), 0);
	close(p[1]);
	assert_null(fdio_read_all(p[0], "k6", wanted - 1, &len, &err));
	assert_int_equal(err.code, ERR_TOO_LARGE);
	close(p[0]);
}

static void directories_are_made_with_their_parents(void **state)
{
	_cleanup_free_ char *whole = x_asprintf("%s/p/q", dir);
	struct stat st;
	struct err err;
	mode_t old = umask(0);

	(void)state;
	assert_int_equal(fdio_mkdir_parents("a/b/c", 0700, (uid_t)-1, (gid_t)-1, &err), 0);
	assert_int_equal(stat("a/b", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat("a/b/c", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* One that exists keeps its mode. */
	assert_int_equal(fdio_mkdir_parents("a/b/c", 0750, getuid(), getgid(), &err), 0);
	assert_int_equal(stat("a/b/c", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fdio_mkdir_parents(whole, 0750, getuid(), getgid(), &err), 0);
	assert_int_equal(stat(whole, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(fdio_mkdir_parents("", 0750, (uid_t)-1, (gid_t)-1, &err), 0);
	assert_int_equal(fdio_mkdir_parents("/", 0750, (uid_t)-1, (gid_t)-1, &err), 0);
	put_file("plain", "", 0);
	assert_int_equal(fdio_mkdir_parents("plain/x", 0750, (uid_t)-1, (gid_t)-1, &err), -1);
	assert_string_equal(err.msg, "cannot make the directory plain/x: Not a directory");
	umask(old);
}

/* --- hash, utf8 -------------------------------------------------------------------- */

static void fnv_1a_has_its_published_values(void **state)
{
	(void)state;
	assert_true(hash_text(HASH_START, "") == UINT64_C(0xcbf29ce484222325));
	assert_true(hash_text(HASH_START, "a") == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(hash_text(HASH_START, "foobar") == UINT64_C(0x85944171f73967e8));
	assert_true(hash_bytes(hash_text(HASH_START, "foo"), "bar", 3) ==
		hash_text(HASH_START, "foobar"));
	assert_true(hash_text(HASH_START, "\xff") == hash_bytes(HASH_START, "\xff", 1));
}

static void utf8_knows_where_characters_end(void **state)
{
	static const struct {
		const char *s;
		size_t length;
	} rows[] = {{"a", 1}, {"\xc3\xa9", 2}, {"\xe2\x82\xac", 3}, {"\xf0\x9f\x92\xa9", 4},
		{"\x80", 0}, {"\xc0\x80", 0}, {"\xc1\xbf", 0}, {"\xe0\x80\x80", 0},
		{"\xed\xa0\x80", 0}, {"\xf0\x80\x80\x80", 0}, {"\xf4\x90\x80\x80", 0},
		{"\xf5\x80\x80\x80", 0}, {"\xc3", 0}, {"\xc3(", 0}, {"\xe2\x82", 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(utf8_length(rows[i].s, strlen(rows[i].s)), rows[i].length);
	assert_int_equal(utf8_length("a", 0), 0);
	assert_int_equal(utf8_length("\xe2\x82\xac", 2), 0);
}

/* --- json, json_fast --------------------------------------------------------------- */

static void every_text_becomes_a_json_string(void **state)
{
	_cleanup_json_ json_t *plain = json_text("caf\xc3\xa9"), *broken = json_text("a\xff\xc3"),
			      *cut = json_text_n("ab\xe2\x82\xac", 4);
	_cleanup_json_ json_t *object = json_pack("{s:s, s:i}", "s", "text", "i", 7);

	(void)state;
	assert_string_equal(json_string_value(plain), "caf\xc3\xa9");
	assert_string_equal(json_string_value(broken), "a\xef\xbf\xbd\xef\xbf\xbd");
	assert_string_equal(json_string_value(cut), "ab\xef\xbf\xbd\xef\xbf\xbd");
	assert_string_equal(json_get_text(object, "s", "x"), "text");
	assert_string_equal(json_get_text(object, "i", "x"), "x");
	assert_string_equal(json_get_text(NULL, "s", "x"), "x");
	assert_int_equal(json_get_int(object, "i", 1), 7);
	assert_int_equal(json_get_int(object, "s", 1), 1);
}

/* Reads text, of which the number may be only a part; returns how many bytes it took, -1 for
 * none. */
static int read_fast(const char *text, double *out)
{
	const char *behind = json_fast_number(text, text + strlen(text), out);

	return behind ? (int)(behind - text) : -1;
}

static void fast_numbers_are_those_of_strtod(void **state)
{
	static const char *const none[] = {"", "-1", "+1", ".5", "1.", "1.x", "01", "00", "1e",
		"1e+", "x", "1e999", "NaN", "Infinity", " 1",
		"1.00000000000000000000000000000000000000000000001"};
	static const char *const whole[] = {"0", "0.0", "7", "123456789012345", "1234567890123456",
		"0.1", "0.000000000000000000001", "1e10", "1E-10", "1.5e+3", "99999999999999999999",
		"0.30000000000000004", "2.2250738585072014e-308", "1.7976931348623157e308"};
	double fast;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		if (read_fast(none[i], &fast) != -1)
			fail_msg("\"%s\" is no number", none[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		assert_int_equal(read_fast(whole[i], &fast), strlen(whole[i]));
		assert_true(fast == strtod(whole[i], NULL));
	}
	assert_int_equal(read_fast("12,3", &fast), 2);
	assert_int_equal(read_fast("1.25]", &fast), 4);
	srandom(7);
	for (int i = 0; i < 200000; i++) {
		char text[64];

		snprintf(text, sizeof(text), "%.*g", (int)(random() % 17 + 1),
			(double)random() * pow(10, (double)(random() % 30 - 20)));
		if (read_fast(text, &fast) != (int)strlen(text) || fast != strtod(text, NULL))
			fail_msg("%s", text);
	}
}

/* Nothing behind the end is read: a run of digits is cut at every byte. */
static void a_number_ends_where_the_text_ends(void **state)
{
	static const char text[] = "12.5e-3";
	double fast;

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		_cleanup_free_ char *copy = x_calloc(len ? len : 1, 1),
				    *string = x_strndup(text, len);
		const char *behind;

		memcpy(copy, text, len);
		behind = json_fast_number(copy, copy + len, &fast);
		if (behind)
			assert_true(behind == copy + len && fast == strtod(string, NULL));
		else
			assert_true(len == 0 || len == 3 || len == 5 || len == 6);
	}
}

static void reals_are_shortened_by_rounding(void **state)
{
	_cleanup_json_ json_t *nine = json_short_real(12.3456789012345, 9),
			      *seven = json_short_real(0.1, 7);

	(void)state;
	assert_true(json_real_value(nine) == 12.3456789);
	assert_true(json_real_value(seven) == 0.1);
}

static void data_is_taken_from_a_response_of_one_form(void **state)
{
	static const char *const other[] = {"", "{", "{}", "{\"ok\":true}",
		"{\"ok\":true,\"data\":", "{\"ok\":true,\"data\":}", "{\"ok\":false,\"data\":1}",
		"{\"ok\": true,\"data\":1}", "{\"ok\":true,\"data\":1"};
	_cleanup_free_ char *one = json_fast_data("{\"ok\":true,\"data\":{\"a\":[1]}}"),
			    *shortest = json_fast_data("{\"ok\":true,\"data\":1}");

	(void)state;
	assert_string_equal(one, "{\"a\":[1]}");
	assert_string_equal(shortest, "1");
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		assert_null(json_fast_data(other[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_to_set_an_error_sets_its_code),
		cmocka_unit_test(an_errno_has_its_code),
		cmocka_unit_test(a_long_message_is_cut_and_keeps_its_end),
		cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
		cmocka_unit_test(a_memfd_is_read_from_its_beginning),
		cmocka_unit_test(a_pipe_is_read_to_its_end),
		cmocka_unit_test(directories_are_made_with_their_parents),
		cmocka_unit_test(fnv_1a_has_its_published_values),
		cmocka_unit_test(utf8_knows_where_characters_end),
		cmocka_unit_test(every_text_becomes_a_json_string),
		cmocka_unit_test(fast_numbers_are_those_of_strtod),
		cmocka_unit_test(a_number_ends_where_the_text_ends),
		cmocka_unit_test(reals_are_shortened_by_rounding),
		cmocka_unit_test(data_is_taken_from_a_response_of_one_form),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
