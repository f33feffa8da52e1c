#include "bake/offer.h"

#include <string.h>

char *offer_subject(const char *os, const char *arch)
{
	char *subject = must_printf("%s/%s/%s", select_family(os), os, arch);
	char *colon = strchr(subject, ':');

	if (colon)
		*colon = '-';
	return subject;
}

struct table_row offer_row(const struct manifest *manifest, const struct manifest_bundle *from)
{
	const char *link_layer = json_string_value(json_object_get(from->expect, "link_layer"));

	return (struct table_row) { .name = manifest->name,
				    .version = from->version,
				    .id = from->id,
				    .rank = from->rank,
				    .kernels = from->kernels,
				    .devices = from->devices,
				    .sizes = from->sizes,
				    .excludes = from->excludes,
				    .requires = from->requires,
				    .early = from->early,
				    .like = from->like,
				    .secure_boot = from->secure_boot,
				    .link_layer = link_layer ? link_layer : "" };
}

void offer_free(struct offer *offer)
{
	for (size_t i = 0; i < offer->count; i++) {
		free(offer->item[i].name);
		free(offer->item[i].table.row);
	}
	free(offer->item);
	*offer = (struct offer) { 0 };
}

static struct table *table_for(struct offer *offer, const char *os, const char *arch)
{
	AUTO_FREE char *name = offer_subject(os, arch);

	for (size_t i = 0; i < offer->count; i++) {
		if (strcmp(offer->item[i].name, name) == 0)
			return &offer->item[i].table;
	}
	offer->item = must_realloc(offer->item, offer->count + 1, sizeof(*offer->item));
	offer->item[offer->count] = (struct offer_table) { .name = take_ptr(&name) };
	return &offer->item[offer->count++].table;
}

void offer_add(struct offer *offer, const struct manifest *manifest,
	       const struct manifest_bundle *from, const struct digest_size *record,
	       uint64_t bytes)
{
	struct table_row row = offer_row(manifest, from);

	row.record = *record;
	row.bytes = bytes;
	for (size_t i = 0; i < from->os.count; i++) {
		for (size_t j = 0; j < from->arch.count; j++) {
			struct table *table =
				table_for(offer, from->os.item[i], from->arch.item[j]);

			table->row =
				must_realloc(table->row, table->count + 1, sizeof(*table->row));
			table->row[table->count++] = row;
		}
	}
}

static int by_name(const void *left, const void *right)
{
	return strcmp(((const struct offer_table *)left)->name,
		      ((const struct offer_table *)right)->name);
}

static int by_row(const void *left, const void *right)
{
	return table_row_compare(left, right);
}

static int sort_table(struct offer_table *item, struct err *err)
{
	struct table *table = &item->table;

	qsort(table->row, table->count, sizeof(*table->row), by_row);
	for (size_t i = 1; i < table->count; i++) {
		const struct table_row *row = &table->row[i];

		if (table_row_compare(&table->row[i - 1], row) == 0)
			return err_set(err, ERR_INVALID, "%s %s (%s) stands twice in table %s",
				       row->name, row->version, row->id, item->name);
	}
	return 0;
}

int offer_sort(struct offer *offer, struct err *err)
{
	if (offer->count)
		qsort(offer->item, offer->count, sizeof(*offer->item), by_name);
	for (size_t i = 0; i < offer->count; i++) {
		if (sort_table(&offer->item[i], err) < 0)
			return -1;
	}
	return 0;
}

static bool table_selected(const struct select *select, const char *os, const char *arch)
{
	AUTO_FREE char *subject = offer_subject(os, arch);

	return select_table(select, subject);
}

bool offer_selected(const struct select *select, const struct manifest *manifest,
		    const struct manifest_bundle *from)
{
	struct table_row row = offer_row(manifest, from);

	if (!select || select_is_all(select))
		return true;
	if (!select_row(select, &row))
		return false;
	for (size_t i = 0; i < from->os.count; i++) {
		for (size_t j = 0; j < from->arch.count; j++) {
			if (table_selected(select, from->os.item[i], from->arch.item[j]))
				return true;
		}
	}
	return false;
}

int offer_check_any(const struct select *select, bool any, struct err *err)
{
	if (any || !select || select_is_all(select))
		return 0;
	return select_none(select, "these manifests", err);
}
