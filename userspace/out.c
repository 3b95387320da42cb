// SPDX-License-Identifier: GPL-2.0
#include "out.h"

#include <inttypes.h>
#include <math.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>
#include <linux/berk.h>

#include "addr.h"

#define BOLD "\033[1m"
#define PLAIN "\033[0m"

/* --- values */

union value {
	const void *p;
	const char *text;
	const uint16_t *u16;
	const uint32_t *u32;
	const uint64_t *u64;
	const int32_t *s32;
	const int64_t *s64;
	const double *real;
	const union node_addr *addr;
};

static union value value_of(const struct out_field *field, const void *record)
{
	return (union value){ .p = (const char *)record + field->offset };
}

/* sign: "+" in front of what is not negative */
static void human_time(char *buf, const char *sign, double ns)
{
	double size = ns < 0 ? -ns : ns;
	const char *fmt = *sign ? "%+.*f %s" : "%.*f %s";

	if (size < 1e3)
		snprintf(buf, OUT_VALUE_MAX, fmt, 0, ns, "ns");
	else if (size < 1e6)
		snprintf(buf, OUT_VALUE_MAX, fmt, 2, ns / 1e3, "us");
	else if (size < 1e9)
		snprintf(buf, OUT_VALUE_MAX, fmt, 3, ns / 1e6, "ms");
	else
		snprintf(buf, OUT_VALUE_MAX, fmt, 3, ns / 1e9, "s");
}

/* Rounded up to the last digit that human_time() shows. */
static void human_bound(char *buf, double ns)
{
	double digit = ns < 1e3 ? 1 : ns < 1e6 ? 10 : ns < 1e9 ? 1e3 : 1e6;

	strcpy(buf, "+-");
	human_time(buf + 2, "", ceil(ns / digit) * digit);
}

static void human_age(char *buf, uint64_t ms)
{
	if (ms < 1000)
		snprintf(buf, OUT_VALUE_MAX, "%" PRIu64 " ms", ms);
	else if (ms < 120000)
		snprintf(buf, OUT_VALUE_MAX, "%.1f s", ms / 1e3);
	else
		snprintf(buf, OUT_VALUE_MAX, "%" PRIu64 " min", ms / 60000);
}

