#include "tests/unit/support.h"

#include "cache/name.h"
#include "cache/record.h"
#include "cache/table.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ROW                                                                                    \
	"{'name':'mlnx-ofed','version':'5.8-2.0.3.0','id':'dkms','rank':50,"                   \
	"'kernels':['5.15.0-1050-azure'],'devices':['pci:v000015B3d0000101Csv*sd*bc02sc07i*']" \
	","                                                                                    \
	"'sizes':['Standard_HB*'],'excludes':['doca-ofed'],'requires':[],'early':false,'like'" \
	":true,'secure_boot':false,'link_layer':'InfiniBand',"                                 \
	"'record':{'digest':'sha256:" HEX "','size':4321},'bytes':123456789}"
#define GOOD "{'rows':[" ROW "]}"

/* by stands for the first "what" of GOOD. */
static const struct {
	const char *what, *by, *error; /* NULL: accepted */
} rows[] = {
	{ "", "", NULL },
	{ GOOD, "{'rows':[]}", NULL },
	{ GOOD, "{}", "table: rows: missing" },
	{ GOOD, "[]", "table: expected an object" },
	{ GOOD, "", "table: line 1" },
	{ GOOD, "{'rows':{}}", "table: rows: expected an array" },
	{ GOOD, "{'rows':[7]}", "table: rows[0]: expected an object" },
	{ GOOD, "{'rows':[],'os':'x'}", "table: os: unknown field" },
	{ "'name':'mlnx-ofed',", "", "rows[0].name: missing" },
	{ "'name':'mlnx-ofed'", "'name':'../x'", "rows[0].name: unsafe name" },
	{ "'name':'mlnx-ofed'", "'name':'a/b'", "rows[0].name: unsafe name" },
	{ "'name':'mlnx-ofed'", "'name':'-x'", "rows[0].name: unsafe name" },
	{ "'name':'mlnx-ofed'", "'name':'a@b'", "rows[0].name: unsafe name" },
	{ "'name':'mlnx-ofed'", "'name':'con'", "rows[0].name: unsafe name" },
	{ "'name':'mlnx-ofed'", "'name':7", "rows[0].name: expected a string" },
	{ "'version':'5.8-2.0.3.0',", "", "rows[0].version: missing" },
	{ "'version':'5.8-2.0.3.0'", "'version':'1:2'", "rows[0].version: unsafe name" },
	{ "'version':'5.8-2.0.3.0'", "'version':5", "rows[0].version: expected a string" },
	{ "'id':'dkms',", "", "rows[0].id: missing" },
	{ "'id':'dkms'", "'id':'a b'", "rows[0].id: unsafe name" },
	{ "'rank':50,", "", "rows[0].rank: missing" },
	{ "'rank':50", "'rank':1000", NULL },
	{ "'rank':50", "'rank':1001", "rows[0].rank: expected an integer from 0 to 1000" },
	{ "'rank':50", "'rank':-1", "rows[0].rank: expected an integer" },
	{ "'kernels':['5.15.0-1050-azure'],", "", "rows[0].kernels: missing" },
	{ "['5.15.0-1050-azure']", "[]", NULL },
	{ "['5.15.0-1050-azure']", "'*'", "rows[0].kernels: expected an array" },
	{ "['5.15.0-1050-azure']", "['']", "rows[0].kernels[0]: expected a string" },
	{ "['5.15.0-1050-azure']", "['5.?']", "expected a kernel glob" },
	{ "['5.15.0-1050-azure']", "['5.15 x']", "expected a kernel glob" },
	{ "['5.15.0-1050-azure']", "['a','a']", "\"a\" stands twice" },
	{ "'devices':['pci:v000015B3d0000101Csv*sd*bc02sc07i*'],", "",
	  "rows[0].devices: missing" },
	{ "'pci:v000015B3d0000101Csv*sd*bc02sc07i*'", "",
	  "rows[0].devices: expected at least one" },
	{ "pci:v000015B3d0000101Csv*sd*bc02sc07i*", "*", "literal bus and vendor, got \"*\"" },
	{ "pci:v000015B3d0000101Csv*sd*bc02sc07i*", "pci:*", "literal bus and vendor" },
	{ "pci:v000015B3d0000101Csv*sd*bc02sc07i*", "*a*a*a*a*", "literal bus and vendor" },
	{ "'sizes':['Standard_HB*'],", "", "rows[0].sizes: missing" },
	{ "['Standard_HB*']", "[]", NULL },
	{ "['Standard_HB*']", "['[HB]']", "expected a VM size glob" },
	{ "'excludes':['doca-ofed'],", "", "rows[0].excludes: missing" },
	{ "['doca-ofed']", "['doca*']", "expected a bundle name" },
	{ "'requires':[],", "", "rows[0].requires: missing" },
	{ "'requires':[]", "'requires':['..']", "expected a bundle name" },
	{ "'early':false", "'early':true", NULL },
	{ "'early':false", "'early':'yes'", "rows[0].early: expected true or false" },
	{ "'early':false,", "", "rows[0].early: missing" },
	{ "'like':true", "'like':0", "rows[0].like: expected true or false" },
	{ "'like':true,", "", "rows[0].like: missing" },
	{ "'secure_boot':false", "'secure_boot':true", NULL },
	{ "'secure_boot':false,", "", "rows[0].secure_boot: missing" },
	{ "'link_layer':'InfiniBand'", "'link_layer':''", NULL },
	{ "'link_layer':'InfiniBand'", "'link_layer':'Ethernet'", NULL },
	{ "'link_layer':'InfiniBand'", "'link_layer':'ethernet'",
	  "rows[0].link_layer: expected" },
	{ "'link_layer':'InfiniBand',", "", "rows[0].link_layer: expected" },
	{ "'record':{'digest':'sha256:" HEX "','size':4321},", "", "rows[0].record: missing" },
	{ "{'digest':'sha256:" HEX "','size':4321}", "'x'",
	  "rows[0].record: expected an object" },
	{ "'digest':'sha256:" HEX "',", "", "rows[0].record.digest: missing" },
	{ "sha256:" HEX, HEX, "rows[0].record: expected a digest" },
	{ "sha256:" HEX, "sha256:x", "rows[0].record: expected a sha256" },
	{ ",'size':4321", "", "rows[0].record.size: missing" },
	{ "'size':4321", "'size':16777216", NULL },
	{ "'size':4321", "'size':16777217", "rows[0].record.size: expected an integer" },
	{ "'size':4321", "'size':1,'url':'x'", "rows[0].record.url: unknown field" },
	{ ",'bytes':123456789", "", "rows[0].bytes: missing" },
	{ ":123456789", ":-1", "rows[0].bytes: expected an integer" },
	{ ":123456789", ":9007199254740993", "beyond 2^53" },
	{ "'rank':50", "'rank':50,'kernel':['x']",
	  "rows[0].kernel: unknown field; did you mean" },
	{ ROW, ROW "," ROW, "rows[1]: not in order, or twice" },
};

