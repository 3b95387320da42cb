// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* The neighbours: a node that wants what its script says, and all that is said to it. */
#define node_next_action fake_next_action
#define node_peer_index fake_peer_index
#define node_sample fake_sample
#define node_round_done fake_round_done
#define node_ctrl fake_ctrl
#define node_timer fake_timer
#define node_next_timer fake_next_timer
#define node_clock_failed fake_clock_failed
#define node_resumed fake_resumed
#define bnl_peer_set fake_peer_set
#define bnl_peer_del fake_peer_del
#define bnl_note fake_note
#define near_list fake_near_list
#define bnl_round fake_round
#define bnl_send fake_send
#define bnl_publish fake_publish
#define bnl_samples fake_samples
#define bnl_events fake_events
#define bnl_error fake_error
#define clock_set fake_clock_set
#define clock_read fake_clock_read
#define clock_gettime fake_clock_gettime
#define clock_is_synchronised fake_synchronised
#define origin_ask fake_origin_ask
#define origin_tell fake_origin_tell
#define node_reference fake_reference
int fake_clock_gettime(clockid_t id, struct timespec *ts);
#include "drive.c"

static struct node_action script[20];
static int wanted, taken;
static char heard[2000];	/* all that happened, in order */
static int answer;		/* of the module's next requests */
static const char *note;
static int64_t boot_ns;		/* CLOCK_BOOTTIME; MONOTONIC is at 5.9 s */
static int64_t doze_ns;		/* how much it grows with the next action */

__attribute__((format(printf, 1, 2)))
static void hear(const char *fmt, ...)
{
	size_t len = strlen(heard);
	va_list args;

	va_start(args, fmt);
	vsnprintf(heard + len, sizeof(heard) - len, fmt, args);
	va_end(args);
}

bool fake_next_action(struct node *node, struct node_action *act)
{
	(void)node;
	if (taken == wanted)
		return false;
	*act = script[taken++];
	boot_ns += doze_ns;
	doze_ns = 0;
	return true;
}

void fake_peer_index(struct node *node, const union node_addr *addr, uint32_t index)
{
	(void)node;
	(void)addr;
	hear("index %u;", index);
}

void fake_sample(struct node *node, struct node_now now, const struct berk_sample *sample)
{
	(void)node;
	(void)now;
	hear("sample %d;", (int)sample->seq);
}

void fake_round_done(struct node *node, struct node_now now, uint32_t round)
{
	(void)node;
	(void)now;
	hear("done %u;", round);
}

void fake_ctrl(struct node *node, struct node_now now, const union node_addr *from,
	       uint64_t from_id, uint32_t term, const void *payload, size_t len)
{
	(void)node;
	(void)now;
	(void)from;
	hear("ctrl %d %u %.*s;", (int)from_id, term, (int)len, (const char *)payload);
}

bool fake_synchronised(void)
{
	return true;
}

uint64_t fake_origin_ask(void)
{
	return 7;
}

void fake_origin_tell(uint64_t origin)
{
	(void)origin;
}

void fake_reference(struct node *node, struct node_now now, bool right, uint64_t origin)
{
	(void)node;
	hear("reference %d %d %d;", (int)(now.raw_ns / 1000000), right, (int)origin);
}

void fake_timer(struct node *node, struct node_now now)
{
	(void)node;
	hear("timer %d;", (int)now.raw_ns);
}

void fake_clock_failed(struct node *node)
{
	(void)node;
	hear("clock_failed;");
}

/* A node on which others wait: it says at once that it is awake. */
void fake_resumed(struct node *node, struct node_now now)
{
	(void)node;
	hear("resumed %d;", (int)now.raw_ns);
	script[wanted++] = (struct node_action){ .type = NODE_ACT_PUBLISH };
}

static int64_t next_timer;

int64_t fake_next_timer(const struct node *node)
{
	(void)node;
	return next_timer;
}

int fake_peer_set(struct bnl *nl, const union node_addr *addr, uint32_t *index)
{
	(void)nl;
	(void)addr;
	*index = 12;
	hear("peer_set;");
	return answer;
}

int fake_round(struct bnl *nl, const struct node_round *round)
{
	(void)nl;
	hear("round %u;", round->round);
	return answer;
}

int fake_peer_del(struct bnl *nl, const union node_addr *addr)
{
	(void)nl;
	hear("peer_del %u;", ntohs(addr->in.sin_port));
	return answer;
}

