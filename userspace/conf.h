/* SPDX-License-Identifier: GPL-2.0 */
/* conf: the configuration file, for berkd and for berkctl setconf */
#ifndef BERK_CONF_H
#define BERK_CONF_H

#include <net/if.h>
#include <stdio.h>

#include "nl.h"

#define CONF_PATH_MAX 256

/* Who may use a key. */
enum conf_scope {
	CONF_BERKD = 1,		/* the daemon's file */
	CONF_MODULE = 2,	/* berkctl set, setconf, showconf */
};

/* What a node is made for; what it is shows in enum berk_role. */
enum conf_role {
	CONF_ROLE_AUTO,		/* whatever the group makes of it */
	CONF_ROLE_MASTER,	/* master whenever it can be */
	CONF_ROLE_SLAVE,	/* never master */
};

struct conf_peer {
	char *text;		/* as it is written */
	unsigned int line;
	union node_addr addr;
};

struct conf {
	unsigned int seen;	/* one bit for each key of the table */
	struct bnl_conf module;
	enum conf_role role;
	bool eligible;
	uint8_t priority;
	enum node_quorum quorum;
	enum node_merge merge;
	enum node_mode mode;
	bool reference;
	double reference_limit_ppb;	/* per s */
	int64_t interval_ns;
	double probes;		/* per second and peer... */
	double burst;		/* ...and per round, which follows from that */
	int64_t step_threshold_ns;
	double max_rate_ppb;
	char drift_file[CONF_PATH_MAX];	/* "" = none */
	struct conf_peer *peers;
	size_t npeers;
};

/* One key, for those who must agree with the parser. */
struct conf_key {
	const char *name;
	unsigned int scope;	/* enum conf_scope */
	bool repeatable;
	const char *accepts;
	/* NULL, or what is wrong; a peer is looked up only in the end */
	const char *(*parse)(struct conf *conf, const char *value);
};

extern const struct conf_key conf_keys[];	/* ends with name NULL */

/* One error: "FILE:LINE: reason; accepted: ..." */
typedef void conf_error_fn(void *arg, const char *text);

/*
 * Reads all of a file, looks up its peers, and checks it as a whole. Every error
 * in it is reported. Returns how many there were; conf is to be freed in any
 * case. With CONF_BERKD all defaults are filled in; with CONF_MODULE only what
 * the file gives is set. known: an earlier state of the file, read without errors;
 * names that it has are not looked up again, which may take long. Or NULL.
 */
int conf_load(struct conf *conf, const char *path, enum conf_scope scope,
	      const struct conf *known, conf_error_fn *error, void *arg);
int conf_parse(struct conf *conf, FILE *file, const char *name, enum conf_scope scope,
	       const struct conf *known, conf_error_fn *error, void *arg);
void conf_free(struct conf *conf);

/* NULL if there is none for that scope. */
const struct conf_key *conf_find(const char *name, enum conf_scope scope);

/*
 * What a cluster's name is on the wire: a hash of it, unless it is 16 hexadecimal
 * digits, which is how the hash is printed.
 */
uint64_t conf_cluster_id(const char *name);

/*
 * A 64-bit id from 16 hexadecimal digits (as it is printed), 0x..., or decimal.
 * False if it is none or 0.
 */
bool conf_parse_id(const char *text, uint64_t *id);

/* A time such as 62.5ms; the unit is needed. False if it is none. */
bool conf_parse_duration(const char *text, int64_t *ns);

#endif /* BERK_CONF_H */
