// SPDX-License-Identifier: GPL-2.0
/*
 * cycle: the module's life in fast motion
 *
 * cycle reload N FILE NODE_ID PEER	N times: load the module FILE, open its port,
 *					start a round to PEER, unload it
 * cycle round NODE_ID PEER BURST	open the port and start a round to PEER
 *
 * PEER is an IPv4 address. The cluster is CLUSTER of this file.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "rawnl.h"

#define CLUSTER 0x7465737400000001ULL

static void must(int fd, struct rawmsg *m, const char *what)
{
	int err = rawnl_request(fd, m, 0);

	if (!err)
		return;
	fprintf(stderr, "%s: %s\n", what, err == RAWNL_SILENT ? "no answer" : strerror(-err));
	exit(1);
}

static void start_round(uint64_t node_id, const char *peer, uint8_t burst)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(BERK_PORT) };
	int family = rawnl_id(NULL), fd = rawnl_open();
	struct rawmsg m;

	if (inet_pton(AF_INET, peer, &addr.sin_addr) != 1)
		die(peer);
	rawmsg_init(&m, family, BERK_CMD_CONF_SET);
	rawmsg_put(&m, BERK_A_NODE_ID, &node_id, 8);
	rawmsg_put(&m, BERK_A_CLUSTER, &(uint64_t){ CLUSTER }, 8);
	rawmsg_put(&m, BERK_A_PORT, &(uint16_t){ BERK_PORT }, 2);
	must(fd, &m, "CONF_SET");
	rawmsg_init(&m, family, BERK_CMD_PEER_SET);
	rawmsg_put(&m, BERK_A_ADDR, &addr, sizeof(addr));
	must(fd, &m, "PEER_SET");
	rawmsg_init(&m, family, BERK_CMD_ROUND);
	rawmsg_put(&m, BERK_A_ROUND, &(uint32_t){ 1 }, 4);
	rawmsg_put(&m, BERK_A_BURST, &burst, 1);
	must(fd, &m, "ROUND");
	close(fd);
}

static void load(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		die(file);
	close(fd);
}

int main(int argc, char **argv)
{
	int n;

	if (argc == 6 && !strcmp(argv[1], "reload")) {
		for (n = atoi(argv[2]); n > 0; n--) {
			load(argv[3]);
			start_round(strtoull(argv[4], NULL, 0), argv[5], 64);
			if (syscall(SYS_delete_module, "berk", O_NONBLOCK))
				die("delete_module");
		}
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "round")) {
		start_round(strtoull(argv[2], NULL, 0), argv[3], atoi(argv[4]));
		return 0;
	}
	fprintf(stderr, "usage: cycle reload N FILE NODE_ID PEER | round NODE_ID PEER BURST\n");
	return 2;
}
