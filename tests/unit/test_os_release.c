#include "tests/unit/support.h"

#include "cache/os_release.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text, *id, *version;
	} rows[] = {
		{ "ID=debian\nVERSION_ID=\"12\"\n", "debian", "12" },
		{ "ID=\"centos\"\nVERSION_ID=\"7\"", "centos", "7" },
		{ "NAME=x\r\nID='sles'\r\nVERSION_ID='15.5'\r\n", "sles", "15.5" },
		{ "VERSION_ID=22.04\nID=ubuntu\nID_LIKE=debian\nUBUNTU_ID=x\n", "ubuntu",
		  "22.04" },
		{ "ID=opensuse-leap\nVERSION_ID=\"15.6\"  ", "opensuse-leap", "15.6" },
		{ "ID=arch\nBUILD_ID=rolling\n", "arch", "" },
		{ "ID=a\\-b\nVERSION_ID=\"1\\.2\"", "a-b", "1.2" },
		{ "ID=first\nID=second\n", "second", "" },
		{ "ID=../../etc\nVERSION_ID=\"12/../13\"\n", "", "" },
		{ "ID=\"a b\"\nVERSION_ID=$(id)\n", "", "" },
		{ "ID=\"unclosed\nVERSION_ID=", "unclosed", "" },
		{ "ID=\\", "", "" },
		{ "ID=\"\"\nVERSION_ID=''", "", "" },
		{ "# ID=comment\n  ID=indented\n", "indented", "" },
		{ "", "", "" },
		{ "\n\n==\n", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *text = must_strdup(rows[i].text);
		struct facts facts = { 0 };

		os_release_parse(text, &facts);
		assert_string_equal(facts.os_id, rows[i].id);
		assert_string_equal(facts.os_version, rows[i].version);
	}
}

/* "CentOS Linux release 7.8.2003 (Core)" says more than VERSION_ID="7"; another version than it is not believed. */
static void test_refined_version(void **state)
{
	static const struct {
		const char *version, *release, *wanted;
	} rows[] = {
		{ "7", "CentOS Linux release 7.8.2003 (Core)", "7.8.2003" },
		{ "8", "CentOS Linux release 8.2.2004 (Core) ", "8.2.2004" },
		{ "8", "CentOS Stream release 8", "8" },
		{ "9.3", "Rocky Linux release 9.3 (Blue Onyx)", "9.3" },
		{ "9.3", "Rocky Linux release 9.4 (Blue Onyx)", "9.3" },
		{ "7", "release 70.1", "7" },
		{ "", "release 7.1", "" },
		{ "7", "", "7" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct facts facts = { 0 };

		strcpy(facts.os_version, rows[i].version);
		os_release_refine(rows[i].release, &facts);
		CHECK(strcmp(facts.os_version, rows[i].wanted) == 0, "row %zu: %s", i,
		      facts.os_version);
	}
}

/* What a machine says, and what is said for one of which the id alone is known. */
static void test_like(void **state)
{
	static const struct {
		const char *text, *like;
	} rows[] = {
		{ "ID=rocky\nID_LIKE=\"rhel centos fedora\"\n", "rhel centos fedora" },
		{ "ID=almalinux\nID_LIKE=\"rhel centos fedora\"\n", "rhel centos fedora" },
		{ "ID=centos\nID_LIKE=\"rhel fedora\"\n", "rhel fedora" },
		{ "ID=rhel\nID_LIKE=fedora\n", "fedora" },
		{ "ID=ubuntu\nID_LIKE=debian\n", "debian" },
		{ "ID_LIKE=fedora\nID=\"ol\"\n", "fedora rhel" },
		{ "ID=ol\nID_LIKE=\"rhel fedora\"\n", "rhel fedora" },
		{ "ID=ol\n", "rhel" },
		{ "ID=opensuse-leap\nID_LIKE=\"suse opensuse\"\n", "suse opensuse" },
		{ "ID=debian\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *text = must_strdup(rows[i].text);
		struct facts facts = { 0 };

		os_release_parse(text, &facts);
		CHECK(strcmp(facts.os_like, rows[i].like) == 0, "row %zu: %s", i,
		      facts.os_like);
		if (strcmp(facts.os_id, "ol") != 0)
			CHECK(strcmp(os_release_like(facts.os_id), rows[i].like) == 0,
			      "row %zu", i);
	}
	assert_string_equal(os_release_like("ol"), "fedora rhel");
	assert_string_equal(os_release_like("plan9"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refined_version),
		cmocka_unit_test(test_like),
	};

	return cmocka_run_group_tests_name("os_release", tests, NULL, NULL);
}
