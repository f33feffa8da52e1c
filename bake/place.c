#include "bake/place.h"

#include <fcntl.h>
#include <string.h>

#include "cache/net/remote.h"

void place_close(struct place *place)
{
	inventory_free(&place->inventory);
	cache_close(&place->cache);
	registry_close(&place->registry);
	*place = (struct place)PLACE_NONE;
}

bool place_is_registry(const char *word)
{
	return strncmp(word, "oci://", strlen("oci://")) == 0;
}

bool place_is_far(const char *word)
{
	return place_is_registry(word) || strncmp(word, "https://", strlen("https://")) == 0 ||
	       strncmp(word, "http://", strlen("http://")) == 0;
}

static int open_remote(const char *word, const struct place_options *options,
		       struct place *place, struct layout *out_layout, struct err *err)
{
	struct registry_options asked = { .plain_http = options->plain_http,
					  .progress = options->progress ? carry_progress_within
									: NULL,
					  .context = options->progress };

	if (place_is_registry(word) && reference_parse(word, &place->reference, err) < 0)
		return err_wrap(err, "%s", word);
	if (registry_open_source(word, &asked, options->log, &place->registry, err) < 0)
		return -1;
	return remote_open(place->registry, out_layout, err);
}

static int open_layout(const char *word, const struct place_options *options,
		       struct place *place, struct layout *out_layout, struct err *err)
{
	if (place_is_far(word))
		return open_remote(word, options, place, out_layout, err);
	return layout_open(AT_FDCWD, word, out_layout, err);
}

int place_open(const char *word, const struct place_options *options, struct place *place,
	       struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;

	if (open_layout(word, options, place, &layout, err) < 0)
		return -1;
	if (layout.delta.is && !options->next)
		return err_set(err, ERR_REFUSED,
			       "%s is a delta that continues serial %llu: larder copy %s DIR, "
			       "where DIR holds that one, then use DIR",
			       word, (unsigned long long)layout.delta.serial, word);
	return place_open_layout(&layout, word, options, place, err);
}

int place_open_layout(struct layout *layout, const char *word,
		      const struct place_options *options, struct place *place, struct err *err)
{
	struct trust trust;

	if (options->trust && trust_load(AT_FDCWD, options->trust, &trust, err) < 0)
		return -1;
	layout->blobs.next = options->next;
	if (cache_open_layout(layout, word, options->trust ? &trust : NULL, options->floor,
			      &place->cache, err) < 0)
		return -1;
	if ((options->records ? inventory_read_records
			      : inventory_read)(&place->cache, &place->inventory, err) < 0)
		return err_wrap(err, "%s", word);
	return 0;
}

int place_open_registry(const char *word, const struct registry_options *options,
			struct log *log, struct reference *out_reference,
			struct registry **out_registry, struct err *err)
{
	if (reference_parse(word, out_reference, err) < 0)
		return err_wrap(err, "%s", word);
	if (out_reference->by_digest)
		return err_set(err, ERR_USAGE,
			       "%s: a digest follows from what is written: give a tag", word);
	return registry_open(out_reference, options, log, out_registry, err);
}
