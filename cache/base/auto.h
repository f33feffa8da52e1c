/* auto.h - variables that release what they hold when their scope ends. */
#ifndef LARDER_AUTO_H
#define LARDER_AUTO_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(release) __attribute__((cleanup(release)))

/* Always initialised where declared: AUTO_CLOSE int fd = -1; */
#define AUTO_CLOSE AUTO(auto_close)
#define AUTO_FREE AUTO(auto_free)
#define AUTO_FCLOSE AUTO(auto_fclose)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static inline void auto_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void auto_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void auto_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* Ownership leaves the variable: what it held is returned, and nothing is released. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void *take_ptr(void *pointer)
{
	void *taken = *(void **)pointer;

	*(void **)pointer = NULL;
	return taken;
}

/* Memory of a small, known size: a failure is not survivable and every step can be resumed. */
static inline void *must_calloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);

	if (!memory)
		abort();
	return memory;
}

static inline void *must_realloc(void *old, size_t count, size_t size)
{
	void *memory = reallocarray(old, count ? count : 1, size ? size : 1);

	if (!memory)
		abort();
	return memory;
}

/* Returns text, or aborts; format as printf. The caller frees. */
__attribute__((format(printf, 1, 2))) char *must_printf(const char *format, ...);
char *must_strdup(const char *text);

/* A stream that writes to memory: once it is closed *out_text is the text, which the caller frees. */
FILE *must_stream(char **out_text, size_t *out_size);

#endif
