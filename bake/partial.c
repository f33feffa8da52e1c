#include "bake/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/json.h"
#include "cache/name.h"

#define NOTE_MAX_BYTES 16384

static void note_name(const struct partial *partial, char out[DIGEST_HEX_MAX + 8])
{
	snprintf(out, DIGEST_HEX_MAX + 8, "%s.json", partial->name);
}

/* Does the note say that the bytes are the beginning of what is expected? */
static bool note_fits(struct partial *partial, const struct digest_size *expected)
{
	char name[DIGEST_HEX_MAX + 8], hex[DIGEST_HEX_MAX];
	AUTO_JSON json_t *note = NULL;
	const char *url, *validator, *sha256;
	struct json_reader reader;
	struct err why;

	note_name(partial, name);
	if (json_read_at(partial->store->partial, name, NOTE_MAX_BYTES, &note, &why) < 0)
		return false;
	reader = json_open(note, "", &why);
	url = json_need_string(&reader, "url", NAME_TEXT_MAX_BYTES);
	validator = json_need_string(&reader, "validator", RESPONSE_VALIDATOR_MAX - 1);
	sha256 = json_need_string(&reader, "sha256", DIGEST_HEX_MAX);
	if (json_close(&reader) < 0 || !url || !validator || !sha256)
		return false;
	if (strcmp(url, partial->url) != 0 ||
	    strcmp(sha256, digest_hex(&expected->digest, hex)) != 0)
		return false;
	snprintf(partial->validator, sizeof(partial->validator), "%s", validator);
	return true;
}

/* Hashes what is on the disk. */
static int read_back(struct partial *partial, struct err *err)
{
	AUTO_FREE char *step = must_calloc(1, 1 << 18);

	for (;;) {
		ssize_t got = pread(partial->fd, step, 1 << 18, (off_t)partial->have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "read %s", partial->name);
		if (got == 0)
			return 0;
		digest_stream_add(partial->stream, step, (size_t)got);
		partial->have += (uint64_t)got;
	}
}

static int open_bytes(struct partial *partial, const struct digest_size *expected,
		      struct err *err)
{
	uint64_t most = expected && expected->size ? expected->size : STORE_FILE_MAX_BYTES;
	struct stat info;

	partial->fd = openat(partial->store->partial, partial->name,
			     O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (partial->fd < 0)
		return err_errno(err, "create %s in the store", partial->name);
	if (fstat(partial->fd, &info) < 0)
		return err_errno(err, "stat %s", partial->name);
	if (!expected || info.st_size == 0 || (uint64_t)info.st_size > most ||
	    !note_fits(partial, expected))
		return partial_restart(partial, err);
	partial->lasting = true;
	return read_back(partial, err);
}

int partial_open(const struct store *store, const char *url, const struct digest_size *expected,
		 struct partial *out, struct err *err)
{
	struct partial partial = { .store = store, .url = url, .fd = -1 };
	struct digest name;

	digest_of(url, strlen(url), &name);
	digest_hex(&name, partial.name);
	partial.stream = digest_stream_new();
	if (open_bytes(&partial, expected, err) < 0) {
		partial_close(&partial);
		return -1;
	}
	*out = partial;
	return 0;
}

int partial_restart(struct partial *partial, struct err *err)
{
	struct digest unused;

	if (ftruncate(partial->fd, 0) < 0)
		return err_errno(err, "truncate %s", partial->name);
	digest_stream_end(partial->stream, &unused);
	partial->have = 0;
	partial->validator[0] = '\0';
	partial->lasting = false;
	return 0;
}

int partial_begin(struct partial *partial, const char *validator,
		  const struct digest_size *expected, struct err *err)
{
	char name[DIGEST_HEX_MAX + 8], hex[DIGEST_HEX_MAX];
	AUTO_JSON json_t *note = NULL;
	AUTO_FREE char *text = NULL;
	size_t size;

	snprintf(partial->validator, sizeof(partial->validator), "%s", validator);
	note_name(partial, name);
	if (!expected || !*validator)
		return fs_remove_tree(partial->store->partial, name, err);
	note = json_pack("{s:s, s:s, s:s}", "url", partial->url, "validator", validator,
			 "sha256", digest_hex(&expected->digest, hex));
	text = json_pretty(note, &size);
	if (fs_replace(partial->store->partial, name, text, size, 0600, err) < 0)
		return -1;
	partial->lasting = true;
	return 0;
}

int partial_add(struct partial *partial, const void *data, size_t size, struct err *err)
{
	const char *from = data;

	for (size_t put = 0; put < size;) {
		ssize_t step = pwrite(partial->fd, from + put, size - put,
				      (off_t)(partial->have + put));

		if (step < 0 && errno == EINTR)
			continue;
		if (step < 0)
			return err_errno(err, "write into the store");
		put += (size_t)step;
	}
	digest_stream_add(partial->stream, data, size);
	partial->have += size;
	return 0;
}

void partial_end(struct partial *partial, struct digest_size *out)
{
	out->size = partial->have;
	digest_stream_end(partial->stream, &out->digest);
}

static void drop_note(struct partial *partial)
{
	char name[DIGEST_HEX_MAX + 8];

	note_name(partial, name);
	unlinkat(partial->store->partial, name, 0);
}

int partial_keep(struct partial *partial, const struct digest *digest, struct err *err)
{
	/* A write that failed half-way may have left bytes beyond the hashed ones. */
	if (ftruncate(partial->fd, (off_t)partial->have) < 0)
		return err_errno(err, "truncate %s", partial->name);
	if (store_adopt(partial->store, partial->name, partial->fd, digest, err) < 0)
		return -1;
	drop_note(partial);
	return 0;
}

void partial_drop(struct partial *partial)
{
	unlinkat(partial->store->partial, partial->name, 0);
	drop_note(partial);
}

void partial_close(struct partial *partial)
{
	if (!partial->store)
		return;
	if (partial->fd >= 0 && !partial->lasting)
		partial_drop(partial);
	auto_close(&partial->fd);
	digest_stream_free(&partial->stream);
	*partial = (struct partial) { 0 };
}
