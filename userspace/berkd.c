// SPDX-License-Identifier: GPL-2.0
/*
 * berkd: starts and ends, reads its configuration, and waits
 *
 * One loop over three descriptors: signals, the module's notifications, the
 * node's timer. What they bring is handed to drive.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "addr.h"
#include "conf.h"
#include "drift.h"
#include "drive.h"
#include "lock.h"
#include "log.h"

#define CONF_PATH "/etc/berk/berkd.conf"
#define NSEC_PER_SEC 1000000000LL

struct berkd {
	const char *conf_path;
	struct conf conf;
	struct drive drive;
	struct drift drift;
	double freq_sigma_ppb;	/* at the start, as node_conf */
	uint64_t seed;		/* as node_conf */
	int timer_fd, signal_fd;
	int watchdog_ms;	/* -1: none */
	bool stop;
	int exit_code;
};

/* --- configuration */

static void on_conf_error(void *arg, const char *text)
{
	(void)arg;
	log_msg(LOG_ERR, "%s", text);
}

/* So that all nodes may have the same file: whoever is in it itself is no peer. */
static void drop_own(struct conf *conf)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->npeers; i++) {
		struct conf_peer peer = conf->peers[i];

		if (peer.addr.in.sin_port == htons(conf->module.port) && addr_is_own(&peer.addr))
			free(peer.text);
		else
			conf->peers[n++] = peer;
	}
	conf->npeers = n;
}

/* False: said why in the log. *conf is to be freed in any case. */
static bool load(struct conf *conf, const char *path, const struct conf *known)
{
	if (conf_load(conf, path, CONF_BERKD, known, on_conf_error, NULL))
		return false;
	drop_own(conf);
	return true;
}

static struct node_conf node_conf_of(const struct berkd *d, const struct conf *conf)
{
	return (struct node_conf){
		.node_id = conf->module.node_id,
		.seed = d->seed,
		.eligible = conf->eligible,
		.eager = conf->role == CONF_ROLE_MASTER,
		.priority = conf->priority,
		.quorum = conf->quorum,
		.merge = conf->merge,
		.mode = conf->mode,
		.cluster = conf->module.cluster,
		.reference = conf->reference,
		.reference_limit_ppb = conf->reference_limit_ppb,
		.interval_ns = conf->interval_ns,
		.burst = conf->burst,
		.step_threshold_ns = conf->step_threshold_ns,
		.max_rate_ppb = conf->max_rate_ppb,
		.freq_ppb = d->drive.freq_ppb,
		.freq_sigma_ppb = d->freq_sigma_ppb,
	};
}

static struct near near_of(const struct conf *conf)
{
	return (struct near){ .port = conf->module.port, .only_ifindex = conf->module.ifindex };
}

static bool has_peer(const struct conf *conf, const union node_addr *addr)
{
	for (size_t i = 0; i < conf->npeers; i++)
		if (addr_equal(&conf->peers[i].addr, addr))
			return true;
	return false;
}

static bool add_peers(struct berkd *d, const struct conf *conf, const struct conf *known)
{
	int err;

	for (size_t i = 0; i < conf->npeers; i++) {
		if (known && has_peer(known, &conf->peers[i].addr))
			continue;
		err = node_peer_add(d->drive.node, &conf->peers[i].addr);
		if (err < 0) {
			log_msg(LOG_ERR, "peer %s: %s", conf->peers[i].text, strerror(-err));
			return false;
		}
	}
	return true;
}

static void del_peers(struct berkd *d, const struct conf *old, const struct conf *fresh)
{
	for (size_t i = 0; i < old->npeers; i++) {
		const union node_addr *addr = &old->peers[i].addr;

		if (has_peer(fresh, addr))
			continue;
		node_peer_del(d->drive.node, addr);
		if (bnl_peer_del(d->drive.nl, addr) < 0)
			log_msg(LOG_WARNING, "removing peer %s: %s", old->peers[i].text,
				bnl_error(d->drive.nl));
	}
}

/* All that can fail comes before anything that changes the node. */
static bool apply(struct berkd *d, struct conf *fresh)
{
	struct node_conf conf;

	if (!load(fresh, d->conf_path, &d->conf))
		return false;
	if (fresh->reference != d->conf.reference ||
	    fresh->module.node_id != d->conf.module.node_id) {
		log_msg(LOG_ERR, "%s: node_id and reference change only with a restart of berkd",
			d->conf_path);
		return false;
	}
	if (bnl_conf_set(d->drive.nl, &fresh->module) < 0) {
		log_msg(LOG_ERR, "%s: the module refuses it: %s", d->conf_path,
			bnl_error(d->drive.nl));
		return false;
	}
	d->drive.near = near_of(fresh);
	conf = node_conf_of(d, fresh);
	node_reconf(d->drive.node, &conf);
	del_peers(d, &d->conf, fresh);
	add_peers(d, fresh, &d->conf);
	drive_act(&d->drive);
	return true;
}

