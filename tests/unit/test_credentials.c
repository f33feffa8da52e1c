#include "tests/unit/support.h"

#include "cache/net/credentials.h"

#define RIGHT "cmlnaHQ6bG9naW4=" /* right:login */
#define WRONG "d3Jvbmc6bG9naW4=" /* wrong:login */
#define AUTH(key, login) "\"" key "\":{\"auth\":\"" login "\"}"

/* Each for registry.lan:5000/hpc/drivers. */
static const struct {
	const char *file;
	enum err_kind kind; /* ERR_NONE: RIGHT is found */
	const char *part;
} rows[] = {
	{ "{\"auths\":{" AUTH("registry.lan:5000", RIGHT) "}}", ERR_NONE, "" },
	{ "{\"auths\":{" AUTH("https://registry.lan:5000", RIGHT) "}}", ERR_NONE, "" },
	{ "{\"auths\":{" AUTH("https://REGISTRY.lan:5000/v1/", RIGHT) "}}", ERR_NONE, "" },
	{ "{\"auths\":{" AUTH("registry.lan:5000", WRONG) "," AUTH("registry.lan:5000/hpc",
								   RIGHT) "}}",
	  ERR_NONE, "" },
	{ "{\"auths\":{" AUTH("registry.lan:5000/hpc",
			      WRONG) "," AUTH("registry.lan:5000/hpc/drivers", RIGHT) "}}",
	  ERR_NONE, "" },
	{ "{\"auths\":{" AUTH("registry.lan:5000/hp",
			      WRONG) "," AUTH("registry.lan:5000/hpc/drivers/x",
					      WRONG) "," AUTH("registry.lan:5000", RIGHT) "}}",
	  ERR_NONE, "" },
	{ "{\"auths\":{" AUTH("registry.lan:5000", RIGHT) "},\"credsStore\":\"desktop\","
							  "\"HttpHeaders\":{\"A\":\"b\"}}",
	  ERR_NONE, "" },
	{ "{}", ERR_MISSING, "no login for registry.lan:5000 in $REGISTRY_AUTH_FILE" },
	{ "[]", ERR_MISSING, "no login" },
	{ "{\"auths\":7}", ERR_MISSING, "no login" },
	{ "{\"auths\":{" AUTH("registry.lan", WRONG) "}}", ERR_MISSING, "no login" },
	{ "{\"auths\":{" AUTH("registry.lan:50001", WRONG) "}}", ERR_MISSING, "no login" },
	{ "{\"auths\":{" AUTH("registry.lan:5000.evil", WRONG) "}}", ERR_MISSING, "no login" },
	{ "{\"auths\":{" AUTH("https://registry.lan:5000/other", WRONG) "}}", ERR_MISSING,
	  "no login" },
	{ "{\"auths\":{\"registry.lan:5000\":{}}}", ERR_MISSING, "no login" },
	{ "{\"auths\":{\"registry.lan:5000\":{\"auth\":\"\"}}}", ERR_MISSING, "no login" },
	{ "{\"auths\":{\"registry.lan:5000\":{\"auth\":7}}}", ERR_MISSING, "no login" },
	{ "{\"auths\":{" AUTH("registry.lan:5000", "c2VjcmV0") "}}", ERR_INVALID,
	  "USER:PASSWORD" },
	{ "{\"auths\":{" AUTH("registry.lan:5000", "c2VjcmV0*") "}}", ERR_INVALID,
	  "USER:PASSWORD" },
	{ "{\"auths\":{\"registry.lan:5000\":{}},\"credsStore\":\"desktop\"}", ERR_INVALID,
	  "credential helper" },
	{ "{\"credHelpers\":{\"registry.lan:5000\":\"gcloud\"}}", ERR_INVALID,
	  "credential helper" },
	{ "{\"auths\":{},\"credsStore\":\"desktop\"}", ERR_MISSING, "no login" },
	{ "{\"auths\":{" AUTH("registry.lan:5000", "c2VjcmV0"), ERR_INVALID, "not JSON" },
	{ "", ERR_INVALID, "not JSON" },
};

static void only(const char *variable, const char *value)
{
	unsetenv("REGISTRY_AUTH_FILE");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("DOCKER_CONFIG");
	setenv("HOME", "/nonexistent", 1);
	setenv(variable, value, 1);
}

static void put(const struct folder *folder, const char *path, const char *text)
{
	AUTO_CLOSE int dir = -1;
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *parent =
		must_printf("%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	struct err err = { 0 };

	check_good(fs_make_dir(folder->fd, parent, 0700, &dir, &err), &err, path);
	check_good(fs_replace(dir, slash ? slash + 1 : path, text, strlen(text), 0600, &err),
		   &err, path);
}

static int find(char **out_basic, struct err *err)
{
	struct reference reference;

	check_good(reference_parse("oci://registry.lan:5000/hpc/drivers:7", &reference, err),
		   err, "reference");
	return credentials_find(&reference, out_basic, err);
}

static void test_files(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *path = must_printf("%s/auth.json", folder->path);

	only("REGISTRY_AUTH_FILE", path);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *basic = NULL;
		struct err err = { 0 };
		int result;

		put(folder, "auth.json", rows[i].file);
		result = find(&basic, &err);
		if (rows[i].kind == ERR_NONE) {
			check_good(result, &err, rows[i].file);
			CHECK(strcmp(basic, RIGHT) == 0, "row %zu: %s", i, basic);
			continue;
		}
		check_err(result, &err, rows[i].kind, rows[i].part, rows[i].file);
		CHECK(!strstr(err.text, "secret") && !strstr(err.text, "c2V"), "%s", err.text);
	}
}

static const struct {
	const char *variable, *value, *file;
} places[] = {
	{ "REGISTRY_AUTH_FILE", "/a.json", "a.json" },
	{ "XDG_RUNTIME_DIR", "/run", "run/containers/auth.json" },
	{ "DOCKER_CONFIG", "/docker", "docker/config.json" },
	{ "HOME", "/home", "home/.docker/config.json" },
};

/* Each place is looked at, and the earlier one wins over all behind it. */
static void test_places(void **state)
{
	const struct folder *folder = *state;

	for (size_t i = COUNT_OF(places); i-- > 0;) {
		AUTO_FREE char *value = must_printf("%s%s", folder->path, places[i].value);
		AUTO_FREE char *basic = NULL;
		struct err err = { 0 };

		if (i == COUNT_OF(places) - 1)
			only(places[i].variable, value);
		else
			setenv(places[i].variable, value, 1);
		if (i < COUNT_OF(places) - 1)
			put(folder, places[i + 1].file,
			    "{\"auths\":{" AUTH("registry.lan:5000", WRONG) "}}");
		put(folder, places[i].file,
		    "{\"auths\":{" AUTH("registry.lan:5000", RIGHT) "}}");
		check_good(find(&basic, &err), &err, places[i].variable);
		CHECK(strcmp(basic, RIGHT) == 0, "%s", places[i].variable);
	}
}

/* A file without a word on this registry does not hide the next one. */
static void test_next(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *first = must_printf("%s/bad.json", folder->path);
	AUTO_FREE char *basic = NULL;
	struct err err = { 0 };

	only("REGISTRY_AUTH_FILE", first);
	setenv("DOCKER_CONFIG", folder->path, 1);
	put(folder, "bad.json", "{\"auths\":");
	put(folder, "config.json", "{\"auths\":{" AUTH("registry.lan:5000", RIGHT) "}}");
	check_good(find(&basic, &err), &err, "behind a bad file");
	assert_string_equal(basic, RIGHT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(test_places, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(test_next, folder_make, folder_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
