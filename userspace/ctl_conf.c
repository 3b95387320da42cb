// SPDX-License-Identifier: GPL-2.0
/* Verbs of the module's configuration: set, showconf, setconf. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "addr.h"
#include "conf.h"
#include "ctl.h"
#include "out.h"

#define STATUS(member, type) OUT_FIELD(bnl_status, member, type)

/* The names are those of conf_keys, so that setconf reads what showconf prints. */
static const struct out_field conf_fields[] = {
	STATUS(node_id, OUT_ID),
	STATUS(cluster, OUT_ID),
	STATUS(port, OUT_U16),
	STATUS(bind, OUT_ADDR),
	{ "device", OUT_DEVICE, offsetof(struct bnl_status, ifindex) },
	{ 0 }
};

static bool has_addr(const struct bnl_peer *peers, size_t n, const union node_addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&peers[i].addr, addr))
			return true;
	return false;
}

/* --- showconf */

static void print_conf(FILE *file, const struct bnl_status *status, const struct bnl_peer *peers,
		       size_t n)
{
	char value[OUT_VALUE_MAX];

	for (const struct out_field *f = conf_fields; f->name; f++) {
		out_value(value, f, status, OUT_BARE);
		/* Not set yet: an id of "-", or port 0. */
		if (strcmp(value, "-") && strcmp(value, "0"))
			fprintf(file, "%s = %s\n", f->name, value);
	}
	for (size_t i = 0; i < n; i++)
		fprintf(file, "peer = %s\n", addr_format(&peers[i].addr, value));
}

