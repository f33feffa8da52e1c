#include "tests/unit/support.h"

#include <errno.h>

#include "cache/reason.h"

/* The table of DESIGN.md section 5, in the order of the enum. */
static const struct {
	const char *name;
	int code, windows;
} rows[REASON_COUNT] = {
	{ "done", 0, 0 },
	{ "reboot_needed", 0, 3010 },
	{ "usage", 1, -1 },
	{ "hv_services_missing", 10, 100 },
	{ "no_device", 11, 100 },
	{ "not_infiniband", 11, 100 },
	{ "os", 12, 100 },
	{ "os_version", 12, 100 },
	{ "arch", 12, 100 },
	{ "vm_size", 13, 100 },
	{ "kernel", 14, 100 },
	{ "device", 14, 100 },
	{ "not_carried", 14, 100 },
	{ "unreachable", 14, 100 },
	{ "upstream_changed", 14, 100 },
	{ "untrusted", 14, 100 },
	{ "serial", 14, 100 },
	{ "withdrawn", 14, 100 },
	{ "damaged", 14, 100 },
	{ "secure_boot", 14, 100 },
	{ "module_unsigned", 14, 100 },
	{ "no_space", 14, 100 },
	{ "read_only", 14, 100 },
	{ "locked", 14, 100 },
	{ "dependents", 14, 100 },
	{ "step_failed", 14, 100 },
	{ "proof_failed", 14, 100 },
	{ "licence", 14, 100 },
	{ "timeout", 14, 240 },
	{ "internal", 14, -1 },
};

static void test_codes(void **state)
{
	(void)state;
	for (size_t i = 0; i < REASON_COUNT; i++) {
		enum reason reason = (enum reason)i;

		CHECK(rows[i].name && strcmp(reason_name(reason), rows[i].name) == 0, "%zu", i);
		CHECK(reason_exit(reason) == rows[i].code, "%s", rows[i].name);
		CHECK(reason_exit_windows(reason) == rows[i].windows, "%s", rows[i].name);
	}
}

/* Each name once, in [a-z_]; each but "done" with a remedy that is a sentence. */
static void test_names_and_remedies(void **state)
{
	(void)state;
	for (size_t i = 0; i < REASON_COUNT; i++) {
		const char *name = reason_name((enum reason)i),
			   *remedy = reason_remedy((enum reason)i);

		CHECK(strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name), "%s", name);
		CHECK((*remedy == '\0') == (i == REASON_DONE), "%s", name);
		CHECK(!*remedy || remedy[strlen(remedy) - 1] == '.', "%s: %s", name, remedy);
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(name, reason_name((enum reason)j)) != 0, "%s", name);
	}
}

static void test_of_err(void **state)
{
	static const struct {
		enum err_kind kind;
		int number;
		enum reason reason;
	} kinds[] = {
		{ ERR_NONE, 0, REASON_DONE },
		{ ERR_MISSING, 0, REASON_NOT_CARRIED },
		{ ERR_NETWORK, 0, REASON_UNREACHABLE },
		{ ERR_INVALID, 0, REASON_DAMAGED },
		{ ERR_REFUSED, 0, REASON_UNTRUSTED },
		{ ERR_DAMAGED, 0, REASON_DAMAGED },
		{ ERR_STALE, 0, REASON_SERIAL },
		{ ERR_TIMEOUT, 0, REASON_TIMEOUT },
		{ ERR_USAGE, 0, REASON_USAGE },
		{ ERR_SYSTEM, ENOSPC, REASON_NO_SPACE },
		{ ERR_SYSTEM, EDQUOT, REASON_NO_SPACE },
		{ ERR_SYSTEM, EROFS, REASON_READ_ONLY },
		{ ERR_SYSTEM, EIO, REASON_DAMAGED },
		{ ERR_SYSTEM, EPERM, REASON_INTERNAL },
		{ ERR_SYSTEM, 0, REASON_INTERNAL },
		{ ERR_KINDS, 0, REASON_INTERNAL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		const struct err err = { .kind = kinds[i].kind, .number = kinds[i].number };

		CHECK(reason_of_err(&err) == kinds[i].reason, "row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_names_and_remedies),
		cmocka_unit_test(test_of_err),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
