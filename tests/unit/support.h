/* support.h - what unit tests share: a folder of their own, and checks that name their row. */
#ifndef LARDER_TEST_SUPPORT_H
#define LARDER_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>

#include "cache/base/fs.h"

/* CHECK(a == b, "row %zu", i): a failure names the row of the table. */
#define CHECK(condition, ...)                                                                  \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			print_error("%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			fail_msg(__VA_ARGS__);                                                 \
		}                                                                              \
	} while (0)

/* A folder that is there for one test: cmocka_unit_test_setup_teardown(t, folder_make, folder_drop). */
struct folder {
	int fd;
	char path[256];
};

static inline int folder_make(void **state)
{
	struct folder *folder = must_calloc(1, sizeof(*folder));
	const char *base = getenv("TMPDIR");

	snprintf(folder->path, sizeof(folder->path), "%s/larder-unit-XXXXXX",
		 base ? base : "/tmp");
	assert_non_null(mkdtemp(folder->path));
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder->fd >= 0);
	*state = folder;
	return 0;
}

static inline int folder_drop(void **state)
{
	struct folder *folder = *state;
	struct err err = { 0 };
	int left = fs_remove_tree(AT_FDCWD, folder->path, &err);

	close(folder->fd);
	free(folder);
	return left;
}

#define folder_test(function)                                                                  \
	cmocka_unit_test_setup_teardown(function, folder_make, folder_drop)

/* Writes in place, as a careless or hostile program would. */
static inline void put_file(int dir, const char *name, const void *data, size_t size)
{
	AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct err err = { 0 };

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, data, size, &err), 0);
}

static inline void put_text(int dir, const char *name, const char *text)
{
	put_file(dir, name, text, strlen(text));
}

/* The caller frees. */
static inline char *get_file(int dir, const char *name, size_t *out_size)
{
	struct err err = { 0 };
	char *data = NULL;

	if (fs_read_at(dir, name, (size_t)1 << 30, &data, out_size, &err) < 0)
		fail_msg("%s", err.text);
	return data;
}

/* JSON is written with ' in tables, for the eye. The caller frees. */
static inline char *with_quotes(const char *text)
{
	char *copy = must_strdup(text);

	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	return copy;
}

/* text with its first "what" replaced, or NULL where it has none. The caller frees. */
static inline char *with_replaced(const char *text, const char *what, const char *by)
{
	const char *at = strstr(text, what);

	if (!at)
		return NULL;
	return must_printf("%.*s%s%s", (int)(at - text), text, by, at + strlen(what));
}

/* size bytes that look random and are the same each time. The caller frees. */
static inline void *noise(size_t size, uint32_t seed)
{
	uint8_t *data = must_calloc(size, 1);

	for (size_t i = 0; i < size; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = (uint8_t)(seed >> 24);
	}
	return data;
}

/* Did a call fail with this kind, and does its text hold this part? */
static inline void check_err(int result, const struct err *err, enum err_kind kind,
			     const char *part, const char *row)
{
	if (result == -1 && err->kind == kind && strstr(err->text, part))
		return;
	fail_msg("%s: expected %s \"%s\", got %d, %s \"%s\"", row, err_kind_name(kind), part,
		 result, err_kind_name(err->kind), err->text);
}

static inline void check_good(int result, const struct err *err, const char *row)
{
	if (result != 0)
		fail_msg("%s: %s: %s", row, err_kind_name(err->kind), err->text);
}

#endif
