/* show_cache.h - a described cache, or bundles of it, as text for people; what others wrote steers no terminal. */
#ifndef LARDER_SHOW_CACHE_H
#define LARDER_SHOW_CACHE_H

#include "bake/describe.h"

void show_cache(FILE *to, const char *word, const json_t *described);
void show_bundle(FILE *to, const json_t *described);

#endif
