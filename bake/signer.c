#include "bake/signer.h"

#include <fcntl.h>
#include <string.h>

#include "cache/base/fs.h"
#include "cache/base/run.h"

void signer_free(struct signer *signer)
{
	key_free(&signer->key);
}

int signer_open(const struct signer_args *args, struct signer *out, struct err *err)
{
	AUTO_SIGNER struct signer signer = { .command = args->command };

	if (!args->key == !args->command)
		return err_set(
			err, ERR_USAGE,
			"either --key FILE or --signer CMD with --public FILE is needed");
	if (!args->command != !args->public)
		return err_set(err, ERR_USAGE, "--signer CMD and --public FILE go together");
	if (args->command && key_load_public(args->public, &signer.public, err) < 0)
		return -1;
	if (args->key && key_load(args->key, &signer.key, err) < 0)
		return -1;
	if (signer.key)
		key_to_public(signer.key, &signer.public);
	*out = signer;
	signer.key = NULL;
	return 0;
}

/* Splits text in place. */
static int split(char *text, const char *words[SIGNER_MAX_WORDS + 1], struct err *err)
{
	size_t count = 0;
	char *rest = NULL;

	for (char *word = strtok_r(text, " \t\r\n", &rest); word;
	     word = strtok_r(NULL, " \t\r\n", &rest)) {
		if (count == SIGNER_MAX_WORDS)
			return err_set(err, ERR_USAGE, "--signer: more than %d words",
				       SIGNER_MAX_WORDS);
		words[count++] = word;
	}
	words[count] = NULL;
	return count ? 0 : err_set(err, ERR_USAGE, "--signer: no program");
}

static int run_command(const char *command, const void *data, size_t size,
		       struct run_result *result, struct err *err)
{
	AUTO_FREE char *text = must_strdup(command);
	const char *words[SIGNER_MAX_WORDS + 1];
	AUTO_CLOSE int here = -1;
	struct run_spec spec = { .argv = words,
				 .input = data,
				 .input_size = size,
				 .timeout_ms = SIGNER_TIMEOUT_MS,
				 .keep = KEY_SIGNATURE_MAX + 1 };

	if (split(text, words, err) < 0 || fs_open_dir(AT_FDCWD, ".", &here, err) < 0)
		return -1;
	spec.dir = &here;
	return run(&spec, result, err);
}

/* What the program answers is believed only once it is verified. */
static int ask(const struct signer *signer, const void *data, size_t size,
	       struct key_signature *out, struct err *err)
{
	struct key_signature signature = { .key_id = signer->public.id };
	struct run_result result = { 0 };

	if (run_command(signer->command, data, size, &result, err) < 0)
		return -1;
	signature.size = result.size;
	if (result.size <= sizeof(signature.byte))
		memcpy(signature.byte, result.output, result.size);
	free(result.output);
	if (result.code != 0)
		return err_set(err, ERR_REFUSED, "it failed with code %d", result.code);
	if (result.size < KEY_SIGNATURE_MIN || result.size > KEY_SIGNATURE_MAX)
		return err_set(err, ERR_REFUSED,
			       "it wrote %s bytes to standard output: expected one "
			       "signature, DER or 64 bytes",
			       result.size > KEY_SIGNATURE_MAX ? "too many" : "too few");
	if (key_verify(&signer->public, data, size, &signature, err) < 0)
		return err_wrap(err, "what it wrote, by --public");
	*out = signature;
	return 0;
}

int signer_sign(const struct signer *signer, struct envelope *envelope, struct err *err)
{
	struct key_signature signature;
	size_t size;
	AUTO_FREE char *bytes = envelope_signed_bytes(envelope, &size);

	if (signer->key)
		return envelope_sign(envelope, signer->key, err);
	if (ask(signer, bytes, size, &signature, err) < 0)
		return err_wrap(err, "--signer %s", signer->command);
	return envelope_add(envelope, &signature, err);
}