int fake_note(struct bnl *nl, const struct node_note *what)
{
	(void)nl;
	hear("note %u;", what->peer);
	return answer;
}

static size_t networks;		/* whose groups are at port 10, 11... of device 20, 21... */
static int deaf;		/* the device that takes nothing */

void fake_near_list(struct near *near, int64_t now_ns)
{
	assert_true(now_ns >= 0);
	near->n = networks;
	for (size_t i = 0; i < networks; i++) {
		near->group[i].addr.in = (struct sockaddr_in){
			.sin_family = AF_INET, .sin_port = htons(10 + i),
		};
		near->group[i].ifindex = 20 + i;
	}
}

int fake_send(struct bnl *nl, const union node_addr *addr, uint32_t ifindex, const void *payload,
	      size_t len)
{
	(void)nl;
	hear("send %.*s %u@%u;", (int)len, (const char *)payload, ntohs(addr->in.sin_port),
	     ifindex);
	return ifindex && (int)ifindex == deaf ? -EADDRNOTAVAIL : answer;
}

int fake_publish(struct bnl *nl, const struct node_publish *publish)
{
	(void)nl;
	hear("publish %d;", publish->state);
	return answer;
}

static uint64_t first_in_ring, end_of_ring;

int fake_samples(struct bnl *nl, uint64_t from, bnl_sample_fn *fn, void *arg)
{
	(void)nl;
	for (uint64_t seq = first_in_ring; seq < end_of_ring; seq++)
		if (seq >= from)
			fn(arg, &(struct berk_sample){ .seq = seq });
	return answer;
}

static struct bnl_event events[10];
static int nevents;

int fake_events(struct bnl *nl, bnl_event_fn *fn, void *arg)
{
	(void)nl;
	for (int i = 0; i < nevents; i++)
		fn(arg, &events[i]);
	return 0;
}

const char *fake_error(const struct bnl *nl)
{
	(void)nl;
	return "the reason";
}

int fake_clock_set(struct clock *clock, const struct node_clock *want, double *freq_ppb)
{
	hear("clock %d;", (int)want->step_ns);
	snprintf(clock->note, sizeof(clock->note), "%s", note);
	*freq_ppb = want->freq_ppb + 0.5;
	return answer;
}

static int64_t raw_now;

int64_t fake_clock_read(struct node_now *now)
{
	now->raw_ns = ++raw_now;
	return 0;
}

int fake_clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t ns = id == CLOCK_BOOTTIME ? boot_ns : 5900000000;

	ts->tv_sec = ns / 1000000000;
	ts->tv_nsec = ns % 1000000000;
	return 0;
}

/* --- */

static char *logged;
static size_t logged_size;
static FILE *real_stderr;

static int setup(void **state)
{
	(void)state;
	wanted = taken = nevents = answer = deaf = 0;
	networks = 0;
	heard[0] = '\0';
	note = "";
	raw_now = 1000;
	boot_ns = 5900000000;
	real_stderr = stderr;
	stderr = open_memstream(&logged, &logged_size);
	unsetenv("JOURNAL_STREAM");
	unsetenv("NOTIFY_SOCKET");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fclose(stderr);
	stderr = real_stderr;
	free(logged);
	logged = NULL;
	return 0;
}

static const char *log_text(void)
{
	fflush(stderr);
	return logged;
}

static struct node_action *want(enum node_action_type type)
{
	script[wanted] = (struct node_action){ .type = type };
	return &script[wanted++];
}

static void want_one_of_each(void)
{
	want(NODE_ACT_PEER)->peer.in = (struct sockaddr_in){ .sin_family = AF_INET };
	want(NODE_ACT_ROUND)->round.round = 3;
	want(NODE_ACT_FORGET)->peer.in = (struct sockaddr_in){ .sin_port = htons(7) };
	want(NODE_ACT_SEND)->send = (struct node_send){
		.addr.in = { .sin_family = AF_INET, .sin_port = htons(8) },
		.len = 2, .payload = "hi",
	};
	want(NODE_ACT_NOTE)->note.peer = 4;
	want(NODE_ACT_CLOCK)->clock = (struct node_clock){ .step_ns = -5, .freq_ppb = 7 };
	want(NODE_ACT_PUBLISH)->publish.state = BERK_STATE_SYNCHRONISED;
	want(NODE_ACT_LOG)->log = (struct node_log){ LOG_INFO, "100 % sure" };
}

