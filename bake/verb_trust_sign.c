#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "bake/signer.h"
#include "bake/verbs.h"
#include "cache/base/fs.h"
#include "cache/trust.h"

struct trust_sign_args {
	struct signer_args signer;
};

static const struct cli_option options[] = {
	SIGNER_OPTIONS(offsetof(struct trust_sign_args, signer)),
	{ 0 },
};

/* A trust file, and where it really lies: a link is followed, not replaced. */
struct place {
	int dir;
	char *path; /* owned, absolute */
	const char *name; /* in path */
	mode_t mode;
};

static void place_close(struct place *place)
{
	if (place->dir >= 0)
		close(place->dir);
	free(place->path);
}

static int find_place(const char *path, struct place *place, struct err *err)
{
	struct stat status;
	char *slash;

	place->path = realpath(path, NULL);
	if (!place->path)
		return err_errno(err, "%s", path);
	slash = strrchr(place->path, '/');
	place->name = slash + 1;
	*slash = '\0';
	place->dir = open(slash == place->path ? "/" : place->path,
			  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->dir < 0 || fstatat(place->dir, place->name, &status, 0) < 0)
		return err_errno(err, "%s", path);
	place->mode = status.st_mode & 07777;
	return 0;
}

static int read_trust(const struct place *place, struct envelope *out_envelope,
		      struct trust *out_trust, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	if (fs_read_at(place->dir, place->name, TRUST_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	if (trust_parse(data, size, out_trust, err) < 0 ||
	    envelope_parse(data, size, ENVELOPE_TRUST, out_envelope, err) < 0)
		return err_wrap(err, "%s", place->name);
	return 0;
}

static int write_trust(const struct place *place, const struct envelope *envelope,
		       struct err *err)
{
	size_t size;
	AUTO_FREE char *text = envelope_text(envelope, &size);
	AUTO_FREE char *line = must_printf("%s\n", text);

	return fs_replace(place->dir, place->name, line, size + 1, place->mode, err);
}

static int trust_sign(const void *arguments, const struct cli_operands *operands,
		      struct err *err)
{
	const struct trust_sign_args *args = arguments;
	AUTO(place_close) struct place place = { .dir = -1 };
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	AUTO_SIGNER struct signer signer = { 0 };
	char id[DIGEST_HEX_MAX];
	struct trust trust;

	if (signer_open(&args->signer, &signer, err) < 0 ||
	    find_place(operands->item[0], &place, err) < 0 ||
	    read_trust(&place, &envelope, &trust, err) < 0)
		return -1;
	if (signer_sign(&signer, &envelope, err) < 0 || write_trust(&place, &envelope, err) < 0)
		return -1;
	printf("%s: version %llu, signed by key %.16s...%s, %zu signature%s\n",
	       operands->item[0], (unsigned long long)trust.version,
	       digest_hex(&signer.public.id, id),
	       trust_names(&trust, &signer.public.id) ? "" : " (not a key of this version)",
	       envelope.count, envelope.count == 1 ? "" : "s");
	return CLI_DONE;
}

const struct cli_verb verb_trust_sign = {
	.name = "trust sign",
	.operands = "TRUST",
	.least = 1,
	.most = 1,
	.summary = "add a signature to a version of a trust root",
	.details = "The file is replaced whole; carry it from one machine that holds a key to "
		   "the next. "
		   "A key that the version before names signs too, even where this version "
		   "removes it. " SIGNER_DETAILS,
	.options = options,
	.args_size = sizeof(struct trust_sign_args),
	.run = trust_sign,
};
