// SPDX-License-Identifier: GPL-2.0
/*
 * campaign: scenarios made by chance, in which nothing may happen that must not
 *
 * Ten minutes of everything that goes wrong with machines, daemons, clocks and
 * networks, and of liars. Of n nodes less than n/3 are in trouble at once, so
 * that the majority of those that are left is always right, wherever liars are;
 * networks fall apart only while nobody is.
 */
#include <math.h>
#include <stdlib.h>

#include "scenario.h"

#define NODES_LEAST 4
#define NODES_MOST 50
#define BEGIN 60.0	/* s: of the troubles */
#define END 520.0
#define HEALS 35.0	/* s: until who was in trouble is trusted again */

struct campaign {
	FILE *out;
	struct rng rng;
	int n;
	const char *base;	/* of a path, as the scenario says it */
	double base_us;
	double until[NODES_MOST + 1];	/* trouble of each node, s; the last: of the master */
};

static double between(struct campaign *c, double low, double high)
{
	return low + (high - low) * rng_uniform(&c->rng);
}

static bool chance(struct campaign *c, double p)
{
	return rng_uniform(&c->rng) < p;
}

static int one_of(struct campaign *c, int n)
{
	return (int)(rng_next(&c->rng) % (uint64_t)n);
}

/* --- the world */

static void network(struct campaign *c)
{
	static const struct {
		const char *text;
		double base_us;
	} paths[] = {
		{ "base=50us jitter=10us loss=0%", 50 },
		{ "base=30us jitter=20us loss=1%", 30 },
		{ "base=100us jitter=100us tail=1%:5ms loss=1%", 100 },
	};
	int i = one_of(c, 3);

	c->base = paths[i].text;
	c->base_us = paths[i].base_us;
	fprintf(c->out, "link * * %s\n", c->base);
}

static void configure(struct campaign *c)
{
	static const double reporting[] = { 0, 0, 0.3, 1 };
	double report = reporting[one_of(c, 4)], slaves = chance(c, 0.3) ? 0.3 : 0;

	if (chance(c, 0.3))
		fprintf(c->out, "conf * quorum=majority\n");
	if (chance(c, 0.3))
		fprintf(c->out, "conf * merge=step\n");
	if (chance(c, 0.2))
		fprintf(c->out, "conf 0 role=master\n");
	for (int i = 0; i < c->n; i++) {
		if (chance(c, report))
			fprintf(c->out, "conf %d mode=report\n", i);
		if (i > 2 && chance(c, slaves))
			fprintf(c->out, "conf %d role=slave\n", i);
		else if (i && chance(c, 0.2))
			fprintf(c->out, "conf %d priority=%d\n", i, 1 + one_of(c, 200));
		if (chance(c, 0.2))
			fprintf(c->out, "absent %d\nat %.3f on %d %.3fs\n", i, between(c, 0.1, 30),
				i, between(c, -5, 5));
	}
}

/* --- the troubles of one node: who, from when until when */

static void lie(struct campaign *c, const char *who, const char *again, double from, double until)
{
	fprintf(c->out, "at %.3f lie %s ", from, who);
	switch (one_of(c, 9)) {
	case 0:
		fprintf(c->out, "stuck\n");
		break;
	case 1:
		fprintf(c->out, "%s %.1fus %.1fs\n", chance(c, 0.5) ? "steps" : "jumps",
			pow(10, between(c, 1, 6)), between(c, 1, 10));
		break;
	case 2:
		fprintf(c->out, "drift %.1fppm\n", between(c, -100, 100));
		break;
	case 3:
		fprintf(c->out, "oscillate %.1fus %.1fs\n", pow(10, between(c, 1, 6)),
			between(c, 2, 30));
		break;
	case 4:
		fprintf(c->out, "twofaced %.1fus\n", pow(10, between(c, 1, 6)));
		break;
	case 5:
		fprintf(c->out, "random %.1fus\n", pow(10, between(c, 1, 6)));
		break;
	case 6:
		fprintf(c->out, "deaf\n");
		break;
	case 7:
		fprintf(c->out, "delay %.1fus\n", pow(10, between(c, 1, 5)));
		break;
	default:
		if (chance(c, 0.5))
			fprintf(c->out, "drag %.1fppm\n", between(c, -100, 100));
		else
			fprintf(c->out, "mislead %.1fus\n", pow(10, between(c, 1, 6)));
	}
	fprintf(c->out, "at %.3f lie %s none\n", until, again);
}

static void power(struct campaign *c, const char *who, const char *again, double from, double until)
{
	double rtc = chance(c, 0.5) ? between(c, -2, 2) : between(c, -3600, 3600);

	if (chance(c, 0.2))
		rtc = -470000 * 3600.0;	/* 1970 */
	fprintf(c->out, "at %.3f off %s\nat %.3f on %s %.3fs\n", from, who, until, again, rtc);
}

