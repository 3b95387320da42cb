// SPDX-License-Identifier: GPL-2.0
/* The keys of the configuration and their values. */
#include "conf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "clock.h"

#define NAME_MAX_LEN 64

static const char *duration(const char *value, int64_t min, int64_t max, int64_t *ns)
{
	int64_t parsed;

	if (!conf_parse_duration(value, &parsed))
		return "not a time with its unit";
	if (parsed < min || parsed > max)
		return "out of range";
	*ns = parsed;
	return NULL;
}

static const char *integer(const char *value, unsigned long min, unsigned long max,
			   unsigned long *out)
{
	char *end;

	if (!isdigit((unsigned char)value[0]) || strlen(value) > 10)
		return "not a whole number in range";
	*out = strtoul(value, &end, 10);
	if (*end)
		return "not a whole number";
	return *out < min || *out > max ? "out of range" : NULL;
}

static const char *number(const char *value, double min, double max, double *out)
{
	char *end;

	*out = strtod(value, &end);
	if (!isdigit((unsigned char)value[0]) || *end || strpbrk(value, "xXpP"))
		return "not a number";
	return *out >= min && *out <= max ? NULL : "out of range";
}

/*
 * Which of the words value is; they are in the order of their enum. 0 and *wrong if
 * it is none.
 */
static int choice(const char **wrong, const char *value, const char *words)
{
	for (int i = 0; *words; i++) {
		size_t len = strcspn(words, " ");

		*wrong = NULL;
		if (len == strlen(value) && !strncmp(words, value, len))
			return i;
		words += len + (words[len] == ' ');
	}
	*wrong = "no such choice";
	return 0;
}

static const char *parse_role(struct conf *conf, const char *value)
{
	const char *wrong;

	conf->role = choice(&wrong, value, "auto master slave");
	return wrong;
}

static const char *parse_eligible(struct conf *conf, const char *value)
{
	const char *wrong;

	conf->eligible = choice(&wrong, value, "no yes");
	return wrong;
}

static const char *parse_priority(struct conf *conf, const char *value)
{
	unsigned long priority;
	const char *wrong = integer(value, 0, UINT8_MAX, &priority);

	if (!wrong)
		conf->priority = priority;
	return wrong;
}

static const char *parse_quorum(struct conf *conf, const char *value)
{
	const char *wrong;

	conf->quorum = choice(&wrong, value, "any majority");
	return wrong;
}

static const char *parse_merge(struct conf *conf, const char *value)
{
	const char *wrong;

	conf->merge = choice(&wrong, value, "slew step");
	return wrong;
}

static const char *parse_mode(struct conf *conf, const char *value)
{
	const char *wrong;

	conf->mode = choice(&wrong, value, "poll report");
	return wrong;
}

static const char *parse_reference(struct conf *conf, const char *value)
{
	const char *wrong;

	conf->reference = choice(&wrong, value, "no yes");
	return wrong;
}

static const char *parse_reference_limit(struct conf *conf, const char *value)
{
	double ppm;
	const char *wrong = number(value, 0.001, 100, &ppm);

	if (!wrong)
		conf->reference_limit_ppb = ppm * 1000;
	return wrong;
}

static const char *parse_node_id(struct conf *conf, const char *value)
{
	if (!conf_parse_id(value, &conf->module.node_id))
		return "not an id";
	conf->module.set |= BNL_CONF_NODE_ID;
	return NULL;
}

static const char *parse_cluster(struct conf *conf, const char *value)
{
	if (strlen(value) > NAME_MAX_LEN)
		return "too long";
	conf->module.cluster = conf_cluster_id(value);
	conf->module.set |= BNL_CONF_CLUSTER;
	return NULL;
}

static const char *parse_port(struct conf *conf, const char *value)
{
	unsigned long port;
	const char *wrong = integer(value, 1, UINT16_MAX, &port);

	if (wrong)
		return wrong;
	conf->module.port = port;
	conf->module.set |= BNL_CONF_PORT;
	return NULL;
}

static const char *parse_bind(struct conf *conf, const char *value)
{
	union node_addr addr;
	const char *wrong = NULL;

	memset(&addr, 0, sizeof(addr));
	if (strcmp(value, "any"))
		wrong = addr_parse_host(value, &addr);
	if (wrong)
		return wrong;
	conf->module.bind = addr;
	conf->module.set |= BNL_CONF_BIND;
	return NULL;
}

