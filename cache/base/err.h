/* err.h - one error value: a kind for the program, a text for a human. */
#ifndef LARDER_ERR_H
#define LARDER_ERR_H

#include <stdarg.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

#define ERR_TEXT_MAX 1024 /* bytes, with the NUL; longer texts are cut at the end */

enum err_kind {
	ERR_NONE,
	ERR_MISSING, /* not here: another source may have it */
	ERR_NETWORK, /* not reached: the same call may work later */
	ERR_INVALID, /* malformed: no retry can help */
	ERR_REFUSED, /* well formed but not trusted: say so before anything else */
	ERR_DAMAGED, /* the bytes do not have the digest that was signed for them */
	ERR_STALE, /* signed and whole, but older than the floor allows */
	ERR_TIMEOUT, /* a time limit ran out */
	ERR_USAGE, /* the command line is wrong */
	ERR_SYSTEM, /* the kernel refused: the text ends with strerror() */
	ERR_KINDS,
};

struct err {
	enum err_kind kind;
	int number; /* errno of an ERR_SYSTEM, else 0 */
	char text[ERR_TEXT_MAX];
};

/* Each fills err and returns -1, so that failing is one line. */
int err_set(struct err *err, enum err_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);

/* As err_set with ERR_SYSTEM, errno kept and ": strerror(errno)" added. */
int err_errno(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "format: " in front of the text that err already holds; kind and number stay. */
int err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Replaces control characters, and what turns the direction of text, in place: text that others wrote reaches a
 * terminal or a log. */
void err_clean(char *text);

/* A stable word for the kind: "missing", "refused", ... */
const char *err_kind_name(enum err_kind kind);

#endif
