#include "tests/unit/support.h"

#include "cache/statement.h"
#include "cache/table.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SUBJECTS                                                                               \
	"[{'name':'linux/any/x86_64','digest':{'sha256':'" HEX "'}},"                          \
	"{'name':'linux/debian-12/x86_64','digest':{'sha256':'" HEX "'}}]"
#define TABLES "[{'size':30600},{'size':0}]"
#define GOOD                                                                                   \
	"{'_type':'https://in-toto.io/Statement/v1','subject':" SUBJECTS                       \
	",'predicateType':'urn:larder:driver-cache:v1','predicate':{'serial':12,"              \
	"'created':'2026-11-21T00:00:00Z','name':'hpc','tables':" TABLES ","                   \
	"'sources':['https://mirror.lan/larder','oci://registry.lan/hpc/drivers'],"            \
	"'withdrawn':['mlnx-ofed@5.5-1.0.3.2']}}"

/* by stands for the first "what" of GOOD. */
static const struct row {
	const char *what, *by, *error; /* NULL: accepted */
} rows[] = {
	{ "", "", NULL },
	{ "'_type':'https://in-toto.io/Statement/v1',", "", "_type: missing" },
	{ "Statement/v1", "Statement/v0.1", "_type: expected https://in-toto.io/Statement/v1" },
	{ "'https://in-toto.io/Statement/v1'", "1", "_type: expected a string" },
	{ "driver-cache:v1", "driver-cache:v2", "predicateType: expected urn:" },
	{ "'predicateType':'urn:larder:driver-cache:v1',", "", "predicateType: missing" },
	{ "{'_type'", "{'expires':1,'_type'", "expires: unknown field" },
	{ "{'_type'", "{'_Type':1,'_type'", "_Type: unknown field; did you mean \"_type\"" },

	/* subjects */
	{ "'subject':" SUBJECTS ",", "", "subject: missing" },
	{ SUBJECTS, "{}", "subject: expected an array" },
	{ SUBJECTS, "[]", "predicate.tables: 2 for 0 subjects" },
	{ "'linux/any/x86_64'", "'linux/any'",
	  "subject[0].name: expected FAMILY/ID-VERSION/ARCH" },
	{ "'linux/any/x86_64'", "'linux/any/x86/64'", "subject[0].name: expected FAMILY" },
	{ "'linux/any/x86_64'", "'../any/x86_64'", "subject[0].name: expected FAMILY" },
	{ "'linux/any/x86_64'", "'linux//x86_64'", "subject[0].name: expected FAMILY" },
	{ "'linux/any/x86_64'", "'linux/a*/x86_64'", "subject[0].name: expected FAMILY" },
	{ "'linux/any/x86_64'", "'linux/nul/x86_64'", "subject[0].name: expected FAMILY" },
	{ "'linux/any/x86_64'", "''", "subject[0].name: expected a string" },
	{ "'name':'linux/any/x86_64',", "", "subject[0].name: missing" },
	{ "'linux/any/x86_64'", "'linux/debian-12/x86_64'",
	  "subject[1]: not in order, or twice" },
	{ "'linux/any/x86_64'", "'linux/zz-1/x86_64'", "subject[1]: not in order, or twice" },
	{ ",'digest':{'sha256':'" HEX "'}", "", "subject[0].digest: missing" },
	{ "{'sha256':'" HEX "'}", "{}", "subject[0].digest.sha256: missing" },
	{ "{'sha256':'" HEX "'}", "{'sha512':'" HEX "'}", "subject[0].digest.sha256: missing" },
	{ "{'sha256':'" HEX "'}", "{'sha256':'" HEX "','sha1':'x'}", "sha1: unknown field" },
	{ HEX, "x", "subject[0].digest: expected a sha256" },
	{ "'digest'", "'uri':'x','digest'", "subject[0].uri: unknown field" },

	/* the predicate */
	{ "'predicate':{", "'predicate':[],'p':{", "predicate: expected an object" },
	{ "'serial':12,", "", "predicate.serial: missing" },
	{ "'serial':12", "'serial':0", "predicate.serial: expected at least 1" },
	{ "'serial':12", "'serial':1", NULL },
	{ "'serial':12", "'serial':281474976710656", NULL },
	{ "'serial':12", "'serial':281474976710657", "predicate.serial: expected an integer" },
	{ "'serial':12", "'serial':-1", "predicate.serial: expected an integer" },
	{ "'serial':12", "'serial':'12'", "predicate.serial: expected an integer" },
	{ "'created':'2026-11-21T00:00:00Z',", "", "predicate.created: missing" },
	{ "2026-11-21T00:00:00Z", "2026-11-21T00:00:00", "predicate.created: expected YYYY" },
	{ "2026-11-21T00:00:00Z", "2026-11-21T00:00:00z", "predicate.created: expected YYYY" },
	{ "2026-11-21T00:00:00Z", "2026-11-21 00:00:00Z", "predicate.created: expected YYYY" },
	{ "2026-11-21T00:00:00Z", "2026-11-2xT00:00:00Z", "predicate.created: expected YYYY" },
	{ "2026-11-21T00:00:00Z", "2", "predicate.created: expected YYYY" },
	{ "2026-11-21T00:00:00Z", "2026-11-21T00:00:00ZZ",
	  "created: expected a string of 1 to 20" },
	{ "'name':'hpc',", "", "predicate.name: missing" },
	{ "'hpc'", "'a b'", "predicate.name: expected a name" },
	{ "'hpc'", "'..'", "predicate.name: expected a name" },
	{ "'hpc'", "7", "predicate.name: expected a string" },
	{ "'tables':" TABLES ",", "", "predicate.tables: missing" },
	{ TABLES, "[{'size':1}]", "predicate.tables: 1 for 2 subjects" },
	{ TABLES, "[{'size':1},{'size':1},{'size':1}]", "predicate.tables: 3 for 2 subjects" },
	{ "{'size':30600}", "30600", "predicate.tables[0]: expected an object" },
	{ "{'size':30600}", "{}", "predicate.tables[0].size: missing" },
	{ "30600", "4194304", NULL },
	{ "30600", "4194305", "predicate.tables[0].size: expected an integer" },
	{ "'size':30600", "'size':1,'digest':'x'",
	  "predicate.tables[0].digest: unknown field" },
	{ "'withdrawn'", "'expires':'2030','withdrawn'", "predicate.expires: unknown field" },

	/* sources and withdrawals */
	{ "'https://mirror.lan/larder'", "'mirror.lan/larder'", "element 0: expected a URL" },
	{ "'https://mirror.lan/larder'", "'https://mirror.lan/a b'",
	  "element 0: expected a URL" },
	{ "'https://mirror.lan/larder'", "'https://mirror.lan/a\\nb'",
	  "element 0: expected a URL" },
	{ "'https://mirror.lan/larder'", "'https://mirror.lan/a\\tb'",
	  "element 0: expected a URL" },
	{ "'https://mirror.lan/larder'", "'https://mirror.lan/\xc2\x9b'", "expected a URL" },
	{ "'https://mirror.lan/larder'", "7", "predicate.sources[0]: expected a string" },
	{ "https://mirror.lan/larder", "oci://registry.lan/hpc/drivers", "stands twice" },
	{ "'sources':[", "'sources':[],'x':[", "predicate.x: unknown field" },
	{ "'mlnx-ofed@5.5-1.0.3.2'", "'mlnx-ofed'", "element 0: expected name@version" },
	{ "'mlnx-ofed@5.5-1.0.3.2'", "'@1'", "element 0: expected name@version" },
	{ "'mlnx-ofed@5.5-1.0.3.2'", "'a@'", "element 0: expected name@version" },
	{ "'mlnx-ofed@5.5-1.0.3.2'", "'a@*'", "element 0: expected name@version" },
	{ "'mlnx-ofed@5.5-1.0.3.2'", "'a@1@2'", "element 0: expected name@version" },
	{ "'mlnx-ofed@5.5-1.0.3.2'", "'a@1','a@1'", "\"a@1\" stands twice" },
	{ "'mlnx-ofed@5.5-1.0.3.2'", "", NULL },
	{ GOOD, "[]", "statement: expected an object" },
	{ GOOD, "", "statement: line 1" },
};

