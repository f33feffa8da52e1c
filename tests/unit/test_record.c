#include "tests/unit/support.h"

#include "cache/name.h"
#include "cache/record.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DIGEST "'sha256:" HEX "'"
#define FILE_A                                                                                 \
	"{'path':'DEBS/a.deb','mode':420,'size':1234,'encoding':'identity',"                   \
	"'blob':{'digest':" DIGEST ",'size':1234}}"
#define FILE_B                                                                                 \
	"{'path':'b.ko','mode':493,'size':5000000,'encoding':'zstd',"                          \
	"'blob':{'digest':" DIGEST ",'size':1048577,'chunks':['" HEX "','" HEX "']}}"
#define FILE_C                                                                                 \
	"{'path':'opt/tool','mode':493,'size':5000000,'encoding':'tar+zstd','entries':7,"      \
	"'blob':{'digest':" DIGEST ",'size':77}}"
#define STEPS                                                                                  \
	"[{'do':'packages','files':['DEBS/a.deb']},"                                           \
	"{'do':'files','files':['b.ko','opt/tool'],'into':'/etc/modprobe.d'},"                 \
	"{'do':'modules','files':['b.ko']},{'do':'load','modules':['mlx5_core','mlx5_ib']}]"
#define EXPECT                                                                                 \
	"{'driver':'mlx5_core','link_layer':'InfiniBand','port':'physical','carrier':true}"
#define ORIGINS "[{'from':'https://x/y','sha256':'" HEX "','size':9999}]"
#define GOOD                                                                                   \
	"{'files':[" FILE_A "," FILE_B "," FILE_C "],'install':" STEPS ",'expect':" EXPECT     \
	",'origins':" ORIGINS ",'licence':'GPL-2.0-only'}"

