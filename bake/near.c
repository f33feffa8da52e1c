#include "bake/near.h"

#include <string.h>

static int compare_strings(const struct json_strings *left, const struct json_strings *right)
{
	for (size_t i = 0; i < left->count && i < right->count; i++) {
		int order = strcmp(left->item[i], right->item[i]);

		if (order != 0)
			return order;
	}
	return (left->count > right->count) - (left->count < right->count);
}

/* What bundles of one kind have in common. */
static int compare_kinds(const struct manifest_bundle *left,
			 const struct manifest_bundle *right)
{
	int order = strcmp(left->version, right->version);

	order = order ? order : compare_strings(&left->os, &right->os);
	return order ? order : compare_strings(&left->arch, &right->arch);
}

static const char *kernel_of(const struct manifest_bundle *bundle)
{
	return bundle->kernels.count ? bundle->kernels.item[0] : "";
}

/* Bundles of a kind together, the one for the lowest kernel first. */
static int by_kind(const void *left, const void *right)
{
	const struct manifest_bundle *a = *(const struct manifest_bundle *const *)left;
	const struct manifest_bundle *b = *(const struct manifest_bundle *const *)right;
	int order = compare_kinds(a, b);

	order = order ? order : name_version_compare(kernel_of(a), kernel_of(b));
	return order ? order : (a > b) - (a < b);
}

const struct manifest_bundle **near_bundles(const struct manifest *manifest)
{
	size_t count = manifest->bundle_count;
	const struct manifest_bundle **near = must_calloc(count, sizeof(*near)), *first = NULL;
	AUTO_FREE const struct manifest_bundle **sorted = must_calloc(count, sizeof(*sorted));

	for (size_t i = 0; i < count; i++)
		sorted[i] = &manifest->bundles[i];
	qsort(sorted, count, sizeof(*sorted), by_kind);
	for (size_t i = 0; i < count; i++) {
		if (!first || compare_kinds(first, sorted[i]) != 0)
			first = sorted[i];
		else
			near[sorted[i] - manifest->bundles] = first;
	}
	return near;
}

/* --- files ---------------------------------------------------------------------------------------- */

struct near_name {
	char *text; /* owned */
	size_t file;
};

static bool is_digit(char letter)
{
	return letter >= '0' && letter <= '9';
}

/* Each number, with what joins it to the next, becomes one letter that no path has. The caller frees. */
static char *without_numbers(const char *path)
{
	char *text = must_strdup(path), *to = text;

	for (const char *at = path; *at;) {
		if (!is_digit(*at)) {
			*to++ = *at++;
			continue;
		}
		*to++ = '#';
		while (is_digit(*at) || (*at && strchr(".-_+~", *at) && is_digit(at[1])))
			at++;
	}
	*to = '\0';
	return text;
}

static int by_text(const void *left, const void *right)
{
	const struct near_name *a = left, *b = right;
	int order = strcmp(a->text, b->text);

	return order ? order : (a->file > b->file) - (a->file < b->file);
}

struct near near_of(const struct record *record)
{
	struct near near = { .record = record };

	near.name = must_calloc(record->file_count, sizeof(*near.name));
	for (size_t i = 0; i < record->file_count; i++)
		near.name[i] = (struct near_name) { without_numbers(record->file[i].path), i };
	qsort(near.name, record->file_count, sizeof(*near.name), by_text);
	return near;
}

void near_free(struct near *near)
{
	for (size_t i = 0; near->name && i < near->record->file_count; i++)
		free(near->name[i].text);
	free(near->name);
	*near = (struct near) { 0 };
}

/* The first name that is not before text. */
static size_t begin_of(const struct near *near, const char *text)
{
	size_t low = 0, high = near->record->file_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(near->name[middle].text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct record_file *near_find(const struct near *near, const struct record_file *file)
{
	const struct record *record = near->record;
	const struct record_file *found = record_find(record, file->path);
	AUTO_FREE char *text = NULL;

	if (found && record_is_tree(found) == record_is_tree(file))
		return found;
	text = without_numbers(file->path);
	for (size_t i = begin_of(near, text);
	     i < record->file_count && strcmp(near->name[i].text, text) == 0; i++) {
		found = &record->file[near->name[i].file];
		if (record_is_tree(found) == record_is_tree(file))
			return found;
	}
	return NULL;
}
