/* apt_lists.h - indexes of repositories, kept from one run to the next in ~/.cache/larder/lists. */
#ifndef LARDER_APT_LISTS_H
#define LARDER_APT_LISTS_H

#include "bake/resolve.h"

/* They only save time: apt asks whether they are still the newest, and checks the signature again. They lie with the
 * user's notes and not in the store, which may have come from elsewhere: apt believes its own lists. */
void apt_lists_bring(const struct resolve_request *request);
void apt_lists_keep(const struct resolve_request *request);

#endif
