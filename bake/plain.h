/* plain.h - texts that others wrote, made fit for a terminal and for Markdown. */
#ifndef LARDER_PLAIN_H
#define LARDER_PLAIN_H

#include "cache/base/json.h"

/* A copy of the document whose texts are cleaned as err_clean does: each stays on its line and steers nothing. Keys
 * stay: they are ours. The caller owns it. */
json_t *plain_texts(const json_t *document);

/* The same, and no text has a backtick: within backticks each is a code span of Markdown, of which nothing is
 * interpreted. */
json_t *plain_spans(const json_t *document);

#endif
