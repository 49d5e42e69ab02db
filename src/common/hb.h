/* SPDX-License-Identifier: MIT */
/*
 * The heartbeat pages: a sealed memfd with a page for each slot.  A worker maps its own page,
 * writable, and no other. The supervisor maps all pages read-only; it copies a page and checks
 * every field of the copy before it uses it.
 */
#ifndef K6FLEET_HB_H
#define K6FLEET_HB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/uuid.h"

#define HB_PAGE_BYTES 4096

enum hb_state { HB_STARTING, HB_IDLE, HB_RUNNING };

/* Times are of CLOCK_MONOTONIC, which is the same in all processes of a host. */
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

/* Returns a new memfd with a page for each slot, sealed against a change of its size; the caller
 * closes it.  Returns -1 and err if that fails. */
int hb_create(unsigned int slots, struct err *err);
/* Maps the page of one worker, shared and writable.  Returns NULL and err if mmap(2) fails. */
struct hb_page *hb_map_own(int fd, unsigned int slot, struct err *err);
/* Maps all pages read-only.  Returns NULL and err if mmap(2) fails. */
const uint8_t *hb_map_all(int fd, unsigned int slots, struct err *err);
/* Copies the page of a slot.  Returns false if a field has a value that no honest worker writes. */
bool hb_read(const uint8_t *pages, unsigned int slot, uint64_t now_mono_ms, struct hb_page *out);

#endif
