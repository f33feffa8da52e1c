#include "firstboot/metrics.h"
#include "tests/unit/support.h"

static const char document[] =
	"{\"agent\":\"0.1.0\",\"kernels_without\":[{\"kernel\":\"6.1\",\"address\":\"a:b\"}],"
	"\"statement\":{\"name\":\"hpc\",\"serial\":12},\"moments\":{"
	"\"early\":{\"state\":\"idle\",\"reason\":\"done\",\"code\":0,\"ended\":100,\"took_"
	"ms\":5,"
	"\"devices\":[{\"address\":\"a:b\",\"driver\":\"mlx5_core\",\"bound\":true,"
	"\"outcome\":\"done\"}]},"
	"\"main\":{\"state\":\"failed\",\"reason\":\"kernel\",\"code\":14,\"ended\":1700000000,"
	"\"took_ms\":1500,\"reboot_required\":false,"
	"\"devices\":[{\"address\":\"a\\\"b\\\\c\\nd\",\"bound\":false,\"outcome\":\"kernel\"}]"
	"}}}";

static void test_samples(void **state)
{
	static const char *const lines[] = {
		"larder_agent_info{version=\"0.1.0\"} 1",
		"larder_run_success{moment=\"early\"} 1",
		"larder_run_success{moment=\"main\"} 0",
		"larder_run_exit_code{moment=\"main\"} 14",
		"larder_run_timestamp_seconds{moment=\"main\"} 1700000000",
		"larder_run_duration_seconds{moment=\"main\"} 1.5",
		"larder_run_reboot_required{moment=\"main\"} 0",
		"larder_run_reason{moment=\"main\",state=\"failed\",reason=\"kernel\"} 1",
		"larder_device_bound{moment=\"early\",address=\"a:b\",driver=\"mlx5_core\"} 1",
		/* clang-format off */
		"larder_device_bound{moment=\"main\",address=\"a\\\"b\\\\c\\nd\",driver=\"\"} 0",
		"larder_device_proven{moment=\"main\",address=\"a\\\"b\\\\c\\nd\",outcome=\"kernel\"} 0",
		/* clang-format on */
		"larder_kernel_uncovered{kernel=\"6.1\",address=\"a:b\"} 1",
		"larder_statement_serial{name=\"hpc\"} 12",
	};
	struct err err = { 0 };
	AUTO_JSON json_t *root = NULL;
	AUTO_FREE char *text = NULL;

	(void)state;
	check_good(json_parse(document, strlen(document), &root, &err), &err, "document");
	text = metrics_text(root);
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		AUTO_FREE char *line = must_printf("\n%s\n", lines[i]);

		CHECK(strstr(text, line), "%s\nis not in\n%s", lines[i], text);
	}
}

/* No document of ours, but no crash either. */
static void test_nothing_known(void **state)
{
	AUTO_JSON json_t *root = json_object();
	AUTO_FREE char *text = metrics_text(root);

	(void)state;
	assert_null(strstr(text, "moment="));
	assert_null(strstr(text, "larder_statement_serial"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_nothing_known),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
