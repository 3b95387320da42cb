// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The neighbours below berkd; what it asks of them is heard. */
#define main berkd_main
#define drive_act fake_drive_act
#define drive_now fake_drive_now
#define drive_start fake_drive_start
#define drive_delay fake_drive_delay
#define drive_events fake_drive_events
#define drive_timer fake_drive_timer
#define node_init fake_node_init
#define node_free fake_node_free
#define node_start fake_node_start
#define node_stop fake_node_stop
#define node_reconf fake_node_reconf
#define node_peer_add fake_node_peer_add
#define node_peer_del fake_node_peer_del
#define bnl_open fake_open
#define bnl_close fake_close
#define bnl_error fake_error
#define bnl_conf_set fake_conf_set
#define bnl_peer_del fake_peer_del
#define bnl_status fake_status
#define bnl_events_fd fake_events_fd
#define clock_start fake_clock_start
#define drift_start fake_drift_start
#define drift_save fake_drift_save
#define lock_take fake_lock_take
#define addr_is_own fake_is_own
int berkd_main(int argc, char **argv);
#include "berkd.c"
#undef main

static char heard[4000];
static struct {
	int open, conf_set, clock_start;	/* what they answer */
	bool locked;
	int events_pipe[2];
	struct node_conf conf;		/* the node's */
	struct near near;		/* drive's, at the end */
	double drift_ppb;		/* what the drift file says, if not 0 */
	const char *rewrite;		/* the file's new text, at the first timer */
	int timers;
	bool gone;
} fake;
static char path[] = "/tmp/berkd-test-XXXXXX";

__attribute__((format(printf, 1, 2)))
static void hear(const char *fmt, ...)
{
	size_t len = strlen(heard);
	va_list args;

	va_start(args, fmt);
	vsnprintf(heard + len, sizeof(heard) - len, fmt, args);
	va_end(args);
}

