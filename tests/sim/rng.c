// SPDX-License-Identifier: GPL-2.0
#include <math.h>

#include "sim.h"

#define GOLDEN 0x9e3779b97f4a7c15ULL

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void rng_init(struct rng *r, uint64_t seed, enum rng_purpose purpose, uint64_t a, uint64_t b)
{
	r->state = mix(mix(mix(seed + GOLDEN) + GOLDEN * (1 + (uint64_t)purpose)) + GOLDEN * a);
	r->state = mix(r->state + GOLDEN * b);
}

uint64_t rng_next(struct rng *r)
{
	r->state += GOLDEN;
	return mix(r->state);
}

double rng_uniform(struct rng *r)
{
	return ((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53;
}

double rng_exponential(struct rng *r, double mean)
{
	return -mean * log(rng_uniform(r));
}

/* Marsaglia's polar method */
void rng_normal2(struct rng *r, double z[2])
{
	double u, v, s;

	do {
		u = 2 * rng_uniform(r) - 1;
		v = 2 * rng_uniform(r) - 1;
		s = u * u + v * v;
	} while (s >= 1 || s == 0);
	s = sqrt(-2 * log(s) / s);
	z[0] = u * s;
	z[1] = v * s;
}

double rng_normal(struct rng *r)
{
	double z[2];

	rng_normal2(r, z);
	return z[0];
}

/* Marsaglia and Tsang 2000; a shape below 1 by their boost */
double rng_gamma(struct rng *r, double shape, double mean)
{
	double boost = shape < 1 ? pow(rng_uniform(r), 1 / shape) : 1;
	double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3, c = 1 / sqrt(9 * d);
	double x, v;

	do {
		x = rng_normal(r);
		v = 1 + c * x;
		v = v * v * v;
	} while (v <= 0 || log(rng_uniform(r)) >= x * x / 2 + d - d * v + d * log(v));
	return d * v * boost * mean / shape;
}
