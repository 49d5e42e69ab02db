/* SPDX-License-Identifier: MIT */
/* Files of the pages, and the probes of a service manager: /healthz and /readyz. */
#include <stdio.h>
#include <string.h>

#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/assets.h"
#include "dashboard/etag.h"
#include "dashboard/store.h"

/* Returns whether Accept-Encoding names gzip, and not with a weight of 0 (RFC 9110 12.5.3, in
 * the form that browsers and curl send). */
static bool takes_gzip(const struct api_request *req)
{
	const char *at = req->accept_encoding ? strstr(req->accept_encoding, "gzip") : NULL;

	return at && strncmp(at, "gzip;q=0,", 9) != 0 && strcmp(at, "gzip;q=0") != 0;
}

static void send_asset(struct api_request *req, struct api_response *res, const char *path)
{
	const struct asset *a = assets_find(req->api->assets, path);

	if (!a) {
		api_error(res, 404, "not_found", NULL, "there is nothing at %.200s", req->path);
		return;
	}
	snprintf(res->etag, sizeof(res->etag), "%s", a->etag);
	res->immutable = strncmp(path, "/assets/", 8) == 0;
	if (etag_matches(req->if_none_match, a->etag)) {
		res->status = 304;
		return;
	}
	res->status = 200;
	res->packed = a->gzip && takes_gzip(req);
	res->body_kept = res->packed ? a->gzip : a->text;
	res->body_len = res->packed ? a->gzip_len : a->len;
	res->type = a->type;
}

void api_asset(struct api_request *req, struct api_response *res)
{
	send_asset(req, res, req->path);
}

/* All pages are one document; its modules (www/app.js) choose which page is shown. */
void api_page(struct api_request *req, struct api_response *res)
{
	send_asset(req, res, "/index.html");
}

void api_healthz(struct api_request *req, struct api_response *res)
{
	(void)req;
	api_reply(res, 200, json_pack("{s:s}", "status", "ok"));
}

void api_readyz(struct api_request *req, struct api_response *res)
{
	struct err err;

	if (dash_store_check(req->api->store, &err) < 0)
		api_store_error(res, &err);
	else
		api_reply(res, 200, json_pack("{s:s}", "status", "ok"));
}
