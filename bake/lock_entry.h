/* lock_entry.h - between the files of the lock: what every entry says of its bytes. */
#ifndef LARDER_LOCK_ENTRY_H
#define LARDER_LOCK_ENTRY_H

#include "bake/lock.h"
#include "cache/base/json.h"

/* sha256, size and first_trusted. */
void lock_entry_read(struct json_reader *reader, struct digest_size *out);
void lock_entry_add(json_t *entry, const struct digest_size *content);

/* ERR_REFUSED: the lock names old, and new came. Returns -1. */
int lock_contradiction(const char *what, const struct digest_size *old,
		       const struct digest_size *new, struct err *err);

MUST_USE int lock_check_closures(const json_t *closures, struct err *err);

#endif
