#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>

#include "bake/verbs.h"
#include "cache/base/fs.h"
#include "cache/key.h"

struct key_args {
	bool ed25519;
};

static const struct cli_option options[] = {
	{ "ed25519", NULL, "an Ed25519 key instead of ECDSA P-256",
	  offsetof(struct key_args, ed25519), CLI_TEXT },
	{ 0 },
};

/* A key is never overwritten: it may be the only one that a fleet of machines trusts. */
static int write_new(const char *path, const char *text, mode_t mode, struct err *err)
{
	AUTO_CLOSE int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_REFUSED,
			       "%s exists already; a key is never overwritten", path);
	if (fd < 0)
		return err_errno(err, "create %s", path);
	if (fchmod(fd, mode) < 0 || fs_write_all(fd, text, strlen(text), err) < 0 ||
	    fsync(fd) < 0) {
		err_errno(err, "write %s", path);
		unlink(path);
		return -1;
	}
	return 0;
}

static int key_new(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	const struct key_args *args = arguments;
	AUTO_FREE char *private_path = must_printf("%s.key", operands->item[0]);
	AUTO_FREE char *public_path = must_printf("%s.pub", operands->item[0]);
	AUTO_FREE char *private_text = NULL, *public_text = NULL;
	AUTO_KEY struct key *key = NULL;
	struct key_public public;
	char id[DIGEST_HEX_MAX];
	int result;

	if (key_generate(args->ed25519 ? KEY_ED25519 : KEY_ECDSA_P256, &key, err) < 0)
		return -1;
	if (key_private_pem(key, &private_text, err) < 0 ||
	    key_public_pem(key, &public_text, err) < 0)
		return -1;
	result = write_new(private_path, private_text, 0600, err);
	OPENSSL_cleanse(private_text, strlen(private_text));
	if (result < 0)
		return -1;
	if (write_new(public_path, public_text, 0644, err) < 0) {
		unlink(private_path);
		return -1;
	}
	key_to_public(key, &public);
	printf("%s: key %s\n", private_path, digest_hex(&public.id, id));
	return CLI_DONE;
}

const struct cli_verb verb_key_new = {
	.name = "key new",
	.operands = "NAME",
	.least = 1,
	.most = 1,
	.summary = "make a key that signs caches: NAME.key (private, mode 0600) and NAME.pub",
	.options = options,
	.args_size = sizeof(struct key_args),
	.run = key_new,
};
