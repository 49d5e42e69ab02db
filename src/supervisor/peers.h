/* SPDX-License-Identifier: MIT */
/*
 * The users of the control socket: what each may do, and how much.  Connections and requests are
 * limited by uid, so that one user's loop does not keep the others out.
 */
#ifndef K6FLEET_PEERS_H
#define K6FLEET_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Connections that may be open at a time: of one uid, of all, and how many of all are reserved for
 * root. */
#define PEERS_CONNECTIONS_PER_UID 64
#define PEERS_CONNECTIONS_MAX 256
#define PEERS_CONNECTIONS_FOR_ROOT 16
/* Requests of one uid: so many at once, then so many a second. */
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
/* Counts a connection of the uid until peers_leave().  Returns NULL if too many are open, and
 * writes to why whose. */
struct peer *peers_admit(
	struct peers *p, uid_t uid, int64_t now_mono_ms, char *why, size_t why_size);
void peers_leave(struct peers *p, struct peer *peer);
/* Counts a request and returns 0 if it may be carried out now; else returns after how many
 * milliseconds it may. */
int64_t peers_request(struct peer *peer, int64_t now_mono_ms);
/* Returns what the process at the other end of fd may do, by its uid and its groups when it
 * connected (SO_PEERCRED of unix(7), SO_PEERGROUPS).  Without a control_read_group every process
 * that the socket's mode lets in may change things. */
enum peer_access peers_access(int fd, uid_t uid, gid_t gid, const struct peers_groups *groups);

#endif