/* by stands for the first "what" of GOOD. */
static const struct row {
	const char *what, *by, *error; /* NULL: accepted */
} rows[] = {
	{ "", "", NULL },

	/* files: each field missing, of another type, beyond its limit */
	{ "'path':'DEBS/a.deb',", "", "files[0].path: missing" },
	{ "'path':'DEBS/a.deb'", "'path':7", "files[0].path: expected a string" },
	{ "'path':'DEBS/a.deb'", "'path':''", "files[0].path: expected a string of 1 to 512" },
	{ "'path':'DEBS/a.deb'", "'path':'../a.deb'", "files[0].path: unsafe path" },
	{ "'path':'DEBS/a.deb'", "'path':'/a.deb'", "files[0].path: unsafe path" },
	{ "'path':'DEBS/a.deb'", "'path':'a//b'", "files[0].path: unsafe path" },
	{ "'path':'DEBS/a.deb'", "'path':'NUL'", "files[0].path: unsafe path" },
	{ "'path':'DEBS/a.deb'", "'path':'-a'", "files[0].path: unsafe path" },
	{ "'mode':420,", "", "files[0].mode: missing" },
	{ "'mode':420", "'mode':'420'", "files[0].mode: expected an integer" },
	{ "'mode':420", "'mode':511", "files[0].mode: expected 420 (0644) or 493 (0755)" },
	{ "'mode':420", "'mode':2541", "files[0].mode: expected an integer from 0 to 511" },
	{ "'mode':420", "'mode':0", "files[0].mode: expected 420" },
	{ "'size':1234,", "", "files[0].size: missing" },
	{ "'size':1234", "'size':1235", "files[0].blob.size: differs" },
	{ "'size':1234", "'size':-1", "files[0].size: expected an integer" },
	{ "'size':5000000", "'size':17179869184", NULL },
	{ "'size':5000000", "'size':17179869185", "files[1].size: expected an integer" },
	{ "'encoding':'identity',", "", "files[0].encoding: missing" },
	{ "'encoding':'identity'", "'encoding':'gzip'",
	  "files[0].encoding: \"gzip\" is not known" },
	{ "'encoding':'identity'", "'encoding':'Identity'", "is not known to this version" },
	{ "'encoding':'identity'", "'encoding':['identity']",
	  "files[0].encoding: expected a string" },
	{ ",'blob':{'digest':" DIGEST ",'size':1234}", "", "files[0].blob: missing" },
	{ "{'digest':" DIGEST ",'size':1234}", "[]", "files[0].blob: expected an object" },
	{ "'digest':" DIGEST ",", "", "files[0].blob.digest: missing" },
	{ DIGEST, "'" HEX "'", "files[0].blob: expected a digest" },
	{ DIGEST, "'sha256:BA7816'", "files[0].blob: expected a sha256" },
	{ DIGEST, "'sha512:" HEX "'", "files[0].blob: expected a digest" },
	{ ",'size':1234}", "}", "files[0].blob.size: missing" },
	{ ",'size':1234}", ",'size':17179869185}", "files[0].blob.size: expected an integer" },
	{ ",'size':1234}", ",'size':1234,'urls':[]}", "files[0].blob.urls: unknown field" },
	{ "'mode':420", "'uid':0,'mode':420", "files[0].uid: unknown field" },
	{ "b.ko", "DEBS/a.deb", "files[1]: not in order, or twice" },
	{ "b.ko", "DEBS/a.de", "files[1]: not in order, or twice" },
	{ FILE_A, "7", "files[0]: expected an object" },
	{ "'files':[" FILE_A "," FILE_B "," FILE_C "],", "", "files: missing" },
	{ "[" FILE_A "," FILE_B "," FILE_C "]", "{}", "files: expected an array" },

	/* trees */
	{ ",'entries':7", "", "files[2].entries: missing" },
	{ "'entries':7", "'entries':0", "files[2].entries: expected at least 1" },
	{ "'entries':7", "'entries':65536", NULL },
	{ "'entries':7", "'entries':65537", "files[2].entries: expected an integer" },
	{ "'entries':7", "'entries':-1", "files[2].entries: expected an integer" },
	{ "'entries':7", "'entries':'7'", "files[2].entries: expected an integer" },
	{ "'encoding':'tar+zstd'", "'encoding':'zstd'", "files[2].entries: unknown field" },
	{ "'encoding':'tar+zstd'", "'encoding':'tar'", "files[2].encoding: \"tar\" is not" },
	{ "'encoding':'identity'", "'encoding':'identity','entries':7",
	  "files[0].entries: unknown field" },
	{ "'opt/tool','mode':493", "'opt/tool','mode':420", "files[2].mode: expected 493" },
	{ FILE_C,
	  FILE_C ",{'path':'opt/tool/x','mode':420,'size':1,'encoding':'identity',"
		 "'blob':{'digest':" DIGEST ",'size':1}}",
	  "files[3]: \"opt/tool\" is a file already" },
	{ "{'do':'modules','files':['b.ko']}", "{'do':'modules','files':['opt/tool']}",
	  "install[2].files: \"opt/tool\" is a tree: only a step 'files' takes it" },
	{ "{'do':'packages','files':['DEBS/a.deb']}",
	  "{'do':'packages','files':['DEBS/a.deb','opt/tool']}",
	  "install[0].files: \"opt/tool\" is a tree: only a step 'files' takes it" },
	{ "['b.ko','opt/tool']", "['b.ko','opt/tool/x']",
	  "\"opt/tool/x\" is no file of this bundle" },

	/* chunks: exactly when the blob is larger than one */
	{ "'" HEX "','" HEX "'", "'" HEX "'", "files[1].blob.chunks: 1 for a blob of 1048577" },
	{ "'" HEX "','" HEX "'", "'" HEX "','" HEX "','" HEX "'", "files[1].blob.chunks: 3" },
	{ "'" HEX "','" HEX "'", "", "files[1].blob.chunks: 0" },
	{ ",'chunks':['" HEX "','" HEX "']", "", "files[1].blob.chunks: 0" },
	{ "'" HEX "','" HEX "'", "'" HEX "',7", "files[1].blob.chunks[1]: expected a string" },
	{ "'" HEX "','" HEX "'", "'" HEX "','ba'",
	  "files[1].blob.chunks[1]: expected a sha256" },
	{ "['" HEX "','" HEX "']", "{}", "files[1].blob.chunks: expected an array" },
	{ "'size':1048577", "'size':1048576", "files[1].blob.chunks: 2 for a blob of 1048576" },
	{ "'size':1048577", "'size':2097152", NULL },
	{ "'size':1048577", "'size':2097153", "files[1].blob.chunks: 2 for" },
	{ ",'size':1234}", ",'size':1234,'chunks':['" HEX "']}",
	  "files[0].blob.chunks: 1 for" },
	{ ",'size':1234}", ",'size':1234,'chunks':[]}", "files[0].blob.chunks: 0 for" },

	/* steps */
	{ STEPS, "[]", "install: expected at least one step" },
	{ STEPS, "{}", "install: expected an array" },
	{ "'install':" STEPS ",", "", "install: missing" },
	{ "'do':'packages',", "", "install[0].do: missing" },
	{ "'packages'", "'command'",
	  "install[0].do: \"command\" is not known to this version" },
	{ "'packages'", "'Packages'", "install[0].do: \"Packages\" is not known" },
	{ "'packages'", "''", "install[0].do: expected a string" },
	{ "'packages'", "7", "install[0].do: expected a string" },
	{ "'files':['DEBS/a.deb']", "'modules':['x']", "install[0].files: missing" },
	{ "'files':['DEBS/a.deb']", "'files':'DEBS/a.deb'",
	  "install[0].files: expected an array" },
	{ "'files':['DEBS/a.deb']", "'files':['a.deb']",
	  "\"a.deb\" is no file of this bundle" },
	{ "'files':['DEBS/a.deb']", "'files':['../a.deb']", "expected a safe path" },
	{ "'files':['DEBS/a.deb']", "'files':['DEBS/*']", "expected a safe path" },
	{ "'files':['DEBS/a.deb']", "'files':[7]", "install[0].files[0]: expected a string" },
	{ "'files':['DEBS/a.deb']", "'files':['b.ko','b.ko']", "\"b.ko\" stands twice" },
	{ "'files':['DEBS/a.deb']", "'files':['b.ko'],'into':'/x'",
	  "install[0].into: unknown field" },
	{ ",'into':'/etc/modprobe.d'", "", "install[1].into: missing" },
	{ "/etc/modprobe.d", "etc", "install[1].into: expected an absolute folder" },
	{ "/etc/modprobe.d", "/", "install[1].into: expected an absolute folder" },
	{ "/etc/modprobe.d", "/etc/", "install[1].into: expected an absolute folder" },
	{ "/etc/modprobe.d", "/etc/../x", "install[1].into: expected an absolute folder" },
	{ "/etc/modprobe.d", "//etc", "install[1].into: expected an absolute folder" },
	{ "'mlx5_core','mlx5_ib'", "'mlx5_core','-r'", "element 1: expected a module name" },
	{ "'mlx5_core','mlx5_ib'", "'../x'", "element 0: expected a module name" },
	{ "'mlx5_core','mlx5_ib'", "'a','a'", "\"a\" stands twice" },
	{ ",'modules':['mlx5_core','mlx5_ib']", "", "install[3].modules: missing" },
	{ "{'do':'load'", "{'files':['b.ko'],'do':'load'", "install[3].files: unknown field" },

	/* proof */
	{ EXPECT, "{}", NULL },
	{ EXPECT, "[]", "expect: expected an object" },
	{ "'expect':" EXPECT ",", "", "expect: missing" },
	{ "'driver':'mlx5_core'", "'driver':'a b'", "expect.driver: expected a driver's name" },
	{ "'driver':'mlx5_core'", "'driver':7", "expect.driver: expected a string" },
	{ "'InfiniBand'", "'infiniband'", "expect.link_layer: \"infiniband\" is not known" },
	{ "'InfiniBand'", "'Ethernet'", NULL },
	{ "'InfiniBand'", "null", "expect.link_layer: expected a string" },
	{ "'physical'", "'Logical'", "expect.port: \"Logical\" is not known" },
	{ "'physical'", "'logical'", NULL },
	{ "'carrier':true", "'carrier':1", "expect.carrier: expected true or false" },
	{ "'carrier':true", "'career':true", "expect.career: unknown field; did you mean" },

	/* origins, licence */
	{ ORIGINS, "[]", NULL },
	{ ORIGINS, "{}", "origins: expected an array" },
	{ "'origins':" ORIGINS ",", "", "origins: missing" },
	{ "'from':'https://x/y',", "", "origins[0].from: missing" },
	{ ",'sha256':'" HEX "'", "", "origins[0].sha256: missing" },
	{ "'sha256':'" HEX, "'sha256':'x", "origins[0].sha256: expected a sha256" },
	{ ",'size':9999", "", "origins[0].size: missing" },
	{ ",'size':9999", ",'size':9007199254740992", NULL },
	{ ",'size':9999", ",'size':9999,'date':'x'", "origins[0].date: unknown field" },
	{ ",'licence':'GPL-2.0-only'", "", "licence: missing" },
	{ "'GPL-2.0-only'", "''", "licence: expected a string" },
	{ "'GPL-2.0-only'", "['GPL-2.0-only']", "licence: expected a string" },
	{ "{'files'", "{'scripts':[],'files'", "scripts: unknown field" },
	{ GOOD, "[]", "record: expected an object" },
	{ GOOD, "", "record: line 1" },
	{ GOOD, "{", "record: line 1" },
};

