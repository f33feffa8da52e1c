/* loadable.h - would this kernel take this module? Pure: the words of the one against the words of the other. */
#ifndef LARDER_LOADABLE_H
#define LARDER_LOADABLE_H

#include "cache/ko.h"
#include "cache/reason.h"
#include "cache/symvers.h"

#define LOADABLE_TEXT_MAX 384
#define LOADABLE_MAX_KEYS 64

enum loadable_switch { LOADABLE_UNKNOWN, LOADABLE_OFF, LOADABLE_ON };

enum loadable_lockdown {
	LOADABLE_LOCKDOWN_UNKNOWN,
	LOADABLE_LOCKDOWN_NONE,
	LOADABLE_LOCKDOWN_INTEGRITY,
	LOADABLE_LOCKDOWN_CONFIDENTIALITY,
};

/* What firmware and kernel demand of modules. */
struct loadable_security {
	enum loadable_switch secure_boot;
	enum loadable_lockdown lockdown;
	enum loadable_switch sig_enforce;
};

/* What is known of a kernel; all of it may be unknown but the release. */
struct loadable_kernel {
	const char *release;
	const char *arch; /* "x86_64", "aarch64"; "" or another: not compared */
	const char *vermagic; /* of its own modules; NULL or "": not known */
	const struct symvers *symvers; /* settled; NULL: none */
	struct loadable_security security;
	/* Whose signatures it takes: the signers of its own modules. */
	const struct ko_signer *key;
	size_t key_count;
};

/* LOADABLE_NOT_COMPARED: nothing speaks against it, and something that would have to be compared could not be. */
enum loadable_answer { LOADABLE_YES, LOADABLE_NOT_COMPARED, LOADABLE_NO };

struct loadable_verdict {
	enum loadable_answer answer;
	enum reason reason; /* REASON_DONE unless the answer is no */
	char text[LOADABLE_TEXT_MAX]; /* why: for people, also where the answer is yes */
};

/* beside: what the modules of the same bundle export, settled; NULL: none. It goes before what the kernel says. */
struct loadable_verdict loadable_judge(const struct ko *ko,
				       const struct loadable_kernel *kernel,
				       const struct symvers *beside);

/* The bytes of the EFI variable SecureBoot as efivarfs gives them: four of attributes, then 0 or 1. */
enum loadable_switch loadable_secure_boot(const void *data, size_t size);

/* "none [integrity] confidentiality", as /sys/kernel/security/lockdown says it. */
enum loadable_lockdown loadable_lockdown(const char *text);
const char *loadable_lockdown_name(
	enum loadable_lockdown lockdown); /* "integrity"; "" where it is not known */

/* "Y" or "N", as /sys/module/module/parameters/sig_enforce says it. */
enum loadable_switch loadable_flag(const char *text);

#endif
