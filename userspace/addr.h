/* SPDX-License-Identifier: GPL-2.0 */
/* addr: node addresses as text and as the bytes that the kernel sees */
#ifndef BERK_ADDR_H
#define BERK_ADDR_H

#include "node.h"

/* "[" IPv6 "%" device "]:65535" and the final 0 */
#define ADDR_TEXT_MAX (INET6_ADDRSTRLEN + 32)

/*
 * Parses a numeric address without port: 192.0.2.1, 2001:db8::1, fe80::1%eth0.
 * The port is left 0. Returns NULL, or what is wrong (*addr is then unchanged).
 */
const char *addr_parse_host(const char *text, union node_addr *addr);

/*
 * Parses the address of one node: HOST, HOST:PORT, V6, [V6] or [V6]:PORT, where
 * HOST is an IPv4 address or a name. A name is looked up only here, once; of
 * several addresses the first is taken (the order of RFC 6724). port is the
 * default. Returns NULL, or what is wrong (*addr is then unchanged).
 */
const char *addr_parse_peer(const char *text, uint16_t port, union node_addr *addr);

/*
 * From the bytes of a sockaddr. IPv4-mapped IPv6 becomes IPv4: one node has one
 * address. False if they are not an IPv4 or IPv6 address.
 */
bool addr_from_bytes(union node_addr *addr, const void *bytes, size_t len);

/* How many bytes of it the kernel wants. */
size_t addr_len(const union node_addr *addr);

/* Is it an address of this machine, as far as the network namespace goes? */
bool addr_is_own(const union node_addr *addr);

bool addr_equal(const union node_addr *a, const union node_addr *b);

/* With its port, unless that is 0: what addr_parse_*() accept. Returns buf. */
const char *addr_format(const union node_addr *addr, char buf[ADDR_TEXT_MAX]);

#endif /* BERK_ADDR_H */
