/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ensemble: the group's time and rate, out of what is known of its clocks
 *
 * Offsets are relative to the measuring node's clock at one common instant,
 * positive = ahead of it; rates are of the crystals, relative to its own. The
 * measuring node is a member like any other, with offset 0 and rate 0.
 */
#ifndef BERK_ENSEMBLE_H
#define BERK_ENSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_USABLE	20e3	/* ppb, 1 sigma: a rate less certain than that is none */

struct ensemble_member {
	/* in */
	bool known;		/* what follows is */
	bool eligible;		/* may take part */
	bool joining;		/* is about to: its rate counts while the group's is not settled */
	double offset_ns, sigma_ns;
	double bound_ns;	/* of what sigma cannot know: asymmetry of the path */
	double rate_ppb, rate_sigma_ppb;
	double *rate_seen;	/* where its rate is kept from round to round; NAN: not yet */
	/* out */
	bool agrees;		/* with the majority */
	double weight;		/* in the mean; 0 = not used. They sum to 1. */
};

struct ensemble_edge {
	double at;
	int opens;		/* +1 an interval begins, -1 it ends */
};

struct ensemble {
	struct ensemble_member *member;	/* size of them; [0..n) are set by the caller */
	size_t n, size;
	double *sorted;			/* scratch, size */
	struct ensemble_edge *edge;	/* scratch, 2 * size */

	/* Results */
	double offset_ns, sigma_ns, bound_ns;	/* of the group */
	size_t used;
	bool rate_known;
	bool rate_settled;		/* from now on it moves slowly */
	double rate_ppb, rate_sigma_ppb;	/* of the group */
	int64_t rate_raw;		/* when that was last brought up to date */
	double rate_goal_ppb;		/* what it follows */
	double rate_age;		/* s: since it settled */
	size_t rate_members;		/* half of so many must be known first */
};

/* Makes room for n members. -ENOMEM changes nothing. */
int ensemble_reserve(struct ensemble *e, size_t n);
void ensemble_free(struct ensemble *e);

/*
 * Clocks that never were together: the mean without the f lowest and the f
 * highest offsets, f = (n - 1) / 3, of three 1 (Lundelius Welch & Lynch, "A new
 * fault-tolerant algorithm for clock synchronization", 1988). False if nobody
 * is eligible.
 */
bool ensemble_gather(struct ensemble *e);

/*
 * Clocks that are together: the largest set of eligible members whose
 * intervals offset +- (K sigma + tolerance) have a point in common (Marzullo &
 * Owicki, 1983). expected_ns is where the group's time should be by its own past
 * (NAN: unknown); it decides between sets of equal size and has one vote, but
 * no weight. False if no set holds a majority of the votes; then no weight is
 * set.
 *
 * Those that agree are averaged by inverse variance with a cap at the median's
 * weight, but without those that lie far outside of what the others are spread
 * (Hampel, "The influence curve and its role in robust estimation", 1974): one
 * that begins to go wrong moves nobody.
 */
bool ensemble_agree(struct ensemble *e, double tolerance_ns, double expected_ns);

/*
 * The group's rate at local raw time now: the mean over the used members whose
 * rates are known, within what f = (n - 1) / 3 liars cannot reach. Once learned,
 * it follows changes of that mean with a time constant of half a minute, but
 * only those that the crystals make themselves:
 *  - a change that most rates show is of the local crystal, which they are
 *    relative to, and is taken over at once;
 *  - a jump of one crystal is its own affair;
 *  - members come and go without changing it. Whoever is cut off holds the rate
 *    that the group had. It then approaches its new mean so slowly that nobody
 *    notices.
 */
void ensemble_rate(struct ensemble *e, int64_t now);

/*
 * A group of so many members that was there before has a rate already. If that is
 * sure, it is kept as if it had been learned here; otherwise until most members' rates
 * are known.
 */
void ensemble_inherit_rate(struct ensemble *e, double rate_ppb, double sigma_ppb,
			   size_t members);

/*
 * Of member i's difference to the group: standard deviation; and asymmetry, be it
 * of its own path or of all those that the group's time was found through.
 */
double ensemble_member_sigma(const struct ensemble *e, size_t i);
double ensemble_member_bound(const struct ensemble *e, size_t i);

/* Half the width of a member's interval. */
double ensemble_half_width(const struct ensemble_member *m, double tolerance_ns);

#endif /* BERK_ENSEMBLE_H */
