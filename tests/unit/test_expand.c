#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "bake/expand.h"
#include "bake/manifest.h"
#include "cache/net/url.h"

/* Quotes are written ' here. What begins with [ is the fields of the expanded bundles, else the error. */
static const struct row {
	const char *source;
	const char *expected;
} rows[] = {
	/* rule 1: whole fields, nothing merged */
	{ "{'template':{'rank':1,'os':['a','b']},'bundles':[{'os':['c']},{}]}",
	  "[{'rank':1,'os':['c']},{'rank':1,'os':['a','b']}]" },
	{ "{'template':{'expect':{'driver':'x','port':'y'}},'bundles':[{},{'expect':{'driver':'"
	  "z'}}]}",
	  "[{'expect':{'driver':'x','port':'y'}},{'expect':{'driver':'z'}}]" },
	{ "{'template':{'rank':1},'bundles':[{'rank':2}]}",
	  "template.rank: every bundle replaces it" },
	{ "{'bundles':[{},7]}", "bundles[1]: expected an object" },

	/* rule 2: sets */
	{ "{'sets':{'a':['1','2']},'bundles':[{'os':['0','@a','3'],'take':[{'members':['@a']}]}"
	  "]}",
	  "[{'os':['0','1','2','3'],'take':[{'members':['1','2']}]}]" },
	{ "{'site':{'a':['1']},'bundles':[{'os':['@a']}]}", "[{'os':['1']}]" },
	{ "{'site':{'a':['1']},'bundles':[{'os':['0']}]}", "[{'os':['0']}]" },
	{ "{'bundles':[{'id':'@a','x':{'y':'@a'}}]}", "[{'id':'@a','x':{'y':'@a'}}]" },
	{ "{'sets':{'a':['${v}']},'bundles':[{'vars':{'v':'1'},'os':['@a']}]}",
	  "[{'os':['1']}]" },
	{ "{'sets':{'a':['${w}']},'bundles':[{'os':['@a']}]}",
	  "sets.a[0]: unknown variable \"${w}\" (in bundles[0])" },
	{ "{'site':{'a':['${w}']},'bundles':[{'os':['@a']}]}",
	  "site file: sets.a[0]: unknown variable \"${w}\" (in bundles[0])" },
	{ "{'sets':{'a':['1']},'site':{'a':['1']},'bundles':[{'os':['@a']}]}",
	  "sets.a: the site file has a set of this name" },
	{ "{'sets':{'a':['1']},'bundles':[{}]}", "sets.a: used nowhere" },
	{ "{'sets':{'a':['@b'],'b':['1']},'bundles':[{'os':['@a','@b']}]}",
	  "sets.a[0]: expected no set within a set, not \"@b\"" },
	{ "{'site':{'kernels':['1']},'bundles':[{'os':['@kernel']}]}",
	  "bundles[0].os[0]: unknown set \"@kernel\"; did you mean \"kernels\"?" },
	{ "{'bundles':[{'os':['0','@a']}]}",
	  "bundles[0].os[1]: unknown set \"@a\"; no site file was given (--site)" },

	/* rule 3: variables, once, in values only */
	{ "{'bundles':[{'vars':{'v':'1'},'a':'${v}','b':['x${v}${v}'],'c':{'d':'${v}'}}]}",
	  "[{'a':'1','b':['x11'],'c':{'d':'1'}}]" },
	{ "{'bundles':[{'vars':{'v':'$'},'a':'${v}{v} $v $ $$ } %'}]}",
	  "[{'a':'${v} $v $ $$ } %'}]" },
	{ "{'bundles':[{'vars':{'v':'1'},'${v}':'${v}'}]}", "[{'${v}':'1'}]" },
	{ "{'bundles':[{'a':1,'b':true,'c':null,'d':[2]}]}",
	  "[{'a':1,'b':true,'c':null,'d':[2]}]" },
	{ "{'bundles':[{'a':'%{log}%{stage}%{kernel}'}]}",
	  "[{'a':'%{log}%{stage}%{kernel}'}]" },
	{ "{'bundles':[{'a':'%{log}%{logs}'}]}",
	  "bundles[0].a: unknown placeholder \"%{logs}\": expected %{log}, %{stage} or "
	  "%{kernel}" },
	{ "{'bundles':[{'vars':{'p':'%'},'a':'${p}{home}'}]}",
	  "bundles[0].a: unknown placeholder \"%{home}\": expected %{log}, %{stage} or "
	  "%{kernel}" },
	{ "{'bundles':[{'a':'${v'}]}", "bundles[0].a: \"${\" without \"}\"" },
	{ "{'bundles':[{'a':'${}'}]}", "bundles[0].a: unknown variable \"${}\"" },
	{ "{'bundles':[{'vars':{'v':'1'}}]}", "bundles[0].vars.v: used nowhere" },
	{ "{'bundles':[{'vars':[]}]}", "bundles[0].vars: expected an object" },
	{ "{'template':{'vars':{'v':'1'}},'bundles':[{'a':'${v}'},{'a':'2'}]}",
	  "[{'a':'1'},{'a':'2'}]" },
	{ "{'template':{'vars':{'v':'1'}},'bundles':[{'a':'2'}]}",
	  "template.vars.v: used nowhere" },
	{ "{'template':{'vars':{'v':'1'}},'bundles':[{'vars':{'w':'2'},'a':'${v}${w}'}]}",
	  "bundles[0].a: unknown variable \"${v}\"; did you mean \"w\"?" },

	/* rule 3: each */
	{ "{'bundles':[{'each':{'k':['1','2']},'a':'${k}'},{'a':'3'}]}",
	  "[{'a':'1'},{'a':'2'},{'a':'3'}]" },
	{ "{'template':{'each':{'k':['@s','3']},'a':'${k}'},'site':{'s':['1','2']},'bundles':[{"
	  "}]}",
	  "[{'a':'1'},{'a':'2'},{'a':'3'}]" },
	{ "{'bundles':[{'vars':{'v':'x'},'each':{'k':['${v}1']},'a':'${k}'}]}",
	  "[{'a':'x1'}]" },
	{ "{'bundles':[{'each':{'k':['1']}}]}", "bundles[0].each.k: used nowhere" },
	{ "{'bundles':[{'each':{'k':['1','${k}']},'a':'${k}'}]}",
	  "bundles[0].each.k[1]: unknown variable \"${k}\"" },
	{ "{'bundles':[{'each':{'k':['1','2']},'a':'${k}${x}'}]}",
	  "bundles[0] (k=1).a: unknown variable \"${x}\"; did you mean \"k\"?" },
	{ "{'template':{'a':'${x}'},'bundles':[{'each':{'k':['1','2']}}]}",
	  "template.a: unknown variable \"${x}\"; did you mean \"k\"? (in bundles[0] (k=1))" },
	{ "{'site':{'s':['1','2']},'bundles':[{'each':{'k':['1','@s']},'a':'${k}'}]}",
	  "site file: sets.s[0]: \"1\" stands there twice (in bundles[0])" },

	/* files become URLs */
	{ "{'files':{'f':{'url':'https://x/"
	  "${v}'}},'bundles':[{'vars':{'v':'1'},'take':[{'file':'f'}]}]}",
	  "[{'take':[{'file':'https://x/1'}]}]" },
	{ "{'files':{'f':{'url':'https://${v}@x/"
	  "'}},'bundles':[{'vars':{'v':'1'},'take':[{'file':'f'}]}]}",
	  "files.f.url: a URL may not hold a user name or a password: put them into the site "
	  "file's "
	  "credentials (in bundles[0])" },
	{ "{'files':{'f':{'url':'https://x/'}},'bundles':[{}]}",
	  "files.f: no bundle takes it" },
	{ "{'files':{'f':{}},'bundles':[{'take':[{'file':'f'}]}]}", "files.f.url: missing" },
	{ "{'files':{'f':7},'bundles':[{}]}", "files.f: expected an object" },
	{ "{'bundles':[{'take':[{'file':7},'x',{}]}]}", "[{'take':[{'file':7},'x',{}]}]" },
};

