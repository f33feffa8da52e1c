/* further.h - places of a cache beside what the image carries: packages of the site, file: sources, volumes.
 *
 * Anybody may have put them there, so they are never worse than none. What cannot be read counts as not there; a blob with
 * other bytes, too, so that it is looked for elsewhere. A statement serves if it is proven as what is carried is, is newer
 * than every other, has its tables for this machine, and all that the machine's devices need of it is at hand. */
#ifndef LARDER_FURTHER_H
#define LARDER_FURTHER_H

#include "cache/facts.h"
#include "cache/open.h"
#include "cache/plan.h"
#include "firstboot/config.h"

#define FURTHER_PACKAGES MACHINE_BROUGHT "/packages" /* X.tar: one for each package */
#define FURTHER_MAX 16
#define FURTHER_NOTE_MAX 512

struct further_place {
	char name[CONFIG_PATH_MAX]; /* as the machine's owner knows it */
	struct layout layout;
	struct blobs proven; /* of the layout */
};

/* Stays where it was opened. Zeroed: none. */
struct further {
	struct further_place place[FURTHER_MAX];
	size_t count;
	char note[FURTHER_NOTE_MAX]; /* what the owner should know, or "" */
};
#define AUTO_FURTHER __attribute__((cleanup(further_close)))
void further_close(struct further *further);

/* Opens what there is, in this order: packages by name, file: sources, volumes. What was open is closed. The early moment
 * follows no link to a file: source, and sets no automount off: that may wait for the network. */
void further_open(const struct machine *machine, const struct config *config,
		  enum plan_moment moment, struct further *further);

/* The blobs of all places, one after the other; NULL: there is none. */
const struct blobs *further_blobs(const struct further *further);

/* Changes what stands in digest when a place comes, goes or leads elsewhere. Nothing is proven. */
void further_add_digest(const struct further *further, struct digest *digest);

struct further_wish {
	const struct facts *facts;
	const struct trust *trust; /* the newest version that is proven */
	const struct blobs *blobs; /* all there are, those of the further places too */
	uint64_t least; /* serial */
};
/* The newest statement that fits the wish: out_cache, without a layout, and true. */
bool further_newest(struct further *further, const struct further_wish *wish,
		    struct cache *out_cache);

#endif
