/* SPDX-License-Identifier: GPL-2.0 */
/*
 * out: records for people, for scripts and as JSON, from one table of fields
 *
 * A field has one name. People see it without the unit at its end, because the
 * value carries one ("offset  +0.35 us"); scripts and JSON see the name of the
 * status files and the bare number ("offset_ns": 350).
 */
#ifndef BERK_OUT_H
#define BERK_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct json_object;

/* The C type of the member, and how it is shown. */
enum out_type {
	OUT_TEXT,	/* char[] */
	OUT_ID,		/* uint64_t: 16 hexadecimal digits; 0 = none */
	OUT_U16,	/* uint16_t */
	OUT_U32,	/* uint32_t */
	OUT_RANK,	/* uint32_t; 0 = none */
	OUT_U64,	/* uint64_t */
	OUT_S64,	/* int64_t */
	OUT_NS,		/* int64_t ns, with sign; INT64_MAX = unknown */
	OUT_DELAY,	/* int64_t ns; INT64_MAX = unknown */
	OUT_UTC,	/* int64_t ns since 1970, always as ISO 8601; INT64_MAX = unknown */
	OUT_BOUND,	/* uint64_t ns, shown rounded up; UINT64_MAX = unknown */
	OUT_GROWTH,	/* uint32_t ppb; UINT32_MAX = unknown */
	OUT_AGE,	/* uint64_t ms; UINT64_MAX = never */
	OUT_PPB,	/* int32_t, with sign; INT32_MAX = unknown */
	OUT_PERCENT,	/* double */
	OUT_ADDR,	/* union node_addr; family 0 = any */
	OUT_DEVICE,	/* uint32_t: ifindex; 0 = any */
	OUT_STATE,	/* enum berk_state */
	OUT_ROLE,	/* enum berk_role */
	OUT_PEER,	/* enum berk_peer_state; 0 = unknown */
	OUT_WHY,	/* enum berk_peer_reason; 0 = none */
};

struct out_field {
	const char *name;	/* NULL ends a table */
	enum out_type type;
	size_t offset;
};

#define OUT_FIELD(struct_, member_, type_) \
	{ #member_, (type_), offsetof(struct struct_, member_) }

#define OUT_FIELDS_MAX 32	/* of one table */

enum out_style { OUT_HUMAN, OUT_BARE };

#define OUT_VALUE_MAX 160

/* One value as text. Returns buf. */
const char *out_value(char buf[OUT_VALUE_MAX], const struct out_field *field, const void *record,
		      enum out_style style);

/* "label  value" lines, aligned; bold labels if colour. */
void out_record(FILE *file, const struct out_field *fields, const void *record, bool colour);

/* A table with aligned columns and a line of labels. size: of one record. */
void out_table(FILE *file, const struct out_field *fields, const void *records, size_t n,
	       size_t size, bool colour);

/* Tab-separated: the line of names; one record. */
void out_names(FILE *file, const struct out_field *fields);
void out_row(FILE *file, const struct out_field *fields, const void *record);

/* One line of name=value. */
void out_pairs(FILE *file, const struct out_field *fields, const void *record);

/* To be put (json_object_put) by the caller. */
struct json_object *out_json(const struct out_field *fields, const void *record);

/* Prints it on one line, or over several if pretty, and puts it. */
void out_json_print(FILE *file, struct json_object *json, bool pretty);

/* "unsynchronised", "master"...; "?" for what this version does not know. */
const char *out_state_name(unsigned int state);
const char *out_role_name(unsigned int role);
const char *out_peer_state_name(unsigned int state);
const char *out_reason_name(unsigned int reason);

#endif /* BERK_OUT_H */
