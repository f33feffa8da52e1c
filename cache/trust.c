#include "cache/trust.h"

#include <string.h>

#include "cache/base/fs.h"
#include "cache/base/json.h"
#include "cache/base64.h"

#define TRUST_FORMAT "larder.trust.v1"

bool trust_names(const struct trust *trust, const struct digest *key_id)
{
	for (size_t i = 0; i < trust->count; i++) {
		if (digest_equal(&trust->key[i].id, key_id))
			return true;
	}
	return false;
}

static int parse_key(const json_t *value, size_t i, struct trust *trust, struct err *err)
{
	AUTO_FREE char *der = NULL;
	char where[32];
	struct json_reader reader;
	const char *public;
	size_t size;

	snprintf(where, sizeof(where), "keys[%zu]", i);
	reader = json_open(value, where, err);
	public = json_need_string(&reader, "public", KEY_SPKI_MAX * 2);
	if (json_close(&reader) < 0)
		return -1;
	if (base64_decode(public, &der, &size, err) < 0 ||
	    key_public_from_der(der, size, &trust->key[i], err) < 0)
		return err_wrap(err, "%s.public", where);
	for (size_t j = 0; j < i; j++) {
		if (digest_equal(&trust->key[j].id, &trust->key[i].id))
			return err_set(err, ERR_INVALID, "%s: the same key as keys[%zu]", where,
				       j);
	}
	return 0;
}

static int parse_payload(const json_t *root, struct trust *trust, struct err *err)
{
	struct json_reader reader = json_open(root, "", err);
	const char *format = json_need_string(&reader, "format", 64);
	const json_t *keys;

	trust->version = json_need_number(&reader, "version", TRUST_MAX_VERSION);
	trust->threshold = json_need_number(&reader, "threshold", TRUST_MAX_KEYS);
	keys = json_need_array(&reader, "keys", TRUST_MAX_KEYS);
	if (json_close(&reader) < 0)
		return -1;
	if (strcmp(format, TRUST_FORMAT) != 0)
		return err_set(err, ERR_INVALID, "format: expected " TRUST_FORMAT);
	if (trust->version == 0)
		return err_set(err, ERR_INVALID, "version: expected at least 1");
	trust->count = json_array_size(keys);
	if (trust->threshold == 0 || trust->threshold > trust->count)
		return err_set(err, ERR_INVALID,
			       "threshold: expected 1 to %zu, the number of keys",
			       trust->count);
	for (size_t i = 0; i < trust->count; i++) {
		if (parse_key(json_array_get(keys, i), i, trust, err) < 0)
			return -1;
	}
	return 0;
}

/* The envelope of a trust file, and what it says. */
static int parse_file(const char *data, size_t size, struct envelope *out_envelope,
		      struct trust *out_trust, struct err *err)
{
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	AUTO_JSON json_t *root = NULL;
	struct trust trust = { 0 };

	if (size > TRUST_MAX_BYTES)
		return err_set(err, ERR_INVALID, "larger than %u bytes", TRUST_MAX_BYTES);
	if (envelope_parse(data, size, ENVELOPE_TRUST, &envelope, err) < 0)
		return -1;
	if (json_parse(envelope.payload, envelope.size, &root, err) < 0 ||
	    parse_payload(root, &trust, err) < 0)
		return err_wrap(err, "payload");
	*out_trust = trust;
	*out_envelope = envelope;
	envelope.payload = NULL;
	return 0;
}

int trust_parse(const char *data, size_t size, struct trust *out_trust, struct err *err)
{
	AUTO_ENVELOPE struct envelope envelope = { 0 };

	return parse_file(data, size, &envelope, out_trust, err);
}

