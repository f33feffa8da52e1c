/* fuzz.h - what the fuzz targets share: the entry, inputs as texts and as files, and a check. */
#ifndef LARDER_TEST_FUZZ_H
#define LARDER_TEST_FUZZ_H

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "cache/base/fs.h"

/* libFuzzer calls it for every input; a finding is a crash, a leak or a failed FUZZ_CHECK. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(claim)                                                                      \
	do {                                                                                   \
		if (!(claim)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,      \
				#claim);                                                       \
			abort();                                                               \
		}                                                                              \
	} while (0)

/* The input as a text that ends with a NUL. The caller frees. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = must_calloc(size + 1, 1);

	if (size)
		memcpy(text, data, size);
	return text;
}

/* A file that holds these bytes, and that no folder names. */
static inline int fuzz_file(const void *data, size_t size)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	struct err err;

	FUZZ_CHECK(fd >= 0 && fs_write_all(fd, data, size, &err) == 0);
	FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* A folder of this process, made once; the runner removes TMPDIR. Returns its open fd. */
static inline int fuzz_folder(const char **out_path)
{
	static char path[256];
	static int fd = -1;
	const char *base = getenv("TMPDIR");

	if (fd < 0) {
		snprintf(path, sizeof(path), "%s/larder-fuzz-XXXXXX", base ? base : "/tmp");
		FUZZ_CHECK(mkdtemp(path));
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		FUZZ_CHECK(fd >= 0);
	}
	if (out_path)
		*out_path = path;
	return fd;
}

static inline void fuzz_put(int dir, const char *name, const void *data, size_t size)
{
	AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err err;

	FUZZ_CHECK(fd >= 0 && fs_write_all(fd, data, size, &err) == 0);
}

/* Has the path a part that is empty, "." or ".."? */
static inline bool fuzz_path_is_odd(const char *path)
{
	AUTO_FREE char *copy = must_strdup(path);
	char *rest = copy;

	for (char *part = strsep(&rest, "/"); part; part = strsep(&rest, "/")) {
		if (!*part || strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
			return true;
	}
	return false;
}

/* Did a call leave the error that the rules want: a kind, a text? */
static inline void fuzz_check_err(const struct err *err)
{
	FUZZ_CHECK(err->kind > ERR_NONE && err->kind < ERR_KINDS);
	FUZZ_CHECK(err->text[0] && memchr(err->text, '\0', sizeof(err->text)));
}

#endif