static void test_actions(void **state)
{
	struct drive d = { 0 };

	(void)state;
	want_one_of_each();
	drive_act(&d);
	assert_string_equal(heard, "peer_set;index 12;round 3;peer_del 7;send hi 8@0;note 4;"
			    "clock -5;publish 1;");
	assert_string_equal(log_text(), "berkd: info: 100 % sure\n");
	assert_true(d.freq_ppb == 7.5);
}

/* Whatever fails is said, with the reason; but not every round. */
static void test_failures(void **state)
{
	struct drive d = { 0 };

	(void)state;
	answer = -ENETUNREACH;
	for (int i = 0; i < 3; i++) {
		wanted = taken = 0;
		want(NODE_ACT_SEND)->send.addr.in.sin_family = AF_INET;
		want(NODE_ACT_ROUND);
		want(NODE_ACT_PUBLISH);
		want(NODE_ACT_NOTE);
		drive_act(&d);
	}
	assert_string_equal(log_text(),
		"berkd: warning: sending to 0.0.0.0: the reason\n"
		"berkd: warning: starting a round: the reason\n"
		"berkd: warning: publishing the state: the reason\n"
		"berkd: warning: noting what is thought of a peer: the reason\n");
	assert_int_equal(d.limits[DRIVE_SEND].suppressed, 2);
}

/* A peer that the kernel does not know any more needs neither. */
static void test_peer_gone(void **state)
{
	struct drive d = { 0 };

	(void)state;
	answer = -ENOENT;
	want(NODE_ACT_FORGET);
	want(NODE_ACT_NOTE);
	drive_act(&d);
	assert_string_equal(heard, "peer_del 0;note 0;");
	assert_string_equal(log_text(), "");
	answer = -EPERM;
	want(NODE_ACT_FORGET)->peer.in.sin_family = AF_INET;
	drive_act(&d);
	assert_string_equal(log_text(),
			    "berkd: warning: forgetting peer 0.0.0.0: the reason\n");
}

static void send_to_all(struct drive *d)
{
	heard[0] = '\0';
	wanted = taken = 0;
	want(NODE_ACT_SEND)->send = (struct node_send){ .len = 2, .payload = "hi" };
	drive_act(d);
}

/* Silent as long as one network works; said once when none does. */
static void test_everybody(void **state)
{
	struct drive d = { 0 };

	(void)state;
	networks = 3;
	deaf = 21;
	send_to_all(&d);
	assert_string_equal(heard, "send hi 10@20;send hi 11@21;send hi 12@22;");
	assert_string_equal(log_text(), "");
	networks = 0;
	send_to_all(&d);
	d.now.raw_ns += 3600000000000;
	send_to_all(&d);
	assert_string_equal(log_text(), "berkd: warning: no local network can be sent to by "
			    "multicast (no device is up that could): nodes find each other by "
			    "peer lines only\n");
	networks = 1;
	send_to_all(&d);
	d.now.raw_ns += 3600000000000;
	deaf = 20;
	send_to_all(&d);
	assert_non_null(strstr(log_text(), "by multicast (the reason): "));
}

/* The clock of a reference is never touched. */
static void test_reference(void **state)
{
	struct drive d = { .reference = true };

	(void)state;
	answer = -EPERM;
	want(NODE_ACT_CLOCK)->clock = (struct node_clock){ .step_ns = -5, .freq_ppb = 7 };
	drive_act(&d);
	assert_string_equal(heard, "");
	assert_string_equal(log_text(), "");
}

static void test_clock_refused(void **state)
{
	struct drive d = { .freq_ppb = 3 };

	(void)state;
	answer = -EPERM;
	want(NODE_ACT_CLOCK);
	drive_act(&d);
	assert_string_equal(heard, "clock 0;clock_failed;");
	assert_non_null(strstr(log_text(), "the clock cannot be set: "));
}

