#include "tests/unit/support.h"

#include "cache/select.h"

/* "a,b" as the command line has it, or "" for an option that is not there; text is cut up. */
static struct cli_list list_of(char *text)
{
	struct cli_list list = { 0 };

	for (char *item = strsep(&text, ","); item; item = strsep(&text, ",")) {
		if (!*item)
			continue;
		list.item = must_realloc(list.item, list.count + 1, sizeof(*list.item));
		list.item[list.count++] = item;
	}
	return list;
}

static const struct {
	const char *os, *arch; /* of the selection */
	const char *table;
	bool selected;
} table_rows[] = {
	{ "", "", "linux/debian-12/x86_64", true },
	{ "debian:12", "", "linux/debian-12/x86_64", true },
	{ "debian:12", "", "linux/debian-12/aarch64", true },
	{ "debian:12", "", "linux/debian-11/x86_64", false },
	{ "debian:12", "", "linux/ubuntu-12/x86_64", false },
	{ "debian:12", "", "linux/any/x86_64", true },
	{ "debian:12", "", "windows/any/x86_64", false },
	{ "debian:11,debian:12", "", "linux/debian-12/x86_64", true },
	{ "rhel:9.4", "", "linux/rhel-9/x86_64", true },
	{ "rhel:9.4", "", "linux/rhel-9.4/x86_64", true },
	{ "rhel:9", "", "linux/rhel-9.4/x86_64", false },
	{ "rhel:90", "", "linux/rhel-9/x86_64", false },
	{ "suse-leap:15.5", "", "linux/suse-leap-15.5/x86_64", true },
	{ "windows-server:2019", "", "windows/windows-server-2019/x86_64", true },
	{ "windows-server:2019", "", "linux/any/x86_64", false },
	{ "any", "", "linux/any/x86_64", true },
	{ "any", "", "windows/any/x86_64", true },
	{ "any", "", "linux/debian-12/x86_64", false },
	{ "", "x86_64", "linux/debian-12/x86_64", true },
	{ "", "x86_64", "linux/debian-12/aarch64", false },
	{ "", "x86_64,aarch64", "linux/debian-12/aarch64", true },
	{ "debian:12", "x86_64", "linux/debian-12/aarch64", false },
	{ "debian:12", "x86_64", "linux/any/aarch64", false },
	{ "debian:12", "aarch64", "linux/any/aarch64", true },
};

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table_rows); i++) {
		AUTO_FREE char *os = must_strdup(table_rows[i].os);
		AUTO_FREE char *arch = must_strdup(table_rows[i].arch);
		AUTO(select_lists_free)
		struct select_lists lists = { .os = list_of(os), .arches = list_of(arch) };
		AUTO_SELECT struct select select = { 0 };
		struct err err = { 0 };

		check_good(select_from_lists(&lists, &select, &err), &err, table_rows[i].table);
		CHECK(select_table(&select, table_rows[i].table) == table_rows[i].selected,
		      "row %zu: %s", i, table_rows[i].table);
	}
}

static const struct {
	const char *kernel, *nic, *size; /* of the selection */
	const char *kernels, *devices, *sizes; /* of the row */
	bool selected;
} row_rows[] = {
	{ "", "", "", "5.15.*", "pci:v000015B3d0000101Csv*", "St_HB*", true },
	{ "5.15.0-1", "", "", "5.15.*", "pci:v000015B3d0000101Csv*", "", true },
	{ "5.15.0-1", "", "", "5.15.0-1", "pci:v000015B3d0000101Csv*", "", true },
	{ "5.15.0-1", "", "", "5.15.0-10", "pci:v000015B3d0000101Csv*", "", false },
	{ "5.15.0-1", "", "", "5.15.0", "pci:v000015B3d0000101Csv*", "", false },
	{ "5.15.0-1", "", "", "", "pci:v000015B3d0000101Csv*", "", true },
	{ "6.1,5.15.0-1", "", "", "4.*,5.*", "pci:v000015B3d0000101Csv*", "", true },
	{ "6.1", "", "", "4.*,5.*", "pci:v000015B3d0000101Csv*", "", false },
	{ "", "", "St_HB60", "", "pci:v000015B3d0000101Csv*", "St_HB*", true },
	{ "", "", "St_D2", "", "pci:v000015B3d0000101Csv*", "St_HB*", false },
	{ "", "", "St_D2", "", "pci:v000015B3d0000101Csv*", "", true },
	{ "", "cx6", "", "", "pci:v000015B3d0000101Csv*", "", true },
	{ "", "cx5", "", "", "pci:v000015B3d0000101Csv*", "", false },
	{ "", "cx5,15b3:101c", "", "", "pci:v000015B3d0000101Csv*", "", true },
	{ "", "mana", "", "", "pci:v000015B3d*,pci:v00001414d*", "", true },
	/* all options must fit */
	{ "5.15", "cx6", "St_HB60", "5.*", "pci:v000015B3d*", "St_HB*", true },
	{ "4.15", "cx6", "St_HB60", "5.*", "pci:v000015B3d*", "St_HB*", false },
	{ "5.15", "mana", "St_HB60", "5.*", "pci:v000015B3d*", "St_HB*", false },
	{ "5.15", "cx6", "St_D2", "5.*", "pci:v000015B3d*", "St_HB*", false },
};

