// SPDX-License-Identifier: GPL-2.0
/* Values of the configuration that are written elsewhere, too. */
#include "conf.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEX_DIGITS "0123456789abcdefABCDEF"

bool conf_parse_id(const char *text, uint64_t *id)
{
	size_t len = strlen(text);
	bool prefixed = !strncasecmp(text, "0x", 2);
	bool hex = prefixed || (len == 16 && strspn(text, HEX_DIGITS) == 16);
	char *end;

	if (prefixed)
		text += 2;
	if (!isxdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*id = strtoull(text, &end, hex ? 16 : 10);
	return !*end && !errno && *id;
}

uint64_t conf_cluster_id(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325;	/* FNV-1a */

	if (strlen(name) == 16 && strspn(name, HEX_DIGITS) == 16)
		return strtoull(name, NULL, 16);
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
	return hash;
}

bool conf_parse_duration(const char *text, int64_t *ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 } };
	size_t digits = strspn(text, "0123456789.");
	char *end;
	double value = strtod(text, &end);

	/* strtod() alone takes "inf", signs and hexadecimal as well. */
	if (!isdigit((unsigned char)text[0]) || end != text + digits)
		return false;
	end += strspn(end, " \t");
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name))
			continue;
		if (value * units[i].ns > 1e18)
			return false;
		*ns = llround(value * units[i].ns);
		return true;
	}
	return false;
}
