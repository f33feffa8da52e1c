#include "tests/unit/made_cache.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>

/* Names, modification times and sizes of everything in the cache, as one text. The caller frees. */
static char *picture(const struct made_cache *made)
{
	static const char *const folders[] = { "cache", "cache/blobs/sha256" };
	char *text = must_strdup("");

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		AUTO_NAMES struct fs_names names = { 0 };
		struct err err = { 0 };

		check_good(fs_list(made->folder->fd, folders[i], &names, &err), &err,
			   folders[i]);
		for (size_t j = 0; j < names.count; j++) {
			AUTO_FREE char *path = must_printf("%s/%s", folders[i], names.name[j]);
			AUTO_FREE char *old = text;
			struct stat status;

			assert_int_equal(fstatat(made->folder->fd, path, &status, 0), 0);
			text = must_printf(
				"%s%s %lld.%09ld %lld\n", old, path,
				(long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
				S_ISREG(status.st_mode) ? (long long)status.st_size : 0);
		}
	}
	return text;
}

static size_t count_blobs(const struct made_cache *made)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err err = { 0 };

	check_good(fs_list(made->folder->fd, "cache/blobs/sha256", &names, &err), &err, "list");
	return names.count;
}

static void test_skeleton(void **state)
{
	const struct made_cache *made = *state;
	AUTO_FREE char *text = NULL;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct layout_hints hints;
	struct err err = { 0 };
	size_t size;

	text = get_file(made->folder->fd, "cache/oci-layout", &size);
	assert_string_equal(text, "{\"imageLayoutVersion\":\"1.0.0\"}");
	check_good(layout_open(made->folder->fd, "cache", &layout, &err), &err, "open");
	check_good(layout_read_hints(&layout, &hints, &err), &err, "envelope");
	assert_true(digest_equal(&hints.envelope.digest, &made->envelope.digest));
	assert_true(hints.envelope.size == made->envelope.size);
	/* envelope, table, two records, three blobs; index, three manifests, the empty config */
	assert_int_equal(count_blobs(made), 12);
}

/* Every blob's name is its digest, and index descriptors never have an artifactType. */
static void test_oci_rules(void **state)
{
	const struct made_cache *made = *state;
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_JSON json_t *top = NULL, *index = NULL;
	const json_t *entry;
	char path[128], hex[DIGEST_HEX_MAX];
	struct digest_size id = { 0 };
	struct err err = { 0 };
	size_t i;

	check_good(fs_list(made->folder->fd, "cache/blobs/sha256", &names, &err), &err, "list");
	for (i = 0; i < names.count; i++) {
		AUTO_FREE char *name = must_printf("cache/blobs/sha256/%s", names.name[i]);
		AUTO_FREE char *data = get_file(made->folder->fd, name, &id.size);

		digest_of(data, id.size, &id.digest);
		assert_string_equal(digest_hex(&id.digest, hex), names.name[i]);
	}
	check_good(json_read_at(made->folder->fd, "cache/index.json", 4096, &top, &err), &err,
		   "top");
	entry = json_array_get(json_object_get(top, "manifests"), 0);
	assert_non_null(json_object_get(json_object_get(entry, "annotations"),
					"org.opencontainers.image.ref.name"));
	check_good(digest_parse(json_string_value(json_object_get(entry, "digest")), &id.digest,
				&err),
		   &err, "digest");
	check_good(json_read_at(made->folder->fd, made_path(&id, path), 65536, &index, &err),
		   &err, "index");
	assert_int_equal(json_array_size(json_object_get(index, "manifests")), 3);
	json_array_foreach(json_object_get(index, "manifests"), i, entry)
		assert_null(json_object_get(entry, "artifactType"));
}

static void test_writing_again_writes_nothing(void **state)
{
	const struct made_cache *made = *state;
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	AUTO_FREE char *before = picture(made), *after = NULL;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct digest_size id;
	struct err err = { 0 };

	nanosleep(&pause, NULL);
	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	for (size_t i = 0; i < MADE_BLOBS; i++)
		check_good(layout_put(&layout, made->data[i], made->blob[i].size, &id, &err),
			   &err, "put");
	made_cache_write(made, &layout);
	after = picture(made);
	assert_string_equal(before, after);
}

