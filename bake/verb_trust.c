#include <fcntl.h>
#include <string.h>

#include "bake/verbs.h"
#include "cache/base/auto.h"
#include "cache/trust.h"

#define KEY_ID_LEAST 16 /* digits of a key id that name a key */

struct trust_args {
	uint64_t threshold;
};

static const struct cli_option options[] = {
	{ "threshold", "N",
	  "how many different keys must sign (default: as it was, at first 1)",
	  offsetof(struct trust_args, threshold), CLI_NUMBER },
	{ 0 },
};

static int add_key(struct trust *trust, const char *path, struct err *err)
{
	struct key_public key;

	if (key_load_public(path, &key, err) < 0)
		return -1;
	if (trust_names(trust, &key.id))
		return err_set(err, ERR_INVALID, "%s: a key that is named already", path);
	if (trust->count == TRUST_MAX_KEYS)
		return err_set(err, ERR_INVALID, "more than %d keys", TRUST_MAX_KEYS);
	trust->key[trust->count++] = key;
	return 0;
}

static int add_keys(struct trust *trust, char **paths, int count, struct err *err)
{
	for (int i = 0; i < count; i++) {
		if (add_key(trust, paths[i], err) < 0)
			return -1;
	}
	return 0;
}

/* Prints a version that is complete, unsigned. threshold 0: as it was. */
static int print_trust(struct trust *trust, uint64_t threshold, struct err *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;

	if (threshold)
		trust->threshold = threshold;
	if (trust->threshold > trust->count)
		return err_set(err, ERR_USAGE, "threshold %llu: only %zu keys are named",
			       (unsigned long long)trust->threshold, trust->count);
	text = trust_text(trust, &size);
	printf("%s\n", text);
	return CLI_DONE;
}

static int trust_init(const void *arguments, const struct cli_operands *operands,
		      struct err *err)
{
	const struct trust_args *args = arguments;
	struct trust trust = { .version = 1, .threshold = 1 };

	if (add_keys(&trust, operands->item, operands->count, err) < 0)
		return -1;
	return print_trust(&trust, args->threshold, err);
}

/* What the version after the one in path is made from. */
static int load_next(const char *path, struct trust *out, struct err *err)
{
	if (trust_load(AT_FDCWD, path, out, err) < 0)
		return -1;
	if (out->version == TRUST_MAX_VERSION)
		return err_set(err, ERR_INVALID, "%s: no version can follow", path);
	out->version++;
	return 0;
}

static int trust_add(const void *arguments, const struct cli_operands *operands,
		     struct err *err)
{
	const struct trust_args *args = arguments;
	struct trust trust;

	if (load_next(operands->item[0], &trust, err) < 0 ||
	    add_keys(&trust, operands->item + 1, operands->count - 1, err) < 0)
		return -1;
	return print_trust(&trust, args->threshold, err);
}

static bool is_key_id(const char *text)
{
	size_t length = strlen(text);

	return length >= KEY_ID_LEAST && length < DIGEST_HEX_MAX &&
	       strspn(text, "0123456789abcdef") == length;
}

/* Takes out the one key whose id begins with id. */
static int remove_id(struct trust *trust, const char *id, const char *what, struct err *err)
{
	size_t found = 0, at = 0;

	for (size_t i = 0; i < trust->count; i++) {
		char hex[DIGEST_HEX_MAX];

		if (strncmp(digest_hex(&trust->key[i].id, hex), id, strlen(id)) != 0)
			continue;
		found++;
		at = i;
	}
	if (found != 1)
		return err_set(err, ERR_INVALID, "%s: %s of this version", what,
			       found ? "more than one key" : "no key");
	trust->count--;
	memmove(&trust->key[at], &trust->key[at + 1],
		(trust->count - at) * sizeof(trust->key[0]));
	return 0;
}

static int remove_key(struct trust *trust, const char *what, struct err *err)
{
	struct key_public key;
	char hex[DIGEST_HEX_MAX];

	if (is_key_id(what))
		return remove_id(trust, what, what, err);
	if (key_load_public(what, &key, err) < 0)
		return -1;
	return remove_id(trust, digest_hex(&key.id, hex), what, err);
}

static int trust_remove(const void *arguments, const struct cli_operands *operands,
			struct err *err)
{
	const struct trust_args *args = arguments;
	struct trust trust;

	if (load_next(operands->item[0], &trust, err) < 0)
		return -1;
	for (int i = 1; i < operands->count; i++) {
		if (remove_key(&trust, operands->item[i], err) < 0)
			return -1;
	}
	return print_trust(&trust, args->threshold, err);
}

static int trust_threshold(const void *arguments, const struct cli_operands *operands,
			   struct err *err)
{
	const char *text = operands->item[1];
	char *end;
	unsigned long long threshold = strtoull(text, &end, 10);
	struct trust trust;

	(void)arguments;
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || threshold == 0 ||
	    threshold > TRUST_MAX_KEYS)
		return err_set(err, ERR_USAGE, "expected a threshold from 1 to %d, got '%s'",
			       TRUST_MAX_KEYS, text);
	if (load_next(operands->item[0], &trust, err) < 0)
		return -1;
	if (trust.threshold == threshold)
		return err_set(err, ERR_INVALID, "%s: the threshold is %llu already",
			       operands->item[0], threshold);
	return print_trust(&trust, threshold, err);
}

#define NEXT_DETAILS                                                                           \
	"The new version is unsigned. Machines take it only from the version before, and "     \
	"only "                                                                                \
	"with enough signatures by keys of both: larder trust sign adds them, larder trust "   \
	"show "                                                                                \
	"--from says what is missing, larder bake --trust-chain carries the versions to the "  \
	"machines."

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

const struct cli_verb verb_trust_add = {
	.name = "trust add",
	.operands = "TRUST KEY.pub...",
	.least = 2,
	.most = 1 + TRUST_MAX_KEYS,
	.summary = "print the next version of a trust root, with more keys",
	.details = NEXT_DETAILS,
	.options = options,
	.args_size = sizeof(struct trust_args),
	.run = trust_add,
};

const struct cli_verb verb_trust_remove = {
	.name = "trust remove",
	.operands = "TRUST KEY.pub|KEYID...",
	.least = 2,
	.most = 1 + TRUST_MAX_KEYS,
	.summary = "print the next version of a trust root, with fewer keys",
	.details = "KEYID is a key id or at least its first 16 digits. " NEXT_DETAILS,
	.options = options,
	.args_size = sizeof(struct trust_args),
	.run = trust_remove,
};

const struct cli_verb verb_trust_threshold = {
	.name = "trust threshold",
	.operands = "TRUST N",
	.least = 2,
	.most = 2,
	.summary = "print the next version of a trust root, that asks for N different keys",
	.details = NEXT_DETAILS,
	.run = trust_threshold,
};