static const char *parse_device(struct conf *conf, const char *value)
{
	unsigned int index = 0;

	if (strcmp(value, "any")) {
		index = if_nametoindex(value);
		if (!index)
			return "no such device";
	}
	conf->module.ifindex = index;
	conf->module.set |= BNL_CONF_IFINDEX;
	return NULL;
}

/* Its address is looked up in the end, when the default port is known. */
static const char *parse_peer(struct conf *conf, const char *value)
{
	struct conf_peer *peers = reallocarray(conf->peers, conf->npeers + 1, sizeof(*peers));

	if (!peers)
		return "out of memory";
	conf->peers = peers;
	peers[conf->npeers] = (struct conf_peer){ .text = strdup(value) };
	if (!peers[conf->npeers].text)
		return "out of memory";
	conf->npeers++;
	return NULL;
}

static const char *parse_interval(struct conf *conf, const char *value)
{
	return duration(value, 62500000, 64000000000, &conf->interval_ns);
}

static const char *parse_probes(struct conf *conf, const char *value)
{
	return number(value, 0.1, BERK_BURST_MAX, &conf->probes);
}

static const char *parse_burst(struct conf *conf, const char *value)
{
	unsigned long burst;
	const char *wrong = integer(value, 1, BERK_BURST_MAX, &burst);

	if (!wrong)
		conf->burst = burst;
	return wrong;
}

static const char *parse_step_threshold(struct conf *conf, const char *value)
{
	return duration(value, 1000, 3600000000000, &conf->step_threshold_ns);
}

static const char *parse_max_rate(struct conf *conf, const char *value)
{
	double ppm;
	const char *wrong = number(value, 1, CLOCK_FREQ_MAX_PPB / 1000, &ppm);

	if (!wrong)
		conf->max_rate_ppb = ppm * 1000;
	return wrong;
}

static const char *parse_drift_file(struct conf *conf, const char *value)
{
	if (!strcmp(value, "none"))
		value = "";
	else if (*value != '/' || value[strlen(value) - 1] == '/')
		return "not an absolute path of a file";
	if (strlen(value) >= sizeof(conf->drift_file))
		return "too long";
	strcpy(conf->drift_file, value);
	return NULL;
}

#define BOTH (CONF_BERKD | CONF_MODULE)

/* berkd.conf(5) describes each of these in the same words. */
const struct conf_key conf_keys[] = {
	{ "role", CONF_BERKD, false, "auto, master or slave", parse_role },
	{ "eligible", CONF_BERKD, false, "yes or no", parse_eligible },
	{ "priority", CONF_BERKD, false, "0..255", parse_priority },
	{ "quorum", CONF_BERKD, false, "any or majority", parse_quorum },
	{ "merge", CONF_BERKD, false, "slew or step", parse_merge },
	{ "mode", CONF_BERKD, false, "poll or report", parse_mode },
	{ "reference", CONF_BERKD, false, "yes or no", parse_reference },
	{ "reference_limit", CONF_BERKD, false, "0.001..100 (ppm per second)",
	  parse_reference_limit },
	{ "node_id", BOTH, false, "16 hexadecimal digits, 0x... or decimal, not 0", parse_node_id },
	{ "cluster", BOTH, false, "a name of up to 64 characters", parse_cluster },
	{ "peer", BOTH, true, "HOST, HOST:PORT, V6 or [V6]:PORT", parse_peer },
	{ "port", BOTH, false, "1..65535", parse_port },
	{ "bind", BOTH, false, "an IPv4 or IPv6 address, or any", parse_bind },
	{ "device", BOTH, false, "the name of a network device, or any", parse_device },
	{ "interval", CONF_BERKD, false, "62.5ms..64s", parse_interval },
	{ "probes", CONF_BERKD, false, "0.1..64 (per second)", parse_probes },
	{ "burst", CONF_BERKD, false, "1..64", parse_burst },
	{ "step_threshold", CONF_BERKD, false, "1us..3600s", parse_step_threshold },
	{ "max_rate", CONF_BERKD, false, "1..500 (ppm)", parse_max_rate },
	{ "drift_file", CONF_BERKD, false, "an absolute path of up to 255 characters, or none",
	  parse_drift_file },
	{ 0 }
};

const struct conf_key *conf_find(const char *name, enum conf_scope scope)
{
	for (const struct conf_key *key = conf_keys; key->name; key++)
		if (key->scope & scope && !strcmp(key->name, name))
			return key;
	return NULL;
}