/* T23: what no manifest reaches goes, whatever its name, and nothing else does. */
static void test_prune(void **state)
{
	static const char *const litter[] = {
		"cache/blobs/sha256/x",
		"cache/blobs/sha256/.x.draft",
		"cache/blobs/sha256/"
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"cache/blobs/sha256/"
		"E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
	};
	const struct made_cache *made = *state;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct err err = { 0 };

	put_text(made->folder->fd, "victim", "safe");
	for (size_t i = 0; i < COUNT_OF(litter); i++)
		put_text(made->folder->fd, litter[i], "x");
	assert_int_equal(
		symlinkat("../../../victim", made->folder->fd, "cache/blobs/sha256/link"), 0);
	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	made_cache_write(made, &layout);
	assert_int_equal(count_blobs(made), 12);
	assert_true(fs_exists(made->folder->fd, "victim"));
}

/* A cache from outside whose blob folder is a link: writing it would prune what the link names. */
static void test_blobs_behind_a_link(void **state)
{
	static const char *const links[] = { "cache/blobs/sha256", "cache/blobs" };
	const struct made_cache *made = *state;
	int dir = made->folder->fd;

	assert_int_equal(mkdirat(dir, "victim", 0755), 0);
	assert_int_equal(mkdirat(dir, "victim/sha256", 0755), 0);
	put_text(dir, "victim/passwd", "safe");
	put_text(dir, "victim/sha256/passwd", "safe");
	for (size_t i = 0; i < COUNT_OF(links); i++) {
		AUTO_FREE char *aside = must_printf("aside%zu", i);
		AUTO_FREE char *target = must_printf("%s/victim", made->folder->path);
		struct layout layout = LAYOUT_NONE;
		struct err err = { 0 };

		assert_int_equal(renameat(dir, links[i], dir, aside), 0);
		assert_int_equal(symlinkat(target, dir, links[i]), 0);
		CHECK(layout_create(dir, "cache", &layout, &err) < 0, "create through %s",
		      links[i]);
		CHECK(layout_open(dir, "cache", &layout, &err) < 0, "open through %s",
		      links[i]);
		CHECK(err.kind == ERR_DAMAGED, "%s: %s", links[i], err.text);
		assert_int_equal(layout.blobs.dir, -1);
		assert_int_equal(unlinkat(dir, links[i], 0), 0);
		assert_int_equal(renameat(dir, aside, dir, links[i]), 0);
	}
	assert_true(fs_exists(dir, "victim/passwd"));
	assert_true(fs_exists(dir, "victim/sha256/passwd"));
}

static void test_put_repairs(void **state)
{
	static const enum damage damages[] = { DAMAGE_CUT, DAMAGE_LONGER, DAMAGE_EMPTY,
					       DAMAGE_GONE, DAMAGE_LINK };
	const struct made_cache *made = *state;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct err err = { 0 };
	char path[128];

	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	for (size_t i = 0; i < COUNT_OF(damages); i++) {
		AUTO_FREE char *got = NULL;
		struct digest_size id;
		size_t size;

		made_damage(made, &made->blob[0], damages[i]);
		check_good(layout_put(&layout, made->data[0], 1000, &id, &err), &err, "put");
		got = get_file(made->folder->fd, made_path(&id, path), &size);
		assert_int_equal(size, 1000);
		assert_memory_equal(got, made->data[0], 1000);
	}
}

static void test_one_writer(void **state)
{
	const struct made_cache *made = *state;
	AUTO_LAYOUT struct layout first = LAYOUT_NONE, reader = LAYOUT_NONE;
	struct layout second = LAYOUT_NONE;
	struct err err = { 0 };

	check_good(layout_create(made->folder->fd, "cache", &first, &err), &err, "first");
	check_err(layout_create(made->folder->fd, "cache", &second, &err), &err, ERR_TIMEOUT,
		  "another process is writing", "second");
	check_good(layout_open(made->folder->fd, "cache", &reader, &err), &err, "a reader");
	layout_close(&first);
	check_good(layout_create(made->folder->fd, "cache", &second, &err), &err, "released");
	layout_close(&second);
	layout_close(&second);
}

