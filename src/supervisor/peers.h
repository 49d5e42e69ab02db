/* SPDX-License-Identifier: MIT */
/*
 * Who is at the other end of the control socket, what they may do, and how much of it: connections
 * and requests are limited by uid, so that one user's loop does not keep the others out.
 */
#ifndef K6FLEET_PEERS_H
#define K6FLEET_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Open at a time by one uid; the last ones of all are kept for root. */
#define PEERS_CONNECTIONS_PER_UID 64
#define PEERS_CONNECTIONS_MAX 256
#define PEERS_CONNECTIONS_FOR_ROOT 16
/* By one uid: what may come at once, and then so many a second. */
#define PEERS_REQUESTS_BURST 400
#define PEERS_REQUESTS_PER_S 200

enum peer_access { PEER_NONE, PEER_READS, PEER_CHANGES };

/* Groups of the configuration; -1: none. */
struct peers_groups {
	gid_t control, read;
};

struct peers;
struct peer; /* one uid */

struct peers *peers_new(void);
void peers_free(struct peers *p);
/* Counts a connection of the uid, until peers_leave().  NULL: too many are open; why says whose. */
struct peer *peers_admit(
	struct peers *p, uid_t uid, int64_t now_mono_ms, char *why, size_t why_size);
void peers_leave(struct peers *p, struct peer *peer);
/* 0: a request may be carried out and is counted; else so many milliseconds later. */
int64_t peers_request(struct peer *peer, int64_t now_mono_ms);
/* What the process at the other end may do: uid and groups as they were when it connected,
 * SO_PEERCRED of unix(7) and SO_PEERGROUPS.  Without a control_read_group the socket's mode alone
 * decides, and who got in may change things. */
enum peer_access peers_access(int fd, uid_t uid, gid_t gid, const struct peers_groups *groups);

#endif
