/* A kernel module: what is taken has sorted names of letters, and fits the kernel that has just what it asks for. */
#include "tests/fuzz/fuzz.h"

#include "cache/loadable.h"

static void check_symbols(const struct ko_symbol *symbol, size_t count)
{
	FUZZ_CHECK(count <= KO_MAX_SYMBOLS);
	for (size_t i = 0; i < count; i++) {
		FUZZ_CHECK(symbol[i].name[0] && strlen(symbol[i].name) < KO_SYMBOL_MAX);
		FUZZ_CHECK(i == 0 || strcmp(symbol[i - 1].name, symbol[i].name) < 0);
		FUZZ_CHECK(ko_find(symbol, count, symbol[i].name) == &symbol[i]);
		for (const char *at = symbol[i].name; *at; at++)
			FUZZ_CHECK(*at > ' ' && *at <= '~');
	}
}

static void check_judged(const struct ko *ko)
{
	AUTO_SYMVERS struct symvers symvers = { 0 };
	AUTO_FREE char *release = must_strdup(ko->vermagic);
	const struct loadable_kernel kernel = { .release = release,
						.arch = "",
						.vermagic = ko->vermagic,
						.symvers = &symvers,
						.security = { .sig_enforce = LOADABLE_OFF,
							      .secure_boot = LOADABLE_OFF } };
	struct loadable_verdict verdict;

	release[strcspn(release, " ")] = '\0';
	symvers_add_needs(&symvers, ko);
	symvers_settle(&symvers);
	verdict = loadable_judge(ko, &kernel, NULL);
	FUZZ_CHECK(verdict.text[0] && strlen(verdict.text) < LOADABLE_TEXT_MAX);
	FUZZ_CHECK((verdict.answer == LOADABLE_NO) == (verdict.reason != REASON_DONE));
	FUZZ_CHECK(verdict.answer != LOADABLE_NO || !ko->vermagic[0]);
	for (const char *at = verdict.text; *at; at++)
		FUZZ_CHECK(*at >= ' ');
}

static void check_parsed(const void *data, size_t size)
{
	AUTO_KO struct ko ko = { 0 };
	struct err err = { 0 };

	if (ko_parse(data, size, &ko, &err) < 0) {
		fuzz_check_err(&err);
		FUZZ_CHECK(err.kind == ERR_INVALID && !ko.need && !ko.export);
		return;
	}
	check_symbols(ko.need, ko.need_count);
	check_symbols(ko.export, ko.export_count);
	FUZZ_CHECK(ko.build_id_size <= KO_BUILD_ID_MAX);
	FUZZ_CHECK(strlen(ko.signer.name) < sizeof(ko.signer.name));
	check_judged(&ko);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *image = NULL;
	struct err err = { 0 };
	size_t unpacked;

	if (ko_packing_of(data, size) == KO_PLAIN) {
		check_parsed(data, size);
	} else if (ko_unpack(data, size, &image, &unpacked, &err) < 0) {
		fuzz_check_err(&err);
		FUZZ_CHECK(!image);
	} else {
		FUZZ_CHECK(unpacked <= KO_MAX_BYTES);
		check_parsed(image, unpacked);
	}
	return 0;
}
