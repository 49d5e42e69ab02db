/* SPDX-License-Identifier: MIT */
/* A list of users: the connected ones, and disconnected ones whose token bucket is not full yet. */
#include "supervisor/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

#define TOKEN_MS (1000 / PEERS_REQUESTS_PER_S)
#define GROUPS_MAX 1024

struct peer {
	struct peer *next;
	uid_t uid;
	unsigned int connections;
	/* The time at which the burst is whole again; each request moves it by the time of one
	 * token. */
	int64_t whole_at_ms;
};

struct peers {
	struct peer *list;
	unsigned int connections;
};

struct peers *peers_new(void)
{
	return x_calloc(1, sizeof(struct peers));
}

void peers_free(struct peers *p)
{
	for (struct peer *peer = p ? p->list : NULL, *next; peer; peer = next) {
		next = peer->next;
		free(peer);
	}
	free(p);
}

/* Returns the user of that uid, or NULL.  Frees users without connections whose burst is whole
 * again. */
static struct peer *find(struct peers *p, uid_t uid, int64_t now)
{
	struct peer *found = NULL;

	for (struct peer **at = &p->list; *at;) {
		struct peer *peer = *at;

		if (peer->uid == uid) {
			found = peer;
		} else if (!peer->connections && peer->whole_at_ms <= now) {
			*at = peer->next;
			free(peer);
			continue;
		}
		at = &peer->next;
	}
	return found;
}

struct peer *peers_admit(struct peers *p, uid_t uid, int64_t now, char *why, size_t why_size)
{
	struct peer *peer = find(p, uid, now);
	unsigned int most = PEERS_CONNECTIONS_MAX - (uid ? PEERS_CONNECTIONS_FOR_ROOT : 0);

	if (p->connections >= most) {
		snprintf(why, why_size,
			"%u connections are open, and no more are taken; try again when others have "
			"ended",
			p->connections);
		return NULL;
	}
	if (peer && peer->connections >= PEERS_CONNECTIONS_PER_UID) {
		snprintf(why, why_size,
			"uid %u has %u connections open, and no user may have more; end some of them",
			(unsigned int)uid, peer->connections);
		return NULL;
	}
	if (!peer) {
		peer = x_calloc(1, sizeof(*peer));
		peer->uid = uid;
		peer->next = p->list;
		p->list = peer;
	}
	peer->connections++;
	p->connections++;
	return peer;
}

void peers_leave(struct peers *p, struct peer *peer)
{
	peer->connections--;
	p->connections--;
}

int64_t peers_request(struct peer *peer, int64_t now)
{
	const int64_t burst_ms = (int64_t)PEERS_REQUESTS_BURST * TOKEN_MS;
	int64_t from = peer->whole_at_ms > now ? peer->whole_at_ms : now;

	if (from + TOKEN_MS - now > burst_ms)
		return from + TOKEN_MS - now - burst_ms;
	peer->whole_at_ms = from + TOKEN_MS;
	return 0;
}

enum peer_access peers_access(int fd, uid_t uid, gid_t gid, const struct peers_groups *groups)
{
	gid_t list[GROUPS_MAX];
	socklen_t len = sizeof(list);
	bool control = gid == groups->control, read = gid == groups->read;

	if (groups->read == (gid_t)-1 || uid == 0 || uid == geteuid())
		return PEER_CHANGES;
	/* If the groups do not fit into the list, the process counts as one without groups. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &len) < 0)
		len = 0;
	for (size_t i = 0; i < len / sizeof(list[0]); i++) {
		control = control || list[i] == groups->control;
		read = read || list[i] == groups->read;
	}
	return control && groups->control != (gid_t)-1 ? PEER_CHANGES
		: read                                 ? PEER_READS
						       : PEER_NONE;
}