static int parse(const char *text, struct table *out, struct err *err)
{
	return table_parse(text, strlen(text), out, err);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *changed = with_replaced(GOOD, rows[i].what, rows[i].by);
		AUTO_FREE char *text = changed ? with_quotes(changed) : NULL;
		AUTO_TABLE struct table table = { 0 };
		struct err err = { 0 };
		int result;

		CHECK(text, "row %zu: %s is not in the table", i, rows[i].what);
		result = parse(text, &table, &err);
		if (rows[i].error)
			check_err(result, &err, ERR_INVALID, rows[i].error, text);
		else
			check_good(result, &err, text);
		CHECK(!rows[i].error || !table.document, "row %zu: out touched", i);
	}
}

static void test_text_and_back(void **state)
{
	AUTO_FREE char *text = with_quotes(GOOD), *again = NULL;
	AUTO_TABLE struct table table = { 0 };
	struct err err = { 0 };
	size_t size;

	(void)state;
	check_good(parse(text, &table, &err), &err, text);
	again = table_text(&table, &size);
	assert_string_equal(text, again);
	assert_int_equal(size, strlen(again));
}

/* Rows in this order, and in no other: checked over every pair. */
static const struct {
	const char *name, *version, *id, *kernels[3];
	uint8_t record;
} ordered[] = {
	{ "A", "9", "z", { 0 }, 0 },	      { "a", "1", "x", { 0 }, 0 },
	{ "a", "1", "x", { 0 }, 1 },	      { "a", "1", "x", { "k1" }, 0 },
	{ "a", "1", "x", { "k1", "k2" }, 0 }, { "a", "1", "x", { "k2" }, 0 },
	{ "a", "1", "y", { 0 }, 0 },	      { "a", "10", "x", { 0 }, 0 },
	{ "a", "9", "x", { 0 }, 0 },	      { "a-", "1", "x", { 0 }, 0 },
	{ "b", "0", "a", { 0 }, 0 },
};

static struct table_row row_of(size_t i, const char *kernels[3])
{
	struct table_row row = { .name = ordered[i].name,
				 .version = ordered[i].version,
				 .id = ordered[i].id };