static int parse(const char *text, struct statement *out, struct err *err)
{
	return statement_parse(text, strlen(text), out, err);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *changed = with_replaced(GOOD, rows[i].what, rows[i].by);
		AUTO_FREE char *text = changed ? with_quotes(changed) : NULL;
		AUTO_STATEMENT struct statement statement = { 0 };
		struct err err = { 0 };
		int result;

		CHECK(text, "row %zu: %s is not in the statement", i, rows[i].what);
		result = parse(text, &statement, &err);
		if (rows[i].error)
			check_err(result, &err, ERR_INVALID, rows[i].error, text);
		else
			check_good(result, &err, text);
		CHECK(!rows[i].error || !statement.document, "row %zu: out touched", i);
	}
}

static void test_text_and_back(void **state)
{
	AUTO_FREE char *text = with_quotes(GOOD), *again = NULL;
	AUTO_STATEMENT struct statement statement = { 0 };
	struct err err = { 0 };
	size_t size;

	(void)state;
	check_good(parse(text, &statement, &err), &err, text);
	again = statement_text(&statement, &size);
	assert_string_equal(text, again);
	assert_int_equal(size, strlen(again));
	assert_int_equal(statement.table_count, 2);
	assert_int_equal(statement.table[0].content.size, 30600);
}

