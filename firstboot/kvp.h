/* kvp.h - a pool of key-value pairs that a Hyper-V host shares with its guest.
 * Source: Linux, include/uapi/linux/hyperv.h and tools/hv/hv_kvp_daemon.c: records of a key of 512 and a value of
 * 2048 bytes, each filled up with NULs. */
#ifndef LARDER_KVP_H
#define LARDER_KVP_H

#include "cache/base/err.h"
#include "cache/base/span.h"

#define KVP_KEY_BYTES 512
#define KVP_VALUE_BYTES 2048
#define KVP_MAX_RECORDS 1024 /* what the daemon keeps */
#define KVP_POOL_MAX_BYTES ((KVP_KEY_BYTES + KVP_VALUE_BYTES) * KVP_MAX_RECORDS)

/* Copies the value of the first record with this key, as a text. Values are the host's: nothing but a text of
 * printable ASCII that fits is taken.
 * ERR_MISSING: no such key. ERR_INVALID: the pool ends within a record, or the value is no such text. */
MUST_USE int kvp_find(struct span pool, const char *key, char *out, size_t out_size,
		      struct err *err);

/* A whole record. Of the value what a host takes: KVP_VALUE_SENT_BYTES - 1, and '?' for what is no printable ASCII. key is a
 * word of ours. */
#define KVP_RECORD_BYTES (KVP_KEY_BYTES + KVP_VALUE_BYTES)
#define KVP_VALUE_SENT_BYTES 1024 /* the kernel makes UTF-16 of it, in 2048 bytes */
void kvp_record(const char *key, const char *value, char out[KVP_RECORD_BYTES]);

/* Where the record of this key belongs, in bytes: where its first one stands, else one without a key, else the end.
 * ERR_INVALID: the pool ends within a record, or has no room for another. */
MUST_USE int kvp_slot(struct span pool, const char *key, size_t *out_at, struct err *err);

#endif
