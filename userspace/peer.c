// SPDX-License-Identifier: GPL-2.0
/* peer: the table of other nodes, found by address, by the kernel's index, or by their id */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_priv.h"

#define FORGET		120	/* intervals: a peer that was found and is not heard any more */
#define FOUND_MAX	4096	/* peers */

/* Where addr is, or where it belongs. */
static size_t place_by_addr(const struct master *m, const union node_addr *addr)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (memcmp(&m->peer[mid]->addr, addr, sizeof(*addr)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t place_by_index(const struct master *m, uint32_t index)
{
	size_t low = 0, high = m->n_indexed;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (m->by_index[mid]->index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void insert(struct peer **table, size_t *n, size_t at, struct peer *peer)
{
	memmove(table + at + 1, table + at, (*n - at) * sizeof(*table));
	table[at] = peer;
	++*n;
}

static void take_out(struct peer **table, size_t *n, size_t at)
{
	--*n;
	memmove(table + at, table + at + 1, (*n - at) * sizeof(*table));
}

struct peer *peer_by_addr(const struct node *node, const union node_addr *addr)
{
	const struct master *m = &node->master;
	size_t at = place_by_addr(m, addr);

	return at < m->n && !memcmp(&m->peer[at]->addr, addr, sizeof(*addr)) ? m->peer[at] : NULL;
}

struct peer *peer_by_index(const struct node *node, uint32_t index)
{
	const struct master *m = &node->master;
	size_t at = place_by_index(m, index);

	return at < m->n_indexed && m->by_index[at]->index == index ? m->by_index[at] : NULL;
}

static int reserve(struct node *node)
{
	struct master *m = &node->master;
	size_t size = m->size ? 2 * m->size : 16;
	struct peer **table;

	uint32_t *list;

	if (ensemble_reserve(&m->ensemble, m->n + 2))
		return -ENOMEM;
	if (m->n < m->size)
		return 0;
	list = reallocarray(node->measure.list, size, sizeof(*list));
	if (!list)
		return -ENOMEM;
	node->measure.list = list;
	table = reallocarray(m->peer, size, sizeof(*table));
	if (!table)
		return -ENOMEM;
	m->peer = table;
	table = reallocarray(m->by_index, size, sizeof(*table));
	if (!table)
		return -ENOMEM;
	m->by_index = table;
	m->size = size;
	return 0;
}

static struct peer *add(struct node *node, const union node_addr *addr)
{
	struct master *m = &node->master;
	struct peer *peer;

	if (reserve(node))
		return NULL;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	peer->addr = *addr;
	peer->announce = true;
	peer->standing.state = BERK_PEER_SILENT;
	peer->standing.rate_seen = NAN;
	peer->sampled_raw = peer->stray_heard_raw = INT64_MIN / 2;
	track_init(&peer->track);
	insert(m->peer, &m->n, place_by_addr(m, addr), peer);
	m->scan = 0;
	return peer;
}

int node_peer_add(struct node *node, const union node_addr *addr)
{
	struct peer *peer = peer_by_addr(node, addr);

	if (peer && peer->fixed)
		return -EEXIST;
	if (!peer)
		peer = add(node, addr);
	if (!peer)
		return -ENOMEM;
	peer->fixed = true;
	return 0;
}

static void unindex(struct master *m, struct peer *peer)
{
	if (peer->indexed)
		take_out(m->by_index, &m->n_indexed, place_by_index(m, peer->index));
	peer->indexed = false;
}

static void drop(struct node *node, struct peer *peer)
{
	struct master *m = &node->master;

	unindex(m, peer);
	take_out(m->peer, &m->n, place_by_addr(m, &peer->addr));
	free(peer);
	m->scan = 0;
}

int node_peer_del(struct node *node, const union node_addr *addr)
{
	struct peer *peer = peer_by_addr(node, addr);

	if (!peer)
		return -ENOENT;
	drop(node, peer);
	return 0;
}

/* One that the kernel has to forget as well. False if too many wait for that. */
static bool drop_found(struct node *node, struct peer *peer)
{
	if (node->n_forgotten == FORGOTTEN)
		return false;
	node->forgotten[node->n_forgotten++] = peer->addr;
	drop(node, peer);
	return true;
}

struct peer *peer_by_id(const struct node *node, uint64_t node_id)
{
	const struct master *m = &node->master;

	for (size_t i = 0; i < m->n; i++)
		if (m->peer[i]->node_id == node_id)
			return m->peer[i];
	return NULL;
}

/* What is known of its clock stays. */
void peer_move(struct node *node, struct peer *peer, const union node_addr *addr)
{
	struct master *m = &node->master;

	struct peer *there = peer_by_addr(node, addr);

	if (there && there->fixed && !there->node_id && !peer->fixed) {
		there->node_id = peer->node_id;	/* it is that one that was configured */
		there->instance = peer->instance;
		there->reports = peer->reports;
		there->eligible = peer->eligible;
		there->priority = peer->priority;
		peer->node_id = 0;
		peer->heard_raw = INT64_MIN / 2;
		return;
	}
	if (peer->fixed || there || node->n_forgotten == FORGOTTEN)
		return;
	node->forgotten[node->n_forgotten++] = peer->addr;
	unindex(m, peer);
	take_out(m->peer, &m->n, place_by_addr(m, &peer->addr));
	peer->addr = *addr;
	peer->announce = true;
	insert(m->peer, &m->n, place_by_addr(m, addr), peer);
	m->scan = 0;
}

static size_t found(const struct master *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += !m->peer[i]->fixed;
	return n;
}

/*
 * A node that is known keeps its address as long as it answers there: most have
 * several. Whoever is heard may be made up, so there is a limit.
 */
struct peer *peer_meet(struct node *node, struct node_now now, uint64_t node_id,
		       const union node_addr *addr)
{
	struct peer *known = peer_by_id(node, node_id), *peer = peer_by_addr(node, addr);

	if (known && known != peer) {
		if (!known->fixed && known->missed >= MISSED)
			peer_move(node, known, addr);
		return known;
	}
	if (!peer && found(&node->master) < FOUND_MAX)
		peer = add(node, addr);
	if (peer) {
		peer->node_id = node_id;
		peer->heard_raw = now.raw_ns;
	}
	return peer;
}

/* The same node by two addresses: the one that is configured stays. */
void peer_identify(struct node *node, struct peer *peer)
{
	struct peer *other;

	if (peer->node_id || !peer->track.started)
		return;
	other = peer_by_id(node, peer->track.node_id);
	peer->node_id = peer->track.node_id;
	if (!other)
		return;
	if (peer->fixed)
		other->heard_raw = INT64_MIN / 2;	/* forgotten soon */
	else
		peer->heard_raw = INT64_MIN / 2;
}

void peers_forget(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	int64_t after = FORGET * follow_interval(node);

	for (size_t i = m->n; i-- > 0;) {
		struct peer *peer = m->peer[i];

		if (!peer->fixed && now.raw_ns - peer->heard_raw > after)
			drop_found(node, peer);
	}
}

void node_peer_index(struct node *node, const union node_addr *addr, uint32_t index)
{
	struct master *m = &node->master;
	struct peer *peer = peer_by_addr(node, addr), *other = peer_by_index(node, index);

	if (!peer || peer == other)
		return;
	if (other)
		unindex(m, other);
	unindex(m, peer);
	peer->index = index;
	peer->indexed = true;
	insert(m->by_index, &m->n_indexed, place_by_index(m, index), peer);
}

const char *addr_text(const union node_addr *a, char text[PEER_TEXT])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (a->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof(ip));
		snprintf(text, PEER_TEXT, "[%s]:%u", ip, ntohs(a->in6.sin6_port));
	} else {
		inet_ntop(AF_INET, &a->in.sin_addr, ip, sizeof(ip));
		snprintf(text, PEER_TEXT, "%s:%u", ip, ntohs(a->in.sin_port));
	}
	return text;
}

const char *peer_text(const struct peer *peer, char text[PEER_TEXT])
{
	return addr_text(&peer->addr, text);
}

void peers_free(struct node *node)
{
	struct master *m = &node->master;

	for (size_t i = 0; i < m->n; i++)
		free(m->peer[i]);
	free(m->peer);
	free(m->by_index);
	free(node->measure.list);
	ensemble_free(&m->ensemble);
}