static void reload(struct berkd *d)
{
	struct conf fresh;

	sd_notify(0, "RELOADING=1");
	if (apply(d, &fresh)) {
		conf_free(&d->conf);
		d->conf = fresh;
		log_msg(LOG_INFO, "%s read again", d->conf_path);
	} else {
		conf_free(&fresh);
		log_msg(LOG_ERR, "%s: nothing was changed", d->conf_path);
	}
	sd_notify(0, "READY=1");
}

/* --- start and loop */

static const char *hint(int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return "; run berkd as root, or with CAP_NET_ADMIN and CAP_SYS_TIME";
	default:
		return "";
	}
}

static bool start_module(struct berkd *d)
{
	struct bnl_status status;
	int err = bnl_open(&d->drive.nl, BNL_GROUP_EVENTS | BNL_GROUP_CTRL);

	if (err == -ENOENT) {
		log_msg(LOG_ERR, "the berk module is not loaded: modprobe berk (or insmod "
			"berk.ko), then start berkd again");
		return false;
	}
	if (!err)
		err = bnl_conf_set(d->drive.nl, &d->conf.module);
	if (!err)
		err = bnl_peer_del(d->drive.nl, NULL);
	if (!err)
		err = bnl_status(d->drive.nl, &status);
	if (err) {
		log_msg(LOG_ERR, "the berk module refuses: %s%s", bnl_error(d->drive.nl),
			hint(err));
		return false;
	}
	d->drive.next_seq = status.seq;	/* older ones are not ours */
	return true;
}

static bool start_clock(struct berkd *d)
{
	int err;

	d->drive.reference = d->conf.reference;
	if (d->conf.reference)
		return true;	/* another program's */
	err = clock_start(&d->drive.clock, &d->drive.freq_ppb);
	if (err) {
		log_msg(LOG_ERR, "the clock cannot be set: %s%s", strerror(-err), hint(err));
		return false;
	}
	if (d->drive.clock.note[0])
		log_msg(LOG_NOTICE, "taking over the clock: %s", d->drive.clock.note);
	return true;
}

/* What the drift file says, as far as max_rate allows; how far that is off is uncertain, too. */
static void start_frequency(struct berkd *d)
{
	double max = d->conf.max_rate_ppb, wanted;

	d->drift.path = d->conf.drift_file;
	d->drift.node_id = d->conf.module.node_id;
	if (!drift_start(&d->drift, d->drive.now, &wanted, &d->freq_sigma_ppb))
		return;
	d->drive.freq_ppb = fmax(fmin(wanted, max), -max);
	d->freq_sigma_ppb += fabs(wanted - d->drive.freq_ppb);
}

static const char *what_it_is(const struct conf *conf)
{
	if (conf->reference)
		return "a reference";
	if (conf->role == CONF_ROLE_MASTER)
		return "master if it can";
	return conf->eligible ? "may be elected" : "never master";
}

static bool start_node(struct berkd *d)
{
	struct node_conf conf;

	if (getrandom(&d->seed, sizeof(d->seed), 0) != sizeof(d->seed)) {
		log_msg(LOG_ERR, "getrandom: %s", strerror(errno));
		return false;
	}
	d->drive.near = near_of(&d->conf);
	drive_start(&d->drive);
	start_frequency(d);
	conf = node_conf_of(d, &d->conf);
	d->drive.node = node_init(&conf);
	if (!d->drive.node) {
		log_msg(LOG_ERR, "out of memory");
		return false;
	}
	if (!add_peers(d, &d->conf, NULL))
		return false;
	node_start(d->drive.node, d->drive.now);
	log_msg(LOG_INFO, "berkd " BERK_VERSION " started: node %016" PRIx64 ", %s, %zu configured "
		"peers, frequency %+.3f ppm", conf.node_id, what_it_is(&d->conf), d->conf.npeers,
		conf.freq_ppb / 1000);
	drive_act(&d->drive);
	return true;
}