static void print_conf_json(FILE *file, const struct bnl_status *status,
			    const struct bnl_peer *peers, size_t n)
{
	struct json_object *json = out_json(conf_fields, status);
	struct json_object *list = json_object_new_array();
	char addr[ADDR_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		json_object_array_add(list,
				      json_object_new_string(addr_format(&peers[i].addr, addr)));
	json_object_object_add(json, "peer", list);
	out_json_print(file, json, true);
}

int ctl_showconf(struct ctl *ctl, int argc, char **argv)
{
	struct bnl_status status;
	struct bnl_peer *peers;
	size_t n;
	int err;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	if (!ctl_open_status(ctl, &status))
		return CTL_FAILED;
	err = bnl_peers(ctl->nl, &peers, &n);
	if (err)
		return ctl_fail(ctl, err, "reading the peers");
	if (ctl->json)
		print_conf_json(stdout, &status, peers, n);
	else
		print_conf(stdout, &status, peers, n);
	free(peers);
	return CTL_OK;
}

/* --- set, setconf */

struct change {
	struct conf conf;		/* with the peers to have */
	union node_addr *remove;	/* the peers to remove */
	size_t nremove;
};

static int fail_addr(struct ctl *ctl, int err, const char *what, const union node_addr *addr)
{
	char text[ADDR_TEXT_MAX], line[ADDR_TEXT_MAX + 32];

	snprintf(line, sizeof(line), "%s %s", what, addr_format(addr, text));
	return ctl_fail(ctl, err, line);
}

/* Adds those that are not in known; on error takes them back. */
static int add_peers(struct ctl *ctl, const struct conf *conf, const struct bnl_peer *known,
		     size_t nknown)
{
	uint32_t index;
	int err = 0, code;
	size_t i;

	for (i = 0; i < conf->npeers && !err; i++)
		err = bnl_peer_set(ctl->nl, &conf->peers[i].addr, &index);
	if (!err)
		return CTL_OK;
	code = fail_addr(ctl, err, "adding peer", &conf->peers[--i].addr);
	while (i-- > 0)
		if (!has_addr(known, nknown, &conf->peers[i].addr))
			bnl_peer_del(ctl->nl, &conf->peers[i].addr);
	return code;
}

static int remove_peers(struct ctl *ctl, const union node_addr *addrs, size_t n)
{
	int err;

	for (size_t i = 0; i < n; i++) {
		err = bnl_peer_del(ctl->nl, &addrs[i]);
		if (err)
			return fail_addr(ctl, err, "removing peer", &addrs[i]);
	}
	return CTL_OK;
}

/* ORDER: what can be refused first, and taken back; what cannot fail last. */
static int apply(struct ctl *ctl, const struct change *change, const struct bnl_peer *known,
		 size_t nknown)
{
	int code = add_peers(ctl, &change->conf, known, nknown), err = 0;

	if (code)
		return code;
	if (change->conf.module.set)
		err = bnl_conf_set(ctl->nl, &change->conf.module);
	if (err) {
		code = ctl_fail(ctl, err, "changing the configuration");
		for (size_t i = 0; i < change->conf.npeers; i++)
			if (!has_addr(known, nknown, &change->conf.peers[i].addr))
				bnl_peer_del(ctl->nl, &change->conf.peers[i].addr);
		return code;
	}
	return remove_peers(ctl, change->remove, change->nremove);
}

static void warn_daemon(struct ctl *ctl)
{
	struct bnl_status status;

	if (bnl_status(ctl->nl, &status) == 0 && status.role != BERK_ROLE_NONE)
		fprintf(stderr, "berkctl: berkd is running and keeps to its own file: change that "
			"too, and reload it\n");
}

/* One "peer ADDR [remove]"; returns how many words it took, 0 on error. */
static int take_peer(struct change *change, int argc, char **argv)
{
	bool removal = argc > 2 && !strcmp(argv[2], "remove");
	uint16_t port = change->conf.module.port ? change->conf.module.port : BERK_PORT;
	const char *wrong = "out of memory";
	union node_addr addr, *remove;

	if (!removal) {
		wrong = conf_find("peer", CONF_MODULE)->parse(&change->conf, argv[1]);
		if (!wrong)
			wrong = addr_parse_peer(argv[1], port,
						&change->conf.peers[change->conf.npeers - 1].addr);
	} else {
		remove = reallocarray(change->remove, change->nremove + 1, sizeof(*remove));
		if (remove) {
			change->remove = remove;
			wrong = addr_parse_peer(argv[1], port, &addr);
		}
		if (!wrong)
			remove[change->nremove++] = addr;
	}
	if (wrong)
		fprintf(stderr, "berkctl: peer %s: %s; accepted: %s\n", argv[1], wrong,
			conf_find("peer", CONF_MODULE)->accepts);
	return wrong ? 0 : 2 + removal;
}

/* Two passes, so that "port" counts for the peers before it, too. */
static bool take_words(struct change *change, int argc, char **argv, bool peers)
{
	const struct conf_key *key;
	const char *wrong;
	int used;

	for (; argc > 0; argc -= used, argv += used) {
		key = conf_find(argv[0], CONF_MODULE);
		used = 2;
		if (!key || argc < 2) {
			fprintf(stderr, "berkctl: %s: %s\n", argv[0], key ? "no value" :
				"not a key; accepted: node_id, cluster, port, bind, device, peer");
			return false;
		}
		if (key->repeatable && peers) {
			used = take_peer(change, argc, argv);
			if (!used)
				return false;
		} else if (key->repeatable) {
			used = 2 + (argc > 2 && !strcmp(argv[2], "remove"));
		} else if (!peers) {
			wrong = key->parse(&change->conf, argv[1]);
			if (wrong) {
				fprintf(stderr, "berkctl: %s %s: %s; accepted: %s\n", argv[0],
					argv[1], wrong, key->accepts);
				return false;
			}
		}
	}
	return true;
}

static int change_module(struct ctl *ctl, struct change *change, bool replace_peers)
{
	struct bnl_peer *known;
	size_t n;
	int code, err;

	if (!ctl_open(ctl, 0))
		return CTL_FAILED;
	err = bnl_peers(ctl->nl, &known, &n);
	if (err)
		return ctl_fail(ctl, err, "reading the peers");
	if (replace_peers) {
		change->remove = calloc(n + 1, sizeof(*change->remove));
		for (size_t i = 0; change->remove && i < n; i++) {
			bool keep = false;

			for (size_t j = 0; j < change->conf.npeers; j++)
				keep |= addr_equal(&known[i].addr, &change->conf.peers[j].addr);
			if (!keep)
				change->remove[change->nremove++] = known[i].addr;
		}
	}
	code = apply(ctl, change, known, n);
	free(known);
	if (!code)
		warn_daemon(ctl);
	return code;
}

int ctl_set(struct ctl *ctl, int argc, char **argv)
{
	struct change change = { 0 };
	int code = CTL_USAGE;

	if (argc && take_words(&change, argc, argv, false) &&
	    take_words(&change, argc, argv, true))
		code = change_module(ctl, &change, false);
	conf_free(&change.conf);
	free(change.remove);
	return code;
}

static void on_conf_error(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "berkctl: %s\n", text);
}

int ctl_setconf(struct ctl *ctl, int argc, char **argv)
{
	struct change change = { 0 };
	int code = CTL_FAILED;

	if (argc != 1)
		return CTL_USAGE;
	if (conf_load(&change.conf, argv[0], CONF_MODULE, NULL, on_conf_error, NULL) == 0)
		code = change_module(ctl, &change, true);
	conf_free(&change.conf);
	free(change.remove);
	return code;
}
