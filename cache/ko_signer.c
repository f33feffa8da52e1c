/* The signature behind a module, and who made it. OpenSSL is asked for names only: no signature is checked here. */
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/base/span.h"
#include "cache/ko.h"

#define MARK "~Module signature appended~\n"
#define MARK_BYTES (sizeof(MARK) - 1)
#define HEAD_BYTES 12 /* struct module_signature, linux/module_signature.h */
#define ID_PKCS7 2

static void end_cms(CMS_ContentInfo **cms)
{
	CMS_ContentInfo_free(*cms);
}

static void end_number(BIGNUM **number)
{
	BN_free(*number);
}

static void put_hex(const uint8_t *data, size_t size, char *out, size_t room)
{
	for (size_t i = 0; i < size && 2 * i + 2 < room; i++)
		snprintf(out + 2 * i, 3, "%02x", data[i]);
}

static void put_key_id(const ASN1_OCTET_STRING *id, char *out, size_t room)
{
	put_hex(ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id), out, room);
}

static void put_serial(const ASN1_INTEGER *serial, char *out, size_t room)
{
	AUTO(end_number) BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
	uint8_t bytes[64];

	if (number && BN_num_bytes(number) > 0 && BN_num_bytes(number) <= (int)sizeof(bytes))
		put_hex(bytes, (size_t)BN_bn2bin(number, bytes), out, room);
}

static void put_name(X509_NAME *issuer, char *out, size_t room)
{
	int length = X509_NAME_get_text_by_NID(issuer, NID_commonName, out, (int)room);

	if (length < 0 || strlen(out) != (size_t)length)
		out[0] = '\0';
	err_clean(out);
}

bool ko_signer_read(const void *data, size_t size, struct ko_signer *out)
{
	const unsigned char *at = data;
	AUTO(end_cms)
	CMS_ContentInfo *cms = size && size <= KO_MAX_SIGNATURE
				       ? d2i_CMS_ContentInfo(NULL, &at, (long)size)
				       : NULL;
	STACK_OF(CMS_SignerInfo) *signers = cms ? CMS_get0_SignerInfos(cms) : NULL;
	struct ko_signer signer = { 0 };
	ASN1_OCTET_STRING *key_id = NULL;
	ASN1_INTEGER *serial = NULL;
	X509_NAME *issuer = NULL;
	bool found = sk_CMS_SignerInfo_num(signers) > 0 &&
		     CMS_SignerInfo_get0_signer_id(sk_CMS_SignerInfo_value(signers, 0), &key_id,
						   &issuer, &serial) == 1;

	ERR_clear_error();
	if (!found)
		return false;
	if (key_id)
		put_key_id(key_id, signer.id, sizeof(signer.id));
	if (serial)
		put_serial(serial, signer.id, sizeof(signer.id));
	if (issuer)
		put_name(issuer, signer.name, sizeof(signer.name));
	*out = signer;
	return true;
}

/* Takes the last size bytes off. */
static bool take_end(struct span *rest, size_t size, struct span *out)
{
	if (size > rest->size)
		return false;
	*out = span_of(rest->data + rest->size - size, size);
	rest->size -= size;
	return true;
}

static int short_trailer(struct err *err)
{
	return err_set(err, ERR_INVALID, "its signature is longer than the file");
}

int ko_trailer_read(const void *image, size_t *size, struct ko *ko, struct err *err)
{
	struct span rest = span_of(image, *size), mark, head, signature, names;
	size_t length;

	if (!take_end(&rest, MARK_BYTES, &mark) || memcmp(mark.data, MARK, MARK_BYTES) != 0)
		return 0;
	if (!take_end(&rest, HEAD_BYTES, &head))
		return short_trailer(err);
	length = (size_t)head.data[8] << 24 | (size_t)head.data[9] << 16 |
		 (size_t)head.data[10] << 8 | head.data[11];
	if (!take_end(&rest, length, &signature) ||
	    !take_end(&rest, (size_t)head.data[3] + head.data[4], &names))
		return short_trailer(err);
	ko->signature =
		head.data[2] == ID_PKCS7 && names.size == 0 ? KO_SIGNED : KO_SIGNED_ODDLY;
	ko->signature_size = length;
	if (ko->signature == KO_SIGNED &&
	    !ko_signer_read(signature.data, signature.size, &ko->signer))
		ko->signature = KO_SIGNED_ODDLY;
	*size = rest.size;
	return 0;
}