static bool open_fds(struct berkd *d)
{
	uint64_t usec = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	/* BOOTTIME goes on during a suspend, so that this wakes us when it is over. */
	d->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (d->signal_fd < 0 || d->timer_fd < 0) {
		log_msg(LOG_ERR, "signalfd, timerfd: %s", strerror(errno));
		return false;
	}
	d->watchdog_ms = sd_watchdog_enabled(0, &usec) > 0 ? (int)(usec / 3000) : -1;
	return true;
}

static void arm_timer(struct berkd *d)
{
	int64_t delay = drive_delay(&d->drive);	/* 0 would disarm it */
	struct itimerspec when = {
		.it_value = { .tv_sec = delay / NSEC_PER_SEC, .tv_nsec = delay % NSEC_PER_SEC },
	};

	timerfd_settime(d->timer_fd, 0, &when, NULL);
}

static void on_timer(struct berkd *d)
{
	uint64_t expirations;

	if (read(d->timer_fd, &expirations, sizeof(expirations)) > 0)
		drive_timer(&d->drive);
}

/* Leaves the clock at its last good frequency, marked unsynchronised. */
static void stop(struct berkd *d, int exit_code)
{
	sd_notify(0, "STOPPING=1");
	drift_save(&d->drift, d->drive.now, &d->drive.published, true);
	node_stop(d->drive.node, d->drive.now);
	drive_act(&d->drive);
	d->stop = true;
	d->exit_code = exit_code;
}

static void on_signal(struct berkd *d)
{
	struct signalfd_siginfo info;

	if (read(d->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		reload(d);
	else
		stop(d, 0);
}

static void on_notifications(struct berkd *d)
{
	if (drive_events(&d->drive) < 0) {
		log_msg(LOG_ERR, "notifications of the module: %s", bnl_error(d->drive.nl));
		stop(d, 1);
	} else if (d->drive.gone) {
		stop(d, 1);
	}
}

static void loop(struct berkd *d)
{
	struct pollfd fds[] = {
		{ .fd = d->signal_fd, .events = POLLIN },
		{ .fd = bnl_events_fd(d->drive.nl), .events = POLLIN },
		{ .fd = d->timer_fd, .events = POLLIN },
	};

	while (!d->stop) {
		drive_now(&d->drive);
		arm_timer(d);
		if (poll(fds, 3, d->watchdog_ms) < 0) {
			if (errno == EINTR)
				continue;
			log_msg(LOG_ERR, "poll: %s", strerror(errno));
			stop(d, 1);
			return;
		}
		if (d->watchdog_ms >= 0)
			sd_notify(0, "WATCHDOG=1");
		drive_now(&d->drive);
		/* ORDER: the end of a round before the timer that begins the next. */
		if (fds[1].revents)
			on_notifications(d);
		if (fds[2].revents && !d->stop)
			on_timer(d);
		if (fds[0].revents && !d->stop)
			on_signal(d);
		if (!d->stop)
			drift_save(&d->drift, d->drive.now, &d->drive.published, false);
	}
}

static int run(struct berkd *d)
{
	d->exit_code = 1;
	if (lock_take(!d->conf.reference) && open_fds(d) && start_module(d) && start_clock(d) &&
	    start_node(d)) {
		d->exit_code = 0;
		sd_notify(0, "READY=1");
		loop(d);
	}
	if (d->drive.node)
		node_free(d->drive.node);
	bnl_close(d->drive.nl);
	return d->exit_code;
}

static int usage(FILE *file, int code)
{
	fputs("Usage: berkd [-c FILE] [--check]\n"
	      "Keeps this machine's clock equal to those of its group.\n\n"
	      "  -c, --config FILE  instead of " CONF_PATH "\n"
	      "      --check        only check the configuration\n"
	      "  -h, --help         this text\n"
	      "  -V, --version      the version\n", file);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 }
	};
	struct berkd d = { .conf_path = CONF_PATH, .timer_fd = -1, .signal_fd = -1 };
	bool check = false;
	int opt, code;

	while ((opt = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		if (opt == 'c')
			d.conf_path = optarg;
		else if (opt == 'C')
			check = true;
		else if (opt == 'h')
			return usage(stdout, 0);
		else if (opt == 'V')
			return puts("berkd " BERK_VERSION) < 0;
		else
			return usage(stderr, 2);
	}
	if (optind < argc)
		return usage(stderr, 2);
	if (!load(&d.conf, d.conf_path, NULL))
		code = 1;
	else if (check)
		code = printf("%s: good\n", d.conf_path) < 0;
	else
		code = run(&d);
	conf_free(&d.conf);
	return code;
}