static void utc(char *buf, int64_t ns)
{
	time_t s = ns / 1000000000;
	int rest = ns % 1000000000;
	char text[32];
	struct tm tm;

	if (rest < 0) {
		rest += 1000000000;
		s--;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
	snprintf(buf, OUT_VALUE_MAX, "%s.%09dZ", text, rest);
}

static bool is_unknown(const struct out_field *field, union value v)
{
	switch (field->type) {
	case OUT_ID:	return !*v.u64;
	case OUT_RANK:
	case OUT_PEER:
	case OUT_WHY:	return !*v.u32;
	case OUT_NS:
	case OUT_DELAY:
	case OUT_UTC:	return *v.s64 == INT64_MAX;
	case OUT_BOUND:
	case OUT_AGE:	return *v.u64 == UINT64_MAX;
	case OUT_GROWTH: return *v.u32 == UINT32_MAX;
	case OUT_PPB:	return *v.s32 == INT32_MAX;
	default:	return false;
	}
}

static const char *device_name(uint32_t index, char buf[IF_NAMESIZE + 8])
{
	if (!index)
		return "any";
	if (!if_indextoname(index, buf))
		snprintf(buf, IF_NAMESIZE + 8, "#%u", index);
	return buf;
}

static void format_human(char *buf, const struct out_field *field, union value v)
{
	switch (field->type) {
	case OUT_NS:
		human_time(buf, "+", *v.s64);
		break;
	case OUT_DELAY:
		human_time(buf, "", *v.s64);
		break;
	case OUT_BOUND:
		human_bound(buf, *v.u64);
		break;
	case OUT_GROWTH:
		human_time(buf, "", *v.u32);
		strcat(buf, "/s");
		break;
	case OUT_AGE:
		human_age(buf, *v.u64);
		break;
	case OUT_PPB:
		snprintf(buf, OUT_VALUE_MAX, "%+.3f ppm", *v.s32 / 1e3);
		break;
	case OUT_PERCENT:
		snprintf(buf, OUT_VALUE_MAX, "%.1f %%", *v.real);
		break;
	default:
		out_value(buf, field, (const char *)v.p - field->offset, OUT_BARE);
	}
}

static void format_bare(char *buf, enum out_type type, union value v)
{
	char name[IF_NAMESIZE + 8], addr[ADDR_TEXT_MAX];

	switch (type) {
	case OUT_TEXT:
		snprintf(buf, OUT_VALUE_MAX, "%s", v.text);
		break;
	case OUT_ID:
		snprintf(buf, OUT_VALUE_MAX, "%016" PRIx64, *v.u64);
		break;
	case OUT_U16:
		snprintf(buf, OUT_VALUE_MAX, "%u", *v.u16);
		break;
	case OUT_U32:
	case OUT_RANK:
	case OUT_GROWTH:
		snprintf(buf, OUT_VALUE_MAX, "%u", *v.u32);
		break;
	case OUT_U64:
	case OUT_BOUND:
	case OUT_AGE:
		snprintf(buf, OUT_VALUE_MAX, "%" PRIu64, *v.u64);
		break;
	case OUT_S64:
	case OUT_NS:
	case OUT_DELAY:
		snprintf(buf, OUT_VALUE_MAX, "%" PRId64, *v.s64);
		break;
	case OUT_UTC:
		utc(buf, *v.s64);
		break;
	case OUT_PPB:
		snprintf(buf, OUT_VALUE_MAX, "%" PRId32, *v.s32);
		break;
	case OUT_PERCENT:
		snprintf(buf, OUT_VALUE_MAX, "%.3f", *v.real);
		break;
	case OUT_ADDR:
		snprintf(buf, OUT_VALUE_MAX, "%s",
			 v.addr->sa.sa_family ? addr_format(v.addr, addr) : "any");
		break;
	case OUT_DEVICE:
		snprintf(buf, OUT_VALUE_MAX, "%s", device_name(*v.u32, name));
		break;
	case OUT_STATE:
		snprintf(buf, OUT_VALUE_MAX, "%s", out_state_name(*v.u32));
		break;
	case OUT_ROLE:
		snprintf(buf, OUT_VALUE_MAX, "%s", out_role_name(*v.u32));
		break;
	case OUT_PEER:
		snprintf(buf, OUT_VALUE_MAX, "%s", out_peer_state_name(*v.u32));
		break;
	case OUT_WHY:
		snprintf(buf, OUT_VALUE_MAX, "%s", out_reason_name(*v.u32));
		break;
	}
}

const char *out_value(char buf[OUT_VALUE_MAX], const struct out_field *field, const void *record,
		      enum out_style style)
{
	union value v = value_of(field, record);

	if (is_unknown(field, v))
		strcpy(buf, "-");
	else if (style == OUT_HUMAN)
		format_human(buf, field, v);
	else
		format_bare(buf, field->type, v);
	return buf;
}

static struct json_object *json_value(const struct out_field *field, const void *record)
{
	union value v = value_of(field, record);
	char buf[OUT_VALUE_MAX];

	if (is_unknown(field, v))
		return NULL;	/* json-c's null */
	switch (field->type) {
	case OUT_U16:
		return json_object_new_int(*v.u16);
	case OUT_U32:
	case OUT_RANK:
	case OUT_GROWTH:
		return json_object_new_int64(*v.u32);
	case OUT_U64:
	case OUT_BOUND:
	case OUT_AGE:
		return json_object_new_uint64(*v.u64);
	case OUT_S64:
	case OUT_NS:
	case OUT_DELAY:
		return json_object_new_int64(*v.s64);
	case OUT_PPB:
		return json_object_new_int(*v.s32);
	case OUT_PERCENT:
		return json_object_new_double_s(*v.real, out_value(buf, field, record, OUT_BARE));
	default:
		return json_object_new_string(out_value(buf, field, record, OUT_BARE));
	}
}

/* --- records */

/* The name without its unit, "_" as " ". */
static const char *label(char buf[OUT_VALUE_MAX], const char *name)
{
	static const char *const units[] = { "_ns", "_ms", "_ppb", "_percent" };
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t unit = strlen(units[i]);

		if (len > unit && !strcmp(name + len - unit, units[i])) {
			len -= unit;
			break;
		}
	}
	snprintf(buf, OUT_VALUE_MAX, "%.*s", (int)len, name);
	for (char *c = buf; *c; c++)
		if (*c == '_')
			*c = ' ';
	return buf;
}

