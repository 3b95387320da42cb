// SPDX-License-Identifier: GPL-2.0
/* The configuration file as a whole. */
#include "conf.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-id128.h>

#include "addr.h"
#include "clock.h"

#define DEFAULT_CLUSTER "berk"
#define DEFAULT_DRIFT_FILE "/var/lib/berk/drift"

struct parser {
	struct conf *conf;
	const char *name;
	enum conf_scope scope;
	const struct conf *known;
	unsigned int line;	/* 0: the file as a whole */
	int errors;
	conf_error_fn *error;
	void *arg;
};

__attribute__((format(printf, 2, 3)))
static void complain(struct parser *p, const char *fmt, ...)
{
	char reason[512], text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	if (p->line)
		snprintf(text, sizeof(text), "%s:%u: %s", p->name, p->line, reason);
	else
		snprintf(text, sizeof(text), "%s: %s", p->name, reason);
	p->errors++;
	p->error(p->arg, text);
}

static void unknown_key(struct parser *p, const char *name)
{
	char accepted[400] = "";

	for (const struct conf_key *key = conf_keys; key->name; key++) {
		if (!(key->scope & p->scope))
			continue;
		if (*accepted)
			strcat(accepted, ", ");
		strcat(accepted, key->name);
	}
	complain(p, "unknown key \"%.40s\"; accepted: %s", name, accepted);
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text + strspn(text, " \t\r\n\v\f");
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text != '\t' && (*text < ' ' || *text > '~'))
			return false;
	return true;
}

static void parse_pair(struct parser *p, char *name, char *value)
{
	const struct conf_key *key = conf_find(name, p->scope);
	struct conf *conf = p->conf;
	unsigned int bit;
	const char *wrong;

	if (!key) {
		unknown_key(p, name);
		return;
	}
	bit = 1U << (key - conf_keys);
	if (conf->seen & bit && !key->repeatable) {
		complain(p, "%s is given twice; accepted: once", name);
		return;
	}
	conf->seen |= bit;
	wrong = *value ? key->parse(conf, value) : "no value";
	if (wrong)
		complain(p, "%s = %.80s: %s; accepted: %s", name, value, wrong, key->accepts);
	else if (key->repeatable)
		conf->peers[conf->npeers - 1].line = p->line;
}

static void parse_line(struct parser *p, char *line, size_t len)
{
	char *equals;

	if (strlen(line) != len) {
		complain(p, "a zero byte; accepted: key = value");
		return;
	}
	line[strcspn(line, "#")] = '\0';
	line = trim(line);
	if (!*line)
		return;
	equals = strchr(line, '=');
	if (!is_printable(line)) {
		complain(p, "an unprintable character; accepted: key = value");
	} else if (!equals) {
		complain(p, "no \"=\" in \"%.40s\"; accepted: key = value", line);
	} else {
		*equals = '\0';
		parse_pair(p, trim(line), trim(equals + 1));
	}
}

/*
 * As addr_parse_peer(). Not with %DEVICE, which is never a name: the device's index
 * may be another one now.
 */
static const char *resolve(const struct parser *p, const char *text, uint16_t port,
			   union node_addr *addr)
{
	if (p->known && p->known->module.port == port && !strchr(text, '%')) {
		for (size_t i = 0; i < p->known->npeers; i++) {
			if (!strcmp(p->known->peers[i].text, text)) {
				*addr = p->known->peers[i].addr;
				return NULL;
			}
		}
	}
	return addr_parse_peer(text, port, addr);
}

static void resolve_peers(struct parser *p)
{
	struct conf *conf = p->conf;
	uint16_t port = conf->module.port ? conf->module.port : BERK_PORT;

	for (size_t i = 0; i < conf->npeers; i++) {
		struct conf_peer *peer = &conf->peers[i];
		const char *wrong = resolve(p, peer->text, port, &peer->addr);

		p->line = peer->line;
		if (wrong) {
			complain(p, "peer = %.80s: %s; accepted: %s", peer->text, wrong,
				 conf_find("peer", p->scope)->accepts);
			continue;
		}
		for (size_t j = 0; j < i; j++)
			if (addr_equal(&conf->peers[j].addr, &peer->addr))
				complain(p, "peer = %.80s is the peer of line %u; accepted: each "
					 "once", peer->text, conf->peers[j].line);
	}
}

/*
 * The machine id itself is confidential (machine-id(5)): what goes onto the wire
 * is a keyed hash of it.
 */
static const char *default_node_id(uint64_t *id)
{
	static const sd_id128_t berk = SD_ID128_MAKE(c8, 4f, 1e, 0d, 5b, 3a, 4c, 52,
						     9e, 77, 2d, a1, 60, 1b, f4, 35);
	sd_id128_t hash;

	if (sd_id128_get_machine_app_specific(berk, &hash) < 0)
		return "node_id is missing and /etc/machine-id is not there to derive it from";
	*id = hash.qwords[0] ? hash.qwords[0] : 1;
	return NULL;
}