static int parse(const char *text, struct record *out, struct err *err)
{
	return record_parse(text, strlen(text), out, err);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *changed = with_replaced(GOOD, rows[i].what, rows[i].by);
		AUTO_FREE char *text = changed ? with_quotes(changed) : NULL;
		AUTO_RECORD struct record record = { 0 };
		struct err err = { 0 };
		int result;

		CHECK(text, "row %zu: %s is not in the record", i, rows[i].what);
		result = parse(text, &record, &err);
		if (rows[i].error)
			check_err(result, &err, ERR_INVALID, rows[i].error, text);
		else
			check_good(result, &err, text);
		CHECK(!rows[i].error || !record.document, "row %zu: out touched", i);
	}
}

static void test_text_and_back(void **state)
{
	AUTO_FREE char *text = with_quotes(GOOD), *again = NULL;
	AUTO_RECORD struct record record = { 0 };
	struct err err = { 0 };
	size_t size;

	(void)state;
	check_good(parse(text, &record, &err), &err, text);
	again = record_text(&record, &size);
	assert_string_equal(text, again);
	assert_int_equal(size, strlen(again));
	assert_int_equal(record.file_count, 3);
	assert_int_equal(record.file[1].chunk_count, 2);
	assert_int_equal(record.file[1].encoding, RECORD_ZSTD);
	assert_int_equal(record.file[1].entries, 0);
	assert_int_equal(record.file[2].encoding, RECORD_TAR_ZSTD);
	assert_int_equal(record.file[2].entries, 7);
	assert_false(record.step[1].tree[0]);
	assert_true(record.step[1].tree[1]);
	assert_int_equal(record.step[3].kind, RECORD_DO_LOAD);
	assert_string_equal(record.expect.port, "physical");
}

