// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/berk: the status of the initial network namespace, one value per
 * file, read-only. The other namespaces are asked by netlink.
 */
#include <linux/kobject.h>
#include <linux/sysfs.h>
#include <net/net_namespace.h>

#include "berk.h"

static struct kobject *dir;

#define STATUS_FILE(name, format, value)						\
static ssize_t name##_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf) \
{											\
	struct berk_net *bn = berk_net(&init_net);					\
	struct berk_status s;								\
											\
	berk_status_get(bn, &s);							\
	return sysfs_emit(buf, format "\n", value);					\
}											\
static struct kobj_attribute name##_attr = __ATTR_RO(name)

static const char * const states[] = {
	[BERK_STATE_UNSYNCHRONISED] = "unsynchronised",
	[BERK_STATE_SYNCHRONISED] = "synchronised",
	[BERK_STATE_HOLDOVER] = "holdover",
};

static const char * const roles[] = {
	[BERK_ROLE_NONE] = "none",
	[BERK_ROLE_SLAVE] = "slave",
	[BERK_ROLE_MASTER] = "master",
	[BERK_ROLE_STANDBY] = "standby",
};

STATUS_FILE(state, "%s", states[s.state]);
STATUS_FILE(role, "%s", roles[s.role]);
STATUS_FILE(node_id, "%016llx", READ_ONCE(bn->conf.node_id));
STATUS_FILE(master_id, "%016llx", s.master_id);
STATUS_FILE(term, "%u", s.term);
STATUS_FILE(round, "%u", s.round);
STATUS_FILE(round_age_ms, "%lld", berk_status_round_age_ms(&s));
STATUS_FILE(peers, "%u", READ_ONCE(bn->peers.count));
STATUS_FILE(offset_ns, "%lld", s.offset_ns);
STATUS_FILE(error_bound_ns, "%llu", s.error_bound_ns);
STATUS_FILE(error_growth_ppb, "%u", s.error_growth_ppb);
STATUS_FILE(freq_ppb, "%d", s.freq_ppb);
STATUS_FILE(void_after_ms, "%u", s.valid_ms);
STATUS_FILE(port, "%u", READ_ONCE(bn->conf.port));
STATUS_FILE(version, "%s", BERK_VERSION);

struct counter_file {
	struct kobj_attribute attr;
	enum berk_counter counter;
};

static ssize_t counter_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	const struct counter_file *file = container_of(attr, struct counter_file, attr);

	return sysfs_emit(buf, "%lld\n",
			  atomic64_read(&berk_net(&init_net)->counter[file->counter]));
}

#define COUNTER_FILE(name, which)							\
static struct counter_file name##_file = {						\
	.attr = __ATTR(name, 0444, counter_show, NULL),					\
	.counter = which,								\
}

COUNTER_FILE(probes_tx, BERK_CNT_PROBES_TX);
COUNTER_FILE(probes_rx, BERK_CNT_PROBES_RX);
COUNTER_FILE(replies_tx, BERK_CNT_REPLIES_TX);
COUNTER_FILE(replies_rx, BERK_CNT_REPLIES_RX);
COUNTER_FILE(ctrl_tx, BERK_CNT_CTRL_TX);
COUNTER_FILE(ctrl_rx, BERK_CNT_CTRL_RX);
COUNTER_FILE(samples, BERK_CNT_SAMPLES);
COUNTER_FILE(rx_stamps_late, BERK_CNT_RX_STAMPS_LATE);
COUNTER_FILE(tx_stamps_missing, BERK_CNT_TX_STAMPS_MISSING);
COUNTER_FILE(rejected, BERK_CNT_REJECTED);
COUNTER_FILE(overrun, BERK_CNT_OVERRUN);
COUNTER_FILE(foreign, BERK_CNT_FOREIGN);

static struct attribute *attrs[] = {
	&state_attr.attr, &role_attr.attr, &node_id_attr.attr, &master_id_attr.attr,
	&term_attr.attr, &round_attr.attr, &round_age_ms_attr.attr, &peers_attr.attr,
	&offset_ns_attr.attr, &error_bound_ns_attr.attr, &error_growth_ppb_attr.attr,
	&freq_ppb_attr.attr, &void_after_ms_attr.attr, &port_attr.attr, &version_attr.attr,
	&probes_tx_file.attr.attr, &probes_rx_file.attr.attr,
	&replies_tx_file.attr.attr, &replies_rx_file.attr.attr,
	&ctrl_tx_file.attr.attr, &ctrl_rx_file.attr.attr, &samples_file.attr.attr,
	&rx_stamps_late_file.attr.attr, &tx_stamps_missing_file.attr.attr,
	&rejected_file.attr.attr, &overrun_file.attr.attr, &foreign_file.attr.attr,
	NULL
};

static const struct attribute_group group = { .attrs = attrs };

int __init berk_sysfs_init(void)
{
	int err;

	dir = kobject_create_and_add("berk", kernel_kobj);
	if (!dir)
		return -ENOMEM;
	err = sysfs_create_group(dir, &group);
	if (err)
		kobject_put(dir);
	return err;
}

void berk_sysfs_exit(void)
{
	sysfs_remove_group(dir, &group);
	kobject_put(dir);
}
