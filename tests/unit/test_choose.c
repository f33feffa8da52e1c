#include "firstboot/choose.h"
#include "tests/unit/support.h"

#define E1000E "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"
#define OTHER "pci:v00001111d00002222sv00000000sd00000000bc02sc00i00"
#define DISK "pci:v00008086d00002922sv00000000sd00000000bc01sc06i01"
#define GLOB "pci:v00008086d000010D3*"

/* What one device gets at both moments, with a single row in the table. */
static void test_one_device(void **state)
{
	static const struct {
		const char *modalias, *driver, *kernel;
		bool early_row;
		enum plan_moment moment;
		size_t targets, rows;
		bool left;
		enum reason reason; /* of the target, or of the choice where there is none */
	} rows[] = {
		{ E1000E, "", "6.1", true, PLAN_EARLY, 1, 1, false, REASON_DONE },
		{ E1000E, "", "6.1", false, PLAN_EARLY, 1, 0, true, REASON_DONE },
		{ E1000E, "", "6.2", true, PLAN_EARLY, 1, 0, false, REASON_KERNEL },
		{ E1000E, "", "6.2", false, PLAN_EARLY, 1, 0, false, REASON_KERNEL },
		{ E1000E, "e1000e", "6.1", true, PLAN_EARLY, 0, 0, false, REASON_NO_DEVICE },
		{ OTHER, "", "6.1", true, PLAN_EARLY, 1, 0, false, REASON_NO_DEVICE },
		{ OTHER, "x", "6.1", true, PLAN_EARLY, 0, 0, false, REASON_NO_DEVICE },
		{ DISK, "", "6.1", true, PLAN_EARLY, 0, 0, false, REASON_NO_DEVICE },
		{ E1000E, "", "6.1", true, PLAN_MAIN, 1, 1, false, REASON_DONE },
		{ E1000E, "", "6.1", false, PLAN_MAIN, 1, 1, false, REASON_DONE },
		{ E1000E, "e1000e", "6.1", false, PLAN_MAIN, 1, 1, false, REASON_DONE },
		{ E1000E, "e1000e", "6.2", false, PLAN_MAIN, 1, 0, false, REASON_KERNEL },
		{ OTHER, "", "6.1", true, PLAN_MAIN, 1, 0, false, REASON_NO_DEVICE },
		{ OTHER, "x", "6.1", true, PLAN_MAIN, 0, 0, false, REASON_NO_DEVICE },
		{ DISK, "", "6.1", true, PLAN_MAIN, 0, 0, false, REASON_NO_DEVICE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *globs[] = { GLOB }, *kernels[] = { "6.1" };
		struct table_row row = { .name = "n",
					 .version = "1",
					 .id = "x",
					 .early = rows[i].early_row,
					 .devices = { globs, 1 },
					 .kernels = { kernels, 1 } };
		const struct table table = { .row = &row, .count = 1 };
		const struct plan_table used = { .table = &table };
		const struct statement statement = { 0 };
		struct facts_device device = { .bus = "pci", .address = "0000:00:01.0" };
		struct facts facts = { .device = &device, .device_count = 1 };
		AUTO_CHOSEN struct chosen chosen = { 0 };

		strcpy(device.modalias, rows[i].modalias);
		strcpy(device.driver, rows[i].driver);
		strcpy(facts.kernel, rows[i].kernel);
		choose_targets(&facts, &statement, &used, 1, rows[i].moment, &chosen);
		CHECK(chosen.target_count == rows[i].targets, "row %zu", i);
		CHECK(chosen.row_count == rows[i].rows, "row %zu", i);
		if (chosen.target_count == 0) {
			CHECK(chosen.reason == rows[i].reason, "row %zu", i);
			continue;
		}
		CHECK(chosen.target[0].reason == rows[i].reason, "row %zu", i);
		CHECK(chosen.target[0].left == rows[i].left, "row %zu", i);
		CHECK((chosen.target[0].bundle == CHOOSE_NO_BUNDLE) == (rows[i].rows == 0),
		      "row %zu", i);
	}
}

/* Two devices of one bundle make one job; a third, without a bundle, does not hide them. */
static void test_shared_bundle(void **state)
{
	const char *globs[] = { GLOB };
	struct table_row row = {
		.name = "n", .version = "1", .id = "x", .devices = { globs, 1 }
	};
	const struct table table = { .row = &row, .count = 1 };
	const struct plan_table used = { .table = &table };
	const struct statement statement = { 0 };
	struct facts_device devices[] = {
		{ .bus = "pci", .address = "a", .modalias = E1000E },
		{ .bus = "pci", .address = "b", .modalias = OTHER },
		{ .bus = "pci", .address = "c", .modalias = E1000E },
	};
	const struct facts facts = { .kernel = "6.1", .device = devices, .device_count = 3 };
	AUTO_CHOSEN struct chosen chosen = { 0 };

	(void)state;
	choose_targets(&facts, &statement, &used, 1, PLAN_MAIN, &chosen);
	assert_int_equal(chosen.target_count, 3);
	assert_int_equal(chosen.row_count, 1);
	assert_int_equal(chosen.target[0].bundle, 0);
	assert_int_equal(chosen.target[1].reason, REASON_NO_DEVICE);
	assert_int_equal(chosen.target[2].bundle, 0);
}

/* Over every pair: an order, with what was refused at its top and what is done at its bottom. */
static void test_graver(void **state)
{
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++) {
		enum reason left = (enum reason)i;

		assert_false(choose_is_graver(left, left));
		assert_false(choose_is_graver(REASON_DONE, left));
		assert_false(choose_is_graver(left, REASON_UNTRUSTED));
		assert_false(choose_is_graver(left, REASON_DAMAGED));
		for (int j = 0; j < REASON_COUNT; j++) {
			enum reason right = (enum reason)j;

			assert_false(choose_is_graver(left, right) &&
				     choose_is_graver(right, left));
			/* Never code 0 over a failure. */
			if (reason_exit(left) == 0 && reason_exit(right) != 0)
				assert_true(choose_is_graver(right, left));
		}
	}
	assert_true(choose_is_graver(REASON_REBOOT, REASON_DONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_device),
		cmocka_unit_test(test_shared_bundle),
		cmocka_unit_test(test_graver),
	};

	return cmocka_run_group_tests_name("choose", tests, NULL, NULL);
}
