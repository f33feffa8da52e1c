/* splice.h - a JSON text changed in a few places, with every other byte kept. */
#ifndef LARDER_SPLICE_H
#define LARDER_SPLICE_H

#include <jansson.h>
#include <stdbool.h>

/* text is a JSON text that json_parse took. A path leads from its top: "bundles/3/vars/v"; "" is the top. Each
 * gives a new text, which the caller frees, or NULL where the path leads nowhere. */

/* Puts a string in place of the value. */
char *splice_set(const char *text, const char *path, const char *value);

/* Takes the members out of an object whose keys drop has. */
char *splice_drop(const char *text, const char *path, const json_t *drop);

/* Adds a member at the end of an object, indented as the one before it. */
char *splice_add(const char *text, const char *path, const char *key, const json_t *value);

#endif
