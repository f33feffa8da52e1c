#include "tests/unit/support.h"

#include "cache/unmet.h"

#define APT "Building dependency tree...\nThe following packages have unmet dependencies:\n"
#define APT_END "E: Unable to correct problems, you have held broken packages.\n"

static const struct {
	const char *output, *names, *text, *removed;
	size_t count;
} rows[] = {
	{ "", "", "", "", 0 },
	{ "Inst base (2.0 local-deb [all])\nConf base (2.0 local-deb [all])\n", "", "", "", 0 },
	{ APT " app : Depends: base (>= 2) but it is not installable\n"
	      "       Depends: helper but it is not installable\n" APT_END,
	  "base helper", "base (>= 2) for app, helper for app", "", 2 },
	{ APT " app : Depends: base (>= 2) but 1 is to be installed\n"
	      " tool : PreDepends: base but it is not going to be installed\n" APT_END,
	  "base", "base (>= 2) for app, base for tool", "", 2 },
	{ APT " app:i386 : Depends: libc6:i386 (>= 2.3) but it is not installable\n" APT_END,
	  "libc6", "libc6:i386 (>= 2.3) for app:i386", "", 1 },
	{ APT " app : Depends: liba but it is not installable or\n"
	      "                libb but it is not installable\n" APT_END,
	  "liba", "liba for app", "", 1 },
	{ APT " app : Conflicts: old but 1 is to be installed\n" APT_END, "",
	  "app Conflicts: old but 1 is to be installed", "", 1 },
	{ APT, "", "", "", 0 },
	{ APT " rdma-core : Depends: libnl-3-200 (>= 3.2.7) but it is not installable\n" APT_END
	      "E: The following information from --solver 3.0 may provide additional context:\n"
	      "   Unable to satisfy dependencies. Reached two conflicting decisions:\n"
	      "   1. rdma-core:amd64=56.1-1 is selected for install\n"
	      "   2. rdma-core:amd64 Depends libnl-3-200 (>= 3.2.7)\n"
	      "      but none of the choices are installable:\n      [no choices]\n",
	  "libnl-3-200", "libnl-3-200 (>= 3.2.7) for rdma-core", "", 1 },
	{ APT "       Depends: nobody's but\n", "", "", "", 0 },
	{ " app : Depends: outside the list\n", "", "", "", 0 },
	{ "Remv rdma-core [36.0]\nRemv ibacm [36.0]\nInst mlnx (5.8 local-deb [amd64])\n", "",
	  "", "rdma-core, ibacm", 0 },
	{ "error: Failed dependencies:\n\tbase >= 2 is needed by app-1-1.noarch\n"
	  "\tlibx.so.1()(64bit) is needed by app-1-1.noarch\n",
	  "base libx.so.1()(64bit)",
	  "base >= 2 for app-1-1.noarch, libx.so.1()(64bit) for app-1-1.noarch", "", 2 },
	{ APT " app : Depends: \033[2Jbase but it is not installable\n" APT_END, "?[2Jbase",
	  "?[2Jbase for app", "", 1 },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct unmet unmet = unmet_read(rows[i].output);
		char names[512] = "";

		for (size_t j = 0; j < unmet.name_count; j++) {
			size_t used = strlen(names);

			snprintf(names + used, sizeof(names) - used, "%s%s", used ? " " : "",
				 unmet.name[j]);
		}
		CHECK(strcmp(names, rows[i].names) == 0, "row %zu: names %s", i, names);
		CHECK(strcmp(unmet.text, rows[i].text) == 0, "row %zu: %s", i, unmet.text);
		CHECK(strcmp(unmet.removed, rows[i].removed) == 0, "row %zu: %s", i,
		      unmet.removed);
		CHECK(unmet.count == rows[i].count, "row %zu: %zu", i, unmet.count);
	}
}

static void test_bounds(void **state)
{
	AUTO_FREE char *output = must_calloc(1 << 20, 1);
	size_t used = (size_t)sprintf(output, APT);
	struct unmet unmet;

	(void)state;
	for (int i = 0; i < 5000; i++)
		used += (size_t)sprintf(
			output + used,
			" package%d : Depends: library%d but it is not\nRemv r%d [1]\n"
			"The following packages have unmet dependencies:\n",
			i, i, i);
	unmet = unmet_read(output);
	assert_int_equal(unmet.count, 5000);
	assert_int_equal(unmet.name_count, UNMET_MAX_NAMES);
	assert_true(strlen(unmet.text) < UNMET_TEXT_MAX);
	assert_true(strlen(unmet.removed) < UNMET_TEXT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("unmet", tests, NULL, NULL);
}