/* An index beyond what registries take is refused before index.json changes. */
static void test_index_limit(void **state)
{
	const struct made_cache *made = *state;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_FREE char *title = must_calloc(1, 60001), *before = NULL, *after = NULL;
	struct layout_bundle bundles[100];
	struct layout_contents contents = { .name = "test",
					    .envelope = made->envelope,
					    .bundles = bundles,
					    .bundle_count = 100 };
	struct err err = { 0 };
	size_t size;

	memset(title, 'x', 60000);
	for (size_t i = 0; i < COUNT_OF(bundles); i++)
		bundles[i] =
			(struct layout_bundle) { .title = title, .record = made->record[0] };
	before = get_file(made->folder->fd, "cache/index.json", &size);
	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	check_err(layout_write(&layout, &contents, &err), &err, ERR_INVALID,
		  "more than registries", "large");
	after = get_file(made->folder->fd, "cache/index.json", &size);
	assert_string_equal(before, after);
	contents.bundle_count = 60;
	check_good(layout_write(&layout, &contents, &err), &err, "smaller");
}

/* Hints are bounded before anybody has signed them: in bytes, and in values. */
static void test_hint_limits(void **state)
{
	static const struct {
		size_t count;
		const char *error;
	} rows[] = {
		{ 100, NULL },
		{ 40000, "index.json: larger than 65536 bytes" },
	};
	const struct made_cache *made = *state;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct err err = { 0 };

	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_JSON json_t *top = NULL;
		json_t *array = json_array();
		AUTO_FREE char *text = NULL;
		struct layout_hints out;
		size_t size;

		check_good(json_read_at(layout.dir, "index.json", 1 << 20, &top, &err), &err,
			   "read");
		for (size_t j = 0; j < rows[i].count; j++)
			json_array_append_new(array, json_integer(0));
		json_object_set_new(top, "x", array);
		text = json_text(top, &size);
		put_file(layout.dir, "index.json", text, size);
		if (rows[i].error)
			check_err(layout_read_hints(&layout, &out, &err), &err, ERR_DAMAGED,
				  rows[i].error, "large");
		else
			check_good(layout_read_hints(&layout, &out, &err), &err, "small");
	}
}

/* An index of many values has few bytes. */
static void test_too_many_values(void **state)
{
	const struct made_cache *made = *state;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	AUTO_FREE char *index = must_calloc(1, 3 * LAYOUT_MAX_VALUES), *top = NULL;
	struct digest_size id;
	struct layout_hints out;
	struct err err = { 0 };
	char hex[DIGEST_HEX_MAX], *at = index;

	*at++ = '[';
	for (size_t i = 0; i < LAYOUT_MAX_VALUES / 2; i++)
		at = stpcpy(at, "{},");
	strcpy(at - 1, "]");
	check_good(layout_create(made->folder->fd, "cache", &layout, &err), &err, "create");
	check_good(layout_put(&layout, index, strlen(index), &id, &err), &err, "put");
	top = must_printf("{\"manifests\":[{\"digest\":\"sha256:%s\",\"size\":%llu}]}",
			  digest_hex(&id.digest, hex), (unsigned long long)id.size);
	put_text(layout.dir, "index.json", top);
	check_err(layout_read_hints(&layout, &out, &err), &err, ERR_DAMAGED,
		  "index: more than 131072 values", "many");
}

/* Manifests that are windows on one file of blanks: each of MANY_BYTES, and no two the same. */
#define MANY_BYTES LAYOUT_INDEX_MAX_BYTES
#define MANY (LAYOUT_LISTED_MAX_BYTES / MANY_BYTES)

struct many {
	struct digest_size index, id[MANY + 1];
	int manifests, top; /* files */
	size_t opened;
};

static int open_many(const struct blobs *blobs, const struct digest_size *id,
		     struct blob *out_blob, struct err *err)
{
	struct many *many = blobs->state;

	*out_blob = (struct blob) { .fd = many->top, .size = id->size };
	if (digest_equal(&id->digest, &many->index.digest))
		return 0;
	many->opened++;
	for (size_t i = 0; i < COUNT_OF(many->id); i++) {
		if (digest_equal(&id->digest, &many->id[i].digest)) {
			*out_blob = (struct blob) { many->manifests, i, MANY_BYTES, false };
			return 0;
		}
	}
	return err_set(err, ERR_MISSING, "not here");
}

static void close_none(struct blobs *blobs)
{
	(void)blobs;
}

static void make_many(struct many *many)
{
	static const char text[] = "{\"layers\":[{\"digest\":\"sha256:"
				   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b785"
				   "2b855\",\"size\":1}]}";
	AUTO_FREE char *data = must_calloc(MANY_BYTES + MANY, 1);

	memset(data, ' ', MANY_BYTES + MANY);
	memcpy(data + MANY, text, strlen(text));
	many->manifests = memfd_create("manifests", MFD_CLOEXEC);
	assert_int_equal(write(many->manifests, data, MANY_BYTES + MANY), MANY_BYTES + MANY);
	for (size_t i = 0; i < COUNT_OF(many->id); i++) {
		many->id[i].size = MANY_BYTES;
		digest_of(data + i, MANY_BYTES, &many->id[i].digest);
	}
	many->top = -1;
}

