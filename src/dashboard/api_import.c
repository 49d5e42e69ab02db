/* SPDX-License-Identifier: MIT */
/* Export and import of all targets as one file.  The label decides which target an item of the
 * file is. */
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "common/uuid.h"
#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/store_targets.h"

#define IMPORT_MAX 1000

static void strip(json_t *target)
{
	json_object_del(target, "id");
	json_object_del(target, "createdAt");
	json_object_del(target, "updatedAt");
}

void api_targets_export(struct api_request *req, struct api_response *res)
{
	json_t *list, *target;
	struct err err;
	size_t i;

	if (dash_store_list_targets(req->api->store, TARGET_FOR_ADMIN, &list, &err) < 0) {
		api_store_error(res, &err);
		return;
	}
	json_array_foreach (list, i, target)
		strip(target);
	api_reply(res, 200, json_pack("{s:o}", "targets", list));
}

struct import {
	int64_t created, updated, unchanged;
	json_t *rejected; /* array of {"index","label","error"} */
	json_t *labels;   /* object: the labels that were in the file so far */
};

static void reject(struct import *im, size_t index, const json_t *item, const char *why)
{
	json_array_append_new(im->rejected,
		json_pack("{s:I, s:o, s:o}", "index", (json_int_t)index, "label",
			json_text(json_get_text(item, "label", "")), "error", json_text(why)));
}

/* Writes the target over the one of this id, unless they are equal.  Returns 0, or -1 with err. */
static int take_over(
	struct dash_store *s, struct import *im, struct target *t, const char *id, struct err *err)
{
	_cleanup_json_ json_t *before = NULL, *after = NULL;

	switch (dash_store_get_target(s, id, TARGET_FOR_HOST, &before, NULL, err)) {
	case FOUND: break;
	case NOT_FOUND: return err_set(err, "the target \"%.100s\" has gone", id);
	case FOUND_ERROR: return -1;
	}
	free(t->id);
	t->id = x_strdup(id);
	after = target_to_json(t, TARGET_FOR_HOST);
	strip(before);
	strip(after);
	if (json_equal(before, after)) {
		im->unchanged++;
		return 0;
	}
	im->updated++;
	return dash_store_update_target(s, t, units_now_wall_ms(), err) == FOUND_ERROR ? -1 : 0;
}

/* Returns 0 also for an item that is rejected, or -1 with err when the store fails. */
static int take_one(
	struct dash_store *s, struct import *im, size_t index, const json_t *item, struct err *err)
{
	const char *label = json_get_text(item, "label", "");
	struct target *t = NULL;
	struct target_error terr;
	char id[UUID_MAX];
	int found, rc = 0;

	if (!json_is_object(item) || !*label || json_object_get(im->labels, label)) {
		reject(im, index, item,
			!json_is_object(item) ? "it is not an object"
				: !*label     ? "it has no label"
					      : "its label stands twice in this import");
		return 0;
	}
	json_object_set_new(im->labels, label, json_true());
	if (dash_store_find_target(s, label, &found, id, err) < 0)
		return -1;
	if (found > 1) {
		reject(im, index, item, "several targets here have this label");
		return 0;
	}
	/* A field that the file leaves out gets its default, so that the same file makes the
	 * same target. */
	t = target_new();
	if (target_apply_json(t, item, true, &terr) < 0 || target_validate(t, &terr) < 0) {
		reject(im, index, item, terr.err.msg);
	} else if (!found) {
		rc = dash_store_insert_target(s, t, units_now_wall_ms(), err);
		im->created++;
	} else {
		rc = take_over(s, im, t, id, err);
	}
	target_free(t);
	return rc;
}

/* Sets *dry_run and *list.  Returns false after it has filled the response. */
static bool read_import(
	struct api_request *req, struct api_response *res, bool *dry_run, json_t **list)
{
	static const char *const known[] = {"targets", NULL};
	const char *dry = req->query(req, "dryRun");

	if (dry && strcmp(dry, "true") != 0 && strcmp(dry, "false") != 0) {
		api_error(res, 400, "invalid_parameter", "dryRun", "dryRun must be true or false");
		return false;
	}
	*dry_run = dry && strcmp(dry, "false") != 0;
	if (!api_is_object(req, res) || !api_only_members(res, req->json, known))
		return false;
	*list = json_object_get(req->json, "targets");
	if (!json_is_array(*list)) {
		api_error(res, 400, "invalid_field", "targets", "targets must be an array");
		return false;
	}
	if (json_array_size(*list) > IMPORT_MAX) {
		api_error(res, 413, "too_large", "targets", "an import has at most %d targets",
			IMPORT_MAX);
		return false;
	}
	return true;
}

static int take_all(struct dash_store *s, struct import *im, json_t *list, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (take_one(s, im, i, item, err) < 0)
			return -1;
	}
	return 0;
}

void api_targets_import(struct api_request *req, struct api_response *res)
{
	struct import im = {0};
	_cleanup_json_ json_t *answer = NULL;
	struct err err;
	json_t *list;
	bool dry_run;
	int rc;

	if (!read_import(req, res, &dry_run, &list) || api_begin(req, res) < 0)
		return;
	im.rejected = json_array();
	im.labels = json_object();
	rc = take_all(req->api->store, &im, list, &err);
	json_decref(im.labels);
	answer = json_pack("{s:b, s:I, s:I, s:I, s:o}", "dryRun", dry_run, "created",
		(json_int_t)im.created, "updated", (json_int_t)im.updated, "unchanged",
		(json_int_t)im.unchanged, "rejected", im.rejected);
	if (rc < 0) {
		api_abort(req, res, &err);
		return;
	}
	if (dry_run) {
		dash_store_rollback(req->api->store);
	} else {
		if (api_commit(req, res, "targets.import", "", answer) < 0)
			return;
		log_event(LOG_LEVEL_INFO, "targets", "imported", LOG_INT("created", im.created),
			LOG_INT("updated", im.updated), LOG_INT("unchanged", im.unchanged),
			LOG_INT("rejected", json_array_size(im.rejected)));
	}
	api_reply(res, 200, json_incref(answer));
}
