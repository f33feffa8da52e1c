/* mirror.h - one source of blobs: where a blob lies there, what it wants to hear, and how far it can be relied on. */
#ifndef LARDER_MIRROR_H
#define LARDER_MIRROR_H

#include "cache/net/http.h"
#include "cache/net/registry.h"

#define MIRROR_FAILURES_MAX 5 /* in a row, that brought nothing */
#define MIRROR_STRIKES_MAX 3 /* wrong pieces in a row */
#define MIRROR_LOGINS_MAX 2 /* in a row, without a good answer in between */
#define MIRROR_PAUSE_MS 250 /* after the first failure; twice that after the next */
#define MIRROR_PAUSE_MAX_MS 15000
#define MIRROR_PROGRESS_BYTES 65536 /* more than this, and a try was no failure */

struct mirror {
	const char *name; /* borrowed: as the user calls it */
	struct registry *registry; /* owned */

	bool ranges; /* until it answers a Range with the whole */
	bool reached; /* it answered at least once */
	bool out; /* given up; err says why */
	unsigned failures, strikes, logins; /* in a row */
	unsigned stalls; /* tries that fell silent, in all */
	unsigned login; /* how often it was logged in: which authorization a request told */
	uint64_t failed_ms; /* when the last failure was counted */
	uint64_t not_before_ms;
	struct err err; /* the last failure */
};
#define AUTO_MIRROR __attribute__((cleanup(mirror_close)))
void mirror_close(struct mirror *mirror);

struct mirror_options {
	bool plain_http;
	bool logins; /* as struct haul_options has them */
	unsigned stall_seconds;
	const struct http_way *way; /* borrowed */
	struct log *log; /* borrowed */
};

/* Asks nothing yet. name: as struct haul_options has it. ERR_INVALID: no source of these kinds. */
MUST_USE int mirror_open(const char *name, const struct mirror_options *options,
			 struct mirror *out, struct err *err);

/* Where a blob lies; the caller frees. */
char *mirror_url(const struct mirror *mirror, const struct digest *digest);

/* The Authorization that url may be told, or NULL. */
const char *mirror_authorization(const struct mirror *mirror, const char *url);

/* After a 401 from the registry to a request that told the authorization of that login. Waits for a token. ERR_INVALID: it
 * wants more than we have. */
MUST_USE int mirror_log_in(struct mirror *mirror, const char *challenge, unsigned login,
			   struct err *err);

/* How a try ended. */
struct mirror_try {
	uint64_t began_ms, now_ms; /* of fs_boot_ms */
	uint64_t brought; /* bytes, good for all that is known */
	uint64_t retry_after_ms; /* that was asked for */
	bool reached; /* there was an answer, or a part of one */
	bool stalled; /* it fell silent: another source may be quicker */
	bool patient; /* what cannot be reached now is worth waiting for */
};

/* Pure. Counts a failure, once for all that went on at the same time; a try that brought something is none. */
void mirror_failed(struct mirror *mirror, const struct mirror_try *end, const struct err *err);
/* A piece had the wrong bytes. */
void mirror_wrong(struct mirror *mirror);
/* A piece had the right ones. */
void mirror_right(struct mirror *mirror);
/* Others are asked before it. */
bool mirror_is_weak(const struct mirror *mirror);
/* No more of it: err says why. */
void mirror_give_up(struct mirror *mirror, const struct err *err);

#endif
