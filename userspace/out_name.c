// SPDX-License-Identifier: GPL-2.0
/* The words for what the module has as numbers. */
#include <linux/berk.h>

#include "out.h"

#define NAME(names, i) ((i) < sizeof(names) / sizeof((names)[0]) ? (names)[i] : "?")

const char *out_state_name(unsigned int state)
{
	static const char *const names[__BERK_STATE_MAX] = {
		[BERK_STATE_UNSYNCHRONISED] = "unsynchronised",
		[BERK_STATE_SYNCHRONISED] = "synchronised",
		[BERK_STATE_HOLDOVER] = "holdover",
	};

	return NAME(names, state);
}

const char *out_role_name(unsigned int role)
{
	static const char *const names[__BERK_ROLE_MAX] = {
		[BERK_ROLE_NONE] = "none",
		[BERK_ROLE_SLAVE] = "slave",
		[BERK_ROLE_MASTER] = "master",
		[BERK_ROLE_STANDBY] = "standby",
	};

	return NAME(names, role);
}

const char *out_peer_state_name(unsigned int state)
{
	static const char *const names[__BERK_PEER_STATE_MAX] = {
		[BERK_PEER_UNKNOWN] = "unknown",
		[BERK_PEER_SILENT] = "silent",
		[BERK_PEER_IDLE] = "idle",
		[BERK_PEER_CANDIDATE] = "candidate",
		[BERK_PEER_MEMBER] = "member",
		[BERK_PEER_FALSETICKER] = "falseticker",
		[BERK_PEER_FOREIGN] = "foreign",
		[BERK_PEER_REFERENCE] = "reference",
		[BERK_PEER_MASTER] = "master",
		[BERK_PEER_WITNESS] = "witness",
	};

	return NAME(names, state);
}

/* They follow the state: "falseticker: steps". */
const char *out_reason_name(unsigned int reason)
{
	static const char *const names[__BERK_WHY_MAX] = {
		[BERK_WHY_NONE] = "none",
		[BERK_WHY_OFFSET] = "wrong time",
		[BERK_WHY_STEPPED] = "steps",
		[BERK_WHY_DRIFT] = "does not follow",
		[BERK_WHY_NOISE] = "contradicts itself",
		[BERK_WHY_STUCK] = "stuck",
		[BERK_WHY_ASYMMETRY] = "uncertain path",
		[BERK_WHY_RESTARTED] = "restarted",
		[BERK_WHY_UNACKED] = "no acknowledgements",
		[BERK_WHY_REFUSES] = "refuses corrections",
		[BERK_WHY_JOINING] = "joining",
		[BERK_WHY_LIES] = "wrong corrections",
		[BERK_WHY_TWICE] = "node_id used twice",
	};

	return NAME(names, reason);
}
