#include "tests/unit/support.h"

#include "bake/closure.h"

#define SHA "17d9a2f3c05004499d80e180d2440fd716f84c32b65f09d96c9a024af4d1d0e7"
#define URI_A "'http://h/a/adduser_3.152_all.deb' adduser_3.152_all.deb 190932 SHA256:" SHA "\n"
#define URI_B                                                                                  \
	"'file:/srv/r/bsdutils_1%3a2.38_amd64.deb' bsdutils_1%3a2.38_amd64.deb 7 SHA256:" SHA  \
	"\n"
#define URI_FLAT "'http://h/./a/./x.deb' adduser_3.152_all.deb 190932 SHA256:" SHA "\n"
#define INST_A "Inst adduser (3.152 Debian:13.7/stable [all])\n"
#define INST_B "Inst bsdutils [1:2.37] (1:2.38 Debian:13.7/stable, Site:1/x [amd64]) []\n"

/* "file origin url" of each package, or the error. */
static const struct {
	const char *simulated, *uris, *result;
	enum err_kind kind; /* ERR_NONE: result is what comes out */
} apt_rows[] = {
	{ "", "", "", ERR_NONE },
	{ "Reading package lists...\n" INST_A "Conf adduser (3.152 x [all])\n", "W: x\n" URI_A,
	  "adduser_3.152_all.deb|Debian:13.7/stable|http://h/a/adduser_3.152_all.deb\n",
	  ERR_NONE },
	{ INST_B INST_A, URI_B URI_A,
	  "adduser_3.152_all.deb|Debian:13.7/stable|http://h/a/adduser_3.152_all.deb\n"
	  "bsdutils_2.38_amd64.deb|Debian:13.7/stable, Site:1/x|"
	  "file:///srv/r/bsdutils_1%3a2.38_amd64.deb\n",
	  ERR_NONE },
	{ INST_A, URI_FLAT, "adduser_3.152_all.deb|Debian:13.7/stable|http://h/a/x.deb\n",
	  ERR_NONE },
	{ "Inst adduser (3.152 [all])\n", URI_A,
	  "adduser_3.152_all.deb|unknown|http://h/a/adduser_3.152_all.deb\n", ERR_NONE },
	{ INST_A, "", "apt would install adduser 3.152, but does not say from where",
	  ERR_INVALID },
	{ "", URI_A, "apt brings adduser_3.152_all.deb, but does not install it", ERR_INVALID },
	{ INST_A INST_A, URI_A, "does not say from where", ERR_INVALID },
	{ INST_A, URI_A URI_A, "adduser_3.152_all.deb stands twice", ERR_INVALID },
	{ "Inst adduser (3.153 x [all])\n", URI_A, "adduser 3.153, but", ERR_INVALID },
	{ "Inst adduser\n", URI_A, "a line of another form", ERR_INVALID },
	{ "Remv systemd-sysv [252]\n" INST_A, URI_A,
	  "it would remove systemd-sysv from the target", ERR_REFUSED },
	{ INST_A, "'http://h/a.deb' adduser_3.152_all.deb 5 MD5Sum:00\n", "gives no SHA-256",
	  ERR_REFUSED },
};

#define RPM(name, version, arch)                                                               \
	"P\t" name "\t" version "\t" arch "\tsite\t55\tsha256\t" SHA "\tfile:///r/x\t-\n"

static const struct {
	const char *output, *result;
	enum err_kind kind;
} dnf_rows[] = {
	{ "", "", ERR_NONE },
	{ "noise\n" RPM("rdma-b", "2:1.0-1.el9", "x86_64") RPM("rdma-a", "1.0-1", "noarch"),
	  "rdma-a-1.0-1.noarch.rpm|site|file:///r/x\n"
	  "rdma-b-1.0-1.el9.x86_64.rpm|site|file:///r/x\n",
	  ERR_NONE },
	{ RPM("a", "1.0^git1-1", "noarch"), "a-1.0+git1-1.noarch.rpm|site|file:///r/x\n",
	  ERR_NONE },
	{ "R\tsystemd\n", "it would remove systemd from the target", ERR_REFUSED },
	{ "P\tx\n", "a line of another form", ERR_INVALID },
	{ RPM("../x", "1-1", "noarch"), "a strange name", ERR_INVALID },
	{ RPM("x", "1/2-1", "noarch"), "a strange name", ERR_INVALID },
	{ RPM("x", "", "noarch"), "a line of another form", ERR_INVALID },
	{ "P\tx\t1-1\tnoarch\tsite\t55\tsha1\tabc\tu\t-\n", "gives no SHA-256", ERR_REFUSED },
	{ "P\tx\t1-1\tnoarch\tsite\t0\tsha256\t" SHA "\tu\t-\n", "a strange size",
	  ERR_INVALID },
	{ "P\tx\t1-1\tnoarch\tsite\t5\tsha256\t" SHA "\tu\t-\tmore\n", "a strange name",
	  ERR_INVALID },
};

