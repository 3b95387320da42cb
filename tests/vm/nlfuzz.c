// SPDX-License-Identifier: GPL-2.0
/*
 * nlfuzz: a netlink client that does everything wrong
 *
 * nlfuzz SEED RANDOM	every command with every attribute missing, too short, too
 *			long, nested, extreme; then RANDOM requests of random bytes.
 *			Whatever must be refused has to be; everything has to be answered.
 * nlfuzz unprivileged	what nobody may do and what everybody may
 *
 * Prints one line and ends with 0, or says what was wrong and ends with 1.
 */
#include <stdbool.h>

#include "rawnl.h"

#define ANY_LEN 0xffff
#define TYPE_MAX (BERK_A_MAX + 3)	/* a few that do not exist */

static const struct sockaddr_in addr4 = {
	.sin_family = AF_INET, .sin_port = 0x9515, .sin_addr.s_addr = 0xfe0200c0,
};
static const uint8_t one[64] = { 1 };

/* What the module takes; all other attributes are refused in a request. */
static const struct attr {
	uint16_t type, len;	/* len: the only one accepted */
	const void *good;
} attrs[] = {
	{ BERK_A_NODE_ID, 8, one }, { BERK_A_CLUSTER, 8, one }, { BERK_A_PORT, 2, one },
	{ BERK_A_BIND, sizeof(addr4), &addr4 }, { BERK_A_IFINDEX, 4, one },
	{ BERK_A_STATE, 1, one }, { BERK_A_ROLE, 1, one }, { BERK_A_MASTER_ID, 8, one },
	{ BERK_A_TERM, 4, one }, { BERK_A_ROUND, 4, one }, { BERK_A_OFFSET_NS, 8, one },
	{ BERK_A_ERROR_BOUND_NS, 8, one }, { BERK_A_FREQ_PPB, 4, one },
	{ BERK_A_VALID_MS, 4, one }, { BERK_A_SEQ, 8, one },
	{ BERK_A_ADDR, sizeof(addr4), &addr4 }, { BERK_A_PEER_LIST, ANY_LEN, one },
	{ BERK_A_BURST, 1, one }, { BERK_A_SPACING_NS, 8, one },
	{ BERK_A_DEADLINE_NS, 8, one }, { BERK_A_PAYLOAD, ANY_LEN, one },
	{ BERK_A_ERROR_GROWTH_PPB, 4, one }, { BERK_A_PEER, 4, one },
	{ BERK_A_PEER_STATE, 1, one }, { BERK_A_PEER_REASON, 1, one },
	{ BERK_A_PEER_RANK, 1, one }, { BERK_A_SIGMA_NS, 8, one }, { BERK_A_DELAY_NS, 8, one },
};

#define ATTRS (sizeof(attrs) / sizeof(attrs[0]))

