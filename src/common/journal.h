/* SPDX-License-Identifier: MIT */
/*
 * The native protocol of systemd's journal (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): one
 * datagram an entry, with fields that can be searched, as in `journalctl -u k6fleetd
 * AGENT=k6agent-3`.  Only for processes whose standard error goes to the journal anyway.
 */
#ifndef K6FLEET_JOURNAL_H
#define K6FLEET_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_ENTRY_MAX 12288

struct journal_entry {
	char text[JOURNAL_ENTRY_MAX];
	size_t len;
	bool full; /* a field did not fit */
};

/* Returns a socket connected to the journal if standard error is its stream, as JOURNAL_STREAM of
 * systemd.exec(5) says, else -1.  Needs the host's /run. */
int journal_open(void);
/* Returns whether standard error is the journal's stream. */
bool journal_has_stderr(void);

/* Empties the entry. */
void journal_begin(struct journal_entry *entry);
/* Adds a field.  The name consists of A-Z, 0-9 and _, the value holds no newline. */
void journal_add(struct journal_entry *entry, const char *name, const char *value);
/* Sends without waiting.  Returns 0, or -1 if the entry is full, the journal is away or takes no
 * more. */
int journal_send(int fd, const struct journal_entry *entry);

#endif
