/* registry.h - manifests and blobs of one repository in an OCI registry: what arrives has its digest.
 * Source: github.com/opencontainers/distribution-spec v1.1. */
#ifndef LARDER_REGISTRY_H
#define LARDER_REGISTRY_H

#include "cache/net/http.h"
#include "cache/net/reference.h"

#define REGISTRY_MANIFEST_MAX_BYTES (UINT32_C(4) << 20) /* what registries commonly accept */
#define REGISTRY_CHUNK_BYTES (UINT64_C(16) << 20) /* larger blobs are sent in such pieces */

/* Errors of all functions here: ERR_MISSING: the registry does not have it. ERR_DAMAGED: other bytes than the
 * digest says. ERR_INVALID: refused by the registry (no login, or not allowed to; as every answer that no retry
 * can change), or no answer that can be used. ERR_REFUSED: TLS, a redirect that may not be. ERR_NETWORK,
 * ERR_TIMEOUT: still so after HTTP_RETRIES. No text, and no log line, holds a login, a token or the
 * query of a URL. A login or a token goes to the origin of the registry, not to where it redirects. */

struct registry;

struct registry_options {
	bool plain_http; /* http, not https; this machine's own registries are always asked so */
	bool writes; /* asks for a token that may push */
	bool anonymous; /* no login of the user's is looked for */
	const struct http_way *way; /* borrowed; NULL: the environment's */
	unsigned stall_seconds; /* 0: HTTP_STALL_SECONDS */
	/* The bytes of the blob under way that are there, now and then; may fall. NULL: nobody asks. */
	void (*progress)(void *context, uint64_t done);
	void *context;
};

#define AUTO_REGISTRY __attribute__((cleanup(registry_close)))

/* Bytes of bodies that came, of all answers. */
uint64_t registry_fetched(const struct registry *registry);

/* Asks nothing yet. options (NULL: all zero) is copied; log is borrowed. */
MUST_USE int registry_open(const struct reference *reference,
			   const struct registry_options *options, struct log *log,
			   struct registry **out_registry, struct err *err);
/* The same by its name: oci://HOST/NAME[:TAG]; or a cache's folder on the web, https://HOST/PATH or http://HOST/PATH: all
 * here that gets and looks works there too, no login is told, and registry_get_top leads in. */
MUST_USE int registry_open_source(const char *name, const struct registry_options *options,
				  struct log *log, struct registry **out_registry,
				  struct err *err);
void registry_close(struct registry **registry);
bool registry_is_folder(const struct registry *registry);

/* What the reference leads to: the bytes of an index or a manifest, to free, and what they are. Behind a tag
 * nothing is proven: it is the registry that says so. */
MUST_USE int registry_resolve(struct registry *registry, struct digest_size *out_id,
			      char **out_data, struct err *err);

/* The bytes of index.json in a folder on the web, at most so many; the caller frees. */
MUST_USE int registry_get_top(struct registry *registry, size_t limit, char **out_data,
			      size_t *out_size, struct err *err);

/* An index or a manifest with this digest and size. The caller frees; a NUL follows. */
MUST_USE int registry_get_manifest(struct registry *registry, const struct digest_size *id,
				   char **out_data, struct err *err);

/* The size that the registry says a blob, or a manifest, has. */
MUST_USE int registry_has_blob(struct registry *registry, const struct digest *digest,
			       uint64_t *out_size, struct err *err);
MUST_USE int registry_has_manifest(struct registry *registry, const struct digest *digest,
				   uint64_t *out_size, struct err *err);

/* Appends a blob to a file, goes on where the network broke, and hashes all of it; at most id->size bytes are
 * written. After a failure the file ends where it ended before. */
MUST_USE int registry_get_blob(struct registry *registry, const struct digest_size *id, int fd,
			       struct err *err);

/* Asks for a blob that another repository of the registry has, without sending or reading a byte of it.
 * *out_mounted false: the registry will not; nothing is left of it. */
MUST_USE int registry_mount_blob(struct registry *registry, const struct digest_size *id,
				 const char *mount_from, bool *out_mounted, struct err *err);

/* Brings a blob there, the id->size bytes of fd from offset on; where fd stands is not touched. One that is
 * there already is not sent. mount_from: another repository of the registry that may have it already; or NULL.
 * Goes on where the network broke, if the registry lets it. */
MUST_USE int registry_put_blob(struct registry *registry, int fd, uint64_t offset,
			       const struct digest_size *id, const char *mount_from,
			       struct err *err);

/* Brings an index or a manifest there, under tag, or NULL: only under its digest. What it names must be there
 * already. */
MUST_USE int registry_put_manifest(struct registry *registry, const char *media_type,
				   const void *data, size_t size, const char *tag,
				   struct err *err);

#endif
