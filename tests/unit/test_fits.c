#include "tests/unit/made_ko.h"

#include "cache/codec.h"
#include "cache/fits.h"

#define KERNEL "6.1.0-1-amd64"
#define OPEN                                                                                   \
	{                                                                                      \
		.secure_boot = LOADABLE_OFF, .sig_enforce = LOADABLE_OFF                       \
	}
#define SYMVERS                                                                                \
	"0x00000001\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n0x00000007\tmodule_"                    \
	"layout\tvmlinux\tEXPORT_SYMBOL\t\n"

static const struct made_ko compat = { .info = "name=compat|vermagic=" MADE_VERMAGIC,
				       .need = { { "printk", 1 }, { KO_MODULE_LAYOUT, 7 } },
				       .export = { { "compat_a", 5 } } };
static const struct made_ko nic = { .info = "name=nic|depends=compat|vermagic=" MADE_VERMAGIC,
				    .need = { { "compat_a", 5 }, { KO_MODULE_LAYOUT, 7 } } };

static void add(struct fits *fits, const char *path, const struct made_ko *made)
{
	struct made_bytes bytes;
	char *image;

	made_ko(made, &bytes);
	image = must_calloc(bytes.size, 1);
	memcpy(image, bytes.data, bytes.size);
	fits_add(fits, path, image, bytes.size, NULL);
}

static void put_at(const struct folder *folder, const char *path, const void *data, size_t size)
{
	const char *last = strrchr(path, '/');
	AUTO_FREE char *parent = must_printf("%.*s", (int)(last - path), path);
	AUTO_CLOSE int dir = -1;
	struct err err = { 0 };

	check_good(fs_make_dir(folder->fd, parent, 0755, &dir, &err), &err, parent);
	put_file(dir, last + 1, data, size);
}

static struct fits_verdict judge(const struct folder *folder, const struct fits *fits)
{
	static const struct loadable_security security = OPEN;
	const struct kernel_source source = kernel_root(&folder->fd);
	AUTO_KERNEL struct kernel kernel = { 0 };
	struct fits_verdict verdict = { 0 };

	kernel_read(&source, KERNEL, "x86_64", &fits->names, &security, &kernel);
	fits_judge(fits, &kernel, &verdict);
	return verdict;
}

static void check(const struct fits_verdict *verdict, enum loadable_answer answer,
		  enum reason reason, const char *text)
{
	CHECK(verdict->answer == answer && verdict->reason == reason &&
		      strstr(verdict->text, text),
	      "%d, %s: %s", (int)verdict->answer, reason_name(verdict->reason), verdict->text);
}

static void test_bundle(void **state)
{
	const struct folder *folder = *state;
	AUTO_FITS struct fits both = { 0 }, alone = { 0 }, none = { 0 };
	struct fits_verdict verdict;

	put_at(folder, "usr/src/headers/Module.symvers", SYMVERS, strlen(SYMVERS));
	put_at(folder, "lib/modules/" KERNEL "/x", "", 0);
	assert_int_equal(
		symlinkat("/usr/src/headers", folder->fd, "lib/modules/" KERNEL "/build"), 0);
	add(&both, "m/nic.ko", &nic);
	add(&both, "m/compat.ko", &compat);
	fits_settle(&both);
	verdict = judge(folder, &both);
	check(&verdict, LOADABLE_YES, REASON_DONE, "m/nic.ko: vermagic and 2 symbols fit");

	add(&alone, "m/nic.ko", &nic);
	fits_settle(&alone);
	verdict = judge(folder, &alone);
	check(&verdict, LOADABLE_NOT_COMPARED, REASON_DONE,
	      "the module compat, which is not here");

	fits_settle(&none);
	verdict = judge(folder, &none);
	assert_int_equal(verdict.answer, LOADABLE_YES);
	assert_string_equal(verdict.text, "");
}

