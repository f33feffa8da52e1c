#include "tests/unit/made_ko.h"

#include "cache/loadable.h"

#define KERNEL "6.1.0-1-amd64"
#define FLAGS " SMP preempt mod_unload modversions "
#define SYMVERS                                                                                \
	"0x00000001\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n"                                       \
	"0x00000002\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n"                                        \
	"0x00000003\tib_open\tdrivers/infiniband/core/ib-core\tEXPORT_SYMBOL_GPL\t\n"          \
	"0x00000007\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n"
#define NO_SYMVERS "0x00000000\tprintk\tvmlinux\tEXPORT_SYMBOL\n"

struct row {
	const char *row;
	const char *info; /* of the module */
	bool no_versions;
	struct made_symbol need[MADE_MAX_SYMBOLS];
	const char *weak;
	const char *vermagic; /* of the kernel; NULL: not known */
	const char *symvers; /* NULL: none */
	enum loadable_answer answer;
	enum reason reason;
	const char *text;
};

#define FITS "name=nic|vermagic=" KERNEL FLAGS
#define LAYOUT                                                                                 \
	{                                                                                      \
		KO_MODULE_LAYOUT, 7                                                            \
	}

static const struct row rows[] = {
	{ "fits",
	  FITS,
	  false,
	  { { "printk", 1 }, LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_YES,
	  REASON_DONE,
	  "vermagic and 2 symbols fit kernel " KERNEL },
	{ "fits, flags not known",
	  FITS,
	  false,
	  { { "printk", 1 }, LAYOUT },
	  NULL,
	  NULL,
	  SYMVERS,
	  LOADABLE_YES,
	  REASON_DONE,
	  "2 symbols" },
	{ "another release with the same symbols",
	  "vermagic=6.1.0-0-amd64" FLAGS,
	  false,
	  { { "printk", 1 }, LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_YES,
	  REASON_DONE,
	  "2 symbols" },
	{ "another release, flags not known",
	  "vermagic=6.1.0-0-amd64" FLAGS,
	  false,
	  { { "printk", 1 }, LAYOUT },
	  NULL,
	  NULL,
	  SYMVERS,
	  LOADABLE_NOT_COMPARED,
	  REASON_DONE,
	  "it was built for kernel 6.1.0-0-amd64, and nothing here says how " KERNEL },
	{ "another release, no versions",
	  "vermagic=6.1.0-0-amd64 SMP mod_unload ",
	  true,
	  { { 0 } },
	  NULL,
	  KERNEL " SMP mod_unload ",
	  NO_SYMVERS,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "it was built for kernel 6.1.0-0-amd64, not for " KERNEL },
	{ "another release, no versions, nothing known",
	  "vermagic=6.1.0-0-amd64 SMP ",
	  true,
	  { { 0 } },
	  NULL,
	  NULL,
	  NULL,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "not for " KERNEL },
	{ "a release that only begins so",
	  "vermagic=" KERNEL "-rt SMP ",
	  true,
	  { { 0 } },
	  NULL,
	  NULL,
	  NULL,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "not for " KERNEL },
	{ "a word more",
	  "vermagic=" KERNEL " SMP preempt_rt mod_unload modversions ",
	  false,
	  { LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "the module has \"preempt_rt\" where the kernel has \"preempt\"" },
	{ "a word less",
	  "vermagic=" KERNEL " SMP mod_unload modversions ",
	  false,
	  { LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "the kernel has \"preempt\"" },
	{ "versions where the kernel has none",
	  FITS,
	  false,
	  { LAYOUT },
	  NULL,
	  KERNEL " SMP preempt mod_unload ",
	  NO_SYMVERS,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "the module has \"modversions\", the kernel has not" },
	{ "no vermagic",
	  "name=nic",
	  false,
	  { LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "does not say" },
	{ "another layout",
	  FITS,
	  false,
	  { { KO_MODULE_LAYOUT, 8 } },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "the version of symbol module_layout differs: the module wants 0x00000008, the "
	  "kernel "
	  "has 0x00000007" },
	{ "another symbol version",
	  FITS,
	  false,
	  { { "kfree", 1 }, LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "symbol kfree differs" },
	{ "a symbol that is gone",
	  FITS,
	  false,
	  { { "gone", 1 }, LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "kernel " KERNEL " has no symbol gone" },
	{ "gone, from a module of the kernel",
	  FITS "|depends=ib_core",
	  false,
	  { { "gone", 1 }, LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "no symbol gone" },
	{ "gone, from a module elsewhere",
	  FITS "|depends=ib_core,compat",
	  false,
	  { { "gone", 1 }, LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_NOT_COMPARED,
	  REASON_DONE,
	  "the module compat, which is not here, for gone" },
	{ "gone, and weak",
	  FITS,
	  false,
	  { LAYOUT },
	  "gone",
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_YES,
	  REASON_DONE,
	  "1 symbols" },
	{ "from the bundle",
	  FITS "|depends=mlx-compat",
	  false,
	  { { "compat_a", 5 }, LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_YES,
	  REASON_DONE,
	  "2 symbols" },
	{ "from the bundle, another version",
	  FITS,
	  false,
	  { { "compat_a", 6 }, LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_NO,
	  REASON_KERNEL,
	  "mlx_compat has 0x00000005" },
	{ "the bundle goes before the kernel",
	  FITS,
	  false,
	  { { "ib_open", 9 }, LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  SYMVERS,
	  LOADABLE_YES,
	  REASON_DONE,
	  "2 symbols" },
	{ "nothing to compare with",
	  FITS,
	  false,
	  { { "printk", 1 }, LAYOUT },
	  NULL,
	  NULL,
	  NULL,
	  LOADABLE_NOT_COMPARED,
	  REASON_DONE,
	  "2 of 2 symbol versions were not compared (module_layout, ...)" },
	{ "vermagic alone",
	  FITS,
	  false,
	  { { "printk", 1 }, LAYOUT },
	  NULL,
	  KERNEL FLAGS,
	  NULL,
	  LOADABLE_NOT_COMPARED,
	  REASON_DONE,
	  "2 of 2 symbol versions" },
	{ "without versions, for this kernel",
	  "vermagic=" KERNEL " SMP mod_unload ",
	  true,
	  { { "printk", 1 } },
	  NULL,
	  KERNEL " SMP mod_unload ",
	  NO_SYMVERS,
	  LOADABLE_YES,
	  REASON_DONE,
	  "1 symbols" },
};

static struct symvers *symvers_of(const char *text)
{
	struct symvers *symvers = must_calloc(1, sizeof(*symvers));
	struct err err = { 0 };

	if (text)
		check_good(symvers_add_file(symvers, text, strlen(text), &err), &err,
			   "symvers");
	symvers_settle(symvers);
	return symvers;
}

static void drop(struct symvers *symvers)
{
	symvers_free(symvers);
	free(symvers);
}

static struct symvers *make_beside(void)
{
	static const struct made_ko compat = { .info = "name=mlx_compat|vermagic=" KERNEL FLAGS,
					       .export = { { "compat_a", 5 },
							   { "ib_open", 9 } } };
	struct symvers *symvers = must_calloc(1, sizeof(*symvers));
	struct made_bytes bytes;
	AUTO_KO struct ko ko = { 0 };
	struct err err = { 0 };

	made_ko(&compat, &bytes);
	check_good(ko_parse(bytes.data, bytes.size, &ko, &err), &err, "compat");
	symvers_add_exports(symvers, &ko, "mlx_compat");
	symvers_settle(symvers);
	return symvers;
}

static void check_row(const struct row *row, const struct symvers *beside)
{
	struct made_ko made = { .info = row->info,
				.no_versions = row->no_versions,
				.weak = row->weak };
	struct symvers *symvers = symvers_of(row->symvers);
	const struct loadable_kernel kernel = { .release = KERNEL,
						.arch = "x86_64",
						.vermagic = row->vermagic,
						.symvers = row->symvers ? symvers : NULL,
						.security = { .secure_boot = LOADABLE_OFF,
							      .sig_enforce = LOADABLE_OFF } };
	AUTO_KO struct ko ko = { 0 };
	struct loadable_verdict verdict;
	struct made_bytes bytes;
	struct err err = { 0 };

	memcpy(made.need, row->need, sizeof(made.need));
	made_ko(&made, &bytes);
	check_good(ko_parse(bytes.data, bytes.size, &ko, &err), &err, row->row);
	verdict = loadable_judge(&ko, &kernel, beside);
	CHECK(verdict.answer == row->answer && verdict.reason == row->reason &&
		      strstr(verdict.text, row->text),
	      "%s: answer %d, reason %s, \"%s\"", row->row, (int)verdict.answer,
	      reason_name(verdict.reason), verdict.text);
	drop(symvers);
}

static void test_rows(void **state)
{
	struct symvers *beside = make_beside();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_row(&rows[i], beside);
	drop(beside);
}

static void test_machine(void **state)
{
	static const struct made_ko arm = { .info = FITS, .machine = EM_AARCH64 };
	struct loadable_kernel kernel = { .release = KERNEL,
					  .arch = "x86_64",
					  .vermagic = KERNEL FLAGS };
	AUTO_KO struct ko ko = { 0 };
	struct made_bytes bytes;
	struct err err = { 0 };

	(void)state;
	made_ko(&arm, &bytes);
	check_good(ko_parse(bytes.data, bytes.size, &ko, &err), &err, "arm");
	assert_int_equal(loadable_judge(&ko, &kernel, NULL).reason, REASON_ARCH);
	kernel.arch = "aarch64";
	assert_int_equal(loadable_judge(&ko, &kernel, NULL).reason, REASON_DONE);
}

/* Every pair of what the firmware, the kernel and the module say of signatures. */
static void check_signature(enum loadable_switch secure_boot, enum loadable_lockdown lockdown,
			    enum loadable_switch enforce, enum ko_signature signature,
			    bool known)
{
	const struct ko_signer keys[] = { { "A", "01" }, { "B", "02" } };
	struct ko ko = { .machine = EM_X86_64,
			 .vermagic = KERNEL FLAGS,
			 .has_versions = true,
			 .signature = signature,
			 .signer = keys[known ? 1 : 0] };
	const struct loadable_kernel kernel = {
		.release = KERNEL,
		.arch = "x86_64",
		.vermagic = KERNEL FLAGS,
		.security = { secure_boot, lockdown, enforce },
		.key = &keys[1],
		.key_count = 1,
	};
	bool locked = lockdown == LOADABLE_LOCKDOWN_INTEGRITY ||
		      lockdown == LOADABLE_LOCKDOWN_CONFIDENTIALITY;
	bool free_of_it = !locked && enforce == LOADABLE_OFF &&
			  (lockdown == LOADABLE_LOCKDOWN_NONE || secure_boot == LOADABLE_OFF);
	bool wanted =
		locked || enforce == LOADABLE_ON || (!free_of_it && secure_boot == LOADABLE_ON);
	const struct loadable_verdict verdict = loadable_judge(&ko, &kernel, NULL);
	enum loadable_answer answer = LOADABLE_YES;
	enum reason reason = REASON_DONE;

	if (signature == KO_UNSIGNED && wanted) {
		answer = LOADABLE_NO;
		reason = secure_boot == LOADABLE_ON ? REASON_SECURE_BOOT
						    : REASON_MODULE_UNSIGNED;
	} else if (signature == KO_UNSIGNED
			   ? !free_of_it
			   : wanted && (signature == KO_SIGNED_ODDLY || !known)) {
		answer = LOADABLE_NOT_COMPARED;
	}
	CHECK(verdict.answer == answer && verdict.reason == reason && verdict.text[0],
	      "boot %d lockdown %d enforce %d signature %d known %d: %d, %s", (int)secure_boot,
	      (int)lockdown, (int)enforce, (int)signature, known, (int)verdict.answer,
	      verdict.text);
}

static void test_signatures(void **state)
{
	(void)state;
	for (int i = 0; i < 3 * 4 * 3 * 3 * 2; i++)
		check_signature((enum loadable_switch)(i % 3),
				(enum loadable_lockdown)(i / 3 % 4),
				(enum loadable_switch)(i / 12 % 3),
				(enum ko_signature)(i / 36 % 3), i / 108 % 2);
}

static void test_what_the_machine_says(void **state)
{
	(void)state;
	assert_int_equal(loadable_secure_boot("\6\0\0\0\1", 5), LOADABLE_ON);
	assert_int_equal(loadable_secure_boot("\6\0\0\0\0", 5), LOADABLE_OFF);
	assert_int_equal(loadable_secure_boot("\6\0\0\0\2", 5), LOADABLE_UNKNOWN);
	assert_int_equal(loadable_secure_boot("\6\0\0\0", 4), LOADABLE_UNKNOWN);
	assert_int_equal(loadable_secure_boot("\6\0\0\0\1\1", 6), LOADABLE_UNKNOWN);
	assert_int_equal(loadable_lockdown("[none] integrity confidentiality"),
			 LOADABLE_LOCKDOWN_NONE);
	assert_int_equal(loadable_lockdown("none [integrity] confidentiality"),
			 LOADABLE_LOCKDOWN_INTEGRITY);
	assert_int_equal(loadable_lockdown("none integrity [confidentiality]"),
			 LOADABLE_LOCKDOWN_CONFIDENTIALITY);
	assert_int_equal(loadable_lockdown(""), LOADABLE_LOCKDOWN_UNKNOWN);
	assert_int_equal(loadable_flag("Y"), LOADABLE_ON);
	assert_int_equal(loadable_flag("N"), LOADABLE_OFF);
	assert_int_equal(loadable_flag(""), LOADABLE_UNKNOWN);
}

static void test_symvers_refused(void **state)
{
	static const char *const bad[] = { "",
					   "\n",
					   "printk\n",
					   "0x1\tprintk\n",
					   "0x1\tprintk\tvmlinux\n",
					   "1\tprintk\tvmlinux\tX\n",
					   "0x\tprintk\tvmlinux\tX\n",
					   "0x100000000\tprintk\tvmlinux\tX\n",
					   "0x1 \tprintk\tvmlinux\tX\n",
					   "0x1\t\tvmlinux\tX\n",
					   SYMVERS "x\n" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		AUTO_SYMVERS struct symvers symvers = { 0 };
		struct err err = { 0 };

		CHECK(symvers_add_file(&symvers, bad[i], strlen(bad[i]), &err) == -1 &&
			      err.text[0] && !symvers.count && !symvers.whole,
		      "row %zu", i);
	}
}

static void test_symvers_order(void **state)
{
	AUTO_SYMVERS struct symvers symvers = { 0 };
	struct err err = { 0 };

	(void)state;
	check_good(symvers_add_file(&symvers,
				    "0x1\tb\tm/x-y\tE\n0x2\ta\tvmlinux\tE\n0x3\tb\tz\tE", 38,
				    &err),
		   &err, "file");
	symvers_settle(&symvers);
	assert_int_equal(symvers.count, 2);
	assert_int_equal(symvers_find(&symvers, "b")->crc, 1);
	assert_null(symvers_find(&symvers, "c"));
	assert_true(symvers_has_module(&symvers, "x_y", 3));
	assert_false(symvers_has_module(&symvers, "x", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_what_the_machine_says),
		cmocka_unit_test(test_symvers_refused),
		cmocka_unit_test(test_symvers_order),
	};

	return cmocka_run_group_tests_name("loadable", tests, NULL, NULL);
}