static void test_find(void **state)
{
	static const struct {
		const char *path;
		int index; /* -1: not there */
	} finds[] = { { "DEBS/a.deb", 0 }, { "b.ko", 1 },   { "", -1 },	 { "a", -1 },
		      { "b.k", -1 },	   { "b.ko2", -1 }, { "z", -1 }, { "DEBS", -1 } };
	AUTO_FREE char *text = with_quotes(GOOD);
	AUTO_RECORD struct record record = { 0 };
	struct record none = { 0 };
	struct err err = { 0 };

	(void)state;
	check_good(parse(text, &record, &err), &err, text);
	for (size_t i = 0; i < COUNT_OF(finds); i++) {
		const struct record_file *file = record_find(&record, finds[i].path);

		CHECK(file == (finds[i].index < 0 ? NULL : &record.file[finds[i].index]), "%s",
		      finds[i].path);
		assert_null(record_find(&none, finds[i].path));
	}
}

static void test_chunk_count(void **state)
{
	static const struct {
		uint64_t size;
		size_t chunks;
	} counts[] = { { 0, 0 },
		       { 1, 0 },
		       { RECORD_CHUNK_BYTES, 0 },
		       { RECORD_CHUNK_BYTES + 1, 2 },
		       { 2 * RECORD_CHUNK_BYTES, 2 },
		       { 2 * RECORD_CHUNK_BYTES + 1, 3 },
		       { UINT64_C(1) << 32, 4096 },
		       { RECORD_FILE_MAX_BYTES, 16384 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		assert_int_equal(record_chunks_of(counts[i].size), counts[i].chunks);
}

/* A record with this many of a thing, or a longer text; at the limit good, above it not. */
static char *many(const char *what, size_t count)
{
	AUTO_FREE char *text = with_quotes(GOOD);
	json_t *root = json_loads(text, 0, NULL), *array = json_object_get(root, what);
	char *result;
	size_t size;

	for (size_t i = json_array_size(array); i < count; i++) {
		AUTO_FREE char *path = must_printf("z%06zu", i);
		json_t *copy = json_deep_copy(json_array_get(array, 0));

		if (strcmp(what, "files") == 0)
			json_object_set_new(copy, "path", json_string(path));
		json_array_append_new(array, copy);
	}
	result = json_text(root, &size);
	json_decref(root);
	return result;
}

static void test_counts(void **state)
{
	static const struct {
		const char *what;
		size_t max;
	} counts[] = { { "install", RECORD_MAX_STEPS },
		       { "origins", RECORD_MAX_ORIGINS },
		       { "files", RECORD_MAX_FILES } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts) * 2; i++) {
		AUTO_FREE char *text = many(counts[i / 2].what, counts[i / 2].max + i % 2);
		AUTO_RECORD struct record record = { 0 };
		struct err err = { 0 };
		int result = parse(text, &record, &err);

		if (i % 2)
			check_err(result, &err, ERR_INVALID, "more than", counts[i / 2].what);
		else
			check_good(result, &err, counts[i / 2].what);
	}
}

static void test_kinds(void **state)
{
	(void)state;
	assert_string_equal(record_do_name(RECORD_DO_FILES), "files");
	assert_string_equal(record_do_name(RECORD_DO_PACKAGES), "packages");
	assert_true(record_do_is_early(RECORD_DO_FILES) &&
		    record_do_is_early(RECORD_DO_MODULES) &&
		    record_do_is_early(RECORD_DO_LOAD));
	assert_false(record_do_is_early(RECORD_DO_PACKAGES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),   cmocka_unit_test(test_text_and_back),
		cmocka_unit_test(test_find),   cmocka_unit_test(test_chunk_count),
		cmocka_unit_test(test_counts), cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