/* An index of count manifests, each as often as said. */
static void list_many(struct many *many, size_t count, size_t times)
{
	json_t *list = json_array();
	AUTO_JSON json_t *index = json_pack("{s:o}", "manifests", list);
	AUTO_FREE char *text = NULL;
	char digest[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < 1 + count * times; i++) {
		const struct digest_size *id = &many->id[i ? (i - 1) % count : 0];

		json_array_append_new(list, json_pack("{s:s, s:I}", "digest",
						      digest_text(&id->digest, digest), "size",
						      (json_int_t)id->size));
	}
	text = json_text(index, &many->index.size);
	digest_of(text, many->index.size, &many->index.digest);
	if (many->top >= 0)
		close(many->top);
	many->top = memfd_create("index", MFD_CLOEXEC);
	assert_int_equal(write(many->top, text, many->index.size), many->index.size);
	many->opened = 0;
}

/* Nobody has signed an index: what it costs is bounded. */
static void test_listed(void **state)
{
	static const struct blobs_kind kind = { .open = open_many, .close = close_none };
	static const struct {
		size_t count, times;
		const char *error;
	} cases[] = {
		{ 1, 20000, NULL },
		{ 3, 100, NULL },
		{ MANY, 1, NULL },
		{ MANY + 1, 1, "manifests of more than 268435456 bytes" },
	};
	struct many many = { .top = -1 };

	(void)state;
	make_many(&many);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char hex[DIGEST_HEX_MAX];
		AUTO_RECORDS struct layout_records records = { 0 };
		AUTO_FREE char *row = must_printf("row %zu", i);
		struct layout layout = {
			.dir = -1, .blobs = { .kind = &kind, .dir = -1, .state = &many }
		};
		struct err err = { 0 };
		int code;

		list_many(&many, cases[i].count, cases[i].times);
		layout.top = must_printf(
			"{\"manifests\":[{\"digest\":\"sha256:%s\",\"size\":%llu}]}",
			digest_hex(&many.index.digest, hex),
			(unsigned long long)many.index.size);
		layout.top_size = strlen(layout.top);
		code = layout_read_records(&layout, &records, &err);
		CHECK(many.opened == cases[i].count, "%s: %zu read", row, many.opened);
		if (cases[i].error)
			check_err(code, &err, ERR_DAMAGED, cases[i].error, row);
		else
			check_good(code, &err, row);
		CHECK(records.count == (cases[i].error ? 0 : cases[i].count), "%s", row);
		free(layout.top);
	}
	close(many.manifests);
	close(many.top);
}

/* An OCI layout with one manifest; by way of an index, or straight. */
static void make_foreign(int dir, const char *manifest, bool nested)
{
	AUTO_FREE char *text = must_strdup(manifest);
	struct digest_size id;
	char path[128], hex[DIGEST_HEX_MAX];

	if (!fs_exists(dir, "cache"))
		assert_int_equal(mkdirat(dir, "cache", 0755), 0);
	if (!fs_exists(dir, "cache/blobs")) {
		assert_int_equal(mkdirat(dir, "cache/blobs", 0755), 0);
		assert_int_equal(mkdirat(dir, "cache/blobs/sha256", 0755), 0);
	}
	for (int level = 0; level < 1 + nested; level++) {
		AUTO_FREE char *old = text;

		id.size = strlen(old);
		digest_of(old, id.size, &id.digest);
		put_text(dir, made_path(&id, path), old);
		text = must_printf("{\"manifests\":[{\"digest\":\"sha256:%s\",\"size\":%llu}]}",
				   digest_hex(&id.digest, hex), (unsigned long long)id.size);
	}
	put_text(dir, "cache/index.json", text);
}

static const struct {
	const char *manifest;
	bool nested, ours;
} foreign[] = {
	{ "{\"config\":{},\"layers\":[]}", false, false },
	{ "{\"config\":{},\"layers\":[]}", true, false },
	{ "{\"artifactType\":\"application/vnd.example\"}", true, false },
	{ "{\"artifactType\":7}", true, false },
	{ "{\"artifactType\":\"application/vnd.larder.cache.v1\"}", true, true },
	{ "no JSON", true, true }, /* it may have been ours */
};

