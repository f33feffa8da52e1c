#include "bake/chain.h"

#include <fcntl.h>
#include <string.h>

#include "cache/blob.h"
#include "cache/trust.h"

/* The first version is proven where it is used; what follows is proven here. */
static int check(struct trust *newest, const char *data, size_t size, struct err *err)
{
	if (newest->version == 0)
		return trust_parse(data, size, newest, err);
	return trust_next(newest, data, size, newest, err);
}

static int put_files(const struct layout *layout, const struct cli_list *files,
		     struct layout_chain *chain, struct err *err)
{
	struct trust newest = { 0 };

	if (files->count > LAYOUT_MAX_CHAIN)
		return err_set(err, ERR_USAGE, "--trust-chain: more than %d files",
			       LAYOUT_MAX_CHAIN);
	for (size_t i = 0; i < files->count; i++) {
		AUTO_FREE char *data = NULL;
		size_t size;

		if (fs_read_at(AT_FDCWD, files->item[i], TRUST_MAX_BYTES, &data, &size, err) <
		    0)
			return -1;
		if (check(&newest, data, size, err) < 0)
			return err_wrap(err, "--trust-chain: %s", files->item[i]);
		if (layout_put(layout, data, size, &chain->item[chain->count++], err) < 0)
			return -1;
	}
	return 0;
}

static int check_kept(const struct layout *layout, const struct layout_chain *chain,
		      struct err *err)
{
	struct trust newest = { 0 };

	for (size_t i = 0; i < chain->count; i++) {
		AUTO_FREE char *data = NULL;

		if (blob_read(&layout->blobs, &chain->item[i], TRUST_MAX_BYTES, &data, err) <
			    0 ||
		    check(&newest, data, chain->item[i].size, err) < 0)
			return err_wrap(err,
					"the trust chain that is there ([%zu]; --trust-chain "
					"replaces it)",
					i);
	}
	return 0;
}

static bool same_chain(const struct layout_chain *left, const struct layout_chain *right)
{
	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++) {
		if (!digest_equal(&left->item[i].digest, &right->item[i].digest))
			return false;
	}
	return true;
}

int chain_take(const struct layout *layout, const struct cli_list *files,
	       struct layout_chain *out, bool *out_changed, struct err *err)
{
	struct layout_chain old, chain = { .count = 0 };
	struct layout_hints hints;
	struct err none = { 0 };

	/* Where the index leads nowhere, nothing is kept. */
	if (layout_read_hints(layout, &hints, &none) < 0)
		hints.chain.count = 0;
	old = hints.chain;
	if (files->count == 0)
		chain = old;
	if (files->count ? put_files(layout, files, &chain, err) < 0
			 : check_kept(layout, &chain, err) < 0)
		return -1;
	*out_changed = !same_chain(&old, &chain);
	*out = chain;
	return 0;
}
