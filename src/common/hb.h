/* SPDX-License-Identifier: MIT */
/*
 * The heartbeat pages: one sealed memfd, a page per slot.  A worker maps its own page for
 * writing and no other; the supervisor maps all of them read-only, copies a page and checks
 * every field of the copy before it believes it.
 */
#ifndef K6FLEET_HB_H
#define K6FLEET_HB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/uuid.h"

#define HB_PAGE_BYTES 4096

enum hb_state { HB_STARTING, HB_IDLE, HB_RUNNING };

/* Times are CLOCK_MONOTONIC, which all processes of a host share. */
struct hb_page {
	uint64_t beat_mono_ms;
	uint32_t state;
	uint32_t vus;
	uint64_t run_start_mono_ms;
	uint64_t run_duration_ms;
	uint64_t iterations;
	uint64_t k6_rss_bytes;
	char run_id[UUID_MAX];
};

/* A sealed memfd of one page a slot. */
int hb_create(unsigned int slots, struct err *err);
/* One worker's page, shared and writable; NULL and err when it cannot be mapped. */
struct hb_page *hb_map_own(int fd, unsigned int slot, struct err *err);
/* All pages, read-only. */
const uint8_t *hb_map_all(int fd, unsigned int slots, struct err *err);
/* Copies a slot's page; false when its contents make no sense. */
bool hb_read(const uint8_t *pages, unsigned int slot, uint64_t now_mono_ms, struct hb_page *out);

#endif
