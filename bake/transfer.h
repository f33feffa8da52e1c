/* transfer.h - one file on its way into the store: request after request until it is there. */
#ifndef LARDER_TRANSFER_H
#define LARDER_TRANSFER_H

#include <curl/curl.h>

#include "bake/download.h"
#include "bake/partial.h"
#include "bake/response.h"

enum transfer_state {
	TRANSFER_IDLE, /* the slot is free */
	TRANSFER_WAITING, /* the next request may start at not_before_ms */
	TRANSFER_RUNNING,
	TRANSFER_DONE, /* file->content says what the store has */
	TRANSFER_FAILED, /* err says why */
};

/* Stays where it is while it runs: curl holds its address. */
struct transfer {
	enum transfer_state state;
	struct download_file *file; /* borrowed */
	struct partial partial;
	struct passes *passes; /* borrowed */
	unsigned stall_seconds;

	CURL *easy;
	struct curl_slist *headers;
	char curl_text[CURL_ERROR_SIZE];
	struct request request;
	enum response_verdict verdict; /* once begun */
	bool begun; /* the answer's header was judged */

	char *url; /* owned: of this request, after redirects */
	unsigned redirects;
	unsigned failures; /* in a row */
	bool continued; /* the bytes came from more than one answer */
	bool proven_wrong; /* and had another digest: only a fresh start is believed now */
	uint64_t best; /* most bytes that an attempt had */
	uint64_t not_before_ms;
	struct err err;
};

/* Puts a file into an idle slot: WAITING afterwards, or DONE or FAILED at once. */
void transfer_open(struct transfer *transfer, struct download_file *file,
		   const struct store *store, struct passes *passes, unsigned stall_seconds);

/* Makes the request that transfer->easy holds afterwards: RUNNING, or FAILED. */
void transfer_start(struct transfer *transfer);

/* Takes the end of the request: WAITING, DONE or FAILED. The easy handle is gone afterwards. */
void transfer_end(struct transfer *transfer, CURLcode code);

/* Idle again; an unfinished file stays in the store when a later run can go on with it. */
void transfer_close(struct transfer *transfer);

#endif
