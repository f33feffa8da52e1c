/* base64.h - base64 in its one spelling: RFC 4648 section 4, padded, no white space. */
#ifndef LARDER_BASE64_H
#define LARDER_BASE64_H

#include <stddef.h>

#include "cache/base/err.h"

/* The caller frees what either returns. Decoded data are followed by a NUL that is not counted.
 * ERR_INVALID: anything that encoding the result would not give back byte for byte. */
char *base64_encode(const void *data, size_t size);
MUST_USE int base64_decode(const char *text, char **out_data, size_t *out_size,
			   struct err *err);

#endif
