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

struct ensemble_member {
	/* in */
	bool eligible;		/* may take part */
	double offset_ns, sigma_ns;
	double bound_ns;	/* of what sigma cannot know: asymmetry of the path */
	double rate_ppb, rate_sigma_ppb;
	/* out */
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
	uint64_t rate_set;		/* stands for the set of members it is the mean of */
	double rate_bias_ppb;		/* to the mean, since that set changed */
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
 * Owicki, 1983), averaged by inverse variance with a cap at the median's
 * weight. expected_ns is where the group's time should be by its own past
 * (NAN: unknown); it decides between sets of equal size and has one vote, but
 * no weight. False if no set holds a majority of the votes; then no weight is
 * set.
 */
bool ensemble_agree(struct ensemble *e, double tolerance_ns, double expected_ns);

/*
 * The group's rate at local raw time now: the trimmed mean over the used
 * members whose rates are known. Once learned, it follows them with a time
 * constant of half a minute. When others become members it does not: whoever
 * is cut off holds the rate that the group had, so that one is kept, and the
 * new mean is approached over a quarter of an hour.
 */
void ensemble_rate(struct ensemble *e, int64_t now);

/* Of member i's difference to the group: standard deviation, and asymmetry. */
double ensemble_member_sigma(const struct ensemble *e, size_t i);
double ensemble_member_bound(const struct ensemble *e, size_t i);

/* Half the width of a member's interval. */
double ensemble_half_width(const struct ensemble_member *m, double tolerance_ns);

#endif /* BERK_ENSEMBLE_H */
