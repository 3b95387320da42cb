/* SPDX-License-Identifier: GPL-2.0 */
/*
 * origin: where this machine's time comes from
 *
 * The berkd that drives the clock says so, for references in other network
 * namespaces of the same machine: they share the clock, and a group must not follow
 * a clock that follows that group.
 */
#ifndef BERK_ORIGIN_H
#define BERK_ORIGIN_H

#include <stdint.h>

/* As in struct node_publish. A failure is said in the log, once. */
void origin_tell(uint64_t origin);
/* 0 = from outside: no berkd drives the clock, or what it follows is not berk's. */
uint64_t origin_ask(void);

#endif /* BERK_ORIGIN_H */
