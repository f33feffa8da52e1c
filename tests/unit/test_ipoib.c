#include "tests/unit/support.h"

#include "firstboot/ipoib.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int count; /* -1: refused */
		const char *mac, *address; /* of the last pair */
	} rows[] = {
		{ "NUMPAIRS:1|00155D33FF1D:172.16.1.5", 1, "00155D33FF1D", "172.16.1.5" },
		{ "NUMPAIRS:2|00155D33FF1D:172.16.1.5|00155d33ff2d:172.16.1.6", 2,
		  "00155D33FF2D", "172.16.1.6" },
		{ "NUMPAIRS:0", 0, NULL, NULL },
		{ "NUMPAIRS:2|00155D33FF1D:172.16.1.5", -1, NULL, NULL },
		{ "NUMPAIRS:01|00155D33FF1D:172.16.1.5", -1, NULL, NULL },
		{ "NUMPAIRS:1|00155D33FF1D:172.16.1.5|", -1, NULL, NULL },
		{ "NUMPAIRS:1|00:15:5D:33:FF:1D:172.16.1.5", -1, NULL, NULL },
		{ "NUMPAIRS:1|00155D33FF1:172.16.1.5", -1, NULL, NULL },
		{ "NUMPAIRS:1|00155D33FF1D:172.16.1.256", -1, NULL, NULL },
		{ "NUMPAIRS:1|00155D33FF1D:172.16.1.5/16", -1, NULL, NULL },
		{ "NUMPAIRS:1|00155D33FF1D:fe80::1", -1, NULL, NULL },
		{ "NUMPAIRS:1|00155D33FF1D:1.2.3.4\nauto x", -1, NULL, NULL },
		{ "NUMPAIRS:1|00155D33FF1D", -1, NULL, NULL },
		{ "NUMPAIRS:1", -1, NULL, NULL },
		{ "", -1, NULL, NULL },
		{ "|", -1, NULL, NULL },
		{ "numpairs:1|00155D33FF1D:172.16.1.5", -1, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct ipoib_pair pairs[IPOIB_MAX] = { 0 };
		struct err err = { 0 };
		size_t count = 99;
		int result = ipoib_parse(rows[i].text, pairs, &count, &err);

		if (rows[i].count < 0) {
			check_err(result, &err, ERR_INVALID, "IPoIB_Data: expected",
				  rows[i].text);
			assert_int_equal(count, 99);
			continue;
		}
		check_good(result, &err, rows[i].text);
		assert_int_equal(count, rows[i].count);
		if (count == 0)
			continue;
		assert_string_equal(pairs[count - 1].mac, rows[i].mac);
		assert_string_equal(pairs[count - 1].address, rows[i].address);
	}
}

static void test_too_many(void **state)
{
	struct ipoib_pair pairs[IPOIB_MAX];
	struct err err = { 0 };
	char *text = must_printf("NUMPAIRS:%d", IPOIB_MAX + 1);
	size_t count;

	(void)state;
	for (int i = 0; i <= IPOIB_MAX; i++) {
		char *longer = must_printf("%s|00155D33FF%02X:10.0.0.%d", text, i, i + 1);

		free(text);
		text = longer;
	}
	check_err(ipoib_parse(text, pairs, &count, &err), &err, ERR_INVALID, "more than 64",
		  "65 pairs");
	free(text);
}

static void test_hardware_address(void **state)
{
	static const struct {
		const char *hardware, *mac;
		bool fits;
	} rows[] = {
		{ "00:00:01:49:fe:80:00:00:00:00:00:00:00:15:5d:ff:fd:33:ff:1d", "00155D33FF1D",
		  true },
		{ "00:00:01:49:fe:80:00:00:00:00:00:00:00:15:5D:00:00:33:FF:1D", "00155D33FF1D",
		  true },
		{ "00:00:01:49:fe:80:00:00:00:00:00:00:00:15:5d:ff:fd:33:ff:1e", "00155D33FF1D",
		  false },
		{ "00:15:5d:33:ff:1d", "00155D33FF1D", false },
		{ "", "00155D33FF1D", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(ipoib_is_of(rows[i].hardware, rows[i].mac), rows[i].fits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_hardware_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
