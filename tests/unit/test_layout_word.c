#include "tests/unit/support.h"

#include "cache/layout_word.h"

static void test_parts(void **state)
{
	(void)state;
	assert_true(layout_word_is_parts("x.tar.sha256"));
	assert_true(layout_word_is_parts("/mnt/x.tar.sha256"));
	assert_false(layout_word_is_parts(".tar.sha256"));
	assert_false(layout_word_is_parts("x.sha256"));
	assert_false(layout_word_is_parts("x.tar"));
	assert_false(layout_word_is_parts("-"));
}

/* Where nothing is known of a word, the error is what it was. */
static void test_explain(void **state)
{
	static const struct {
		const char *name, *content, *text; /* content NULL: no such file */
	} rows[] = {
		{ "x.tar.sha256", "0",
		  "x.tar.sha256 is read once, from its front: larder copy" },
		{ "x.tar.000", "x", "x.tar.sha256 DIR, then use DIR" },
		{ "x.tar.999", "x", "x.tar.sha256 DIR, then use DIR" },
		{ "own.json", "{", "own.json: expected a cache" },
		{ "x.tar.sha256", NULL, NULL },
		{ "x.tar.000", NULL, NULL },
		{ "x.tar.00", "x", NULL },
		{ "x.tar", "x", NULL },
		{ "000", "", NULL },
	};
	struct folder *folder = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *path = must_printf("%s/%s", folder->path, rows[i].name);
		struct err err = { .kind = ERR_DAMAGED, .text = "as it was" };
		int code;

		if (rows[i].content)
			put_text(folder->fd, rows[i].name, rows[i].content);
		code = layout_word_explain(path, &err);
		check_err(code, &err, rows[i].text ? ERR_USAGE : ERR_DAMAGED,
			  rows[i].text ? rows[i].text : "as it was", rows[i].name);
		unlinkat(folder->fd, rows[i].name, 0);
	}
}

static void test_words(void **state)
{
	struct err err = { .kind = ERR_MISSING };

	(void)state;
	check_err(layout_word_explain("-", &err), &err, ERR_USAGE,
		  "standard input is read once, from its front: larder copy - DIR", "-");
	check_err(layout_word_explain("oci://h/n:1", &err), &err, ERR_USAGE,
		  "oci://h/n:1 is in a registry: larder copy oci://h/n:1 DIR, then use DIR",
		  "registry");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test_setup_teardown(test_explain, folder_make, folder_drop),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