static void cut(struct campaign *c, const char *who, const char *again, double from, double until)
{
	static const char *const ways[][2] = { { "", " *" }, { "", " > *" }, { "* > ", "" } };
	int way = one_of(c, 3);

	fprintf(c->out, "at %.3f down %s%s%s\nat %.3f up %s%s%s\n", from, ways[way][0], who,
		ways[way][1], until, ways[way][0], again, ways[way][1]);
}

static void path(struct campaign *c, const char *who, const char *again, double from, double until)
{
	if (chance(c, 0.5)) {
		fprintf(c->out, "at %.3f link %s * loss=%.0f%%\n", from, who, between(c, 5, 40));
	} else {
		fprintf(c->out, "at %.3f link %s > * base=%.1fus\n", from, who,
			c->base_us + pow(10, between(c, 1, 5)));
	}
	fprintf(c->out, "at %.3f link %s * %s\n", until, again, c->base);
}

static void trouble(struct campaign *c, const char *who, const char *again, double from,
		    double until)
{
	switch (one_of(c, 10)) {
	case 0:
		fprintf(c->out, "at %.3f kill %s\nat %.3f start %s\n", from, who, until, again);
		break;
	case 1:
		fprintf(c->out, "at %.3f stop %s\nat %.3f start %s\n", from, who, until, again);
		break;
	case 2:
		power(c, who, again, from, until);
		break;
	case 3:
		fprintf(c->out, "at %.3f pause %s %.3f%s\n", from, who, until - from,
			chance(c, 0.3) ? " queue" : "");
		break;
	case 4:
		cut(c, who, again, from, until);
		break;
	case 5:
		path(c, who, again, from, until);
		break;
	case 6:
		if (chance(c, 0.5))
			fprintf(c->out, "at %.3f step %s %.3fms\n", from, who,
				between(c, -500, 500));
		else
			fprintf(c->out, "at %.3f freqstep %s %.3fppm\n", from, who,
				between(c, -50, 50));
		break;
	default:
		lie(c, who, again, from, until);
	}
}

/* --- when, and to whom */

static int in_trouble(const struct campaign *c, double t)
{
	int count = 0;

	for (int i = 0; i <= c->n; i++)
		count += c->until[i] > t;
	return count;
}

/* The next node, or the master, whoever that will be; at once, if it may. */
static void befall(struct campaign *c, double t)
{
	int who = chance(c, 0.3) ? c->n : one_of(c, c->n);
	double until = fmin(t + pow(10, between(c, -0.3, 1.7)), END);
	char name[16];

	if (c->until[who] > t || in_trouble(c, t) >= (c->n - 1) / 3)
		return;
	snprintf(name, sizeof(name), "%d", who);
	trouble(c, who < c->n ? name : "master", who < c->n ? name : "victim", t, until);
	c->until[who] = until + HEALS;
}

/* Two or three parts. Returns when they are together again. */
static double partition(struct campaign *c, double t)
{
	double until = fmin(t + between(c, 2, 60), END);
	char part[3][200] = { "", "", "" };
	size_t len[3] = { 0 };
	int parts = chance(c, 0.8) ? 2 : 3;

	for (int i = 0; i < c->n; i++) {
		int k = i < parts ? i : one_of(c, parts);

		len[k] += (size_t)snprintf(part[k] + len[k], sizeof(part[k]) - len[k], "%s%d",
					   len[k] ? "," : "", i);
	}
	for (int a = 0; a < parts; a++)
		for (int b = 0; b < a; b++)
			fprintf(c->out, "at %.3f down %s %s\nat %.3f up %s %s\n", t, part[a],
				part[b], until, part[a], part[b]);
	return until + HEALS;
}

char *campaign_text(uint64_t seed)
{
	struct campaign c = { 0 };
	size_t size;
	char *text;
	double t = BEGIN;

	rng_init(&c.rng, seed, RNG_CAMPAIGN, 0, 0);
	c.out = open_memstream(&text, &size);
	if (!c.out)
		world_alloc(NULL, SIZE_MAX, 2);
	c.n = NODES_LEAST + (int)((NODES_MOST - NODES_LEAST + 1) * pow(rng_uniform(&c.rng), 2));
	fprintf(c.out, "nodes %d\nduration 600\nsettle %.0f\nprobes 6\n"
		"osc * freq=uniform:-50ppm:50ppm walk=2ppb\noffset * uniform:-1s:1s\n",
		c.n, BEGIN);
	network(&c);
	configure(&c);
	while (t < END - 1) {
		if (chance(&c, 0.1)) {
			for (int i = 0; i <= c.n; i++)
				t = fmax(t, c.until[i]);
			t = t < END - 1 ? partition(&c, t) : t;
		} else {
			befall(&c, t);
			t += 0.2 + rng_exponential(&c.rng, 8);
		}
	}
	fprintf(c.out, "expect two_masters <= 0 always\nexpect corrected_by_two <= 0 always\n"
		"expect masters <= 1 always\nexpect rate_excess <= 0.1ppm always\n"
		"expect coverage >= 99%% always\nexpect breaches <= 0\n");
	fclose(c.out);
	return text;
}
