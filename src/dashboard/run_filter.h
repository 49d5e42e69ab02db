/* SPDX-License-Identifier: MIT */
/* The query parameters that choose runs: of the list and of the CSV. */
#ifndef K6FLEET_DASHBOARD_RUN_FILTER_H
#define K6FLEET_DASHBOARD_RUN_FILTER_H

#include <stdbool.h>

#include "dashboard/store_lists.h"

struct api_request;
struct api_response;

/* Fills f.  Its texts are borrowed from the request.  Returns false after it has filled the
 * response. */
bool run_filter_read(
	struct api_request *req, struct api_response *res, struct dash_store_run_filter *f);

#endif