	memcpy(kernels, ordered[i].kernels, sizeof(ordered[i].kernels));
	while (row.kernels.count < 3 && kernels[row.kernels.count])
		row.kernels.count++;
	row.kernels.item = kernels;
	row.record.digest.byte[31] = ordered[i].record;
	return row;
}

static void test_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ordered); i++) {
		for (size_t j = 0; j < COUNT_OF(ordered); j++) {
			const char *left_kernels[3], *right_kernels[3];
			struct table_row left = row_of(i, left_kernels);
			struct table_row right = row_of(j, right_kernels);
			int order = table_row_compare(&left, &right);

			CHECK((order < 0) == (i < j) && (order > 0) == (i > j),
			      "rows %zu and %zu", i, j);
		}
	}
}

/* Two rows pass the parser in their order only. */
static void test_order_is_checked(void **state)
{
	static const struct {
		const char *first, *second;
		bool good;
	} pairs[] = {
		{ "'id':'dkms'", "'id':'dkmt'", true },
		{ "'id':'dkmt'", "'id':'dkms'", false },
		{ "'id':'dkms'", "'id':'dkms'", false },
		{ "'rank':50", "'rank':51", false },
		{ "'rank':51", "'rank':50", false },
		{ "'early':false", "'early':true", false },
		{ "'kernels':['a']", "'kernels':['b']", true },
		{ "'kernels':['b']", "'kernels':['a','c']", false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		const char *was = strncmp(pairs[i].first, "'k", 2) == 0
					  ? "'kernels':['5.15.0-1050-azure']"
				  : strncmp(pairs[i].first, "'i", 2) == 0 ? "'id':'dkms'"
				  : strncmp(pairs[i].first, "'r", 2) == 0 ? "'rank':50"
									  : "'early':false";
		AUTO_FREE char *first = with_replaced(ROW, was, pairs[i].first);
		AUTO_FREE char *second = with_replaced(ROW, was, pairs[i].second);
		AUTO_FREE char *both = must_printf("{'rows':[%s,%s]}", first, second);
		AUTO_FREE char *text = with_quotes(both);
		AUTO_TABLE struct table table = { 0 };
		struct err err = { 0 };

		CHECK((parse(text, &table, &err) == 0) == pairs[i].good, "pair %zu: %s", i,
		      err.text);
	}
}

static void test_counts(void **state)
{
	AUTO_FREE char *text = with_quotes(GOOD);

	(void)state;
	for (size_t count = TABLE_MAX_ROWS; count <= TABLE_MAX_ROWS + 1; count++) {
		AUTO_JSON json_t *root = json_loads(text, 0, NULL);
		json_t *list = json_object_get(root, "rows");
		AUTO_TABLE struct table table = { 0 };
		AUTO_FREE char *many = NULL;
		struct err err = { 0 };
		size_t size;

		for (size_t i = 1; i < count; i++) {
			json_t *row = json_deep_copy(json_array_get(list, 0));

			json_object_set_new(row, "id", json_sprintf("e%06d", (int)i));
			json_array_append_new(list, row);
		}
		many = json_text(root, &size);
		if (count > TABLE_MAX_ROWS)
			check_err(parse(many, &table, &err), &err, ERR_INVALID, "more than",
				  "rows");
		else
			check_good(parse(many, &table, &err), &err, "rows");
	}
}

static void test_list_counts(void **state)
{
	static const char *const keys[] = { "kernels", "sizes", "excludes", "requires",
					    "devices" };
	AUTO_FREE char *text = with_quotes(GOOD);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(keys) * 2; i++) {
		AUTO_JSON json_t *root = json_loads(text, 0, NULL);
		json_t *list = json_array();
		AUTO_TABLE struct table table = { 0 };
		AUTO_FREE char *many = NULL;
		struct err err = { 0 };
		size_t size;

		for (size_t j = 0; j < TABLE_MAX_LIST + i % 2; j++)
			json_array_append_new(
				list, json_sprintf(i / 2 == 4 ? "pci:v%08d" : "x%d", (int)j));
		json_object_set_new(json_array_get(json_object_get(root, "rows"), 0),
				    keys[i / 2], list);
		many = json_text(root, &size);
		if (i % 2)
			check_err(parse(many, &table, &err), &err, ERR_INVALID, "more than",
				  keys[i / 2]);
		else
			check_good(parse(many, &table, &err), &err, keys[i / 2]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),   cmocka_unit_test(test_text_and_back),
		cmocka_unit_test(test_order),  cmocka_unit_test(test_order_is_checked),
		cmocka_unit_test(test_counts), cmocka_unit_test(test_list_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