static const struct command {
	uint8_t cmd;
	uint16_t flags;
	bool write;
	uint16_t needs[11];
} commands[] = {
	{ BERK_CMD_STATUS_GET, 0, false, { 0 } },
	{ BERK_CMD_CONF_SET, 0, true, { 0 } },
	{ BERK_CMD_PEER_SET, 0, true, { BERK_A_ADDR } },
	{ BERK_CMD_PEER_DEL, 0, true, { 0 } },
	{ BERK_CMD_PEER_GET, NLM_F_DUMP, false, { 0 } },
	{ BERK_CMD_ROUND, 0, true, { BERK_A_ROUND } },
	{ BERK_CMD_SAMPLE_GET, NLM_F_DUMP, true, { 0 } },
	{ BERK_CMD_SEND, 0, true, { BERK_A_ADDR, BERK_A_PAYLOAD } },
	{ BERK_CMD_PUBLISH, 0, true, { BERK_A_STATE, BERK_A_ROLE, BERK_A_MASTER_ID, BERK_A_TERM,
		BERK_A_ROUND, BERK_A_OFFSET_NS, BERK_A_ERROR_BOUND_NS, BERK_A_ERROR_GROWTH_PPB,
		BERK_A_FREQ_PPB, BERK_A_VALID_MS } },
	{ BERK_CMD_PEER_NOTE, 0, true, { BERK_A_PEER, BERK_A_PEER_STATE, BERK_A_PEER_REASON,
		BERK_A_PEER_RANK } },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int fd, family;
static unsigned int sent, refused;

static const struct attr *known(uint16_t type)
{
	size_t i;

	for (i = 0; i < ATTRS; i++)
		if (attrs[i].type == type)
			return &attrs[i];
	return NULL;
}

static void put_good(struct rawmsg *m, uint16_t type)
{
	const struct attr *a = known(type);

	rawmsg_put(m, type, a->good, a->len == ANY_LEN ? 4 : a->len);
}

/* The command as it should be, but without one attribute. */
static void begin(struct rawmsg *m, const struct command *c, uint16_t without)
{
	const uint16_t *need;

	rawmsg_init(m, family, c->cmd);
	for (need = c->needs; *need; need++)
		if (*need != without)
			put_good(m, *need);
}

static void check(struct rawmsg *m, uint16_t flags, bool must_fail, const char *what, int attr)
{
	int err = rawnl_request(fd, m, flags);

	sent++;
	refused += err < 0;
	if (err != RAWNL_SILENT && (err < 0 || !must_fail))
		return;
	fprintf(stderr, "command %u, attribute %d, %s: %s\n", m->genl.cmd, attr, what,
		err == RAWNL_SILENT ? "no answer" : "accepted");
	exit(1);
}

static void lengths(const struct command *c, uint16_t type)
{
	static const uint16_t lens[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 28, 29, 64, 65,
		128, 1024, 1025, 8192, 12000 };
	static const unsigned char zero[12000];
	const struct attr *a = known(type);
	struct rawmsg m;
	size_t i;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		begin(&m, c, type);
		rawmsg_put(&m, type, zero, lens[i]);
		check(&m, c->flags, !a || (a->len != ANY_LEN && a->len != lens[i]), "length", type);
	}
	/* An attribute that says more, or less, than there is. */
	begin(&m, c, type);
	rawmsg_attr(&m, type, 4000, zero, 8);
	check(&m, c->flags, true, "longer than the message", type);
	begin(&m, c, type);
	rawmsg_attr(&m, type, 3, zero, 8);
	check(&m, c->flags, true, "shorter than its header", type);
}

static void nesting(const struct command *c, uint16_t type)
{
	struct {
		struct nlattr outer, inner;
		uint32_t value;
	} nest = { { 12, type }, { 8, type }, 1 };
	struct rawmsg m;

	begin(&m, c, type);
	rawmsg_put(&m, type | NLA_F_NESTED, &nest, sizeof(nest));
	check(&m, c->flags, true, "nested", type);
	begin(&m, c, type);
	rawmsg_put(&m, type | NLA_F_NET_BYTEORDER, &nest, 8);
	check(&m, c->flags, !known(type), "byte order flag", type);
}

static void extremes(const struct command *c, const struct attr *a)
{
	static const unsigned char fill[] = { 0x00, 0xff, 0x80, 0x7f, 0x01 };
	unsigned char value[64];
	struct rawmsg m;
	size_t i, len = a->len == ANY_LEN ? 64 : a->len;

	for (i = 0; i < 2 * sizeof(fill); i++) {
		memset(value, fill[i / 2], sizeof(value));
		if (i & 1 && a->len != ANY_LEN)
			value[a->len - 1] ^= 0x80;
		begin(&m, c, a->type);
		rawmsg_put(&m, a->type, value, len);
		check(&m, c->flags, false, "extreme", a->type);
	}
}

