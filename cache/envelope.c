#include "cache/envelope.h"

#include <string.h>

#include "cache/base/json.h"
#include "cache/base64.h"

void envelope_free(struct envelope *envelope)
{
	free(envelope->payload);
	*envelope = (struct envelope) { 0 };
}

struct envelope envelope_around(const char *type, const char *payload, size_t size)
{
	struct envelope envelope = { .type = type, .size = size };

	envelope.payload = must_calloc(size + 1, 1);
	memcpy(envelope.payload, payload, size);
	return envelope;
}

static int parse_signature(const json_t *value, size_t i, struct key_signature *out,
			   struct err *err)
{
	AUTO_FREE char *data = NULL;
	char where[48];
	struct json_reader reader;
	const char *id, *text;
	size_t size;

	snprintf(where, sizeof(where), "signatures[%zu]", i);
	reader = json_open(value, where, err);
	id = json_need_string(&reader, "keyid", DIGEST_HEX_MAX);
	text = json_need_string(&reader, "sig", KEY_SIGNATURE_MAX * 2);
	if (json_close(&reader) < 0)
		return -1;
	if (digest_parse_hex(id, &out->key_id, err) < 0)
		return err_wrap(err, "%s.keyid", where);
	if (base64_decode(text, &data, &size, err) < 0)
		return err_wrap(err, "%s.sig", where);
	if (size < KEY_SIGNATURE_MIN || size > KEY_SIGNATURE_MAX)
		return err_set(err, ERR_INVALID, "%s.sig: %zu bytes", where, size);
	memcpy(out->byte, data, size);
	out->size = size;
	return 0;
}

static int parse_fields(const json_t *root, struct envelope *envelope, struct err *err)
{
	struct json_reader reader = json_open(root, "", err);
	const char *type = json_need_string(&reader, "payloadType", 128);
	const char *payload = json_need_string(&reader, "payload", ENVELOPE_MAX_BYTES);
	const json_t *signatures =
		json_need_array(&reader, "signatures", ENVELOPE_MAX_SIGNATURES);

	if (json_close(&reader) < 0)
		return -1;
	if (strcmp(type, envelope->type) != 0)
		return err_set(err, ERR_INVALID, "payloadType: expected %s", envelope->type);
	if (base64_decode(payload, &envelope->payload, &envelope->size, err) < 0)
		return err_wrap(err, "payload");
	for (size_t i = 0; i < json_array_size(signatures); i++) {
		if (parse_signature(json_array_get(signatures, i), i, &envelope->signature[i],
				    err) < 0)
			return -1;
		for (size_t j = 0; j < i; j++) {
			if (digest_equal(&envelope->signature[j].key_id,
					 &envelope->signature[i].key_id))
				return err_set(
					err, ERR_INVALID,
					"signatures[%zu]: the same keyid as signatures[%zu]", i,
					j);
		}
		envelope->count++;
	}
	return 0;
}

int envelope_parse(const char *data, size_t size, const char *type,
		   struct envelope *out_envelope, struct err *err)
{
	AUTO_ENVELOPE struct envelope envelope = { .type = type };
	AUTO_JSON json_t *root = NULL;

	if (json_parse_within(data, size, ENVELOPE_MAX_VALUES, &root, err) < 0)
		return err_wrap(err, "envelope");
	if (parse_fields(root, &envelope, err) < 0)
		return err_wrap(err, "envelope");
	*out_envelope = envelope;
	envelope.payload = NULL;
	return 0;
}

char *envelope_text(const struct envelope *envelope, size_t *out_size)
{
	AUTO_FREE char *payload = base64_encode(envelope->payload, envelope->size);
	json_t *signatures = json_array();
	AUTO_JSON json_t *root = json_pack("{s:s, s:s, s:o}", "payloadType", envelope->type,
					   "payload", payload, "signatures", signatures);

	for (size_t i = 0; i < envelope->count; i++) {
		const struct key_signature *row = &envelope->signature[i];
		AUTO_FREE char *sig = base64_encode(row->byte, row->size);
		char id[DIGEST_HEX_MAX];

		json_array_append_new(signatures,
				      json_pack("{s:s, s:s}", "keyid",
						digest_hex(&row->key_id, id), "sig", sig));
	}
	return json_text(root, out_size);
}

char *envelope_signed_bytes(const struct envelope *envelope, size_t *out_size)
{
	AUTO_FREE char *head = must_printf("DSSEv1 %zu %s %zu ", strlen(envelope->type),
					   envelope->type, envelope->size);
	size_t head_size = strlen(head);
	char *bytes = must_calloc(head_size + envelope->size, 1);

	memcpy(bytes, head, head_size);
	memcpy(bytes + head_size, envelope->payload, envelope->size);
	*out_size = head_size + envelope->size;
	return bytes;
}

int envelope_add(struct envelope *envelope, const struct key_signature *signature,
		 struct err *err)
{
	size_t at = 0;

	while (at < envelope->count &&
	       !digest_equal(&envelope->signature[at].key_id, &signature->key_id))
		at++;
	if (at == ENVELOPE_MAX_SIGNATURES)
		return err_set(err, ERR_INVALID, "more than %d signatures",
			       ENVELOPE_MAX_SIGNATURES);
	envelope->signature[at] = *signature;
	if (at == envelope->count)
		envelope->count++;
	return 0;
}

int envelope_sign(struct envelope *envelope, const struct key *key, struct err *err)
{
	struct key_signature signature;
	size_t size;
	AUTO_FREE char *bytes = envelope_signed_bytes(envelope, &size);

	if (key_sign(key, bytes, size, &signature, err) < 0)
		return -1;
	return envelope_add(envelope, &signature, err);
}
