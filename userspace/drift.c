// SPDX-License-Identifier: GPL-2.0
#include "drift.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define HEADER "# berk drift 1: ppb (positive = made faster), +- ppb, at (s since 1970), node_id\n"
#define TEXT_MAX 256
#define PATH_LEN 512

/*
 * How the uncertainty of a frequency grows while nobody measures it. For hours
 * an ordinary crystal walks at random, by about 3 ppb after a second and with the
 * square root of time. It does not walk away for ever: what moves it most is
 * temperature, of the order of 0.1 ppm/K, and machine rooms and loads differ by
 * some 20 K. 2 ppm, which the walk reaches in five days, covers that and a
 * year's ageing.
 */
#define WANDER		3.0	/* ppb per sqrt(s) */
#define WANDER_MAX	2000.0	/* ppb */

/* As chronyd does: rarely enough for flash memory, often enough for a power cut. */
#define WRITE_MIN	300.0	/* s between two writes */
#define WRITE_MAX	3600.0

/* A negative age is an unknown one: the clock was wrong then, or it is now. */
static double grown(double sigma_ppb, double age_s)
{
	double walk = age_s < 0 ? WANDER_MAX : fmin(WANDER * sqrt(age_s), WANDER_MAX);

	return hypot(sigma_ppb, walk);
}

/* --- reading */

/* NULL, or what is wrong. */
static const char *parse(const char *text, uint64_t own_id, double *freq_ppb, double *sigma_ppb,
			 int64_t *at_s)
{
	uint64_t node_id;
	int len = 0;

	if (strncmp(text, HEADER, strlen(HEADER)))
		return "not a drift file, or one of another version";
	text += strlen(HEADER);
	if (sscanf(text, "%lf %lf %15" SCNd64 " %16" SCNx64 " %n", freq_ppb, sigma_ppb, at_s,
		   &node_id, &len) != 4 || text[len])
		return "damaged";
	if (!(fabs(*freq_ppb) <= CLOCK_FREQ_MAX_PPB) || *at_s < 0 ||
	    !(*sigma_ppb > 0 && *sigma_ppb <= CLOCK_FREQ_MAX_PPB))
		return "a value out of range";
	return node_id == own_id ? NULL : "of another node_id";
}

/* NULL, or what is wrong; text is "" if there is no file. */
static const char *read_file(const char *path, char text[TEXT_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);	/* a FIFO must not stop us */
	ssize_t len;
	int err;

	text[0] = '\0';
	if (fd < 0)
		return errno == ENOENT ? NULL : strerror(errno);
	len = read(fd, text, TEXT_MAX);
	err = errno;
	close(fd);
	if (len < 0)
		return strerror(err);
	if (len == 0 || len == TEXT_MAX)
		return len ? "too long for a drift file" : "empty";
	text[len] = '\0';
	return strlen(text) < (size_t)len ? "damaged" : NULL;
}

static const char *age_text(char text[32], int64_t age_s)
{
	if (age_s < 0)
		snprintf(text, 32, "from the future");
	else if (age_s < 120)
		snprintf(text, 32, "%d s old", (int)age_s);
	else if (age_s < 7200)
		snprintf(text, 32, "%d min old", (int)(age_s / 60));
	else if (age_s < 172800)
		snprintf(text, 32, "%d h old", (int)(age_s / 3600));
	else
		snprintf(text, 32, "%" PRId64 " days old", age_s / 86400);
	return text;
}

bool drift_start(struct drift *d, struct node_now now, double *freq_ppb, double *sigma_ppb)
{
	char text[TEXT_MAX], age[32];
	double freq, sigma;
	const char *wrong;
	int64_t at_s, age_s;

	d->sigma_ppb = 0;
	d->raw_ns = now.raw_ns;
	if (!*d->path)
		return false;
	wrong = read_file(d->path, text);
	if (!wrong && !*text)
		return false;
	if (!wrong)
		wrong = parse(text, d->node_id, &freq, &sigma, &at_s);
	if (wrong) {
		log_msg(LOG_WARNING, "drift file %s is ignored, and replaced once the frequency is "
			"known: %s", d->path, wrong);
		return false;
	}
	age_s = now.real_ns / 1000000000 - at_s;
	*freq_ppb = d->freq_ppb = freq;
	*sigma_ppb = d->sigma_ppb = grown(sigma, (double)age_s);
	log_msg(LOG_INFO, "frequency %+.3f ppm from %s, %s, +-%.3f ppm", freq / 1000, d->path,
		age_text(age, age_s), d->sigma_ppb / 1000);
	return true;
}

/* --- writing */

/* Is there more to tell than the file has, and is it time for that? */
static bool due(const struct drift *d, double age_s, const struct node_publish *p, bool last)
{
	double change = fabs(p->freq_ppb - d->freq_ppb);
	double now_sigma = grown(d->sigma_ppb, age_s);

	if (p->state != BERK_STATE_SYNCHRONISED || !(p->freq_sigma_ppb > 0))
		return false;
	if (!last && age_s < WRITE_MIN)
		return false;
	if (d->sigma_ppb == 0)
		return true;
	/* Soon after a start the file may still know better. */
	if (p->freq_sigma_ppb >= now_sigma && change <= now_sigma + p->freq_sigma_ppb)
		return false;
	return last || age_s >= WRITE_MAX || change > now_sigma ||
	       p->freq_sigma_ppb < d->sigma_ppb / 2;
}

/* The directories above it. What fails here shows when the file is opened. */
static void make_parents(const char *path)
{
	char dir[PATH_LEN];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
		mkdir(dir, 0755);
	}
}

/* 0 or -errno. */
static int write_all(int fd, const char *text, size_t len)
{
	ssize_t written = write(fd, text, len);

	if (written >= 0 && (size_t)written < len)
		return -ENOSPC;
	/* whatever the umask */
	return written < 0 || fchmod(fd, 0644) < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* 0 or -errno, and then the file is as it was. */
static int replace_file(const char *path, const char *text)
{
	char temp[PATH_LEN];
	int fd, err;

	if ((size_t)snprintf(temp, sizeof(temp), "%s.tmp", path) >= sizeof(temp))
		return -ENAMETOOLONG;
	make_parents(path);
	unlink(temp);	/* left over by a crash, or a trap */
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	err = write_all(fd, text, strlen(text));
	close(fd);
	if (!err && rename(temp, path) < 0)
		err = -errno;
	if (err)
		unlink(temp);
	return err;
}

void drift_save(struct drift *d, struct node_now now, const struct node_publish *p, bool last)
{
	double age_s = (double)(now.raw_ns - d->raw_ns) * 1e-9;
	char text[TEXT_MAX];
	int err;

	if (!*d->path || !due(d, age_s, p, last))
		return;
	snprintf(text, sizeof(text), HEADER "%.3f %.3f %" PRId64 " %016" PRIx64 "\n", p->freq_ppb,
		 fmax(p->freq_sigma_ppb, 0.001), now.real_ns / 1000000000, d->node_id);
	err = replace_file(d->path, text);
	if (err)
		log_msg(LOG_WARNING, "drift file %s cannot be written: %s; name another with "
			"drift_file, or none", d->path, strerror(-err));
	/* A failure, too, is not repeated before there is something new to tell. */
	d->freq_ppb = p->freq_ppb;
	d->sigma_ppb = p->freq_sigma_ppb;
	d->raw_ns = now.raw_ns;
}
