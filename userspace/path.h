/* SPDX-License-Identifier: GPL-2.0 */
/*
 * path: when a peer's delays change, was it the way there, or its clock?
 *
 * A RAW clock never jumps. A change of its rate adds to one direction what it
 * takes from the other; a change of the path does not. A path that changed has
 * a known asymmetry from then on, so the phase stays as it was; a clock that
 * changed is measured anew.
 */
#ifndef BERK_PATH_H
#define BERK_PATH_H

#include <stdbool.h>
#include <stdint.h>

struct track;

/*
 * At the end of a round at local raw time now. innovation: what the round says of
 * the phase minus what was expected, ns; r: its variance. True if the round is not
 * to be counted, because it contradicts and the reason is not clear yet. Otherwise
 * whatever had changed has been allowed for: the round is to be evaluated again.
 */
bool path_or_clock(struct track *t, double innovation, double r, int64_t now);

/* It was the clock: what the filter knew of its phase is off by about so many ns. */
void path_clock_changed(struct track *t, double innovation, int64_t now);

#endif /* BERK_PATH_H */
