#include "firstboot/logfile.h"
#include "cache/base/json.h"
#include "tests/unit/sysroot.h"

#define LOGFILE "var/log/" LOGFILE_NAME

/* Every line of a file is one object; returns the last one, which the caller releases. */
static json_t *check_lines(const struct sysroot *sysroot, const char *path, size_t *out_count)
{
	AUTO_FREE char *text = sysroot_read(sysroot, path);
	char *rest = text;
	json_t *last = NULL;

	*out_count = 0;
	assert_non_null(text);
	for (char *line = strsep(&rest, "\n"); rest; line = strsep(&rest, "\n")) {
		json_decref(last);
		for (const char *at = line; *at; at++)
			CHECK(*at >= ' ' && *at < 0x7f, "line %zu", *out_count);
		/* jansson itself: our reader takes no control characters, escaped or not. */
		last = json_loads(line, 0, NULL);
		CHECK(json_is_object(last), "line %zu: %s", *out_count, line);
		*out_count += 1;
	}
	return last;
}

static void test_fields(void **state)
{
	static const struct log_field fields[] = { { "event", "device bound" },
						   { "bundle", NULL },
						   { "device", "0000:00:02.0" },
						   { "text",
						     "a\nb\033[2J\x80\"{}\xe2\x80\xae" } };
	AUTO_LOGFILE struct logfile logfile = LOGFILE_NONE;
	struct sysroot *sysroot = *state;
	struct log log = { 0 };
	AUTO_JSON json_t *line = NULL;
	size_t count;

	logfile_open(&sysroot->machine, "early", &log, &logfile);
	log_line(&log, "plain %d", 1);
	log_fields(&log, fields, COUNT_OF(fields), "for the console");
	line = check_lines(sysroot, LOGFILE, &count);
	assert_int_equal(count, 2);
	assert_string_equal(json_string_value(json_object_get(line, "moment")), "early");
	assert_string_equal(json_string_value(json_object_get(line, "device")), "0000:00:02.0");
	assert_string_equal(json_string_value(json_object_get(line, "text")),
			    "a\nb\033[2J\\x80\"{}\\xe2\\x80\\xae");
	assert_null(json_object_get(line, "bundle"));
	assert_true(json_is_integer(json_object_get(line, "boot_ms")));
	assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))),
			 strlen("2026-01-01T00:00:00.000Z"));
}

/* However much is said, two files of the bound are all. */
static void test_bound(void **state)
{
	AUTO_LOGFILE struct logfile logfile = LOGFILE_NONE;
	struct sysroot *sysroot = *state;
	struct log log = { 0 };
	struct stat status;
	AUTO_JSON json_t *now = NULL, *before = NULL;
	AUTO_FREE char *text = must_calloc(20000, 1);
	size_t count;

	memset(text, 'x', 19999);
	logfile_open(&sysroot->machine, "main", &log, &logfile);
	for (size_t i = 0; i < 4 * LOGFILE_MAX_BYTES / 20000; i++)
		log_line(&log, "%s", text);
	for (int old = 0; old < 2; old++) {
		const char *path = old ? LOGFILE ".1" : LOGFILE;

		assert_int_equal(fstatat(sysroot->machine.root, path, &status, 0), 0);
		CHECK(status.st_size > 0 && status.st_size <= LOGFILE_MAX_BYTES, "%s", path);
	}
	now = check_lines(sysroot, LOGFILE, &count);
	before = check_lines(sysroot, LOGFILE ".1", &count);
	assert_false(fs_exists(sysroot->machine.root, LOGFILE ".2"));
}

/* What a power cut left of a line does not spoil the next. */
static void test_a_cut_line(void **state)
{
	AUTO_LOGFILE struct logfile logfile = LOGFILE_NONE;
	struct sysroot *sysroot = *state;
	struct log log = { 0 };
	AUTO_FREE char *text = NULL;

	sysroot_text(sysroot, LOGFILE, "{\"time\":\"2026");
	logfile_open(&sysroot->machine, "main", &log, &logfile);
	log_line(&log, "whole");
	text = sysroot_read(sysroot, LOGFILE);
	assert_non_null(strstr(text, "{\"time\":\"2026\n{\"time\":"));
}

static void test_what_cannot_be_opened_is_no_failure(void **state)
{
	AUTO_LOGFILE struct logfile logfile = LOGFILE_NONE;
	struct sysroot *sysroot = *state;
	struct log log = { 0 };

	close(sysroot_folder(sysroot, LOGFILE));
	logfile_open(&sysroot->machine, "main", &log, &logfile);
	assert_null(log.keep);
	log_line(&log, "lost");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(test_fields),
		sysroot_test(test_bound),
		sysroot_test(test_a_cut_line),
		sysroot_test(test_what_cannot_be_opened_is_no_failure),
	};

	return cmocka_run_group_tests_name("logfile", tests, NULL, NULL);
}