static bool is_given(const struct conf *conf, const char *name)
{
	return conf->seen & 1U << (conf_find(name, CONF_BERKD) - conf_keys);
}

/* The budget counts; but a round without a probe is none. */
static void finish_burst(struct parser *p)
{
	struct conf *conf = p->conf;
	double burst = conf->probes * (double)conf->interval_ns * 1e-9;

	if (is_given(conf, "burst") && is_given(conf, "probes"))
		complain(p, "burst (a round) and probes (a second) are both given; accepted: "
			 "one of them");
	if (!is_given(conf, "burst"))
		conf->burst = fmax(1, fmin(burst, BERK_BURST_MAX));
}

static void finish_role(struct parser *p)
{
	struct conf *conf = p->conf;
	bool said = is_given(conf, "eligible");

	if (said && conf->role == CONF_ROLE_MASTER && !conf->eligible)
		complain(p, "role = master, but eligible = no; accepted: one of them");
	if (said && conf->role == CONF_ROLE_SLAVE && conf->eligible)
		complain(p, "role = slave, but eligible = yes; accepted: one of them");
	if (conf->role == CONF_ROLE_SLAVE)
		conf->eligible = false;
	if (is_given(conf, "priority") && (conf->role == CONF_ROLE_MASTER || !conf->eligible))
		complain(p, "priority of a node that %s; accepted: with role = auto only",
			 conf->eligible ? "is always the first (role = master)" :
					  "is never elected");
	if (conf->role == CONF_ROLE_MASTER)
		conf->priority = UINT8_MAX;
}

/* What says how to correct a clock is a mistake where it is not corrected. */
static void finish_reference(struct parser *p)
{
	static const char *const keys[] = { "merge", "step_threshold", "max_rate", "drift_file" };

	if (!p->conf->reference)
		return;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (is_given(p->conf, keys[i]))
			complain(p, "%s, but with reference = yes this clock is never corrected; "
				 "accepted: one of them", keys[i]);
	p->conf->drift_file[0] = '\0';
}

static void finish_berkd(struct parser *p)
{
	struct bnl_conf *module = &p->conf->module;
	const char *wrong = NULL;

	p->line = 0;
	finish_role(p);
	finish_reference(p);
	finish_burst(p);
	if (!(module->set & BNL_CONF_NODE_ID))
		wrong = default_node_id(&module->node_id);
	if (wrong)
		complain(p, "%s; accepted: node_id = %s", wrong,
			 conf_find("node_id", CONF_BERKD)->accepts);
	if (!module->port)
		module->port = BERK_PORT;
	if (!(module->set & BNL_CONF_CLUSTER))
		module->cluster = conf_cluster_id(DEFAULT_CLUSTER);
	module->set = BNL_CONF_NODE_ID | BNL_CONF_CLUSTER | BNL_CONF_PORT | BNL_CONF_BIND |
		      BNL_CONF_IFINDEX;
}

int conf_parse(struct conf *conf, FILE *file, const char *name, enum conf_scope scope,
	       const struct conf *known, conf_error_fn *error, void *arg)
{
	struct parser p = {
		.conf = conf, .name = name, .scope = scope, .known = known,
		.error = error, .arg = arg,
	};
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	*conf = (struct conf){
		.eligible = true,
		.priority = 100,
		.reference_limit_ppb = 1000,
		.interval_ns = 1000000000,
		.probes = 5.3,
		.step_threshold_ns = 1000000,
		.max_rate_ppb = CLOCK_FREQ_MAX_PPB,
		.drift_file = DEFAULT_DRIFT_FILE,
	};
	while ((len = getline(&line, &size, file)) >= 0) {
		p.line++;
		parse_line(&p, line, len);
	}
	free(line);
	if (ferror(file)) {
		p.line = 0;
		complain(&p, "cannot be read: %s", strerror(errno));
	}
	resolve_peers(&p);
	if (scope == CONF_BERKD)
		finish_berkd(&p);
	return p.errors;
}

int conf_load(struct conf *conf, const char *path, enum conf_scope scope,
	      const struct conf *known, conf_error_fn *error, void *arg)
{
	FILE *file = fopen(path, "re");
	char text[512];
	int errors;

	if (!file) {
		memset(conf, 0, sizeof(*conf));
		snprintf(text, sizeof(text), "%.256s: cannot be read: %s", path, strerror(errno));
		error(arg, text);
		return 1;
	}
	errors = conf_parse(conf, file, path, scope, known, error, arg);
	fclose(file);
	return errors;
}

void conf_free(struct conf *conf)
{
	for (size_t i = 0; i < conf->npeers; i++)
		free(conf->peers[i].text);
	free(conf->peers);
	memset(conf, 0, sizeof(*conf));
}
