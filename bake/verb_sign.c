#include <fcntl.h>

#include "bake/chain.h"
#include "bake/signer.h"
#include "bake/verbs.h"
#include "cache/inventory.h"

struct sign_args {
	struct signer_args signer;
	struct cli_list chain;
};

static const struct cli_option options[] = {
	SIGNER_OPTIONS(offsetof(struct sign_args, signer)),
	CHAIN_OPTION(offsetof(struct sign_args, chain)),
	{ 0 },
};

/* The cache as it is, around another envelope. */
static int rewrite(struct cache *cache, const struct envelope *envelope,
		   const struct cli_list *chain, struct err *err)
{
	AUTO_INVENTORY struct inventory inventory = { 0 };
	AUTO_FREE char *text = NULL;
	struct digest_size id;
	size_t size;
	bool changed;

	if (chain_take(&cache->layout, chain, &cache->chain, &changed, err) < 0)
		return -1;
	if (inventory_read(cache, &inventory, err) < 0)
		return -1;
	text = envelope_text(envelope, &size);
	if (layout_put(&cache->layout, text, size, &id, err) < 0)
		return -1;
	return inventory_write(&cache->layout, &cache->statement, &id, &inventory, err);
}

/* What is signed is what was parsed: the folder may have been swapped since it was opened. */
static int check_same(const struct statement *opened, const struct envelope *envelope,
		      struct err *err)
{
	AUTO_STATEMENT struct statement again = { 0 };

	if (statement_parse(envelope->payload, envelope->size, &again, err) < 0)
		return -1;
	if (again.serial != opened->serial || !statement_same_offer(&again, opened))
		return err_set(err, ERR_REFUSED, "the statement changed while it was read");
	return 0;
}

static int sign(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct sign_args *args = arguments;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_LAYOUT struct layout lock = LAYOUT_NONE;
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	AUTO_SIGNER struct signer signer = { 0 };
	AUTO_FREE const char **files = args->chain.item;
	const struct cli_list chain = { files, args->chain.count };

	if (signer_open(&args->signer, &signer, err) < 0)
		return -1;
	if (cache_open(AT_FDCWD, operands->item[0], NULL, 0, &cache, err) < 0)
		return -1;
	if (layout_create(AT_FDCWD, operands->item[0], &lock, err) < 0)
		return -1;
	if (cache_envelope(&cache.layout, &envelope, err) < 0 ||
	    check_same(&cache.statement, &envelope, err) < 0)
		return -1;
	if (signer_sign(&signer, &envelope, err) < 0)
		return -1;
	if (rewrite(&cache, &envelope, &chain, err) < 0)
		return err_wrap(err, "%s", operands->item[0]);
	printf("%s: serial %llu, %zu signature%s\n", operands->item[0],
	       (unsigned long long)cache.statement.serial, envelope.count,
	       envelope.count == 1 ? "" : "s");
	return CLI_DONE;
}

const struct cli_verb verb_sign = {
	.name = "sign",
	.operands = "CACHE",
	.least = 1,
	.most = 1,
	.summary = "add a signature to the statement of a cache",
	.details = "For a cache that was baked with --unsigned, on the machine that holds the "
		   "key. A second "
		   "signature by the same key replaces the first. " SIGNER_DETAILS,
	.options = options,
	.args_size = sizeof(struct sign_args),
	.run = sign,
};
