#include "firstboot/kept.h"

#include "firstboot/state.h"

#define KEPT_FORMAT "larder.trust.chain.v1"
#define KEPT_MAX_BYTES (UINT32_C(4) << 20)

void kept_walk(const struct machine *machine, struct trust *newest)
{
	AUTO_FREE char *data = NULL;
	AUTO_JSON json_t *kept = NULL;
	const json_t *chain, *version;
	struct trust trust = *newest;
	struct json_reader reader;
	struct err none = { 0 };
	size_t size, i;

	if (machine_read(machine, KEPT_PATH, KEPT_MAX_BYTES, &data, &size, &none) < 0 ||
	    json_parse(data, size, &kept, &none) < 0)
		return;
	reader = json_open(kept, "", &none);
	state_need_format(&reader, KEPT_FORMAT);
	chain = json_need_array(&reader, "chain", LAYOUT_MAX_CHAIN);
	if (json_close(&reader) < 0)
		return;
	json_array_foreach(chain, i, version)
	{
		AUTO_FREE char *text = json_text(version, &size);

		if (trust_walk(&trust, text, size, &none) < 0)
			return;
	}
	*newest = trust;
}

static int collect(const struct trust *root, const struct layout_chain *chain,
		   const struct blobs *blobs, json_t *out_chain, struct err *err)
{
	struct trust newest = *root;

	for (size_t i = 0; i < chain->count; i++) {
		const struct digest_size *item = &chain->item[i];
		uint64_t before = newest.version;
		AUTO_FREE char *data = NULL;
		json_t *version;

		if (blob_read(blobs, item, TRUST_MAX_BYTES, &data, err) < 0 ||
		    trust_walk(&newest, data, item->size, err) < 0 ||
		    json_parse(data, item->size, &version, err) < 0)
			return -1;
		if (newest.version > before)
			json_array_append(out_chain, version);
		json_decref(version);
	}
	return 0;
}

int kept_save(const struct machine *machine, const struct trust *root,
	      const struct layout_chain *chain, const struct blobs *blobs, struct err *err)
{
	json_t *versions = json_array();
	AUTO_JSON json_t *kept =
		json_pack("{s:s, s:o}", "format", KEPT_FORMAT, "chain", versions);
	AUTO_FREE char *text = NULL;
	size_t size;

	if (collect(root, chain, blobs, versions, err) < 0)
		return err_wrap(err, KEPT_PATH);
	text = json_text(kept, &size);
	if (size > KEPT_MAX_BYTES)
		return err_set(err, ERR_INVALID, KEPT_PATH ": too large");
	return fs_replace(machine->state, KEPT_NAME, text, size, 0600, err);
}
