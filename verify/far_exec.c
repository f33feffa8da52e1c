#include "cache/base/process.h"
#include "cache/key.h"
#include "verify/far.h"

void far_prepare(void)
{
	key_prepare();
}

int far_hand_over(char *const *argv, struct err *err)
{
	AUTO_FREE char *program = NULL;
	bool far = false;

	for (size_t i = 1; argv[i]; i++) {
		const char *value = strchr(argv[i], '=');

		far = far || far_is(argv[i]) || (value && far_is(value + 1));
	}
	if (!far)
		return 0;
	program = process_beside(FAR_PROGRAM);
	execv(program, argv);
	return err_errno(err, "start %s, which asks registries", program);
}

/* Not reached: what has such a name was handed over. */
int far_open(const char *path, bool plain_http, struct log *log, struct layout *out_layout,
	     struct err *err)
{
	(void)plain_http, (void)log, (void)out_layout;
	return err_set(err, ERR_SYSTEM, "%s: this program asks no registry", path);
}
