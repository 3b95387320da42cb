/* SPDX-License-Identifier: GPL-2.0 */
/*
 * lock: one berkd in each network namespace, one for the clock
 *
 * The module has an instance for each namespace, but the machine has one clock.
 */
#ifndef BERK_LOCK_H
#define BERK_LOCK_H

#include <stdbool.h>

#define LOCK_DIR	"/run/berk"
#define LOCK_CLOCK	LOCK_DIR "/berkd.pid"

/*
 * Takes the lock of this network namespace and, if clock, that of the clock. They
 * are held until the process ends; the files have its pid. False: another berkd
 * has one of them, or a file cannot be written; said why in the log.
 */
bool lock_take(bool clock);

#endif /* BERK_LOCK_H */
