#include "verify/result.h"

#include <string.h>

#include "cache/base/auto.h"

static const struct {
	int code;
	const char *name;
} codes[] = {
	/* worst first */
	{ VERIFY_UNTRUSTED, "untrusted" },   { VERIFY_DAMAGED, "damaged" },
	{ VERIFY_INCOMPLETE, "incomplete" }, { VERIFY_STALE, "stale" },
	{ VERIFY_UNCHECKED, "not checked" }, { VERIFY_CLEAN, "clean" },
};

static const char *const layouts[] = {
	[VERIFY_FOREIGN] = "foreign",
	[VERIFY_EXTRA] = "extra",
	[VERIFY_MODIFIED] = "modified",
	[VERIFY_MISSING] = "missing",
};

/* Its place in the table: the lower, the worse. */
static size_t rank(int code)
{
	size_t i = 0;

	while (i < COUNT_OF(codes) - 1 && codes[i].code != code)
		i++;
	return i;
}

const char *verify_code_name(int code)
{
	return codes[rank(code)].name;
}

const char *verify_layout_name(enum verify_layout kind)
{
	return layouts[kind];
}

void verify_result_free(struct verify_result *result)
{
	for (size_t i = 0; i < result->finding_count; i++)
		free(result->finding[i].text);
	for (size_t i = 0; i < result->remark_count; i++)
		free(result->remark[i].text);
	for (size_t i = 0; i < result->bundle_count; i++) {
		free(result->bundle[i].name);
		free(result->bundle[i].version);
		free(result->bundle[i].id);
		free(result->bundle[i].blobs);
	}
	free(result->finding);
	free(result->remark);
	free(result->bundle);
	*result = (struct verify_result) { 0 };
}

static int code_of(const struct err *err, bool top)
{
	if (err->kind == ERR_REFUSED)
		return VERIFY_UNTRUSTED;
	if (err->kind == ERR_STALE)
		return VERIFY_STALE;
	if (err->kind == ERR_MISSING)
		return top ? VERIFY_UNCHECKED : VERIFY_INCOMPLETE;
	if (err->kind == ERR_SYSTEM || err->kind == ERR_USAGE)
		return VERIFY_UNCHECKED;
	return VERIFY_DAMAGED;
}

static void count(int *worst, int code)
{
	if (rank(code) < rank(*worst))
		*worst = code;
}

/* Is there room for one more? The list grows. */
static bool has_room(size_t number, size_t *more)
{
	*more += number == VERIFY_MAX_FINDINGS;
	return number < VERIFY_MAX_FINDINGS;
}

void result_find(struct verify_result *result, const struct err *err, uint64_t order, bool top)
{
	int code = code_of(err, top);

	count(&result->code, code);
	if (!has_room(result->finding_count, &result->more_findings))
		return;
	result->finding = must_realloc(result->finding, result->finding_count + 1,
				       sizeof(*result->finding));
	result->finding[result->finding_count++] = (struct verify_finding) {
		.code = (enum verify_code)code, .order = order, .text = must_strdup(err->text)
	};
}

void result_remark(struct verify_result *result, enum verify_layout kind, const char *format,
		   ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;

	count(&result->layout_code,
	      kind == VERIFY_MISSING ? VERIFY_INCOMPLETE : VERIFY_DAMAGED);
	if (!has_room(result->remark_count, &result->more_remarks))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	err_clean(text);
	result->remark =
		must_realloc(result->remark, result->remark_count + 1, sizeof(*result->remark));
	result->remark[result->remark_count++] =
		(struct verify_remark) { .kind = kind, .text = must_strdup(text) };
}

static int worst_first(const void *one, const void *other)
{
	const struct verify_finding *left = one, *right = other;
	size_t left_rank = rank((int)left->code), right_rank = rank((int)right->code);

	if (left_rank != right_rank)
		return left_rank < right_rank ? -1 : 1;
	return (left->order > right->order) - (left->order < right->order);
}

static int by_kind(const void *one, const void *other)
{
	const struct verify_remark *left = one, *right = other;

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	return strcmp(left->text, right->text);
}

void result_end(struct verify_result *result, bool strict)
{
	if (result->finding_count)
		qsort(result->finding, result->finding_count, sizeof(*result->finding),
		      worst_first);
	if (result->remark_count)
		qsort(result->remark, result->remark_count, sizeof(*result->remark), by_kind);
	if (strict)
		count(&result->code, result->layout_code);
}
