/* The owner's settings, once as a file and once as a kernel command line. */
#include "tests/fuzz/fuzz.h"

#include "firstboot/config.h"

static void check(const struct config *config)
{
	FUZZ_CHECK(config->carrier_timeout_s <= CONFIG_MAX_TIMEOUT_S);
	FUZZ_CHECK(config->step_timeout_s >= 1 &&
		   config->step_timeout_s <= CONFIG_MAX_TIMEOUT_S);
	FUZZ_CHECK(config->enabled || config->enabled_where[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *file = fuzz_text(data, size), *line = fuzz_text(data, size);
	struct config config = config_defaults(), both;
	struct log log = { 0 };

	config_add_text(&config, file, "a file", &log);
	check(&config);
	both = config;
	config_add_command_line(&both, line, &log);
	check(&both);
	for (size_t kind = 0; kind < COUNT_OF(both.step); kind++)
		FUZZ_CHECK(config.step[kind] || !both.step[kind]);
	return 0;
}
