/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A module for the tests of berkctl's verbs: it keeps what it is told. To be
 * included before the file under test.
 */
#ifndef FAKE_MODULE_H
#define FAKE_MODULE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "conf.h"
#include "nl.h"

#define UNUSED __attribute__((unused))

static struct {
	struct bnl_status status;
	struct bnl_peer peers[20];
	size_t npeers;
	struct berk_sample samples[20];
	size_t nsamples;
	struct bnl_event events[20];
	size_t nevents;
	int open, status_err, conf_set, samples_err;	/* what they answer */
	int refuse_peer;			/* the how many-th peer_set from now; 0 = none */
	unsigned int groups, not_permitted;	/* groups */
	int changes;
} module;

static UNUSED int fake_open(struct bnl **nl, unsigned int groups)
{
	*nl = NULL;
	module.groups = groups;
	return groups & module.not_permitted ? -EPERM : module.open;
}

static UNUSED void fake_close(struct bnl *nl)
{
	(void)nl;
}

static UNUSED const char *fake_error(const struct bnl *nl)
{
	(void)nl;
	return "the reason";
}

static UNUSED int fake_status(struct bnl *nl, struct bnl_status *status)
{
	(void)nl;
	*status = module.status;
	return module.status_err;
}

static UNUSED int fake_conf_set(struct bnl *nl, const struct bnl_conf *conf)
{
	struct bnl_status *s = &module.status;

	(void)nl;
	if (module.conf_set)
		return module.conf_set;
	module.changes++;
	s->node_id = conf->set & BNL_CONF_NODE_ID ? conf->node_id : s->node_id;
	s->cluster = conf->set & BNL_CONF_CLUSTER ? conf->cluster : s->cluster;
	s->port = conf->set & BNL_CONF_PORT ? conf->port : s->port;
	s->bind = conf->set & BNL_CONF_BIND ? conf->bind : s->bind;
	s->ifindex = conf->set & BNL_CONF_IFINDEX ? conf->ifindex : s->ifindex;
	return 0;
}

static UNUSED int fake_peers(struct bnl *nl, struct bnl_peer **peers, size_t *n)
{
	(void)nl;
	*peers = calloc(module.npeers + 1, sizeof(**peers));
	memcpy(*peers, module.peers, module.npeers * sizeof(**peers));
	*n = module.npeers;
	return 0;
}

static UNUSED int fake_peer_set(struct bnl *nl, const union node_addr *addr, uint32_t *index)
{
	(void)nl;
	if (module.refuse_peer && !--module.refuse_peer)
		return -EINVAL;
	module.changes++;
	for (size_t i = 0; i < module.npeers; i++) {
		if (addr_equal(&module.peers[i].addr, addr)) {
			*index = module.peers[i].index;
			return 0;
		}
	}
	module.peers[module.npeers] = (struct bnl_peer){
		.index = module.npeers + 1, .addr = *addr, .age_ms = UINT64_MAX,
	};
	*index = ++module.npeers;
	return 0;
}

static UNUSED int fake_peer_del(struct bnl *nl, const union node_addr *addr)
{
	(void)nl;
	module.changes++;
	for (size_t i = 0; i < module.npeers; i++) {
		if (addr_equal(&module.peers[i].addr, addr)) {
			memmove(&module.peers[i], &module.peers[i + 1],
				(--module.npeers - i) * sizeof(module.peers[0]));
			return 0;
		}
	}
	return -ENOENT;
}

static UNUSED int fake_samples(struct bnl *nl, uint64_t from, bnl_sample_fn *fn, void *arg)
{
	(void)nl;
	for (size_t i = 0; i < module.nsamples && !module.samples_err; i++)
		if (module.samples[i].seq >= from)
			fn(arg, &module.samples[i]);
	return module.samples_err;
}

/* Always readable. */
static UNUSED int fake_events_fd(const struct bnl *nl)
{
	static int fd = -1;

	(void)nl;
	if (fd < 0)
		fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	return fd;
}

/* The last is that the module goes away. */
static UNUSED int fake_events(struct bnl *nl, bnl_event_fn *fn, void *arg)
{
	struct bnl_event gone = { .type = BNL_EV_GONE };

	(void)nl;
	for (size_t i = 0; i < module.nevents; i++)
		fn(arg, &module.events[i]);
	fn(arg, &gone);
	return 0;
}

#define bnl_open fake_open
#define bnl_close fake_close
#define bnl_error fake_error
#define bnl_status(nl, status) fake_status(nl, status)	/* not the struct */
#define bnl_conf_set fake_conf_set
#define bnl_peers fake_peers
#define bnl_peer_set fake_peer_set
#define bnl_peer_del fake_peer_del
#define bnl_samples fake_samples
#define bnl_events_fd fake_events_fd
#define bnl_events fake_events

/* With this module instead of the real one. */
#include "ctl.c"

/* What a verb prints. */
static char *printed, *complained;

static UNUSED int run_verb(int (*verb)(struct ctl *, int, char **), struct ctl ctl, int argc,
			   char **argv)
{
	FILE *out = stdout, *err = stderr;
	size_t size;
	int code;

	free(printed);
	free(complained);
	stdout = open_memstream(&printed, &size);
	stderr = open_memstream(&complained, &size);
	code = verb(&ctl, argc, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = err;
	return code;
}

static int reset_module(void **state)
{
	(void)state;
	free(printed);
	free(complained);
	printed = complained = NULL;
	memset(&module, 0, sizeof(module));
	return 0;
}

static UNUSED void add_peer(const char *text)
{
	union node_addr addr;
	uint32_t index;

	assert_null(addr_parse_peer(text, BERK_PORT, &addr));
	fake_peer_set(NULL, &addr, &index);
	module.changes = 0;
}

#endif /* FAKE_MODULE_H */