static void write_conf(const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

void fake_drive_act(struct drive *d)
{
	(void)d;
}

void fake_drive_now(struct drive *d)
{
	d->now.raw_ns++;
}

void fake_drive_start(struct drive *d)
{
	d->now.raw_ns = 1;
}

int64_t fake_drive_delay(const struct drive *d)
{
	(void)d;
	return 1;
}

int fake_drive_events(struct drive *d)
{
	hear("events;");
	d->gone = fake.gone;
	return 0;
}

/* The first asks for a reload, if there is one; the last for the end. */
void fake_drive_timer(struct drive *d)
{
	fake.near = d->near;
	if (fake.timers++ == 0 && fake.rewrite) {
		write_conf(fake.rewrite);
		raise(SIGHUP);
	} else if (fake.gone) {
		assert_int_equal(write(fake.events_pipe[1], "x", 1), 1);
	} else {
		raise(SIGTERM);
	}
}

struct node *fake_node_init(const struct node_conf *conf)
{
	fake.conf = *conf;
	return (struct node *)&fake;
}

void fake_node_free(struct node *node)
{
	assert_ptr_equal(node, &fake);
	hear("free;");
}

void fake_node_start(struct node *node, struct node_now now)
{
	(void)node;
	(void)now;
	hear("start;");
}

void fake_node_stop(struct node *node, struct node_now now)
{
	(void)node;
	(void)now;
	hear("stop;");
}

void fake_node_reconf(struct node *node, const struct node_conf *conf)
{
	(void)node;
	fake.conf = *conf;
	hear("reconf;");
}

static int hear_peer(const char *what, const union node_addr *addr)
{
	char text[ADDR_TEXT_MAX];

	hear("%s %s;", what, addr_format(addr, text));
	return 0;
}

int fake_node_peer_add(struct node *node, const union node_addr *addr)
{
	(void)node;
	return hear_peer("add", addr);
}

int fake_node_peer_del(struct node *node, const union node_addr *addr)
{
	(void)node;
	return hear_peer("del", addr);
}

int fake_open(struct bnl **nl, unsigned int groups)
{
	*nl = NULL;
	assert_int_equal(groups, BNL_GROUP_EVENTS | BNL_GROUP_CTRL);
	return fake.open;
}

void fake_close(struct bnl *nl)
{
	(void)nl;
	hear("close;");
}

const char *fake_error(const struct bnl *nl)
{
	(void)nl;
	return "the reason";
}

int fake_conf_set(struct bnl *nl, const struct bnl_conf *conf)
{
	(void)nl;
	hear("conf port %u;", conf->port);
	return fake.conf_set;
}

int fake_peer_del(struct bnl *nl, const union node_addr *addr)
{
	(void)nl;
	if (addr)
		return hear_peer("forget", addr);
	hear("forget all;");
	return 0;
}

int fake_status(struct bnl *nl, struct bnl_status *status)
{
	(void)nl;
	*status = (struct bnl_status){ .seq = 77 };
	return 0;
}

int fake_events_fd(const struct bnl *nl)
{
	(void)nl;
	return fake.events_pipe[0];
}

int fake_clock_start(struct clock *clock, double *freq_ppb)
{
	hear("clock;");
	snprintf(clock->note, sizeof(clock->note), "the kernel's PLL was on");
	*freq_ppb = 1234;
	return fake.clock_start;
}

bool fake_drift_start(struct drift *d, struct node_now now, double *freq_ppb, double *sigma_ppb)
{
	if (*d->path)	/* a reference has none */
		assert_string_equal(d->path, "/var/lib/berk/drift");
	assert_int_equal(d->node_id, 1);
	assert_true(now.raw_ns > 0);
	if (fake.drift_ppb == 0)
		return false;
	*freq_ppb = fake.drift_ppb;
	*sigma_ppb = 7;
	return true;
}

/* It is offered every time, and for the last time before the node stops. */
void fake_drift_save(struct drift *d, struct node_now now, const struct node_publish *p, bool last)
{
	assert_true(now.raw_ns > 0);
	assert_ptr_equal(p, &((struct berkd *)((char *)d - offsetof(struct berkd, drift)))->
			 drive.published);
	if (last)
		hear("drift;");
}

bool fake_is_own(const union node_addr *addr)
{
	return addr->in.sin_addr.s_addr == htonl(0xc0000209);
}

bool fake_lock_take(bool clock)
{
	hear(clock ? "lock all;" : "lock;");
	return !fake.locked;
}

/* --- */

static char *logged, *printed;
static size_t logged_size, printed_size;

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	heard[0] = '\0';
	assert_int_equal(pipe(fake.events_pipe), 0);
	free(logged);
	free(printed);
	logged = printed = NULL;
	unsetenv("JOURNAL_STREAM");
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(fake.events_pipe[0]);
	close(fake.events_pipe[1]);
	free(logged);
	free(printed);
	logged = printed = NULL;
	return 0;
}