int trust_load(int dir, const char *path, struct trust *out_trust, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	if (fs_read_at(dir, path, TRUST_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	if (trust_parse(data, size, out_trust, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

char *trust_text(const struct trust *trust, size_t *out_size)
{
	json_t *keys = json_array();
	AUTO_JSON json_t *root = json_pack("{s:s, s:I, s:I, s:o}", "format", TRUST_FORMAT,
					   "version", (json_int_t)trust->version, "threshold",
					   (json_int_t)trust->threshold, "keys", keys);
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	AUTO_FREE char *payload = NULL;
	size_t size;

	for (size_t i = 0; i < trust->count; i++) {
		AUTO_FREE char *public =
			base64_encode(trust->key[i].spki, trust->key[i].spki_size);

		json_array_append_new(keys, json_pack("{s:s}", "public", public));
	}
	payload = json_text(root, &size);
	envelope = envelope_around(ENVELOPE_TRUST, payload, size);
	return envelope_text(&envelope, out_size);
}

static const struct key_signature *find_signature(const struct envelope *envelope,
						  const struct digest *key_id)
{
	for (size_t i = 0; i < envelope->count; i++) {
		if (digest_equal(&envelope->signature[i].key_id, key_id))
			return &envelope->signature[i];
	}
	return NULL;
}

static int refuse(const struct trust *trust, const struct envelope *envelope, uint64_t good,
		  bool damaged, struct err *err)
{
	char id[DIGEST_HEX_MAX] = "";

	if (envelope->count == 0)
		return err_set(err, ERR_REFUSED, "not signed");
	if (trust->threshold == 0)
		return err_set(err, ERR_REFUSED, "the trust root asks for no signature");
	if (damaged)
		return err_set(err, ERR_REFUSED,
			       "a signature by a trusted key does not fit: the "
			       "signed bytes were changed");
	if (good == 0)
		return err_set(err, ERR_REFUSED,
			       "signed by key %.16s..., which this trust root does "
			       "not know",
			       digest_hex(&envelope->signature[0].key_id, id));
	return err_set(err, ERR_REFUSED, "signed by %llu trusted keys, but %llu are needed",
		       (unsigned long long)good, (unsigned long long)trust->threshold);
}

/* Over the keys, not the signatures: no key can count twice. */
uint64_t trust_count(const struct trust *trust, const struct envelope *envelope,
		     enum trust_mark marks[TRUST_MAX_KEYS])
{
	size_t size;
	AUTO_FREE char *bytes = envelope_signed_bytes(envelope, &size);
	struct err why = { 0 };
	uint64_t good = 0;

	for (size_t i = 0; i < trust->count; i++) {
		const struct key_signature *signature =
			find_signature(envelope, &trust->key[i].id);

		marks[i] = TRUST_UNSIGNED;
		if (!signature)
			continue;
		marks[i] = key_verify(&trust->key[i], bytes, size, signature, &why) == 0
				   ? TRUST_SIGNED
				   : TRUST_DAMAGED;
		good += marks[i] == TRUST_SIGNED;
	}
	return good;
}

int trust_check(const struct trust *trust, const struct envelope *envelope, struct err *err)
{
	enum trust_mark marks[TRUST_MAX_KEYS];
	uint64_t good = trust_count(trust, envelope, marks);
	bool damaged = false;

	if (trust->threshold > 0 && good >= trust->threshold)
		return 0;
	for (size_t i = 0; i < trust->count; i++)
		damaged = damaged || marks[i] == TRUST_DAMAGED;
	return refuse(trust, envelope, good, damaged, err);
}

int trust_next(const struct trust *old, const char *data, size_t size, struct trust *out,
	       struct err *err)
{
	AUTO_ENVELOPE struct envelope envelope = { 0 };
	struct trust next;

	if (parse_file(data, size, &envelope, &next, err) < 0)
		return -1;
	if (next.version != old->version + 1)
		return err_set(err, ERR_REFUSED,
			       "version %llu does not follow version %llu: versions go up one "
			       "by one",
			       (unsigned long long)next.version,
			       (unsigned long long)old->version);
	if (trust_check(old, &envelope, err) < 0)
		return err_wrap(err, "version %llu is not proven by version %llu",
				(unsigned long long)next.version,
				(unsigned long long)old->version);
	if (trust_check(&next, &envelope, err) < 0)
		return err_wrap(err, "version %llu is not signed by its own keys",
				(unsigned long long)next.version);
	*out = next;
	return 0;
}

int trust_walk(struct trust *newest, const char *data, size_t size, struct err *err)
{
	struct trust trust;

	if (trust_parse(data, size, &trust, err) == 0 && trust.version <= newest->version)
		return 0;
	if (trust_next(newest, data, size, newest, err) == 0)
		return 0;
	err->kind = ERR_REFUSED;
	return -1;
}
