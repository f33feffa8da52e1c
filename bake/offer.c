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
	AUTO_FREE char *text = NULL;

	if (any || !select || select_is_all(select))
		return 0;
	text = select_text(select);
	return err_set(err, ERR_INVALID, "%s: no bundle of these manifests is selected", text);
}
