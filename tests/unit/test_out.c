// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "out.c"

struct everything {
	char text[16];
	uint64_t id;
	uint16_t port;
	uint32_t count, ifindex, growth_ppb;
	uint64_t big, bound_ns, age_ms;
	int64_t number, offset_ns, delay_ns, time_ns;
	int32_t freq_ppb;
	double loss_percent;
	union node_addr addr;
	enum berk_state state;
	enum berk_role role;
};

#define F(member, type) OUT_FIELD(everything, member, type)

static const struct out_field fields[] = {
	F(text, OUT_TEXT), F(id, OUT_ID), F(port, OUT_U16), F(count, OUT_U32), F(big, OUT_U64),
	F(number, OUT_S64), F(offset_ns, OUT_NS), F(delay_ns, OUT_DELAY), F(bound_ns, OUT_BOUND),
	F(growth_ppb, OUT_GROWTH), F(time_ns, OUT_UTC),
	F(age_ms, OUT_AGE), F(freq_ppb, OUT_PPB), F(loss_percent, OUT_PERCENT),
	F(addr, OUT_ADDR), F(ifindex, OUT_DEVICE), F(state, OUT_STATE), F(role, OUT_ROLE), { 0 }
};

static struct everything sample(void)
{
	struct everything e = {
		.text = "a \"b\"\\\x01", .id = 0xab, .port = 65535, .count = UINT32_MAX,
		.big = UINT64_MAX, .bound_ns = 1500, .age_ms = 61000, .number = INT64_MIN,
		.offset_ns = -350, .delay_ns = 102270, .freq_ppb = -12345, .loss_percent = 12.5,
		.growth_ppb = 2345, .time_ns = 1795429825000000007,
		.ifindex = if_nametoindex("lo"), .state = BERK_STATE_HOLDOVER,
		.role = BERK_ROLE_MASTER,
	};

	addr_parse_peer("[2001:db8::1]:5525", 1, &e.addr);
	return e;
}

static struct everything unknown(void)
{
	return (struct everything){ .bound_ns = UINT64_MAX, .growth_ppb = UINT32_MAX,
				    .time_ns = INT64_MAX, .age_ms = UINT64_MAX,
				    .offset_ns = INT64_MAX, .delay_ns = INT64_MAX,
				    .state = 99, .role = 99 };
}

static char *text;
static size_t size;

static FILE *memory(void)
{
	free(text);
	text = NULL;
	return open_memstream(&text, &size);
}

static const char *shown(int64_t ns)
{
	static const struct out_field field = { "x", OUT_NS, 0 };
	static char buf[OUT_VALUE_MAX];

	return out_value(buf, &field, &ns, OUT_HUMAN);
}

static void test_units(void **state)
{
	static const struct out_field age = { "x", OUT_AGE, 0 };
	char buf[OUT_VALUE_MAX];
	uint64_t ms;

	(void)state;
	assert_string_equal(shown(350), "+350 ns");
	assert_string_equal(shown(-350), "-350 ns");
	assert_string_equal(shown(0), "+0 ns");
	assert_string_equal(shown(1350), "+1.35 us");
	assert_string_equal(shown(-12345678), "-12.346 ms");
	assert_string_equal(shown(4999999999), "+5.000 s");
	assert_string_equal(shown(INT64_MIN), "-9223372036.855 s");
	assert_string_equal(shown(INT64_MAX), "-");
	ms = 999;
	assert_string_equal(out_value(buf, &age, &ms, OUT_HUMAN), "999 ms");
	ms = 1500;
	assert_string_equal(out_value(buf, &age, &ms, OUT_HUMAN), "1.5 s");
	ms = 3600000;
	assert_string_equal(out_value(buf, &age, &ms, OUT_HUMAN), "60 min");
}

/* Never shown smaller than it is. */
static void test_bound(void **state)
{
	static const struct out_field field = { "x", OUT_BOUND, 0 };
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "+-0 ns" }, { 999, "+-999 ns" }, { 1001, "+-1.01 us" }, { 12300, "+-12.30 us" },
		{ 12301, "+-12.31 us" }, { 1000001, "+-1.001 ms" }, { 1000000001, "+-1.001 s" },
		{ UINT64_MAX, "-" },
	};
	char buf[OUT_VALUE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(out_value(buf, &field, &cases[i].ns, OUT_HUMAN), cases[i].text);
}

static void test_utc(void **state)
{
	static const struct out_field field = { "x", OUT_UTC, 0 };
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000000000Z" }, { -1, "1969-12-31T23:59:59.999999999Z" },
		{ INT64_MAX - 1, "2262-04-11T23:47:16.854775806Z" },
		{ INT64_MIN, "1677-09-21T00:12:43.145224192Z" }, { INT64_MAX, "-" },
	};
	char buf[OUT_VALUE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(out_value(buf, &field, &cases[i].ns, OUT_BARE), cases[i].text);
}

