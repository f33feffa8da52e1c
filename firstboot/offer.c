#include "firstboot/offer.h"

#include <errno.h>
#include <fcntl.h>

int offer_find(const struct machine *machine, struct layout *out_layout, struct err *err)
{
	AUTO_CLOSE int state = -1, folder = -1;

	if (machine_open_dir(machine, MACHINE_STATE, &state, err) < 0)
		return -1;
	folder = openat(state, OFFER_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0 && errno == ENOENT)
		return err_set(err, ERR_MISSING, "no newer statement was brought");
	if (folder < 0)
		return err_errno(err, "open /" MACHINE_STATE "/" OFFER_NAME);
	return layout_open_folder(folder, "/" MACHINE_STATE "/" OFFER_NAME, out_layout, err);
}

/* The bytes that were proven, and no others. */
static int put_envelope(const struct cache *cache, const struct layout *to,
			struct digest_size *out, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	if (blob_read_unproven(&cache->layout.blobs, &cache->hint, ENVELOPE_MAX_BYTES, &data,
			       &size, err) < 0 ||
	    layout_put(to, data, size, out, err) < 0)
		return -1;
	if (!digest_equal(&out->digest, &cache->envelope))
		return err_set(err, ERR_DAMAGED, "the envelope was changed meanwhile");
	return 0;
}

static int put_chain(const struct cache *cache, const struct layout *to, struct err *err)
{
	for (size_t i = 0; i < cache->chain.count; i++) {
		const struct digest_size *item = &cache->chain.item[i];
		AUTO_FREE char *data = NULL;
		struct digest_size id;

		if (blob_read(&cache->layout.blobs, item, TRUST_MAX_BYTES, &data, err) < 0 ||
		    layout_put(to, data, item->size, &id, err) < 0)
			return err_wrap(err, "trust chain [%zu]", i);
	}
	return 0;
}

int offer_keep(const struct machine *machine, const struct cache *cache, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct layout_contents contents = { .name = cache->statement.name,
					    .chain = &cache->chain };

	if (offer_drop(machine, err) < 0 ||
	    layout_create(machine->state, OFFER_NAME, &layout, err) < 0 ||
	    put_envelope(cache, &layout, &contents.envelope, err) < 0 ||
	    put_chain(cache, &layout, err) < 0 || layout_write(&layout, &contents, err) < 0)
		return err_wrap(err, "/" MACHINE_STATE "/" OFFER_NAME);
	return 0;
}

int offer_drop(const struct machine *machine, struct err *err)
{
	return fs_remove_tree(machine->state, OFFER_NAME, err);
}
