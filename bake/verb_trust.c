#include "bake/verbs.h"
#include "cache/base/auto.h"
#include "cache/trust.h"

struct trust_args {
	uint64_t threshold;
};

static const struct cli_option options[] = {
	{ "threshold", "N", "how many different keys must sign a cache (default 1)",
	  offsetof(struct trust_args, threshold), CLI_NUMBER },
	{ 0 },
};

static int add_key(struct trust *trust, const char *path, struct err *err)
{
	struct key_public *key = &trust->key[trust->count];

	if (key_load_public(path, key, err) < 0)
		return -1;
	for (size_t i = 0; i < trust->count; i++) {
		if (digest_equal(&trust->key[i].id, &key->id))
			return err_set(err, ERR_INVALID, "%s: the same key as operand %zu",
				       path, i + 1);
	}
	trust->count++;
	return 0;
}

static int trust_init(const void *arguments, const struct cli_operands *operands,
		      struct err *err)
{
	const struct trust_args *args = arguments;
	struct trust trust = { .version = 1,
			       .threshold = args->threshold ? args->threshold : 1 };
	AUTO_FREE char *text = NULL;
	size_t size;

	for (int i = 0; i < operands->count; i++) {
		if (add_key(&trust, operands->item[i], err) < 0)
			return -1;
	}
	if (trust.threshold > trust.count)
		return err_set(err, ERR_USAGE, "--threshold %llu: only %zu keys are named",
			       (unsigned long long)trust.threshold, trust.count);
	text = trust_text(&trust, &size);
	printf("%s\n", text);
	return CLI_DONE;
}

const struct cli_verb verb_trust_init = {
	.name = "trust init",
	.operands = "KEY.pub...",
	.least = 1,
	.most = TRUST_MAX_KEYS,
	.summary = "print version 1 of a trust root that names these public keys",
	.details = "Machines get the file through embed --trust. Keep it beside the manifests: "
		   "every "
		   "later version of the trust root is checked against it.",
	.options = options,
	.args_size = sizeof(struct trust_args),
	.run = trust_init,
};
