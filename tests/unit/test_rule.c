#include "tests/unit/support.h"

#include "cache/name.h"
#include "cache/rule.h"

static void test_expand(void **state)
{
	static const struct {
		const char *word, *result;
	} rows[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "%{stage}", "/s" },
		{ "%{stage}/a", "/s/a" },
		{ "--l=%{log},%{kernel}%{kernel}", "--l=%{stage},6.16.1" },
		{ "%", "%" },
		{ "%%{log}}", "%%{stage}}" },
		{ "%s%n", "%s%n" },
	};
	/* What was put in is not looked at again. */
	const struct rule_places places = { .log = "%{stage}", .stage = "/s", .kernel = "6.1" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *text = rule_expand(rows[i].word, &places);

		assert_true(rule_word(rows[i].word));
		assert_string_equal(text, rows[i].result);
	}
}

/* At the limit good, one byte above it not. */
static void test_lengths(void **state)
{
	static const struct {
		const char *tail;
		size_t max;
		bool (*fits)(const char *text);
	} rows[] = {
		{ "", NAME_TEXT_MAX_BYTES, rule_word },
		{ ".service", NAME_MAX_BYTES, rule_unit },
		{ "", NAME_MAX_BYTES, rule_package },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows) * 2; i++) {
		size_t size = rows[i / 2].max + i % 2 - strlen(rows[i / 2].tail);
		AUTO_FREE char *text = must_printf("%0*d%s", (int)size, 0, rows[i / 2].tail);

		assert_int_equal(rows[i / 2].fits(text), i % 2 == 0);
	}
}

static void test_pair_lengths(void **state)
{
	static const struct {
		const char *head;
		size_t max;
		bool (*fits)(const char *key, const char *value);
	} rows[] = {
		{ "A", NAME_MAX_BYTES, rule_env },
		{ "a.", NAME_MAX_BYTES, rule_sysctl },
		{ "a", NAME_MAX_BYTES, rule_waagent },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows) * 2; i++) {
		size_t size = rows[i / 2].max + i % 2 - strlen(rows[i / 2].head);
		AUTO_FREE char *key = must_printf("%s%0*d", rows[i / 2].head, (int)size, 0);

		assert_int_equal(rows[i / 2].fits(key, "1"), i % 2 == 0);
	}
	for (size_t more = 0; more < 2; more++) {
		AUTO_FREE char *value =
			must_printf("%0*d", (int)(RULE_LINE_MAX_BYTES + more), 0);

		assert_int_equal(rule_sysctl("a.b", value), more == 0);
		assert_int_equal(rule_waagent("a", value), more == 0);
	}
	assert_true(rule_limit("memlock", "999999999999"));
	assert_false(rule_limit("memlock", "1000000000000"));
	assert_true(rule_sysctl("a.b.c.d.e.f.g.h.i.j", "1"));
	assert_false(rule_sysctl("a.b.c.d.e.f.g.h.i.j.k", "1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_pair_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
