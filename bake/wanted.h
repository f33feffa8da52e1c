/* wanted.h - a shopping list: the drivers that machines lack. */
#ifndef LARDER_WANTED_H
#define LARDER_WANTED_H

#include "cache/base/json.h"

#define WANTED_FORMAT "larder.wanted.v1"
#define WANTED_MAX_BYTES (UINT32_C(64) << 20) /* of one file that is read */
#define WANTED_MAX_VALUES 2097152 /* JSON values in it */
#define WANTED_MAX_ITEMS 131072
#define WANTED_MAX_DEVICES 4096 /* of one item */

/* The list as it grows. The document:
 *   format, wanted[]: os, like, arch, kernel, nic, devices[] (as --nic takes them), size, reason, machines
 * Items that are alike are one; machines says how many asked. */
struct wanted {
	json_t *document; /* owned */
	json_t *seen; /* owned: items by their text */
};
#define AUTO_WANTED __attribute__((cleanup(wanted_free)))
void wanted_free(struct wanted *wanted);
struct wanted wanted_new(void);

/* Adds the gaps of a coverage document, or what the agent of one machine could not get (status.json). Who wrote them is not
 * known: ERR_INVALID names what is not as it should be, and the list is as it was before. */
MUST_USE int wanted_add_coverage(struct wanted *wanted, const char *data, size_t size,
				 struct err *err);
MUST_USE int wanted_add_status(struct wanted *wanted, const char *data, size_t size,
			       struct err *err);

/* One item, as a line for people. The caller frees. */
char *wanted_line(const json_t *item);

/* Is it an item of such a list? path: where it stands. */
MUST_USE int wanted_check_item(const json_t *item, const char *path, struct err *err);

#endif