static int max_int(int a, int b)
{
	return a > b ? a : b;
}

void out_record(FILE *file, const struct out_field *fields, const void *record, bool colour)
{
	char name[OUT_VALUE_MAX], value[OUT_VALUE_MAX];
	int width = 0;

	for (const struct out_field *f = fields; f->name; f++)
		width = max_int(width, strlen(label(name, f->name)));
	for (const struct out_field *f = fields; f->name; f++)
		fprintf(file, "%s%-*s%s  %s\n", colour ? BOLD : "", width, label(name, f->name),
			colour ? PLAIN : "", out_value(value, f, record, OUT_HUMAN));
}

static bool is_text(enum out_type type)
{
	return type == OUT_TEXT || type == OUT_ID || type == OUT_ADDR || type == OUT_DEVICE ||
	       type == OUT_STATE || type == OUT_ROLE || type == OUT_PEER || type == OUT_WHY;
}

static int column_width(const struct out_field *f, const void *records, size_t n, size_t size)
{
	char buf[OUT_VALUE_MAX];
	int width = strlen(label(buf, f->name));

	for (size_t i = 0; i < n; i++)
		width = max_int(width, strlen(out_value(buf, f, (const char *)records + i * size,
							OUT_HUMAN)));
	return width;
}

/* Numbers to the right, text to the left, nothing after the last column. */
static void table_cell(FILE *file, const struct out_field *f, int width, const char *text)
{
	if (!is_text(f->type))
		fprintf(file, "%*s", width, text);
	else
		fprintf(file, "%-*s", f[1].name ? width : 0, text);
	if (f[1].name)
		fputs("  ", file);
}

void out_table(FILE *file, const struct out_field *fields, const void *records, size_t n,
	       size_t size, bool colour)
{
	char buf[OUT_VALUE_MAX];
	int widths[OUT_FIELDS_MAX];

	if (colour)
		fputs(BOLD, file);
	for (const struct out_field *f = fields; f->name; f++) {
		widths[f - fields] = column_width(f, records, n, size);
		table_cell(file, f, widths[f - fields], label(buf, f->name));
	}
	fputs(colour ? PLAIN "\n" : "\n", file);
	for (size_t i = 0; i < n; i++) {
		for (const struct out_field *f = fields; f->name; f++)
			table_cell(file, f, widths[f - fields],
				   out_value(buf, f, (const char *)records + i * size, OUT_HUMAN));
		fputc('\n', file);
	}
}

void out_names(FILE *file, const struct out_field *fields)
{
	for (const struct out_field *f = fields; f->name; f++)
		fprintf(file, "%s%c", f->name, f[1].name ? '\t' : '\n');
}

void out_row(FILE *file, const struct out_field *fields, const void *record)
{
	char buf[OUT_VALUE_MAX];

	for (const struct out_field *f = fields; f->name; f++)
		fprintf(file, "%s%c", out_value(buf, f, record, OUT_BARE), f[1].name ? '\t' : '\n');
}

void out_pairs(FILE *file, const struct out_field *fields, const void *record)
{
	char buf[OUT_VALUE_MAX];

	for (const struct out_field *f = fields; f->name; f++)
		fprintf(file, "%s=%s%c", f->name, out_value(buf, f, record, OUT_BARE),
			f[1].name ? ' ' : '\n');
}

struct json_object *out_json(const struct out_field *fields, const void *record)
{
	struct json_object *json = json_object_new_object();

	for (const struct out_field *f = fields; f->name; f++)
		json_object_object_add(json, f->name, json_value(f, record));
	return json;
}

void out_json_print(FILE *file, struct json_object *json, bool pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE | (pretty ? JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_SPACED : 0);

	fprintf(file, "%s\n", json_object_to_json_string_ext(json, flags));
	fflush(file);
	json_object_put(json);
}
