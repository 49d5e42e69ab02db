/* SPDX-License-Identifier: MIT */
/* Compares credentials in constant time. Decoding them is the HTTP server's work, counting wrong
 * ones throttle.c's. */
#include "dashboard/auth.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/throttle.h"

/* Compares in a time that depends only on the length of `given`, so that it does not tell how
 * many bytes are right. */
static bool same_secret(const char *given, size_t given_len, const char *secret)
{
	size_t len = strlen(secret);
	unsigned char diff = given_len != len;

	for (size_t i = 0; i < given_len; i++)
		diff |= (unsigned char)(given[i] ^ secret[len ? i % len : 0]);
	return diff == 0;
}

/* RFC 9110 11.1: the scheme is compared without case. */
static const char *bearer_token(const struct api_request *req)
{
	static const char scheme[] = "Bearer ";

	if (!req->authorization || strncasecmp(req->authorization, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	return req->authorization + sizeof(scheme) - 1 +
		strspn(req->authorization + sizeof(scheme) - 1, " ");
}

static bool is_agent(const struct api_request *req)
{
	const char *token = bearer_token(req);

	return token && same_secret(token, strlen(token), req->api->secret);
}

static bool is_admin(struct api_request *req)
{
	char *given;
	size_t len;
	bool ok;

	if (!req->user || !req->password)
		return false;
	given = x_asprintf("%s:%s", req->user, req->password);
	len = strlen(given);
	ok = same_secret(given, len, req->api->admin);
	if (ok)
		snprintf(req->admin_name, sizeof(req->admin_name), "%s", req->user);
	mem_wipe(given, len);
	free(given);
	return ok;
}

/* Replies 429 (RFC 6585) when this address has sent wrong credentials too often. */
static bool is_slowed(struct api_request *req, struct api_response *res)
{
	int wait_s = req->authorization
		? throttle_wait_s(req->api->throttle, req->address, units_now_mono_ms())
		: 0;

	if (!wait_s)
		return false;
	res->retry_after_s = wait_s;
	api_error(res, 429, "too_many_attempts", NULL,
		"too many wrong credentials from this address; try again in %d s", wait_s);
	return true;
}

bool auth_allows(struct api_request *req, enum auth_access access, struct api_response *res)
{
	bool agent = is_agent(req);

	if (access != AUTH_OPEN && is_slowed(req, res))
		return false;
	req->is_admin = is_admin(req);
	/* Also where no credentials are needed: a response without an error would confirm them,
	 * too. */
	if (req->authorization && !req->is_admin && !agent)
		throttle_failed(req->api->throttle, req->address, units_now_mono_ms());
	switch (access) {
	case AUTH_OPEN: return true;
	case AUTH_READ:
		if (!req->api->config->read_auth || req->is_admin || agent)
			return true;
		res->www_authenticate_basic = true;
		break;
	case AUTH_AGENT:
		if (agent)
			return true;
		res->www_authenticate_bearer = true;
		break;
	case AUTH_ADMIN:
		if (req->is_admin)
			return true;
		res->www_authenticate_basic = true;
		break;
	}
	api_error(res, 401, "unauthorized", NULL, "%s",
		access == AUTH_AGENT
			? "this call needs Authorization: Bearer with the dashboard's secret"
			: "this call needs the admin's user and password (Basic)");
	return false;
}
