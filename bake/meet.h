/* meet.h - can two bundles of manifests serve the same device of the same machine? Decided over their globs. */
#ifndef LARDER_MEET_H
#define LARDER_MEET_H

#include <jansson.h>
#include <stdbool.h>

/* Is there a text that both globs match? Exact. */
bool meet_globs(const char *left, const char *right);

/* Is there a device that both device globs may claim? Never false where there is one. Exact for modalias
 * globs that spell each field out or leave it to a star. A device of Windows has several ids: PnP globs
 * meet unless their vendors, devices or class codes differ. */
bool meet_devices(const char *left, const char *right);

/* Bundles are flat, as flat_bundle_read gives them. Is there an OS, architecture, kernel, VM size and device
 * that both serve? Never false where there is one. */
bool meet_bundles(const json_t *left, const json_t *right);

/* Does upper serve every device of every machine that lower serves? Never true where one is left. */
bool meet_covers(const json_t *upper, const json_t *lower);

#endif
