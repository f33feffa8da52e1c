#include "tests/unit/support.h"

#include "bake/apt_sources.h"

static const struct {
	const char *text, *copy; /* copy is NULL where it is refused */
	bool deb822;
} rows[] = {
	{ "deb http://h/debian bookworm main\n", "deb http://h/debian bookworm main\n", false },
	{ "deb [arch=amd64 signed-by=/k/a.gpg,/k/b.asc] http://h s main",
	  "deb [arch=amd64 signed-by=<k/a.gpg>,<k/b.asc>] http://h s main\n", false },
	{ "deb [ signed-by=ABCDEF01 ] http://h s main\n",
	  "deb [ signed-by=ABCDEF01 ] http://h s main\n", false },
	{ "# deb [trusted=yes] http://h s main\n", "# deb [trusted=yes] http://h s main\n",
	  false },
	{ "deb [trusted=no] http://h s main\n", "deb [trusted=no] http://h s main\n", false },
	{ "deb [arch=amd64 trusted=yes] http://h s main\n", NULL, false },
	{ "deb [Trusted=force] http://h s main\n", NULL, false },
	{ "deb [allow-insecure=yes] http://h s main\n", NULL, false },
	{ "Types: deb\nSigned-By: /k/a.gpg /k/b.gpg\nURIs: http://h\n",
	  "Types: deb\nSigned-By: <k/a.gpg> <k/b.gpg>\nURIs: http://h\n", true },
	{ "signed-by:\n /k/a.gpg\nURIs: /x\n", "signed-by:\n <k/a.gpg>\nURIs: /x\n", true },
	{ "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n /abc\n -----END\n",
	  "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n /abc\n -----END\n", true },
	{ "# Signed-By: /k/a.gpg\nTrusted: no\n", "# Signed-By: /k/a.gpg\nTrusted: no\n",
	  true },
	{ "Types: deb\nTrusted: yes\n", NULL, true },
	{ "Types: deb\nallow-weak: yes\n", NULL, true },
	/* apt understands all of these: words in quotes, "%75" for "u", blanks of every kind. */
	{ "deb [tr%75sted=yes] http://h s main\n", NULL, false },
	{ "deb [\"trusted\"=yes] http://h s main\n", NULL, false },
	{ "deb [a=[b]c trusted=yes] http://h s main\n", NULL, false },
	{ "deb [a=b]c trusted=yes] http://h s main\n", NULL, false },
	{ "deb [arch=amd64\vtrusted=yes] http://h s main\n", NULL, false },
	{ "deb [arch=amd64\rtrusted=yes] http://h s main\n", NULL, false },
	{ "deb [signed-by=\"/k/a.gpg\"] http://h s main\n", NULL, false },
	{ "deb [arch=amd64\n", NULL, false },
	{ "Types: deb\nTrusted : yes\n", NULL, true },
	{ "Types: deb\nTrusted\t: yes\n", NULL, true },
	{ "Types: deb\nTrusted: yes no\n", NULL, true },
	{ "Types: deb\nTrusted :  no \n", "Types: deb\nTrusted :  no \n", true },
	{ "Signed-By : /k/a.gpg\n", "Signed-By : <k/a.gpg>\n", true },
	{ "Signed-By:\n\v/k/a.gpg\n", NULL, true },
	{ "deb cdrom:[Debian 12 \"Bookworm\"]/ s main\n",
	  "deb cdrom:[Debian 12 \"Bookworm\"]/ s main\n", false },
};

static int mark(void *context, const char *path, char **out, struct err *err)
{
	(void)context;
	(void)err;
	*out = must_printf("<%s>", path + 1);
	return 0;
}

static void test_copies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *copy = NULL;
		struct err err = { 0 };
		int code =
			apt_sources_copy(rows[i].text, rows[i].deb822, mark, NULL, &copy, &err);

		if (rows[i].copy)
			CHECK(code == 0 && strcmp(copy, rows[i].copy) == 0, "row %zu: %s%s", i,
			      err.text, copy ? copy : "");
		else
			CHECK(code == -1 && err.kind == ERR_REFUSED, "row %zu", i);
	}
}

static int refuse(void *context, const char *path, char **out, struct err *err)
{
	(void)context;
	(void)out;
	return err_set(err, ERR_MISSING, "%s", path);
}

static void test_keyrings_that_fail(void **state)
{
	AUTO_FREE char *copy = NULL;
	struct err err = { 0 };

	(void)state;
	check_err(apt_sources_copy("Signed-By: /k/a.gpg\n", true, refuse, NULL, &copy, &err),
		  &err, ERR_MISSING, "/k/a.gpg", "keyring");
	check_good(apt_sources_copy("Signed-By: /k/a.gpg\n", true, NULL, NULL, &copy, &err),
		   &err, "no keyring function");
	assert_string_equal(copy, "Signed-By: /k/a.gpg\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_keyrings_that_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