static json_t *parse(const char *text)
{
	char copy[4096];
	json_t *value = NULL;
	struct err err = { 0 };

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *at = strchr(copy, '\''); at; at = strchr(at, '\''))
		*at = '"';
	if (json_parse(copy, strlen(copy), &value, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return value;
}

static int expand(const json_t *document, struct expansion *out, struct err *err)
{
	struct expand_source source = {
		.sets = json_object_get(document, "sets"),
		.files = json_object_get(document, "files"),
		.template = json_object_get(document, "template"),
		.bundles = json_object_get(document, "bundles"),
		.site_sets = json_object_get(document, "site"),
	};

	return expand_bundles(&source, out, err);
}

/* A message where cmocka would only show two numbers. */
static void check_row(const struct row *row)
{
	AUTO_JSON json_t *document = parse(row->source), *got = json_array(), *want = NULL;
	AUTO_EXPANSION struct expansion expansion = { 0 };
	AUTO_FREE char *text = NULL;
	struct err err = { 0 };
	size_t size;

	if (expand(document, &expansion, &err) < 0) {
		if (strcmp(err.text, row->expected) != 0 || err.kind != ERR_INVALID)
			fail_msg("%s\n  gave %s\n  not  %s", row->source, err.text,
				 row->expected);
		return;
	}
	for (size_t i = 0; i < expansion.count; i++)
		json_array_append(got, expansion.bundle[i].fields);
	text = json_text(got, &size);
	want = row->expected[0] == '[' ? parse(row->expected) : NULL;
	if (!json_equal(got, want))
		fail_msg("%s\n  gave %s\n  not  %s", row->source, text, row->expected);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_row(&rows[i]);
}

static void test_locate(void **state)
{
	static const struct {
		const char *said, *meant;
	} places[] = {
		{ "bundles[0] (k=1).os[2]: bad", "sets.a[1]: bad (in bundles[0] (k=1))" },
		{ "bundles[0] (k=1).os[20]: bad",
		  "template.os[20]: bad (in bundles[0] (k=1))" },
		{ "bundles[0] (k=1).os.x: bad", "template.os.x: bad (in bundles[0] (k=1))" },
		{ "bundles[0] (k=1).oss: bad", "bundles[0] (k=1).oss: bad" },
		{ "bundles[0] (k=1): bad", "bundles[0] (k=1): bad" },
		{ "bundles[1].os: bad", "bundles[1].os: bad" },
	};
	AUTO_JSON json_t *moved = parse("{'os':'template.os','os[2]':'sets.a[1]'}");
	struct expand_bundle bundle = { .moved = moved, .where = "bundles[0] (k=1)" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		struct err err = { 0 };

		err_set(&err, ERR_INVALID, "%s", places[i].said);
		assert_int_equal(expand_locate(&bundle, &err), -1);
		assert_string_equal(err.text, places[i].meant);
	}
}

static void test_limits(void **state)
{
	AUTO_JSON json_t *document = parse("{'bundles':[{'vars':{'v':'12345678'},'a':'x'}]}");
	AUTO_EXPANSION struct expansion expansion = { 0 };
	AUTO_JSON json_t *list = json_array();
	json_t *bundle = json_array_get(json_object_get(document, "bundles"), 0);
	char long_text[4096] = "";
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < 600; i++)
		strcat(long_text, "${v}");
	json_object_set_new(bundle, "a", json_string(long_text));
	assert_int_equal(expand(document, &expansion, &err), -1);
	assert_string_equal(err.text, "bundles[0].a: longer than 4096 bytes");

	for (size_t i = 0; i <= MANIFEST_MAX_LIST; i++)
		json_array_append_new(list, json_string("${v}"));
	json_object_set(bundle, "a", list);
	assert_int_equal(expand(document, &expansion, &err), -1);
	assert_string_equal(err.text, "bundles[0].a[1024]: more than 1024 elements");
}

