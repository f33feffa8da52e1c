/* layout_types.h - the names of things in the OCI image layout of a cache.
 * Source: github.com/opencontainers/image-spec v1.1, manifest.md, annotations.md. */
#ifndef LARDER_LAYOUT_TYPES_H
#define LARDER_LAYOUT_TYPES_H

#include "cache/envelope.h"

#define LAYOUT_TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define LAYOUT_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define LAYOUT_TYPE_EMPTY "application/vnd.oci.empty.v1+json"
#define LAYOUT_TYPE_CACHE "application/vnd.larder.cache.v1"
#define LAYOUT_TYPE_BUNDLE "application/vnd.larder.bundle.v1"
#define LAYOUT_TYPE_ENVELOPE "application/vnd.dsse.envelope.v1+json"
#define LAYOUT_TYPE_TRUST ENVELOPE_TRUST
#define LAYOUT_TYPE_TABLE "application/vnd.larder.table.v1+json"
#define LAYOUT_TYPE_RECORD "application/vnd.larder.record.v1+json"
#define LAYOUT_TYPE_BLOB "application/vnd.larder.blob.v1"
#define LAYOUT_REF_NAME "org.opencontainers.image.ref.name"
#define LAYOUT_TITLE "org.opencontainers.image.title"

/* How an index of larder's begins. */
#define LAYOUT_INDEX_FRONT                                                                     \
	"{\"schemaVersion\":2,\"mediaType\":\"" LAYOUT_TYPE_INDEX "\",\"manifests\":["

#endif
