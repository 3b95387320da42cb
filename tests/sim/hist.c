// SPDX-License-Identifier: GPL-2.0
/* hist: quantiles of positive numbers in fixed memory, to 0.2 % */
#include <math.h>

#include "scenario.h"

#define PER_OCTAVE 350

static size_t bin(double x)
{
	double i = (log2(fmax(x, 0x1p-10)) + 10) * PER_OCTAVE;

	return i < HIST_BINS - 1 ? (size_t)i : HIST_BINS - 1;
}

void hist_add(struct hist *h, double x)
{
	h->count[bin(x)]++;
	h->n++;
}

double hist_quantile(const struct hist *h, double q)
{
	uint64_t before = 0, wanted = (uint64_t)(q * (double)h->n);
	size_t i = 0;

	if (!h->n)
		return NAN;
	if (wanted >= h->n)
		wanted = h->n - 1;
	while ((before += h->count[i]) <= wanted)
		i++;
	return exp2(((double)i + 0.5) / PER_OCTAVE - 10);
}
