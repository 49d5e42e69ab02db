/* SPDX-License-Identifier: MIT */
/* Formats errors into their fixed buffer. */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int errnum;
	enum err_code code;
} errno_codes[] = {
	{ENOSPC, ERR_NO_SPACE},
	{EDQUOT, ERR_NO_SPACE},
	{EIO, ERR_IO},
	{EACCES, ERR_ACCESS},
	{EPERM, ERR_ACCESS},
	{EROFS, ERR_READ_ONLY},
	{ENOENT, ERR_NOT_FOUND},
	{EEXIST, ERR_EXISTS},
	{EBUSY, ERR_BUSY},
	{EAGAIN, ERR_BUSY},
	{EADDRINUSE, ERR_BUSY},
	{EFBIG, ERR_TOO_LARGE},
	{E2BIG, ERR_TOO_LARGE},
	{EMSGSIZE, ERR_TOO_LARGE},
};

static const char *const code_names[] = {
#define ERR_CODE(name, meaning) [ERR_##name] = #name,
	ERR_CODES(ERR_CODE)
#undef ERR_CODE
};

enum err_code err_code_of_errno(int errnum)
{
	for (size_t i = 0; i < sizeof(errno_codes) / sizeof(errno_codes[0]); i++) {
		if (errno_codes[i].errnum == errnum)
			return errno_codes[i].code;
	}
	return ERR_SYSTEM;
}

const char *err_code_name(enum err_code code)
{
	return code < ERR_CODE_COUNT ? code_names[code] : "?";
}

/* Replaces code and text.  err may be NULL. */
_printf_(3, 0) static void replace(struct err *err, enum err_code code, const char *fmt, va_list ap)
{
	if (!err)
		return;
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	err->code = code;
}

int err_set(struct err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	replace(err, ERR_OTHER, fmt, ap);
	va_end(ap);
	return -1;
}

int err_code_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	replace(err, code, fmt, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct err *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	replace(err, err_code_of_errno(errnum), fmt, ap);
	va_end(ap);
	if (!err)
		return -1;
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(errnum));
	return -1;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	char rest[ERR_MAX];
	va_list ap;
	size_t len;

	if (!err)
		return -1;
	memcpy(rest, err->msg, sizeof(rest));
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %.*s", (int)(sizeof(rest) - 1), rest);
	return -1;
}