static char *text_of(const struct closure *closure)
{
	char *text = must_strdup("");

	for (size_t i = 0; i < closure->count; i++) {
		const struct closure_package *package = &closure->package[i];
		char *more = must_printf("%s%s|%s|%s\n", text, package->file, package->origin,
					 package->url);

		free(text);
		text = more;
	}
	return text;
}

static void check_row(int code, const struct closure *closure, const struct err *err,
		      enum err_kind kind, const char *result, size_t row)
{
	AUTO_FREE char *text = text_of(closure);

	if (kind == ERR_NONE)
		CHECK(code == 0 && strcmp(text, result) == 0, "row %zu: %s %s", row, err->text,
		      text);
	else
		CHECK(code == -1 && err->kind == kind && strstr(err->text, result),
		      "row %zu: %s", row, err->text);
}

static void test_apt(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(apt_rows); i++) {
		AUTO_CLOSURE struct closure closure = { 0 };
		struct err err = { 0 };
		int code = closure_parse_apt(apt_rows[i].simulated, apt_rows[i].uris, &closure,
					     &err);

		check_row(code, &closure, &err, apt_rows[i].kind, apt_rows[i].result, i);
	}
}

static void test_dnf(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(dnf_rows); i++) {
		AUTO_CLOSURE struct closure closure = { 0 };
		struct err err = { 0 };
		int code = closure_parse_dnf(dnf_rows[i].output, &closure, &err);

		check_row(code, &closure, &err, dnf_rows[i].kind, dnf_rows[i].result, i);
	}
}

/* apt 2 and apt 3 head the list differently. */
static const struct {
	const char *output;
	const char *said; /* NULL: none */
	bool deeper;
} unmet_rows[] = {
	{ "The following packages have unmet dependencies:\n"
	  " perftest : Depends: libibumad3 (>= 1.3.9) but it is not installable\nE: x\n",
	  "perftest|libibumad3|(>= 1.3.9)|it is not installable", false },
	{ "Unsatisfied dependencies:\n perftest:amd64 : PreDepends: a but 1 is to be "
	  "installed\n",
	  "perftest|a||1 is to be installed", false },
	{ " rdma-core : Depends: libudev1 (= 2) but it is not going to be installed\n",
	  "rdma-core|libudev1|(= 2)|it is not going to be installed", true },
	{ " a : Depends: b:any but it is not installable or\n"
	  "              c but it is not installable\n",
	  "a|b||it is not installable or", false },
	{ "E: Unable to locate package nosuch\n", NULL, false },
	{ " a : Depends: b\n", NULL, false },
	{ " a : Recommends: b but it is not installable\n", NULL, false },
	{ "", NULL, false },
};

static void test_unmet(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(unmet_rows); i++) {
		struct closure_unmet unmet = { 0 };
		bool known = closure_parse_unmet(unmet_rows[i].output, NULL, &unmet);
		AUTO_FREE char *said = must_printf("%s|%s|%s|%s", unmet.package, unmet.wanted,
						   unmet.range, unmet.why);

		CHECK(known == (unmet_rows[i].said != NULL), "row %zu", i);
		CHECK(!known || strcmp(said, unmet_rows[i].said) == 0, "row %zu: %s", i, said);
		CHECK(unmet.deeper == unmet_rows[i].deeper, "row %zu", i);
	}
}

static void test_unmet_of_one_package(void **state)
{
	static const char output[] = " a : Depends: b but it is not installable\n"
				     " ab : Depends: c but it is not installable\n";
	struct closure_unmet unmet = { 0 };

	(void)state;
	assert_true(closure_parse_unmet(output, "ab", &unmet));
	assert_string_equal(unmet.wanted, "c");
	assert_false(closure_parse_unmet(output, "b", &unmet));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apt),
		cmocka_unit_test(test_dnf),
		cmocka_unit_test(test_unmet),
		cmocka_unit_test(test_unmet_of_one_package),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