/* However long the machine slept before the start: only what comes after counts. */
static void test_resume(void **state)
{
	struct drive d = { 0 };

	(void)state;
	boot_ns += 7000000000;
	drive_start(&d);
	assert_int_equal(d.now.raw_ns, 1001);
	boot_ns += 100000000;
	drive_now(&d);
	assert_string_equal(heard, "");
	boot_ns += 1;
	drive_now(&d);
	drive_now(&d);
	assert_string_equal(heard, "resumed 1003;publish 0;");

	heard[0] = '\0';
	doze_ns = 7000000000;
	want(NODE_ACT_ROUND);
	drive_act(&d);
	assert_string_equal(heard, "round 0;resumed 1006;publish 0;");
}

static void test_busy_is_no_failure(void **state)
{
	struct drive d = { 0 };

	(void)state;
	answer = -EBUSY;
	want(NODE_ACT_ROUND);
	drive_act(&d);
	assert_string_equal(heard, "round 0;");
	assert_string_equal(log_text(), "");
}

static void test_peer_refused(void **state)
{
	struct drive d = { 0 };

	(void)state;
	answer = -EINVAL;
	want(NODE_ACT_PEER)->peer.in = (struct sockaddr_in){ .sin_family = AF_INET };
	drive_act(&d);
	assert_string_equal(heard, "peer_set;");
	assert_string_equal(log_text(), "berkd: error: peer 0.0.0.0: the reason\n");
}

static void test_rival(void **state)
{
	struct drive d = { 0 };

	(void)state;
	note = "frequency changed";
	want(NODE_ACT_CLOCK);
	want(NODE_ACT_CLOCK);
	drive_act(&d);
	assert_string_equal(log_text(), "berkd: warning: another program changed this clock: "
			    "frequency changed; only one may correct it\n");
}

static void test_events(void **state)
{
	struct drive d = { .next_seq = 5 };

	(void)state;
	first_in_ring = 3;
	end_of_ring = 8;
	events[nevents++] = (struct bnl_event){ .type = BNL_EV_ROUND, .round.round = 9 };
	events[nevents++] = (struct bnl_event){ .type = BNL_EV_ROUND, .round.round = 10 };
	events[nevents++] = (struct bnl_event){ .type = BNL_EV_CTRL, .ctrl = {
		.node_id = 4, .term = 2, .payload = "abc", .len = 3 } };
	events[nevents++] = (struct bnl_event){ .type = BNL_EV_STATE };
	assert_int_equal(drive_events(&d), 0);
	assert_string_equal(heard, "sample 5;sample 6;sample 7;done 9;done 10;ctrl 4 2 abc;");
	assert_int_equal(d.next_seq, 8);
}

static void test_overrun(void **state)
{
	struct drive d = { .next_seq = 5 };

	(void)state;
	first_in_ring = 6;
	end_of_ring = 7;
	events[nevents++] = (struct bnl_event){ .type = BNL_EV_OVERRUN };
	assert_int_equal(drive_events(&d), 0);
	assert_string_equal(heard, "sample 6;");
	assert_non_null(strstr(log_text(), "were lost"));
}

/* Without the module only the clock is still served. */
static void test_gone(void **state)
{
	struct drive d = { 0 };

	(void)state;
	events[nevents++] = (struct bnl_event){ .type = BNL_EV_GONE };
	want_one_of_each();
	assert_int_equal(drive_events(&d), 0);
	assert_true(d.gone);
	assert_string_equal(heard, "clock -5;");
	assert_non_null(strstr(log_text(), "was unloaded"));
}

static void test_timer(void **state)
{
	struct drive d = { .now = { .raw_ns = 500 } };

	(void)state;
	drive_timer(&d);
	assert_string_equal(heard, "timer 500;");
	d.now.raw_ns = 500;
	next_timer = 1500;
	assert_int_equal(drive_delay(&d), 1000);
	next_timer = 400;
	assert_int_equal(drive_delay(&d), 1);
	next_timer = INT64_MAX;
	assert_true(drive_delay(&d) == INT64_MAX - 500);
}

static void test_log_limit(void **state)
{
	struct log_limit limit = { 0 };

	(void)state;
	setenv("JOURNAL_STREAM", "8:1", 1);
	for (int64_t t = 0; t < 100; t++)
		log_limited(&limit, 1000000000 * t, LOG_WARNING, "again %d", (int)t);
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(log_text(), "<4>again 0\n"
			    "<4>again 60 (59 more like this in between)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_actions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_everybody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reference, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resume, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy_is_no_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rival, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overrun, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_limit, setup, teardown),
	};

	return cmocka_run_group_tests_name("drive", tests, NULL, NULL);
}
