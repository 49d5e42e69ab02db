/* SPDX-License-Identifier: MIT */
/*
 * The native protocol of systemd's journal (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): one datagram an
 * entry, with fields that can be asked for, as in `journalctl -u k6fleetd AGENT=k6agent-3`.  Only for
 * processes whose standard error goes there anyway.
 */
#ifndef K6FLEET_JOURNAL_H
#define K6FLEET_JOURNAL_H

struct journal_entry {
	int priority; /* of syslog(3) */
	const char *program, *message;
	/* NULL: the entry is without this field. */
	const char *subject, *agent, *run;
};

/* A socket connected to the journal if standard error is its stream, as JOURNAL_STREAM of
 * systemd.exec(5) says, else -1.  Needs the host's /run. */
int journal_open(void);
/* Whether standard error is the journal's stream. */
int journal_has_stderr(void);
/* Sends without waiting; values must hold no newline.  0, or -1: it is not there, or takes no more. */
int journal_send(int fd, const struct journal_entry *entry);

#endif
