#include "cache/base64.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include "cache/base/auto.h"

char *base64_encode(const void *data, size_t size)
{
	char *text;

	if (size > INT_MAX / 2)
		abort();
	text = must_calloc((size + 2) / 3 * 4 + 1, 1);
	EVP_EncodeBlock((unsigned char *)text, data, (int)size);
	return text;
}

int base64_decode(const char *text, char **out_data, size_t *out_size, struct err *err)
{
	size_t length = strlen(text);
	AUTO_FREE char *data = NULL, *again = NULL;
	size_t size, padding = 0;

	if (length % 4 != 0 || length > INT_MAX / 2)
		return err_set(err, ERR_INVALID, "bad base64");
	while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
		padding++;
	size = length / 4 * 3;
	data = must_calloc(size + 1, 1);
	if (EVP_DecodeBlock((unsigned char *)data, (const unsigned char *)text, (int)length) !=
	    (int)size)
		return err_set(err, ERR_INVALID, "bad base64");
	size -= padding;
	again = base64_encode(data, size);
	if (strcmp(again, text) != 0)
		return err_set(err, ERR_INVALID, "base64 in another spelling");
	data[size] = '\0';
	*out_data = take_ptr(&data);
	*out_size = size;
	return 0;
}