/* Without headers: the kernel's own modules say what they can, those of others and of other kernels nothing. */
static void test_own_modules(void **state)
{
	static const char dep[] =
		"updates/other.ko:\nkernel/old.ko:\nkernel/own.ko.zst: kernel/old.ko\n";
	static const struct made_ko own = { .info = "vermagic=" MADE_VERMAGIC,
					    .need = { { "printk", 2 },
						      { KO_MODULE_LAYOUT, 7 } } };
	static const struct made_ko other = { .info = "vermagic=6.1.0-1-amd64 SMP preempt_rt ",
					      .need = { { KO_MODULE_LAYOUT, 9 } } };
	static const struct made_ko old = { .info = "vermagic=6.1.0-9-amd64 SMP ",
					    .need = { { KO_MODULE_LAYOUT, 9 } } };
	const struct folder *folder = *state;
	AUTO_FITS struct fits fits = { 0 };
	AUTO_FREE void *packed = NULL;
	struct made_bytes bytes;
	struct fits_verdict verdict;
	struct err err = { 0 };
	size_t size;

	put_at(folder, "lib/modules/" KERNEL "/modules.dep", dep, strlen(dep));
	made_ko(&other, &bytes);
	put_at(folder, "lib/modules/" KERNEL "/updates/other.ko", bytes.data, bytes.size);
	made_ko(&old, &bytes);
	put_at(folder, "lib/modules/" KERNEL "/kernel/old.ko", bytes.data, bytes.size);
	made_ko(&own, &bytes);
	check_good(codec_pack(bytes.data, bytes.size, 3, &packed, &size, &err), &err, "pack");
	put_at(folder, "lib/modules/" KERNEL "/kernel/own.ko.zst", packed, size);
	add(&fits, "compat.ko", &compat);
	fits_settle(&fits);
	verdict = judge(folder, &fits);
	check(&verdict, LOADABLE_NO, REASON_KERNEL,
	      "compat.ko: the version of symbol printk differs: the module wants 0x00000001, "
	      "the "
	      "kernel has 0x00000002");
}

static void test_unread(void **state)
{
	const struct folder *folder = *state;
	const struct err missing = { .kind = ERR_MISSING, .text = "too large" };
	const struct err broken = { .kind = ERR_SYSTEM, .text = "I/O error" };
	AUTO_FITS struct fits fits = { 0 };
	struct fits_verdict verdict;

	fits_add(&fits, "a.ko", NULL, 0, &missing);
	fits_settle(&fits);
	verdict = judge(folder, &fits);
	check(&verdict, LOADABLE_NOT_COMPARED, REASON_DONE, "a.ko: not compared: too large");
	fits_add(&fits, "b.ko", NULL, 0, &broken);
	verdict = judge(folder, &fits);
	check(&verdict, LOADABLE_NO, REASON_STEP_FAILED, "b.ko: it cannot be read: I/O error");
}

/* A small file may be large once it is unpacked; one such is no harm, many are. */
static void test_no_end_of_modules(void **state)
{
	const struct folder *folder = *state;
	const size_t size = (size_t)100 << 20; /* pages that nobody touches cost nothing */
	AUTO_FITS struct fits fits = { 0 };
	struct fits_verdict verdict;
	struct made_bytes bytes;

	made_ko(&compat, &bytes);
	for (int i = 0; i < 6; i++) {
		char *image = must_calloc(size, 1);

		memcpy(image, bytes.data, bytes.size);
		fits_add(&fits, i < 5 ? "a.ko" : "f.ko", image, size, NULL);
	}
	fits_add(&fits, "none.ko", must_calloc(16, 1), 16, NULL);
	fits_settle(&fits);
	assert_int_equal(fits.count, 7);
	assert_int_equal(fits.bytes, 5 * size);
	fits.count = 6;
	put_at(folder, "lib/modules/" KERNEL "/build/Module.symvers", SYMVERS, strlen(SYMVERS));
	verdict = judge(folder, &fits);
	fits.count = 7;
	check(&verdict, LOADABLE_NOT_COMPARED, REASON_DONE,
	      "f.ko: not compared: the bundle's modules are more than 512 MB");
}

static void test_names(void **state)
{
	static const struct {
		const char *path, *name;
	} rows[] = {
		{ "mlx5-core.ko", "mlx5_core" },
		{ "a/b/nic.ko.xz", "nic" },
		{ "nic.ko.zst", "nic" },
		{ "nic.ko.gz", "nic" },
		{ ".ko", NULL },
		{ "nic.kox", NULL },
		{ "nic.x.ko", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char name[KO_NAME_MAX];
		bool found = ko_name_of(rows[i].path, name);

		CHECK(found == (rows[i].name != NULL), "%s", rows[i].path);
		CHECK(!found || strcmp(name, rows[i].name) == 0, "%s", rows[i].path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_bundle),     folder_test(test_own_modules),
		folder_test(test_unread),     folder_test(test_no_end_of_modules),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("fits", tests, NULL, NULL);
}