/* The strings of a list, in the other kind of list. */
static struct json_strings strings_of(char *text)
{
	struct cli_list list = list_of(text);

	return (struct json_strings) { list.item, list.count };
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(row_rows); i++) {
		char *texts[] = {
			must_strdup(row_rows[i].kernel),  must_strdup(row_rows[i].nic),
			must_strdup(row_rows[i].size),	  must_strdup(row_rows[i].kernels),
			must_strdup(row_rows[i].devices), must_strdup(row_rows[i].sizes)
		};
		AUTO(select_lists_free)
		struct select_lists lists = { .kernels = list_of(texts[0]),
					      .nics = list_of(texts[1]),
					      .sizes = list_of(texts[2]) };
		struct table_row row = { .kernels = strings_of(texts[3]),
					 .devices = strings_of(texts[4]),
					 .sizes = strings_of(texts[5]) };
		AUTO_SELECT struct select select = { 0 };
		struct err err = { 0 };

		check_good(select_from_lists(&lists, &select, &err), &err, "row");
		CHECK(select_row(&select, &row) == row_rows[i].selected, "row %zu", i);
		json_strings_free(&row.kernels);
		json_strings_free(&row.devices);
		json_strings_free(&row.sizes);
		for (size_t j = 0; j < COUNT_OF(texts); j++)
			free(texts[j]);
	}
}

static const struct {
	const char *os, *arch, *kernel, *nic, *size, *text;
} refused_rows[] = {
	{ "debian", "", "", "", "", "--os \"debian\": expected ID:VERSION" },
	{ "debian:", "", "", "", "", "--os \"debian:\"" },
	{ ":12", "", "", "", "", "--os \":12\"" },
	{ "debian:12:1", "", "", "", "", "--os" },
	{ "debian:*", "", "", "", "", "--os" },
	{ "debian:12,Any", "", "", "", "", "--os \"Any\"" },
	{ "", "amd64", "", "", "", "--arch \"amd64\": expected x86_64 or aarch64" },
	{ "", "", "5.15.*", "", "", "--kernel \"5.15.*\": expected an exact kernel release" },
	{ "", "", "../5", "", "", "--kernel" },
	{ "", "", "", "cx11", "", "--nic \"cx11\": expected one of bf1, bf2" },
	{ "", "", "", "", "Standard_HB*",
	  "--size \"Standard_HB*\": expected an exact VM size" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(refused_rows); i++) {
		char *texts[] = { must_strdup(refused_rows[i].os),
				  must_strdup(refused_rows[i].arch),
				  must_strdup(refused_rows[i].kernel),
				  must_strdup(refused_rows[i].nic),
				  must_strdup(refused_rows[i].size) };
		AUTO(select_lists_free)
		struct select_lists lists = { .os = list_of(texts[0]),
					      .arches = list_of(texts[1]),
					      .kernels = list_of(texts[2]),
					      .nics = list_of(texts[3]),
					      .sizes = list_of(texts[4]) };
		struct select select = { 0 };
		struct err err = { 0 };

		check_err(select_from_lists(&lists, &select, &err), &err, ERR_USAGE,
			  refused_rows[i].text, refused_rows[i].text);
		for (size_t j = 0; j < COUNT_OF(texts); j++)
			free(texts[j]);
	}
}

static void test_nothing_asked_is_everything(void **state)
{
	const struct select zeroed = { 0 };
	const struct select_lists none = { 0 };
	const struct table_row row = { 0 };
	AUTO_SELECT struct select select = { 0 };
	AUTO_FREE char *text = NULL;
	struct err err = { 0 };

	(void)state;
	check_good(select_from_lists(&none, &select, &err), &err, "none");
	assert_true(select_is_all(&zeroed) && select_is_all(&select));
	assert_true(select_table(&zeroed, "linux/any/x86_64") && select_row(&zeroed, &row));
	text = select_text(&zeroed);
	assert_string_equal(text, "");
}

static void test_text(void **state)
{
	char os[] = "debian:12,any", kernel[] = "6.1", nic[] = "cx5,15b3:101c";
	AUTO(select_lists_free)
	struct select_lists lists = { .os = list_of(os),
				      .kernels = list_of(kernel),
				      .nics = list_of(nic) };
	AUTO_SELECT struct select select = { 0 };
	AUTO_FREE char *text = NULL;
	struct err err = { 0 };

	(void)state;
	check_good(select_from_lists(&lists, &select, &err), &err, "lists");
	assert_false(select_is_all(&select));
	text = select_text(&select);
	assert_string_equal(text, "--os debian:12,any --kernel 6.1 --nic cx5,15b3:101c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nothing_asked_is_everything),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
