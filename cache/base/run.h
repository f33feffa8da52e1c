/* run.h - other programs: started without a shell, with known bytes or nothing on stdin, within a time
 * limit. */
#ifndef LARDER_RUN_H
#define LARDER_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/base/err.h"

#define RUN_OUTPUT_MAX (UINT32_C(4) << 20) /* bytes that a caller may ask to keep */

struct run_spec {
	const char *const
		*argv; /* ends with NULL; argv[0] is looked up on a fixed system PATH */
	const char *const *env; /* "NAME=VALUE", ends with NULL; added to a minimal environment;
				  * NULL for none */
	const int *dir; /* an open folder to work in; NULL for / */
	const int *root; /* an open folder that becomes / first; NULL for none */
	const void *input; /* what stdin brings; NULL for nothing */
	size_t input_size; /* bytes */
	int timeout_ms; /* then the process group is killed, as it is at once when this process has to
			 * end (process.h); 0 for none */
	size_t keep; /* how many bytes of output to keep; beyond it the oldest go */
	bool keep_errors; /* stderr goes with the output; else it goes to ours */
};

struct run_result {
	int code; /* exit code; 128 + signal when a signal ended it */
	char *output; /* owned: what was kept, NUL-terminated; free() it */
	size_t size; /* bytes of output kept */
	bool cut; /* there was more, before these */
};

/* ERR_MISSING: no such program. ERR_TIMEOUT: killed; one that even so does not end is left behind. A code
 * other than 0 is no error here. */
MUST_USE int run(const struct run_spec *spec, struct run_result *out_result, struct err *err);

/* The last line of some output that has letters in it: what a user should see of a failed run. */
void run_last_line(const char *output, char *out, size_t out_size);

#endif
