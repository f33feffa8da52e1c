/* show_cache.h - a described cache, or bundles of it, as text for people. */
#ifndef LARDER_SHOW_CACHE_H
#define LARDER_SHOW_CACHE_H

#include "bake/describe.h"

void show_cache(FILE *to, const char *word, const json_t *document);
void show_bundle(FILE *to, const json_t *bundle);

#endif
