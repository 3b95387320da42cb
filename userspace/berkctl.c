// SPDX-License-Identifier: GPL-2.0
/* berkctl: one table of verbs */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

struct verb {
	const char *name;
	int (*run)(struct ctl *ctl, int argc, char **argv);
	const char *args;
	const char *help;
};

static int verb_help(struct ctl *ctl, int argc, char **argv);

/* The first is the default. */
static const struct verb verbs[] = {
	{ "status", ctl_status, "", "this node, its counters and its peers" },
	{ "now", ctl_now, "", "the interval that contains the group's time; exit status 3 if "
	  "not synchronised" },
	{ "peers", ctl_peers, "", "the peers: what is thought of them and why, offset and delay" },
	{ "watch", ctl_live, "", "status and peers, live; * marks the master" },
	{ "samples", ctl_samples, " [--follow]", "all measured exchanges, tab-separated" },
	{ "monitor", ctl_monitor, "", "what happens, as it happens" },
	{ "set", ctl_set, " KEY VALUE...", "change the module's configuration; also: set peer "
	  "ADDRESS [remove]" },
	{ "showconf", ctl_showconf, "", "the module's configuration, as setconf reads it" },
	{ "setconf", ctl_setconf, " FILE", "set the keys in FILE, and exactly its peers" },
	{ "version", ctl_version, "", "the versions of berkctl and of the module" },
	{ "help", verb_help, "", "this text" },
	{ 0 }
};

static void print_usage(FILE *file)
{
	fputs("Usage: berkctl [VERB] [--json]\n\n", file);
	for (const struct verb *v = verbs; v->name; v++) {
		char left[40];

		snprintf(left, sizeof(left), "%s%s", v->name, v->args);
		fprintf(file, "  %-20s %s\n", left, v->help);
	}
	fputs("\nWithout a verb: status. With --json all output is JSON.\n", file);
}

static int verb_help(struct ctl *ctl, int argc, char **argv)
{
	(void)ctl;
	(void)argv;
	if (argc)
		return CTL_USAGE;
	print_usage(stdout);
	return CTL_OK;
}

static void print_verb(FILE *file, const struct verb *v)
{
	fprintf(file, "Usage: berkctl %s%s [--json]: %s\n", v->name, v->args, v->help);
}

/* Takes the options out of argv, wherever they stand. Returns what is left, or -1. */
static int take_options(struct ctl *ctl, bool *help, int argc, char **argv)
{
	int n = 0;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			ctl->json = true;
		} else if (!strcmp(argv[i], "--follow")) {
			ctl->follow = true;
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			*help = true;
		} else if (!strcmp(argv[i], "--version")) {
			argv[n++] = "version";
		} else if (argv[i][0] == '-') {
			fprintf(stderr, "berkctl: unknown option %s; see berkctl --help\n",
				argv[i]);
			return -1;
		} else {
			argv[n++] = argv[i];
		}
	}
	return n;
}

static const struct verb *find_verb(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (!strcmp(v->name, name))
			return v;
	fprintf(stderr, "berkctl: unknown verb %s; see berkctl --help\n", name);
	return NULL;
}

static int run(struct ctl *ctl, const struct verb *v, int argc, char **argv)
{
	int code;

	if (ctl->follow && v->run != ctl_samples)
		code = CTL_USAGE;
	else
		code = v->run(ctl, argc, argv);
	if (code == CTL_USAGE)
		print_verb(stderr, v);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "berkctl: the output could not be written\n");
		code = CTL_FAILED;
	}
	bnl_close(ctl->nl);
	return code;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { 0 };
	const struct verb *v = verbs;
	bool help = false;
	int n = take_options(&ctl, &help, argc - 1, argv + 1);

	if (n < 0)
		return CTL_USAGE;
	if (n > 0)
		v = find_verb(argv[1]);
	if (!v)
		return CTL_USAGE;
	if (help) {
		if (n > 0)
			print_verb(stdout, v);
		else
			print_usage(stdout);
		return CTL_OK;
	}
	ctl.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	return run(&ctl, v, n > 0 ? n - 1 : 0, argv + 2);
}