static void test_record(void **state)
{
	struct everything e = sample();
	FILE *file = memory();

	(void)state;
	strcpy(e.text, "words");
	out_record(file, fields, &e, false);
	fclose(file);
	assert_string_equal(text,
		"text     words\n"
		"id       00000000000000ab\n"
		"port     65535\n"
		"count    4294967295\n"
		"big      18446744073709551615\n"
		"number   -9223372036854775808\n"
		"offset   -350 ns\n"
		"delay    102.27 us\n"
		"bound    +-1.50 us\n"
		"growth   2.35 us/s\n"
		"time     2026-11-23T10:30:25.000000007Z\n"
		"age      61.0 s\n"
		"freq     -12.345 ppm\n"
		"loss     12.5 %\n"
		"addr     [2001:db8::1]:5525\n"
		"ifindex  lo\n"
		"state    holdover\n"
		"role     master\n");
	file = memory();
	out_record(file, fields, &e, true);
	fclose(file);
	assert_non_null(strstr(text, "\033[1mid     \033[0m  00000000000000ab\n"));
}

static void test_tab_separated(void **state)
{
	struct everything e = unknown();
	FILE *file = memory();

	(void)state;
	out_names(file, fields);
	out_row(file, fields, &e);
	fclose(file);
	assert_string_equal(text,
		"text\tid\tport\tcount\tbig\tnumber\toffset_ns\tdelay_ns\tbound_ns\tgrowth_ppb\t"
		"time_ns\tage_ms\tfreq_ppb\tloss_percent\taddr\tifindex\tstate\trole\n"
		"\t-\t0\t0\t0\t0\t-\t-\t-\t-\t-\t-\t0\t0.000\tany\tany\t?\t?\n");
	file = memory();
	out_pairs(file, fields + 1, &e);
	fclose(file);
	assert_int_equal(strncmp(text, "id=- port=0 ", 12), 0);
}

static void test_table(void **state)
{
	static const struct out_field few[] = {
		F(text, OUT_TEXT), F(count, OUT_U32), F(role, OUT_ROLE), { 0 }
	};
	struct everything rows[] = {
		{ .text = "a", .count = 12345678, .role = BERK_ROLE_SLAVE },
		{ .text = "longer", .count = 1, .role = BERK_ROLE_NONE },
	};
	FILE *file = memory();

	(void)state;
	out_table(file, few, rows, 2, sizeof(rows[0]), false);
	fclose(file);
	assert_string_equal(text,
		"text       count  role\n"
		"a       12345678  slave\n"
		"longer         1  none\n");
}

static struct json_object *get(struct json_object *json, const char *name)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(json, name, &value));
	return value;
}

/* What is printed parses again, and every value is what it was. */
static void test_json(void **state)
{
	struct everything e = sample();
	struct json_object *json;

	(void)state;
	for (int pretty = 0; pretty < 2; pretty++) {
		FILE *file = memory();

		out_json_print(file, out_json(fields, &e), pretty);
		fclose(file);
		assert_int_equal(text[size - 1], '\n');
		if (!pretty)
			assert_ptr_equal(strchr(text, '\n'), text + size - 1);
		json = json_tokener_parse(text);
		assert_non_null(json);
		assert_string_equal(json_object_get_string(get(json, "text")), e.text);
		assert_string_equal(json_object_get_string(get(json, "id")), "00000000000000ab");
		assert_true(json_object_is_type(get(json, "id"), json_type_string));
		assert_true(json_object_get_uint64(get(json, "big")) == UINT64_MAX);
		assert_true(json_object_get_int64(get(json, "number")) == INT64_MIN);
		assert_int_equal(json_object_get_int64(get(json, "count")), UINT32_MAX);
		assert_int_equal(json_object_get_int(get(json, "offset_ns")), -350);
		assert_int_equal(json_object_get_int(get(json, "freq_ppb")), -12345);
		assert_true(json_object_get_double(get(json, "loss_percent")) == 12.5);
		assert_string_equal(json_object_get_string(get(json, "state")), "holdover");
		assert_int_equal(json_object_get_int(get(json, "growth_ppb")), 2345);
		assert_string_equal(json_object_get_string(get(json, "time_ns")),
				    "2026-11-23T10:30:25.000000007Z");
		assert_int_equal(json_object_object_length(json), 18);
		json_object_put(json);
	}
}

static void test_json_unknown(void **state)
{
	struct everything e = unknown();
	struct json_object *json = out_json(fields, &e);

	(void)state;
	assert_null(get(json, "id"));
	assert_null(get(json, "offset_ns"));
	assert_null(get(json, "delay_ns"));
	assert_null(get(json, "bound_ns"));
	assert_null(get(json, "age_ms"));
	assert_null(get(json, "growth_ppb"));
	assert_null(get(json, "time_ns"));
	assert_string_equal(json_object_get_string(get(json, "addr")), "any");
	json_object_put(json);
	free(text);
	text = NULL;
}

/* Every value has a word of its own, short enough for its column; others have none. */
static void test_words(void **state)
{
	static const struct {
		const char *(*name)(unsigned int);
		unsigned int n;
	} tables[] = {
		{ out_state_name, __BERK_STATE_MAX }, { out_role_name, __BERK_ROLE_MAX },
		{ out_peer_state_name, __BERK_PEER_STATE_MAX }, { out_reason_name, __BERK_WHY_MAX },
	};

	(void)state;
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		assert_string_equal(tables[t].name(tables[t].n), "?");
		for (unsigned int i = 0; i < tables[t].n; i++) {
			assert_non_null(tables[t].name(i));
			assert_true(strlen(tables[t].name(i)) < 32);
			for (unsigned int j = 0; j < i; j++)
				assert_string_not_equal(tables[t].name(i), tables[t].name(j));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_utc),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_tab_separated),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_unknown),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("out", tests, NULL, NULL);
}
