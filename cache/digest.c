#include "cache/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/auto.h"

#define READ_STEP (256 * 1024)

struct digest_stream {
	EVP_MD *sha256;
	EVP_MD_CTX *context;
};

/* OpenSSL fails here only for want of memory. */
static void must(int good)
{
	if (good != 1)
		abort();
}

struct digest_stream *digest_stream_new(void)
{
	struct digest_stream *stream = must_calloc(1, sizeof(*stream));

	stream->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	stream->context = EVP_MD_CTX_new();
	if (!stream->sha256 || !stream->context)
		abort();
	must(EVP_DigestInit_ex2(stream->context, stream->sha256, NULL));
	return stream;
}

void digest_stream_add(struct digest_stream *stream, const void *data, size_t size)
{
	must(EVP_DigestUpdate(stream->context, data, size));
}

void digest_stream_end(struct digest_stream *stream, struct digest *out)
{
	must(EVP_DigestFinal_ex(stream->context, out->byte, NULL));
	must(EVP_DigestInit_ex2(stream->context, NULL, NULL));
}

void digest_stream_reset(struct digest_stream *stream)
{
	must(EVP_DigestInit_ex2(stream->context, NULL, NULL));
}

void digest_stream_free(struct digest_stream **stream)
{
	if (!*stream)
		return;
	EVP_MD_CTX_free((*stream)->context);
	EVP_MD_free((*stream)->sha256);
	free(*stream);
	*stream = NULL;
}

void digest_of(const void *data, size_t size, struct digest *out)
{
	must(EVP_Digest(data, size, out->byte, NULL, EVP_sha256(), NULL));
}

bool digest_equal(const struct digest *left, const struct digest *right)
{
	return memcmp(left->byte, right->byte, DIGEST_BYTES) == 0;
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return -1;
}

int digest_parse_hex(const char *text, struct digest *out, struct err *err)
{
	struct digest digest;

	if (strlen(text) != (size_t)DIGEST_BYTES * 2)
		return err_set(err, ERR_INVALID, "expected a sha256 of 64 hex digits");
	for (int i = 0; i < DIGEST_BYTES; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return err_set(err, ERR_INVALID,
				       "expected a sha256 of 64 lower-case hex digits");
		digest.byte[i] = (uint8_t)(high << 4 | low);
	}
	*out = digest;
	return 0;
}

int digest_parse(const char *text, struct digest *out, struct err *err)
{
	if (strncmp(text, "sha256:", 7) != 0)
		return err_set(err, ERR_INVALID, "expected a digest \"sha256:...\"");
	return digest_parse_hex(text + 7, out, err);
}

char *digest_hex(const struct digest *digest, char out[DIGEST_HEX_MAX])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < DIGEST_BYTES; i++) {
		out[2 * i] = digits[digest->byte[i] >> 4];
		out[2 * i + 1] = digits[digest->byte[i] & 15];
	}
	out[2 * DIGEST_BYTES] = '\0';
	return out;
}

char *digest_text(const struct digest *digest, char out[DIGEST_TEXT_MAX])
{
	memcpy(out, "sha256:", 7);
	digest_hex(digest, out + 7);
	return out;
}

int digest_of_fd(int fd, struct digest_size *out, struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	AUTO_FREE char *step = must_calloc(1, READ_STEP);
	uint64_t size = 0;

	for (;;) {
		ssize_t got = read(fd, step, READ_STEP);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "read");
		if (got == 0)
			break;
		digest_stream_add(stream, step, (size_t)got);
		size += (uint64_t)got;
	}
	out->size = size;
	digest_stream_end(stream, &out->digest);
	return 0;
}
