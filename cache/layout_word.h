/* layout_word.h - what users name that is no folder and no tar of a cache, and what they can do then. */
#ifndef LARDER_LAYOUT_WORD_H
#define LARDER_LAYOUT_WORD_H

#include <stdbool.h>

#include "cache/base/err.h"

/* "X.tar.sha256": the list of the parts of a tar. */
bool layout_word_is_parts(const char *word);

/* A user's word could not be opened; err says why. Where the word is that of something else, err becomes an
 * ERR_USAGE that says what to do. Returns -1. */
int layout_word_explain(const char *word, struct err *err);

#endif
