#include "bake/coverage_words.h"

#include <string.h>

#include "cache/nic.h"

void coverage_nics_free(struct coverage_nics *nics)
{
	for (size_t i = 0; i < nics->count; i++)
		coverage_nic_free(&nics->item[i]);
	free(nics->item);
	*nics = (struct coverage_nics) { 0 };
}

static void put(struct coverage_nics *nics, struct coverage_nic *nic)
{
	nics->item = must_realloc(nics->item, nics->count + 1, sizeof(*nics->item));
	nics->item[nics->count++] = *nic;
	*nic = (struct coverage_nic) { 0 };
}

static bool has(const struct coverage_nics *nics, const char *name)
{
	for (size_t i = 0; i < nics->count; i++) {
		if (strcmp(nics->item[i].name, name) == 0)
			return true;
	}
	return false;
}

static int put_word(struct coverage_nics *nics, const char *word,
		    const struct coverage_globs *globs, struct err *err)
{
	AUTO_COVERAGE_NIC struct coverage_nic nic = { 0 };
	const struct json_strings words = { .item = &word, .count = 1 };

	if (has(nics, word))
		return 0;
	if (coverage_nic_make(word, &words, globs, &nic, err) < 0)
		return -1;
	put(nics, &nic);
	return 0;
}

int coverage_nics_of(const char *const *words, size_t count, const struct coverage_globs *globs,
		     struct coverage_nics *out, struct err *err)
{
	AUTO_COVERAGE_NICS struct coverage_nics nics = { 0 };

	for (size_t i = 0; i < count; i++) {
		if (put_word(&nics, words[i], globs, err) < 0)
			return -1;
	}
	*out = nics;
	nics = (struct coverage_nics) { 0 };
	return 0;
}

/* --- what the cache itself names ------------------------------------------------------------------- */

static bool id_is_claimed(const struct coverage_id *id)
{
	return id->claimed[0] || id->claimed[1];
}

static int put_known(struct coverage_nics *nics, const char *name,
		     const struct coverage_globs *globs, struct err *err)
{
	AUTO_COVERAGE_NIC struct coverage_nic nic = { 0 };
	const struct json_strings words = { .item = &name, .count = 1 };

	if (coverage_nic_make(name, &words, globs, &nic, err) < 0)
		return -1;
	if (coverage_nic_is_whole(&nic, false) || coverage_nic_is_whole(&nic, true)) {
		put(nics, &nic);
		return 0;
	}
	for (size_t i = 0; i < nic.id_count; i++) {
		if (id_is_claimed(&nic.id[i]) && put_word(nics, nic.id[i].name, globs, err) < 0)
			return -1;
	}
	return 0;
}

/* The ids of NICs that are there in full need no column of their own. */
static void drop_repeated(struct coverage_nics *nics)
{
	size_t kept = 0;

	for (size_t i = 0; i < nics->count; i++) {
		struct coverage_nic *nic = &nics->item[i];
		bool repeated = false;

		for (size_t j = 0; j < nics->count && nic->id_count == 1; j++) {
			for (size_t k = 0; j != i && k < nics->item[j].id_count; k++)
				repeated = repeated ||
					   (nics->item[j].id_count > 1 &&
					    strcmp(nics->item[j].id[k].name, nic->name) == 0);
		}
		if (repeated) {
			coverage_nic_free(nic);
			continue;
		}
		if (kept != i) {
			nics->item[kept] = *nic;
			*nic = (struct coverage_nic) { 0 };
		}
		kept++;
	}
	nics->count = kept;
}

static bool is_known(const struct nic_devices *known, const char *glob)
{
	for (size_t i = 0; i < known->count; i++) {
		if (nic_glob_may_match(glob, known->pattern[i]))
			return true;
	}
	return false;
}

/* One row for each name and id: those of other kernels are for the same devices. */
static int put_unnamed(struct coverage_nics *nics, const struct table_row *row,
		       const struct nic_devices *known, const struct coverage_globs *globs,
		       struct err *err)
{
	AUTO_COVERAGE_NIC struct coverage_nic nic = { 0 };
	AUTO_FREE const char **item = must_calloc(row->devices.count, sizeof(*item));
	AUTO_FREE char *name = must_printf("%s/%s", row->name, row->id);
	struct json_strings words = { .item = item };

	if (has(nics, name))
		return 0;
	for (size_t i = 0; i < row->devices.count; i++) {
		struct nic_devices devices = { 0 };
		struct err none = { 0 };

		if (!is_known(known, row->devices.item[i]) &&
		    nic_add(row->devices.item[i], &devices, &none) == 0)
			item[words.count++] = row->devices.item[i];
		nic_devices_free(&devices);
	}
	if (words.count == 0)
		return 0;
	if (coverage_nic_make(name, &words, globs, &nic, err) < 0)
		return -1;
	put(nics, &nic);
	return 0;
}

static int add_known(struct nic_devices *known, struct err *err)
{
	for (size_t i = 0; nic_name(i); i++) {
		if (nic_add(nic_name(i), known, err) < 0)
			return -1;
	}
	return 0;
}

int coverage_nics_named(const struct inventory *inventory, const struct coverage_globs *globs,
			struct coverage_nics *out, struct err *err)
{
	AUTO(nic_devices_free) struct nic_devices known = { 0 };
	AUTO_COVERAGE_NICS struct coverage_nics nics = { 0 };

	if (add_known(&known, err) < 0)
		return -1;
	for (size_t i = 0; nic_name(i); i++) {
		if (put_known(&nics, nic_name(i), globs, err) < 0)
			return -1;
	}
	drop_repeated(&nics);
	for (size_t i = 0; i < inventory->bundle_count; i++) {
		if (put_unnamed(&nics, inventory->bundles[i].row, &known, globs, err) < 0)
			return -1;
	}
	*out = nics;
	nics = (struct coverage_nics) { 0 };
	return 0;
}
