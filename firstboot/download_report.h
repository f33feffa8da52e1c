/* download_report.h - how larder-download ended: larder.download.v1. Its writer has no privileges, its reader has: what
 * stands there is a claim. */
#ifndef LARDER_DOWNLOAD_REPORT_H
#define LARDER_DOWNLOAD_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "cache/reason.h"

#define DOWNLOAD_REPORT_NAME "download.json" /* in the run folder */
#define DOWNLOAD_REPORT_MAX_BYTES 8192
#define DOWNLOAD_REPORT_TEXT_MAX 512 /* with the NUL */

struct download_report {
	enum reason reason; /* one of a closed set */
	char text[DOWNLOAD_REPORT_TEXT_MAX]; /* for people; "" when all went well */
	uint64_t fetched; /* bytes that came over the network */
	uint64_t brought, wanted; /* blobs */
};

/* ERR_INVALID: not that format, or a reason that is not one of a download. The text is cleaned. */
MUST_USE int download_report_parse(const char *data, size_t size,
				   struct download_report *out_report, struct err *err);
/* JSON. The caller frees. */
char *download_report_text(const struct download_report *report, size_t *out_size);

/* What an error means that ended a download. */
enum reason download_reason(const struct err *err);

#endif
