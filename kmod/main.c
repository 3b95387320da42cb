// SPDX-License-Identifier: GPL-2.0
/* What each network namespace has, and the init ladder with its mirror image. */
#include <linux/module.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "berk.h"

#define RING_SIZE	16384	/* samples: a round over 1,000 peers with bursts of 16 */

static unsigned int net_id __read_mostly;

struct berk_net *berk_net(struct net *net)
{
	return net_generic(net, net_id);
}

static void close_net(struct berk_net *bn)
{
	/* ORDER: the thread sends through the sockets, the sockets wake the thread. */
	berk_thread_stop(bn);
	berk_sock_close(bn);
}

static int open_net(struct berk_net *bn)
{
	int err = 0;

	if (!bn->conf.port)
		return 0;
	/* Memory comes with the first opening: most namespaces never have one. */
	if (!bn->ring.slot)
		err = berk_ring_init(&bn->ring, RING_SIZE);
	if (!err && !bn->answers.asker)
		err = berk_answers_init(&bn->answers);
	if (!err)
		err = berk_sock_open(bn);
	if (!err)
		err = berk_thread_start(bn);
	if (err)
		berk_sock_close(bn);
	return err;
}

/**
 * berk_conf_apply() - change the configuration
 * @bn: conf_lock held
 * @conf: the new one
 *
 * Sockets are opened anew only if what they were opened with has changed; if
 * that fails the old ones come back.
 *
 * Return: 0, or a negative error with everything as it was.
 */
int berk_conf_apply(struct berk_net *bn, const struct berk_conf *conf)
{
	struct berk_conf old = bn->conf;
	bool same = conf->port == old.port && conf->ifindex == old.ifindex &&
		    !memcmp(&conf->bind, &old.bind, sizeof(old.bind));
	int err;

	lockdep_assert_held(&bn->conf_lock);
	WRITE_ONCE(bn->conf.node_id, conf->node_id);
	WRITE_ONCE(bn->conf.cluster, conf->cluster);
	if (same)
		return 0;

	close_net(bn);
	bn->conf = *conf;
	err = open_net(bn);
	if (!err)
		return 0;
	bn->conf = old;
	if (open_net(bn)) {
		pr_err("berk: port %u is closed: it could not be opened again\n", old.port);
		bn->conf.port = 0;
	}
	return err;
}

static int __net_init net_init(struct net *net)
{
	struct berk_net *bn = berk_net(net);

	bn->net = net;
	mutex_init(&bn->conf_lock);
	init_waitqueue_head(&bn->wait);
	spin_lock_init(&bn->status_lock);
	bn->status.error_bound_ns = U64_MAX;
	berk_peers_init(&bn->peers);
	return 0;
}

/*
 * ORDER: before the devices go. A socket that got packets of the group holds the
 * route of the last, and with it the loopback device, which is waited for.
 */
static void __net_exit net_pre_exit(struct net *net)
{
	close_net(berk_net(net));
}

static void __net_exit net_exit(struct net *net)
{
	struct berk_net *bn = berk_net(net);

	mutex_lock(&bn->peers.lock);
	berk_peers_clear(&bn->peers);
	mutex_unlock(&bn->peers.lock);
	berk_ring_free(&bn->ring);
	berk_answers_free(&bn->answers);
}

static struct pernet_operations net_ops = {
	.init = net_init,
	.pre_exit = net_pre_exit,
	.exit = net_exit,
	.id = &net_id,
	.size = sizeof(struct berk_net),
};

static int __init berk_init(void)
{
	int err;

	err = register_pernet_subsys(&net_ops);
	if (err)
		return err;
	err = berk_netlink_init();
	if (err)
		goto net;
	err = berk_sysfs_init();
	if (err)
		goto netlink;
	return 0;

netlink:
	berk_netlink_exit();
net:
	unregister_pernet_subsys(&net_ops);
	return err;
}

static void __exit berk_exit(void)
{
	berk_sysfs_exit();
	berk_netlink_exit();
	unregister_pernet_subsys(&net_ops);
	/* kvfree_rcu() of the peers needs no code of ours. */
}

module_init(berk_init);
module_exit(berk_exit);

MODULE_DESCRIPTION("Clock synchronisation by the Berkeley algorithm: stamps, exchanges, netlink");
MODULE_LICENSE("GPL");
MODULE_VERSION(BERK_VERSION);
