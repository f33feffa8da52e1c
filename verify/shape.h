/* shape.h - the layout of a cache itself: is it what larder would write for what is here, and nothing else? */
#ifndef LARDER_SHAPE_H
#define LARDER_SHAPE_H

#include "cache/open.h"
#include "verify/result.h"
#include "verify/seen.h"

/* Adds remarks. reached: every digest that is signed, or that leads to what is; more is added.
 * whole: every table, and every record that is here, could be read; if not, only names are judged. Of a delta without its base
 * the documents are not. */
void shape_check(const struct cache *cache, bool whole, struct seen *reached,
		 struct verify_result *result);

#endif
