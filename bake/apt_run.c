#include "bake/apt_run.h"

#include <stdint.h>
#include <stdlib.h>

#include "cache/base/auto.h"

#define ENV_ROWS 8

int apt_run(const char *const *argv, const char *config, const int *dir, int timeout_ms,
	    struct run_result *out_result, struct err *err)
{
	static const char *const kept[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
					    "no_proxy", "NO_PROXY" };
	const char *configured = config ? config : getenv("APT_CONFIG");
	char *env[ENV_ROWS] = { NULL };
	struct run_spec spec = { .argv = argv,
				 .env = (const char *const *)env,
				 .dir = dir,
				 .timeout_ms = timeout_ms,
				 .keep = RUN_OUTPUT_MAX,
				 .keep_errors = true };
	size_t count = 0;
	int code;

	if (configured)
		env[count++] = must_printf("APT_CONFIG=%s", configured);
	for (size_t i = 0; i < COUNT_OF(kept); i++) {
		const char *value = getenv(kept[i]);

		if (value)
			env[count++] = must_printf("%s=%s", kept[i], value);
	}
	code = run(&spec, out_result, err);
	for (size_t i = 0; i < count; i++)
		free(env[i]);
	if (code < 0 && err->kind == ERR_MISSING)
		return err_wrap(err, "packages need apt, as Debian and Ubuntu have it");
	if (code == 0 && out_result->cut) {
		free(out_result->output);
		*out_result = (struct run_result) { 0 };
		return err_set(err, ERR_INVALID, "%s said more than %u bytes", argv[0],
			       RUN_OUTPUT_MAX);
	}
	return code;
}
