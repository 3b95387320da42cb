/* SPDX-License-Identifier: GPL-2.0 */
/*
 * drift: what was learned of this machine's crystal survives a restart
 *
 * A small text file, replaced as a whole or not at all: the frequency
 * correction that held the group's rate, its uncertainty, when that was, and
 * on which node; the copy of a disk does not inherit another machine's crystal.
 */
#ifndef BERK_DRIFT_H
#define BERK_DRIFT_H

#include "node.h"

struct drift {
	const char *path;	/* "" = no file */
	uint64_t node_id;
	/* What the file tells: as node_publish; sigma 0 = nothing. */
	double freq_ppb, sigma_ppb;
	int64_t raw_ns;		/* when that was so, or when we started */
};

/*
 * Reads the file; path and node_id are set. If it is sound, the frequency
 * (ppb, absolute correction of CLOCK_REALTIME, positive = faster) and its
 * standard uncertainty as grown until now (ppb) are stored, and true is
 * returned; else they stay as they are. Logs what it found. No file is no error.
 */
bool drift_start(struct drift *d, struct node_now now, double *freq_ppb, double *sigma_ppb);

/*
 * To be called often, with what the node published last: writes the file now and
 * then while the node is synchronised, and at the end (last), if there is more to
 * tell than the file has. Logs when that fails.
 */
void drift_save(struct drift *d, struct node_now now, const struct node_publish *p, bool last);

#endif /* BERK_DRIFT_H */
