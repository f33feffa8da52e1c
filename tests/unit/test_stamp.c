#include "cache/base/version.h"
#include "firstboot/stamp.h"
#include "tests/unit/sysroot.h"

static struct stamp_inputs inputs_of(uint8_t seed)
{
	struct stamp_inputs inputs;

	memset(&inputs, seed, sizeof(inputs));
	return inputs;
}

static const struct stamp_device proven[] = { { "pci", "225e:00:02.0", "mlx5_core" },
					      { "vmbus", "abc", "hv_netvsc" } };

static const struct {
	const char *path;
	uint64_t size;
} placed[] = { { "/etc/x.conf", 4 }, { "/lib/modules/6.1/updates/larder/x.ko", 5 } };

static struct stamp make(void)
{
	const struct stamp_inputs inputs = inputs_of(7);
	struct stamp stamp = { 0 };

	stamp_set(&stamp, PLAN_MAIN, &inputs, proven, COUNT_OF(proven));
	for (size_t i = 0; i < COUNT_OF(placed); i++)
		stamp_add_file(&stamp, PLAN_MAIN, placed[i].path, placed[i].size);
	return stamp;
}

static void test_round(void **state)
{
	struct sysroot *sysroot = *state;
	AUTO_STAMP struct stamp stamp = make(), back = { 0 };
	const struct stamp_moment *main = &back.moment[PLAN_MAIN];
	const struct stamp_inputs inputs = inputs_of(7);
	struct err err = { 0 };

	check_good(stamp_save(sysroot->machine.state, &stamp, &err), &err, "save");
	stamp_load(sysroot->machine.state, &back);
	assert_false(back.moment[PLAN_EARLY].good);
	assert_true(main->good);
	assert_memory_equal(&main->inputs, &inputs, sizeof(inputs));
	assert_int_equal(main->count, 2);
	assert_string_equal(main->device[1].driver, "hv_netvsc");
	assert_int_equal(main->file_count, COUNT_OF(placed));
	assert_string_equal(main->file[1].path, placed[1].path);
	assert_true(main->file[1].size == placed[1].size);
}

/* Each input by itself makes a stamp unfit; so does each device that is not bound as it was. */
static void test_fits(void **state)
{
	struct facts_device devices[] = {
		{ .bus = "pci", .address = "225e:00:02.0", .driver = "mlx5_core" },
		{ .bus = "vmbus", .address = "abc", .driver = "hv_netvsc" },
		{ .bus = "pci", .address = "other" },
	};
	struct facts facts = { .device = devices, .device_count = COUNT_OF(devices) };
	AUTO_STAMP struct stamp stamp = make();
	const struct stamp_moment *moment = &stamp.moment[PLAN_MAIN];
	struct stamp_inputs inputs = inputs_of(7);

	(void)state;
	assert_true(stamp_fits(moment, &inputs, &facts));
	assert_false(stamp_fits(&stamp.moment[PLAN_EARLY], &inputs, &facts));
	for (size_t i = 0; i < sizeof(inputs); i++) {
		((uint8_t *)&inputs)[i] ^= 1;
		CHECK(!stamp_fits(moment, &inputs, &facts), "byte %zu", i);
		((uint8_t *)&inputs)[i] ^= 1;
	}
	for (size_t i = 0; i < COUNT_OF(proven); i++) {
		strcpy(devices[i].driver, "");
		CHECK(!stamp_fits(moment, &inputs, &facts), "device %zu unbound", i);
		strcpy(devices[i].driver, "vfio-pci");
		CHECK(!stamp_fits(moment, &inputs, &facts), "device %zu taken", i);
		strcpy(devices[i].driver, proven[i].driver);
	}
	strcpy(devices[0].bus, "usb");
	assert_false(stamp_fits(moment, &inputs, &facts));
}

/* A file that is gone, of another size, or a link now is not what was put there. */
static void test_files(void **state)
{
	struct sysroot *sysroot = *state;
	AUTO_STAMP struct stamp stamp = make();
	const struct stamp_moment *moment = &stamp.moment[PLAN_MAIN];
	const struct machine *machine = &sysroot->machine;

	assert_false(stamp_files_stand(moment, machine));
	sysroot_text(sysroot, placed[0].path + 1, "1234");
	assert_false(stamp_files_stand(moment, machine));
	sysroot_text(sysroot, placed[1].path + 1, "12345");
	assert_true(stamp_files_stand(moment, machine));
	sysroot_text(sysroot, placed[1].path + 1, "123456");
	assert_false(stamp_files_stand(moment, machine));
	sysroot_text(sysroot, "elsewhere", "12345");
	sysroot_link(sysroot, placed[1].path + 1, "/elsewhere");
	assert_false(stamp_files_stand(moment, machine));
}

#define D "'sha256:0000000000000000000000000000000000000000000000000000000000000000'"
#define MOMENT                                                                                 \
	"{'index':" D ",'trust':" D ",'policy':" D ",'facts':" D ",'envelope':" D              \
	",'stored':" D ",'devices':[],"                                                        \
	"'files':[]}"

static void test_hostile(void **state)
{
	static const char *const rows[] = {
		"",
		"[]",
		"{}",
		"{'format':'larder.stamp.v1','agent':'0.0.0-none','main':" MOMENT "}",
		"{'format':'larder.stamp.v2','agent':'" LARDER_VERSION "','main':" MOMENT "}",
		"{'format':'larder.stamp.v1','agent':'" LARDER_VERSION "','main':" MOMENT
		",'main':" MOMENT "}",
		"{'format':'larder.stamp.v1','agent':'" LARDER_VERSION "','main':" MOMENT
		",'run':'/bin/sh'}",
		"{'format':'larder.stamp.v1','agent':'" LARDER_VERSION "','main':[]}",
		"{'format':'larder.stamp.v1','agent':'" LARDER_VERSION
		"','main':{'devices':[]}}",
		"{'format':'larder.stamp.v1','agent':'" LARDER_VERSION "','early':" MOMENT
		",'main':{}}",
	};
	struct sysroot *sysroot = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *text = with_quotes(rows[i]);
		struct stamp stamp;

		sysroot_text(sysroot, "var/lib/larder/stamp", text);
		stamp_load(sysroot->machine.state, &stamp);
		CHECK(!stamp.moment[0].good && !stamp.moment[1].good, "row %zu", i);
	}
}

/* The rows above are refused for what they say, not for their shape. */
static void test_hostile_base(void **state)
{
	struct sysroot *sysroot = *state;
	AUTO_FREE char *text = with_quotes(
		"{'format':'larder.stamp.v1','agent':'" LARDER_VERSION "','main':" MOMENT "}");
	AUTO_STAMP struct stamp stamp = { 0 };

	sysroot_text(sysroot, "var/lib/larder/stamp", text);
	stamp_load(sysroot->machine.state, &stamp);
	assert_true(stamp.moment[PLAN_MAIN].good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(test_round),	 cmocka_unit_test(test_fits),
		sysroot_test(test_files),	 sysroot_test(test_hostile),
		sysroot_test(test_hostile_base),
	};

	return cmocka_run_group_tests_name("stamp", tests, NULL, NULL);
}
