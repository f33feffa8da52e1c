#include "firstboot/kvp.h"
#include "tests/unit/support.h"

#define RECORD (KVP_KEY_BYTES + KVP_VALUE_BYTES)

struct pair {
	const char *key, *value;
};

/* Pairs as hv_kvp_daemon writes them. The caller frees. */
static char *make_pool(const struct pair *pairs, size_t count, size_t *out_size)
{
	char *pool = must_calloc(count, RECORD);

	for (size_t i = 0; i < count; i++) {
		memcpy(pool + i * RECORD, pairs[i].key, strlen(pairs[i].key));
		memcpy(pool + i * RECORD + KVP_KEY_BYTES, pairs[i].value,
		       strlen(pairs[i].value));
	}
	*out_size = count * RECORD;
	return pool;
}

static void test_find(void **state)
{
	static const struct pair pairs[] = {
		{ "HostName", "host-1" }, { "NdDriverVersion", "142.0" },
		{ "Empty", "" },	  { "Odd", "line\nbreak" },
		{ "Long", "0123456789" }, { "NdDriverVersion", "999.0" }
	};
	static const struct {
		const char *key, *value;
		enum err_kind kind;
	} rows[] = {
		{ "NdDriverVersion", "142.0", ERR_NONE }, /* the first one */
		{ "HostName", "host-1", ERR_NONE },
		{ "Empty", "", ERR_NONE },
		{ "Odd", NULL, ERR_INVALID },
		{ "Long", NULL, ERR_INVALID }, /* does not fit */
		{ "NdDriver", NULL, ERR_MISSING },
		{ "NdDriverVersion2", NULL, ERR_MISSING },
	};
	size_t size;
	AUTO_FREE char *pool = make_pool(pairs, COUNT_OF(pairs), &size);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char value[10] = "untouched";
		struct err err = { 0 };
		int result =
			kvp_find(span_of(pool, size), rows[i].key, value, sizeof(value), &err);

		if (rows[i].kind == ERR_NONE) {
			check_good(result, &err, rows[i].key);
			assert_string_equal(value, rows[i].value);
		} else {
			check_err(result, &err, rows[i].kind, "kvp pool", rows[i].key);
			assert_string_equal(value, "untouched");
		}
	}
}

/* A pool that ends within a record is refused, wherever it is cut. */
static void test_cut(void **state)
{
	static const struct pair pairs[] = { { "a", "1" }, { "b", "2" } };
	size_t size;
	AUTO_FREE char *pool = make_pool(pairs, COUNT_OF(pairs), &size);

	(void)state;
	for (size_t cut = 0; cut < size; cut++) {
		AUTO_FREE char *part = must_calloc(cut, 1);
		char value[10];
		struct err err = { 0 };

		memcpy(part, pool, cut);
		check_err(kvp_find(span_of(part, cut), "b", value, sizeof(value), &err), &err,
			  cut % RECORD == 0 ? ERR_MISSING : ERR_INVALID, "kvp pool", "cut");
	}
}

/* Keys and values that fill their whole field have no NUL behind them. */
static void test_full_fields(void **state)
{
	AUTO_FREE char *pool = must_calloc(1, RECORD);
	char key[KVP_KEY_BYTES + 1] = { 0 }, value[KVP_VALUE_BYTES + 1];
	struct err err = { 0 };

	(void)state;
	memset(pool, 'k', KVP_KEY_BYTES);
	memset(pool + KVP_KEY_BYTES, 'v', KVP_VALUE_BYTES);
	memset(key, 'k', KVP_KEY_BYTES);
	check_good(kvp_find(span_of(pool, RECORD), key, value, sizeof(value), &err), &err,
		   "full");
	assert_int_equal(strlen(value), KVP_VALUE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_full_fields),
	};

	return cmocka_run_group_tests_name("kvp", tests, NULL, NULL);
}
