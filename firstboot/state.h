/* state.h - what the readers of our own state files share. */
#ifndef LARDER_STATE_H
#define LARDER_STATE_H

#include "cache/base/json.h"
#include "cache/digest.h"

/* A digest as text; the reader turns bad when it is none. */
void state_need_digest(struct json_reader *reader, const char *key, struct digest *out);

/* The index of a word in words, or 0 with the reader bad. */
size_t state_need_word(struct json_reader *reader, const char *key, const char *const *words,
		       size_t count);

/* Reads the format field, which must be this one. */
void state_need_format(struct json_reader *reader, const char *format);

#endif
