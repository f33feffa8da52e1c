/* sink.h - the places that a cache can be carried to. */
#ifndef LARDER_SINK_H
#define LARDER_SINK_H

#include "bake/carry.h"
#include "bake/outlet.h"
#include "cache/net/registry.h"

/* A cache in a folder, open for writing (layout_create), borrowed. What is there already is read, not written.
 * A crash before the end leaves the old cache. */
struct sink sink_folder(const struct layout *to);

/* The one tar of docs/FORMAT.md, section 2.1; written from its front to its end. The outlet is borrowed. */
struct sink sink_tar(struct outlet *outlet);
/* Its bytes. */
uint64_t sink_tar_bytes(const struct carry_plan *plan);

/* Under the tag of to; registry, opened for it, is borrowed. mount_from: a repository there that has the blobs, most
 * likely; or NULL. */
struct sink sink_registry(struct registry *registry, const struct reference *to,
			  const char *mount_from);

#endif
