/* ipoib.h - the IPoIB addresses that the host of a virtual machine tells it: "NUMPAIRS:2|MAC:IP|MAC:IP".
 * Source: Azure's guest agent, which reads the same record. */
#ifndef LARDER_IPOIB_H
#define LARDER_IPOIB_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/base/err.h"

#define IPOIB_KEY "IPoIB_Data" /* of the record, kvp.h */
#define IPOIB_PREFIX 16 /* bits of each address that name the network */
#define IPOIB_MAX 64 /* pairs: a value of 2048 bytes has room for that many */

struct ipoib_pair {
	char mac[13]; /* 12 upper-case hex digits */
	char address[16]; /* IPv4 */
};

/* ERR_INVALID: no such text. Everything or nothing is taken. */
MUST_USE int ipoib_parse(const char *text, struct ipoib_pair out[IPOIB_MAX], size_t *out_count,
			 struct err *err);

/* Is this, as /sys/class/net/X/address has it, the address of an IPoIB interface with that MAC? Its last 8 bytes are the GUID of the
 * port, which is the MAC with two bytes in the middle. */
bool ipoib_is_of(const char *hardware, const char mac[13]);

#endif