/* The arguments after the program's name, up to NULL. */
static int berkd(const char *first, ...)
{
	char *argv[10] = { (char *)"berkd", (char *)first };
	FILE *out = stdout, *err = stderr;
	int argc = first ? 2 : 1, code;
	va_list args;

	va_start(args, first);
	while (first && (argv[argc] = va_arg(args, char *)))
		argc++;
	va_end(args);
	optind = 0;
	free(logged);
	free(printed);
	stdout = open_memstream(&printed, &printed_size);
	stderr = open_memstream(&logged, &logged_size);
	code = berkd_main(argc, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = err;
	return code;
}

#define MASTER "role = master\nnode_id = 1\npeer = 192.0.2.1\npeer = 192.0.2.2\n"

static void test_options(void **state)
{
	(void)state;
	assert_int_equal(berkd("--help", NULL), 0);
	assert_non_null(strstr(printed, "Usage: berkd"));
	assert_int_equal(berkd("--version", NULL), 0);
	assert_string_equal(printed, "berkd " BERK_VERSION "\n");
	assert_int_equal(berkd("extra", NULL), 2);
	assert_int_equal(berkd("-c", NULL), 2);
	assert_int_equal(berkd("-c", "/nonexistent", NULL), 1);
	assert_string_equal(logged, "berkd: error: /nonexistent: cannot be read: "
			    "No such file or directory\n");
	assert_string_equal(heard, "");
}

static void test_check(void **state)
{
	(void)state;
	write_conf(MASTER);
	assert_int_equal(berkd("-c", path, "--check", NULL), 0);
	assert_non_null(strstr(printed, ": good\n"));
	write_conf("role = king\nbogus = 1\n");
	assert_int_equal(berkd("--check", "-c", path, NULL), 1);
	assert_non_null(strstr(logged, ":1: role = king: "));
	assert_non_null(strstr(logged, ":2: unknown key "));
	assert_string_equal(heard, "");
}

static void test_run_and_stop(void **state)
{
	(void)state;
	write_conf(MASTER "max_rate = 100\nburst = 4\n");
	assert_int_equal(berkd("-c", path, NULL), 0);
	assert_string_equal(heard, "lock all;conf port 5525;forget all;clock;add 192.0.2.1:5525;"
			    "add 192.0.2.2:5525;start;drift;stop;free;close;");
	assert_true(fake.conf.eager && fake.conf.eligible && !fake.conf.reference);
	assert_int_equal(fake.conf.priority, 255);
	assert_int_equal(fake.conf.node_id, 1);
	assert_int_equal(fake.near.port, 5525);
	assert_int_equal(fake.conf.burst, 4);
	assert_true(fake.conf.max_rate_ppb == 100000);
	assert_true(fake.conf.freq_ppb == 1234 && fake.conf.freq_sigma_ppb == 0);
	assert_non_null(strstr(logged, "taking over the clock: the kernel's PLL was on"));
}

static void test_node_conf(void **state)
{
	uint64_t seed;

	(void)state;
	write_conf("node_id = 1\n");
	assert_int_equal(berkd("-c", path, NULL), 0);
	assert_true(fake.conf.eligible && !fake.conf.eager);
	assert_int_equal(fake.conf.priority, 100);
	assert_int_equal(fake.conf.quorum, NODE_QUORUM_ANY);
	assert_int_equal(fake.conf.merge, NODE_MERGE_SLEW);
	assert_int_equal(fake.conf.mode, NODE_MODE_POLL);
	assert_true(fake.conf.reference_limit_ppb == 1000);
	seed = fake.conf.seed;
	write_conf("node_id = 1\nrole = slave\nquorum = majority\nmerge = step\nmode = report\n"
		   "reference_limit = 2\n");
	assert_int_equal(berkd("-c", path, NULL), 0);
	assert_true(!fake.conf.eligible && !fake.conf.eager);
	assert_int_equal(fake.conf.quorum, NODE_QUORUM_MAJORITY);
	assert_int_equal(fake.conf.merge, NODE_MERGE_STEP);
	assert_int_equal(fake.conf.mode, NODE_MODE_REPORT);
	assert_true(fake.conf.reference_limit_ppb == 2000);
	assert_true(fake.conf.seed != seed);
}

/* A node may be among its own peers; but not at another port. */
static void test_own_peer(void **state)
{
	(void)state;
	write_conf("node_id = 1\npeer = 192.0.2.9\npeer = 192.0.2.1\npeer = 192.0.2.9:99\n");
	assert_int_equal(berkd("-c", path, NULL), 0);
	assert_non_null(strstr(heard, "clock;add 192.0.2.1:5525;add 192.0.2.9:99;start;"));
}

/* Of a reference not even the present frequency is written again. */
static void test_reference(void **state)
{
	(void)state;
	write_conf("node_id = 1\nreference = yes\n");
	assert_int_equal(berkd("-c", path, NULL), 0);
	assert_string_equal(heard, "lock;conf port 5525;forget all;start;drift;stop;free;close;");
	assert_true(fake.conf.reference && fake.conf.freq_ppb == 0);
	assert_null(strstr(logged, "taking over"));
}

/* The drift file's frequency goes before the kernel's, within max_rate, and through a reload. */
static void test_drift(void **state)
{
	(void)state;
	write_conf(MASTER);
	fake.drift_ppb = -4000;
	fake.rewrite = MASTER "burst = 5\n";
	assert_int_equal(berkd("-c", path, NULL), 0);
	assert_int_equal(fake.conf.burst, 5);
	assert_true(fake.conf.freq_ppb == -4000 && fake.conf.freq_sigma_ppb == 7);
	assert_non_null(strstr(logged, "frequency -4.000 ppm"));

	write_conf(MASTER "max_rate = 3\n");
	assert_int_equal(berkd("-c", path, NULL), 0);
	assert_true(fake.conf.freq_ppb == -3000 && fake.conf.freq_sigma_ppb == 1007);
}

static void test_reload(void **state)
{
	(void)state;
	write_conf(MASTER);
	fake.rewrite = "role = slave\nnode_id = 1\npeer = 192.0.2.2\npeer = 192.0.2.3\nport = 99\n"
		       "peer = 192.0.2.4:5525\nburst = 5";
	assert_int_equal(berkd("-c", path, NULL), 0);
	assert_non_null(strstr(heard, "start;conf port 99;reconf;del 192.0.2.1:5525;"
			       "forget 192.0.2.1:5525;del 192.0.2.2:5525;forget 192.0.2.2:5525;"
			       "add 192.0.2.2:99;add 192.0.2.3:99;add 192.0.2.4:5525;drift;stop;"));
	assert_int_equal(fake.conf.burst, 5);
	assert_false(fake.conf.eligible);
	assert_int_equal(fake.near.port, 99);
}

/* A bad file, another id, a clock that is a reference now: nothing changes. */
static void test_reload_refused(void **state)
{
	static const char *const texts[] = { "role = master\nburst = 99\n", "bogus",
					     "reference = yes\nnode_id = 1\n",
					     "role = master\nnode_id = 2\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_conf(MASTER);
		teardown(state);
		setup(state);
		fake.rewrite = texts[i];
		assert_int_equal(berkd("-c", path, NULL), 0);
		assert_non_null(strstr(heard, "start;drift;stop;"));
		assert_non_null(strstr(logged, ": nothing was changed\n"));
	}
}

static void test_module_gone(void **state)
{
	(void)state;
	write_conf(MASTER);
	fake.gone = true;
	assert_int_equal(berkd("-c", path, NULL), 1);
	assert_non_null(strstr(heard, "start;events;drift;stop;free;close;"));
}

static void test_cannot_start(void **state)
{
	(void)state;
	write_conf(MASTER);
	fake.open = -ENOENT;
	assert_int_equal(berkd("-c", path, NULL), 1);
	assert_non_null(strstr(logged, "modprobe berk"));

	fake.open = 0;
	fake.conf_set = -EPERM;
	assert_int_equal(berkd("-c", path, NULL), 1);
	assert_non_null(strstr(logged, "CAP_NET_ADMIN"));

	fake.conf_set = -EADDRINUSE;
	assert_int_equal(berkd("-c", path, NULL), 1);
	assert_non_null(strstr(logged, "refuses: the reason\n"));

	fake.conf_set = 0;
	fake.clock_start = -EPERM;
	assert_int_equal(berkd("-c", path, NULL), 1);
	assert_non_null(strstr(logged, "CAP_SYS_TIME"));

	fake.clock_start = 0;
	fake.locked = true;
	heard[0] = '\0';
	assert_int_equal(berkd("-c", path, NULL), 1);
	assert_string_equal(heard, "lock all;close;");
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_and_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_node_conf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reference, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drift, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_module_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cannot_start, setup, teardown),
	};

	if (mkstemp(path) < 0)
		return 1;
	return cmocka_run_group_tests_name("berkd", tests, NULL, remove_file);
}
