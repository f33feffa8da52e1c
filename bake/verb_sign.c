#include <fcntl.h>

#include "bake/verbs.h"
#include "cache/inventory.h"

struct sign_args {
	const char *key;
};

static const struct cli_option options[] = {
	{ "key", "FILE", "private key that signs the statement",
	  offsetof(struct sign_args, key), CLI_TEXT },
	{ 0 },
};

/* The cache as it is, around another envelope. */
static int rewrite(const struct cache *cache, const struct envelope *envelope, struct err *err)
{
	AUTO_INVENTORY struct inventory inventory = { 0 };
	AUTO_FREE char *text = NULL;
	struct digest_size id;
	size_t size;

	if (inventory_read(cache, &inventory, err) < 0)
		return -1;
	text = envelope_text(envelope, &size);
	if (layout_put(&cache->layout, text, size, &id, err) < 0)
		return -1;
	return inventory_write(&cache->layout, &cache->statement, &id, &inventory, err);
}

static int sign(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct sign_args *args = arguments;
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	AUTO_LAYOUT struct layout lock = LAYOUT_NONE;
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	AUTO_KEY struct key *key = NULL;

	if (!args->key)
		return err_set(err, ERR_USAGE, "--key FILE is needed");
	if (key_load(args->key, &key, err) < 0)
		return -1;
	if (cache_open(AT_FDCWD, operands->item[0], NULL, 0, &cache, err) < 0)
		return -1;
	if (layout_create(AT_FDCWD, operands->item[0], &lock, err) < 0)
		return -1;
	if (cache_envelope(&cache.layout, &envelope, err) < 0)
		return -1;
	if (envelope_sign(&envelope, key, err) < 0)
		return -1;
	if (rewrite(&cache, &envelope, err) < 0)
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
		   "signature by the same key replaces the first.",
	.options = options,
	.args_size = sizeof(struct sign_args),
	.run = sign,
};
