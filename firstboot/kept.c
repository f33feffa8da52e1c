#include "firstboot/kept.h"

#include "firstboot/state.h"

#define KEPT_FORMAT "larder.trust.chain.v1"
#define KEPT_MAX_BYTES (UINT32_C(4) << 20)

/* What was kept, or an empty list. The caller releases. */
static json_t *read_kept(const struct machine *machine)
{
	AUTO_FREE char *data = NULL;
	AUTO_JSON json_t *kept = NULL;
	const json_t *chain;
	struct json_reader reader;
	struct err none = { 0 };
	size_t size;

	if (machine_read(machine, KEPT_PATH, KEPT_MAX_BYTES, &data, &size, &none) < 0 ||
	    json_parse(data, size, &kept, &none) < 0)
		return json_array();
	reader = json_open(kept, "", &none);
	state_need_format(&reader, KEPT_FORMAT);
	chain = json_need_array(&reader, "chain", LAYOUT_MAX_CHAIN);
	return json_close(&reader) < 0 ? json_array() : json_incref((json_t *)(uintptr_t)chain);
}

/* Goes on from newest; versions that take it further are added to out_chain, where one is given. A list with
 * a version that does not follow leads nowhere. */
static int walk_list(const json_t *list, struct trust *newest, json_t *out_chain,
		     struct err *err)
{
	struct trust trust = *newest;
	json_t *version;
	size_t size, i;

	json_array_foreach((json_t *)(uintptr_t)list, i, version)
	{
		AUTO_FREE char *text = json_text(version, &size);
		uint64_t before = trust.version;

		if (trust_walk(&trust, text, size, err) < 0)
			return -1;
		if (out_chain && trust.version > before)
			json_array_append(out_chain, version);
	}
	*newest = trust;
	return 0;
}

void kept_walk(const struct machine *machine, struct trust *newest)
{
	AUTO_JSON json_t *kept = read_kept(machine);
	struct err none = { 0 };

	/* What does not follow is as if it were not there: newest is then untouched. */
	(void)walk_list(kept, newest, NULL, &none);
}

static int walk_carried(const struct layout_chain *chain, const struct blobs *blobs,
			struct trust *newest, json_t *out_chain, struct err *err)
{
	for (size_t i = 0; i < chain->count; i++) {
		const struct digest_size *item = &chain->item[i];
		uint64_t before = newest->version;
		AUTO_FREE char *data = NULL;
		json_t *version;

		if (blob_read(blobs, item, TRUST_MAX_BYTES, &data, err) < 0 ||
		    trust_walk(newest, data, item->size, err) < 0 ||
		    json_parse(data, item->size, &version, err) < 0)
			return -1;
		if (newest->version > before)
			json_array_append(out_chain, version);
		json_decref(version);
	}
	return 0;
}

/* The way that the cache was opened: on from what was kept, so that a cache which leaves out versions that this
 * machine has cannot keep it from remembering; else from the root alone. */
static json_t *collect(const struct machine *machine, const struct kept_news *news,
		       struct err *err)
{
	for (int from_root = 0; from_root < 2; from_root++) {
		AUTO_JSON json_t *kept = from_root ? json_array() : read_kept(machine);
		AUTO_JSON json_t *versions = json_array();
		struct trust newest = *news->root;
		struct err none = { 0 };

		if (walk_list(kept, &newest, versions, &none) < 0)
			json_array_clear(versions);
		if (walk_carried(news->chain, news->blobs, &newest, versions, err) == 0 &&
		    newest.version == news->version)
			return json_incref(versions);
	}
	err_set(err, ERR_REFUSED, "version %llu of the trust root does not follow any more",
		(unsigned long long)news->version);
	return NULL;
}

int kept_save(const struct machine *machine, const struct kept_news *news, struct err *err)
{
	json_t *versions = collect(machine, news, err);
	AUTO_JSON json_t *kept = NULL;
	AUTO_FREE char *text = NULL;
	size_t size;

	if (!versions)
		return err_wrap(err, KEPT_PATH);
	kept = json_pack("{s:s, s:o}", "format", KEPT_FORMAT, "chain", versions);
	text = json_text(kept, &size);
	if (size > KEPT_MAX_BYTES)
		return err_set(err, ERR_INVALID, KEPT_PATH ": too large");
	return fs_replace(machine->state, KEPT_NAME, text, size, 0600, err);
}
