/* SPDX-License-Identifier: MIT */
/* The handlers of all calls, by file; docs/openapi.yaml describes each.  For routes.c, and for
 * the api_*.c that define them. */
#ifndef K6FLEET_DASHBOARD_API_CALLS_H
#define K6FLEET_DASHBOARD_API_CALLS_H

struct api_request;
struct api_response;

/* Fills the response in every case.  The request has been authenticated, and its body parsed if
 * the route has one. */
typedef void api_handler(struct api_request *req, struct api_response *res);

/* api_pages.c */
api_handler api_page, api_asset, api_healthz, api_readyz;
/* api_agents.c */
api_handler api_agents_register, api_agents_heartbeat, api_agents_targets, api_agents_scale;
/* api_runs.c */
api_handler api_agents_runs;
/* api_admin.c */
api_handler api_targets_create, api_targets_get, api_targets_patch, api_targets_delete,
	api_targets_list, api_config_get, api_config_put;
/* api_import.c */
api_handler api_targets_export, api_targets_import;
/* api_commands.c */
api_handler api_targets_run, api_runs_cancel;
/* api_fleet.c */
api_handler api_read_overview, api_read_fleet_series, api_host_put, api_reconcile, api_pause,
	api_resume, api_audit_list;
/* api_read.c */
api_handler api_read_targets, api_read_agents, api_read_hosts, api_read_runs, api_read_run,
	api_events;
/* api_csv.c */
api_handler api_read_runs_csv;
/* api_series.c */
api_handler api_read_series;
/* api_metrics.c */
api_handler api_metrics;

#endif
