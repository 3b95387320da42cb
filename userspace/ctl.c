// SPDX-License-Identifier: GPL-2.0
#include "ctl.h"

#include <errno.h>
#include <stdio.h>

int ctl_fail(const struct ctl *ctl, int err, const char *what)
{
	const char *reason = bnl_error(ctl->nl);

	if (err == -EPERM || err == -EACCES)
		fprintf(stderr, "berkctl: %s: no permission: run it as root (sudo berkctl ...)\n",
			what);
	else
		fprintf(stderr, "berkctl: %s: %s\n", what, reason);
	return CTL_FAILED;
}

bool ctl_open(struct ctl *ctl, unsigned int groups)
{
	int err = bnl_open(&ctl->nl, groups);

	if (err == -ENOENT)
		fprintf(stderr, "berkctl: the berk module is not loaded: sudo modprobe berk "
			"(or insmod berk.ko)\n");
	else if (err)
		ctl_fail(ctl, err, "talking to the berk module");
	return !err;
}

bool ctl_read_status(struct ctl *ctl, struct bnl_status *status)
{
	int err = bnl_status(ctl->nl, status);

	if (err) {
		ctl_fail(ctl, err, "reading the status");
		return false;
	}
	if (status->error_bound_ns == UINT64_MAX) {	/* then these mean nothing either */
		status->offset_ns = INT64_MAX;
		status->error_growth_ppb = UINT32_MAX;
	}
	return true;
}

bool ctl_open_status(struct ctl *ctl, struct bnl_status *status)
{
	return ctl_open(ctl, 0) && ctl_read_status(ctl, status);
}

bool ctl_no_daemon(const struct bnl_status *status)
{
	if (status->role != BERK_ROLE_NONE)
		return false;
	fprintf(stderr, "berkctl: no daemon corrects this clock: start berkd "
		"(sudo systemctl start berkd)\n");
	return true;
}