/* Statements at the limits of their counts and of their bytes, and one above. */
static void test_counts(void **state)
{
	static const struct {
		const char *key;
		size_t max;
	} counts[] = { { "sources", STATEMENT_MAX_SOURCES },
		       { "withdrawn", STATEMENT_MAX_WITHDRAWN } };
	AUTO_FREE char *text = with_quotes(GOOD);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts) * 2; i++) {
		AUTO_JSON json_t *root = json_loads(text, 0, NULL);
		json_t *list = json_array();
		AUTO_STATEMENT struct statement statement = { 0 };
		AUTO_FREE char *changed = NULL;
		struct err err = { 0 };
		size_t size;

		for (size_t j = 0; j < counts[i / 2].max + i % 2; j++) {
			char item[64];

			snprintf(item, sizeof(item), i / 2 ? "a@%06zu" : "https://m/%06zu", j);
			json_array_append_new(list, json_string(item));
		}
		json_object_set_new(json_object_get(root, "predicate"), counts[i / 2].key,
				    list);
		changed = json_text(root, &size);
		if (i % 2)
			check_err(parse(changed, &statement, &err), &err, ERR_INVALID,
				  "more than", "");
		else
			check_good(parse(changed, &statement, &err), &err, counts[i / 2].key);
	}
}

static void test_size_limit(void **state)
{
	AUTO_FREE char *text = with_quotes(GOOD);
	AUTO_FREE char *padded = must_printf("%s%*s", text, (int)STATEMENT_MAX_BYTES, "");
	AUTO_STATEMENT struct statement statement = { 0 };
	struct err err = { 0 };

	(void)state;
	check_err(statement_parse(padded, STATEMENT_MAX_BYTES + 1, &statement, &err), &err,
		  ERR_INVALID, "statement: more than 1048576 bytes", "above");
	check_good(statement_parse(padded, STATEMENT_MAX_BYTES, &statement, &err), &err, "at");
}

static void test_withdraws(void **state)
{
	static const struct {
		const char *name, *version;
		bool withdrawn;
	} cases[] = { { "mlnx-ofed", "5.5-1.0.3.2", true },
		      { "mlnx-ofed", "5.5-1.0.3.20", false },
		      { "mlnx-ofed", "5.5-1.0.3", false },
		      { "mlnx", "5.5-1.0.3.2", false },
		      { "mlnx-ofed", "", false },
		      { "", "", false },
		      { "mlnx-ofed2", "5.5-1.0.3.2", false } };
	AUTO_FREE char *text = with_quotes(GOOD);
	AUTO_STATEMENT struct statement statement = { 0 };
	struct err err = { 0 };

	(void)state;
	check_good(parse(text, &statement, &err), &err, text);
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		CHECK(statement_withdraws(&statement, cases[i].name, cases[i].version) ==
			      cases[i].withdrawn,
		      "row %zu", i);
}

static void test_same_offer(void **state)
{
	static const struct {
		const char *what, *by;
		bool same;
	} cases[] = { { "", "", true },
		      { "'serial':12", "'serial':13", true },
		      { "2026", "2027", true },
		      { "'hpc'", "'hpd'", false },
		      { "30600", "30601", false },
		      { HEX, "aa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
			false },
		      { "debian-12", "debian-13", false },
		      { "mirror", "mirro", false },
		      { "5.5-1.0.3.2", "5.5-1.0.3.3", false } };
	AUTO_FREE char *text = with_quotes(GOOD);
	AUTO_STATEMENT struct statement statement = { 0 };
	struct err err = { 0 };

	(void)state;
	check_good(parse(text, &statement, &err), &err, text);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_FREE char *changed = with_replaced(GOOD, cases[i].what, cases[i].by);
		AUTO_FREE char *other_text = with_quotes(changed);
		AUTO_STATEMENT struct statement other = { 0 };

		check_good(parse(other_text, &other, &err), &err, other_text);
		CHECK(statement_same_offer(&statement, &other) == cases[i].same, "row %zu", i);
		assert_int_equal(statement.serial, 12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	  cmocka_unit_test(test_text_and_back),
		cmocka_unit_test(test_counts),	  cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_withdraws), cmocka_unit_test(test_same_offer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