static void malformed(const struct command *c)
{
	const uint16_t *need;
	struct rawmsg m;
	uint16_t type;
	size_t i;

	for (need = c->needs; *need; need++) {
		begin(&m, c, *need);
		check(&m, c->flags, true, "missing", *need);
	}
	for (type = 0; type <= TYPE_MAX; type++) {
		lengths(c, type);
		nesting(c, type);
	}
	for (i = 0; i < ATTRS; i++)
		extremes(c, &attrs[i]);
	begin(&m, c, 0);
	check(&m, c->flags ? 0 : NLM_F_DUMP, true, "dump the wrong way round", -1);
	begin(&m, c, 0);
	m.genl.version = 99;
	check(&m, c->flags, false, "version", -1);
	begin(&m, c, 0);
	m.nlh.nlmsg_len = NLMSG_HDRLEN + 2;
	check(&m, c->flags, true, "half a header", -1);
}

static uint64_t random_number(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return *seed >> 33;
}

/* A few random attributes, of random length, with random contents. */
static void random_request(uint64_t *seed)
{
	const struct command *c = &commands[random_number(seed) % COMMANDS];
	static const uint16_t families[] = { AF_INET, AF_INET6 };
	unsigned char bytes[256];
	struct rawmsg m;
	int n;
	size_t i, len;

	begin(&m, c, 0);
	for (n = random_number(seed) % 8; n; n--) {
		const struct attr *a = &attrs[random_number(seed) % ATTRS];

		len = random_number(seed) % 4 && a->len != ANY_LEN ? a->len :
		      random_number(seed) % sizeof(bytes);
		for (i = 0; i < sizeof(bytes); i++)
			bytes[i] = random_number(seed);
		if (a->type == BERK_A_ADDR || a->type == BERK_A_BIND)
			memcpy(bytes, &families[random_number(seed) % 2], 2);
		rawmsg_put(&m, random_number(seed) % 9 ? a->type : random_number(seed) % 70,
			   bytes, len);
	}
	check(&m, c->flags, false, "random", -1);
}

static void expect(int got, int wanted, const char *what, int id)
{
	if (got == wanted)
		return;
	fprintf(stderr, "%s %d: %s instead of %s\n", what, id, strerror(-got), strerror(-wanted));
	exit(1);
}

static int join(const char *group)
{
	int id = rawnl_id(group);

	return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &id, sizeof(id)) ? -errno : 0;
}

static int unprivileged(void)
{
	struct rawmsg m;
	size_t i;

	if (setgid(65534) || setuid(65534))
		die("setuid");
	fd = rawnl_open();
	for (i = 0; i < COMMANDS; i++) {
		begin(&m, &commands[i], 0);
		expect(rawnl_request(fd, &m, commands[i].flags), commands[i].write ? -EPERM : 0,
		       "command", commands[i].cmd);
	}
	expect(join(BERK_MCGRP_EVENTS), 0, "group events", 0);
	expect(join(BERK_MCGRP_SAMPLES), -EPERM, "group samples", 0);
	expect(join(BERK_MCGRP_CTRL), -EPERM, "group ctrl", 0);
	printf("%zu commands, 3 groups\n", COMMANDS);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seed;
	size_t i;
	int n;

	family = rawnl_id(NULL);
	if (argc == 2 && !strcmp(argv[1], "unprivileged"))
		return unprivileged();
	if (argc != 3) {
		fprintf(stderr, "usage: nlfuzz SEED RANDOM | unprivileged\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 0);
	fd = rawnl_open();
	for (i = 0; i < COMMANDS; i++)
		malformed(&commands[i]);
	for (n = atoi(argv[2]); n > 0; n--)
		random_request(&seed);
	/* A command that does not exist, one that is only a notification, no command. */
	for (i = 0; i < 256; i++) {
		struct rawmsg m;

		if (i && (i <= BERK_CMD_PUBLISH || i == BERK_CMD_PEER_NOTE))
			continue;
		rawmsg_init(&m, family, i);
		check(&m, 0, true, "no such command", -1);
	}
	printf("%u requests, %u refused\n", sent, refused);
	return 0;
}