/* A folder of somebody else's is refused before the first write. */
static void test_foreign(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(foreign); i++) {
		struct made_cache made = { 0 };
		AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
		AUTO_FREE char *row = must_printf("row %zu", i), *before = NULL, *after = NULL;
		struct err err = { 0 };
		int code;

		folder_make((void **)&made.folder);
		make_foreign(made.folder->fd, foreign[i].manifest, foreign[i].nested);
		before = picture(&made);
		code = layout_create(made.folder->fd, "cache", &layout, &err);
		after = picture(&made);
		if (foreign[i].ours) {
			check_good(code, &err, row);
		} else {
			check_err(code, &err, ERR_REFUSED,
				  "cache: this folder holds another OCI layout; choose another "
				  "folder",
				  row);
			assert_string_equal(before, after);
		}
		folder_drop((void **)&made.folder);
	}
}

/* In an existing folder: what a first write left that broke off is gone on with; anything else is somebody's. */
static void test_somebodys_folder(void **state)
{
	static const struct {
		const char *names[3];
		bool ours;
	} rows[] = {
		{ { NULL }, true },
		{ { "cache/blobs/" }, true },
		{ { "cache/.oci-layout.draft" }, true },
		{ { "cache/blobs/", "cache/blobs/x" }, true },
		{ { "cache/index.json" }, true },
		{ { "cache/.index.json.draft" }, true },
		{ { "cache/lost+found/" }, true },
		{ { "cache/oci-layout", "cache/README" }, true },
		{ { "cache/README" }, false },
		{ { "cache/.git/" }, false },
		{ { "cache/blobs/", "cache/open.c" }, false },
		{ { "cache/index.json", "cache/package.json" }, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct made_cache made = { 0 };
		AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
		AUTO_FREE char *row = must_printf("row %zu", i);
		struct err err = { 0 };
		int code;

		folder_make((void **)&made.folder);
		assert_int_equal(mkdirat(made.folder->fd, "cache", 0755), 0);
		for (size_t j = 0; j < 3 && rows[i].names[j]; j++) {
			const char *name = rows[i].names[j];

			if (name[strlen(name) - 1] == '/')
				assert_int_equal(mkdirat(made.folder->fd, name, 0755), 0);
			else
				put_text(made.folder->fd, name, "x");
		}
		code = layout_create(made.folder->fd, "cache", &layout, &err);
		if (rows[i].ours)
			check_good(code, &err, row);
		else
			check_err(code, &err, ERR_REFUSED, "cache: this folder is no cache",
				  row);
		CHECK(fs_exists(made.folder->fd, "cache/blobs/sha256") == rows[i].ours, "%s",
		      row);
		folder_drop((void **)&made.folder);
	}
}

/* A reader asks after it has read; a writer that wrote the same changed nothing. */
static void test_unchanged(void **state)
{
	struct made_cache *made = *state;
	AUTO_LAYOUT struct layout reader = LAYOUT_NONE, writer = LAYOUT_NONE;
	struct layout nowhere = LAYOUT_NONE;
	struct err err = { 0 };

	check_good(layout_open(made->folder->fd, "cache", &reader, &err), &err, "open");
	check_good(layout_create(made->folder->fd, "cache", &writer, &err), &err, "create");
	made_cache_write(made, &writer);
	check_good(layout_check_unchanged(&reader, &err), &err, "the same");
	made->envelope = made->table;
	made_cache_write(made, &writer);
	check_err(layout_check_unchanged(&reader, &err), &err, ERR_TIMEOUT,
		  "while it was read; run again", "another");
	assert_int_equal(unlinkat(reader.dir, "index.json", 0), 0);
	check_err(layout_check_unchanged(&reader, &err), &err, ERR_TIMEOUT, "run again",
		  "gone");
	check_good(layout_check_unchanged(&writer, &err), &err, "a writer's own");
	check_good(layout_check_unchanged(&nowhere, &err), &err, "no folder");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cache_test(test_skeleton),
		cache_test(test_oci_rules),
		cache_test(test_writing_again_writes_nothing),
		cache_test(test_prune),
		cache_test(test_blobs_behind_a_link),
		cache_test(test_put_repairs),
		cache_test(test_one_writer),
		cache_test(test_index_limit),
		cache_test(test_hint_limits),
		cache_test(test_too_many_values),
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_somebodys_folder),
		cache_test(test_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
