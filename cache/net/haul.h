/* haul.h - missing blobs from places that nobody trusts: over several connections, going on where something broke,
 * every byte proven before it counts. */
#ifndef LARDER_HAUL_H
#define LARDER_HAUL_H

#include "cache/base/log.h"
#include "cache/digest.h"

#define HAUL_MAX_SOURCES 64
#define HAUL_MAX_CONNECTIONS 16
#define HAUL_PARTIAL "partial" /* the folder of what is not whole yet */

struct haul_blob {
	struct digest_size id;
	/* Borrowed: one for each RECORD_CHUNK_BYTES of a blob larger than that. NULL: the blob is proven by its
	 * own digest, as one piece. */
	const struct digest *chunk;
	size_t chunk_count;

	bool done; /* out: it lies whole in blobs/sha256/ */
	enum err_kind fault; /* out: why not, of the source that came closest */
	char *why; /* out, owned: the same in words; NULL: done */
};
/* What a call left in a blob. */
void haul_blob_free(struct haul_blob *blob);
/* fault and why, as one. */
void haul_blob_fault(const struct haul_blob *blob, struct err *out);

struct haul_options {
	/* https://HOST/PATH and http://HOST/PATH with a cache folder's paths below it; oci://HOST/NAME[:TAG]. */
	const char *const *source; /* borrowed */
	size_t source_count; /* at most HAUL_MAX_SOURCES */
	bool race; /* all at once; else the next only for what those before it cannot give now */
	bool plain_http; /* registries are asked without TLS; those of this machine always are */
	bool logins; /* the user's login files are looked at */
	unsigned connections; /* at most HAUL_MAX_CONNECTIONS; 0: 4 */
	unsigned stall_seconds; /* less than 1 kB/s for so long ends a try; 0: 30 */
	uint64_t
		deadline_ms; /* of fs_boot_ms; 0: none, and a source that cannot be reached is soon given up */
	const char *proxy; /* URL; NULL: the environment's */
	const char *ca_file; /* certificates, PEM; NULL: SSL_CERT_FILE's, or libcurl's own */
	uint64_t
		tls_time; /* seconds since 1970: certificates are judged at this time while the clock is behind it */
	struct log *log; /* borrowed */
	void (*progress)(void *context, uint64_t done, uint64_t total); /* bytes; or NULL */
	void *context;
};

struct haul_counts {
	uint64_t fetched; /* bytes of bodies that came over the network, the wrong ones too */
	size_t brought; /* blobs that are there and were not before */
	uint64_t bytes; /* of those */
};

/* blob: the fields that are out are zeroed, or of an earlier call; haul_blob_free each, whatever the result.
 * Brings blobs into dir/blobs/sha256/HEX, the first first. What is not whole lies in dir/partial/HEX, also
 * afterwards and after a crash; the next call checks it piece by piece, as it does with what it finds in blobs/, and
 * goes on. The folders are made. No two callers in one dir. Without logins none is told to anyone: where a registry wants a token, an
 * anonymous one is asked for.
 * It ends early where process_must_stop says so. 0: it ran, and each blob says how it ended. -1: what stops everything
 * (ERR_SYSTEM: the disk, number ENOSPC: it is full; ERR_INVALID: a bad source, or a blob whose chunks do not fit its
 * size); out and what came before are good all the same. Of a blob: ERR_MISSING: no source has it. ERR_DAMAGED: what
 * the sources have is something else. ERR_NETWORK: no source could be reached, or none gave it whole. ERR_TIMEOUT:
 * the deadline, or SIGTERM. ERR_REFUSED: TLS, or a redirect that may not be. ERR_INVALID: no answer that can be
 * used. */
MUST_USE int haul_blobs(int dir, struct haul_blob *blob, size_t count,
			const struct haul_options *options, struct haul_counts *out,
			struct err *err);

/* Brings the top of a cache (index.json, index, cache manifest, envelope, trust chain) into dir, as a layout for
 * cache_open: unproven. Asks one source after the other, until one gave a whole one; index.json is replaced
 * last. out->brought is not counted. -1: no source gave one; the first one's error, of the kinds above. */
MUST_USE int haul_top(int dir, const struct haul_options *options, struct haul_counts *out,
		      struct err *err);

#endif