/* 1024 values and 5 bundles: one more than fits. */
static void test_bundle_limit(void **state)
{
	AUTO_JSON json_t *document = parse("{'site':{},'template':{'each':{'k':['@s']},"
					   "'id':'${k}'},'bundles':[{},{},{},{},{}]}");
	AUTO_EXPANSION struct expansion expansion = { 0 };
	json_t *values = json_array();
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < MANIFEST_MAX_LIST; i++)
		json_array_append_new(values, json_sprintf("%zu", i));
	json_object_set_new(json_object_get(document, "site"), "s", values);
	assert_int_equal(expand(document, &expansion, &err), -1);
	assert_string_equal(err.text, "bundles[4] (k=0): more than 4096 bundles");
}

static void test_urls(void **state)
{
	static const struct {
		const char *url;
		enum url_use use;
		bool good;
	} urls[] = {
		{ "https://example.com", URL_OF_FILE, true },
		{ "https://example.com/", URL_OF_FILE, true },
		{ "https://example.com:8443/a/b%20c~d_e,f=g", URL_OF_FILE, true },
		{ "http://127.0.0.1:1/a", URL_OF_FILE, true },
		{ "https://example.com/a@b:c", URL_OF_FILE, true },
		{ "file:///srv/a", URL_OF_FILE, true },
		{ "oci://registry.lan/hpc/drivers", URL_OF_SOURCE, true },
		{ "oci://registry.lan/hpc/drivers", URL_OF_FILE, false },
		{ "file:///srv/a", URL_OF_SOURCE, false },
		{ "http://example.com/", URL_OF_PAGE, false },
		{ "HTTPS://example.com/", URL_OF_FILE, false },
		{ "https:/example.com/", URL_OF_FILE, false },
		{ "", URL_OF_FILE, false },
		{ "https://", URL_OF_FILE, false },
		{ "https:///a", URL_OF_FILE, false },
		{ "https://.example.com/", URL_OF_FILE, false },
		{ "https://-example.com/", URL_OF_FILE, false },
		{ "https://example.com:/", URL_OF_FILE, false },
		{ "https://example.com:0/", URL_OF_FILE, false },
		{ "https://example.com:65536/", URL_OF_FILE, false },
		{ "https://example.com:080/", URL_OF_FILE, false },
		{ "https://example.com:1:2/", URL_OF_FILE, false },
		{ "https://user@example.com/", URL_OF_FILE, false },
		{ "https://user:pw@example.com/", URL_OF_FILE, false },
		{ "https://example.com?sig=x", URL_OF_FILE, false },
		{ "https://example.com/a?", URL_OF_FILE, false },
		{ "https://example.com/a#", URL_OF_FILE, false },
		{ "https://example.com/.", URL_OF_FILE, false },
		{ "https://example.com/../a", URL_OF_FILE, false },
		{ "https://example.com/a/..", URL_OF_FILE, false },
		{ "https://example.com/.../a", URL_OF_FILE, true },
		{ "https://example.com/%zz", URL_OF_FILE, false },
		{ "https://example.com/%", URL_OF_FILE, false },
		{ "https://example.com/a\\b", URL_OF_FILE, false },
		{ "https://example.com/\xc3\xa9", URL_OF_FILE, false },
		{ "file://srv/a", URL_OF_FILE, false },
		{ "file:///", URL_OF_FILE, false },
		{ "file:///srv/../etc/shadow", URL_OF_FILE, false },
		{ "/srv/a", URL_OF_FILE, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		const char *fault = url_fault(urls[i].url, urls[i].use);

		if (!fault != urls[i].good)
			fail_msg("%s: %s", urls[i].url, fault ? fault : "taken");
		assert_null(fault ? strstr(fault, "pw") : NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),   cmocka_unit_test(test_locate),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_bundle_limit),
		cmocka_unit_test(test_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
