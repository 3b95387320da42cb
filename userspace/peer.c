// SPDX-License-Identifier: GPL-2.0
/* peer: the master's table of peers, found by address and by the kernel's index */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_priv.h"

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

static int reserve(struct master *m)
{
	size_t size = m->size ? 2 * m->size : 16;
	struct peer **table;

	if (ensemble_reserve(&m->ensemble, m->n + 2))
		return -ENOMEM;
	if (m->n < m->size)
		return 0;
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

int node_peer_add(struct node *node, const union node_addr *addr)
{
	struct master *m = &node->master;
	struct peer *peer;

	if (peer_by_addr(node, addr))
		return -EEXIST;
	if (reserve(m))
		return -ENOMEM;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -ENOMEM;
	peer->addr = *addr;
	peer->announce = true;
	peer->standing.rate_seen = NAN;
	track_init(&peer->track);
	insert(m->peer, &m->n, place_by_addr(m, addr), peer);
	m->scan = 0;
	return 0;
}

static void unindex(struct master *m, struct peer *peer)
{
	if (peer->indexed)
		take_out(m->by_index, &m->n_indexed, place_by_index(m, peer->index));
	peer->indexed = false;
}

int node_peer_del(struct node *node, const union node_addr *addr)
{
	struct master *m = &node->master;
	struct peer *peer = peer_by_addr(node, addr);

	if (!peer)
		return -ENOENT;
	unindex(m, peer);
	take_out(m->peer, &m->n, place_by_addr(m, addr));
	free(peer);
	m->scan = 0;
	return 0;
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

const char *peer_text(const struct peer *peer, char text[PEER_TEXT])
{
	const union node_addr *a = &peer->addr;
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

void peers_free(struct node *node)
{
	struct master *m = &node->master;

	for (size_t i = 0; i < m->n; i++)
		free(m->peer[i]);
	free(m->peer);
	free(m->by_index);
	ensemble_free(&m->ensemble);
}
