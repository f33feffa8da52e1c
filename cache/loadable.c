#include "cache/loadable.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/auto.h"

#define WORD_SHOWN 64
#define EFI_ATTRIBUTES 4 /* bytes before the value, Documentation/filesystems/efivarfs.rst */

/* A verdict that is being made: the first no ends it, what was not compared is added up. */
struct judge {
	const struct ko *ko;
	const struct loadable_kernel *kernel;
	const struct symvers *beside;
	struct loadable_verdict verdict;
	size_t compared; /* symbol versions */
};

static void PRINTF_LIKE(3, 4)
	refuse(struct judge *judge, enum reason reason, const char *format, ...)
{
	va_list args;

	judge->verdict.answer = LOADABLE_NO;
	judge->verdict.reason = reason;
	va_start(args, format);
	vsnprintf(judge->verdict.text, LOADABLE_TEXT_MAX, format, args);
	va_end(args);
}

static void PRINTF_LIKE(2, 3) doubt(struct judge *judge, const char *format, ...)
{
	size_t used = strlen(judge->verdict.text);
	va_list args;

	judge->verdict.answer = LOADABLE_NOT_COMPARED;
	if (used + 2 < LOADABLE_TEXT_MAX && used)
		used += (size_t)snprintf(judge->verdict.text + used, LOADABLE_TEXT_MAX - used,
					 "; ");
	va_start(args, format);
	vsnprintf(judge->verdict.text + used, LOADABLE_TEXT_MAX - used, format, args);
	va_end(args);
}

static bool is_no(const struct judge *judge)
{
	return judge->verdict.answer == LOADABLE_NO;
}

static void judge_machine(struct judge *judge)
{
	static const struct {
		const char *arch;
		uint16_t machine;
	} rows[] = { { "x86_64", EM_X86_64 }, { "aarch64", EM_AARCH64 } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (strcmp(judge->kernel->arch, rows[i].arch) == 0 &&
		    judge->ko->machine != rows[i].machine)
			refuse(judge, REASON_ARCH, "it is no module for %s (ELF machine %u)",
			       judge->kernel->arch, (unsigned)judge->ko->machine);
	}
}

/* The next word of a vermagic; *length 0 at its end. */
static const char *next_word(const char *at, size_t *length)
{
	at += strspn(at, " ");
	*length = strcspn(at, " ");
	return at;
}

static bool has_word(const char *text, const char *word, size_t word_length)
{
	size_t length;

	for (text = next_word(text, &length); length;
	     text = next_word(text + length, &length)) {
		if (length == word_length && strncmp(text, word, length) == 0)
			return true;
	}
	return false;
}

/* Words behind the release that only one side has, from the first; NULL: none. */
static const char *odd_word(const char *text, const char *other, size_t *length)
{
	const char *word = next_word(text, length);

	for (word = next_word(word + *length, length); *length;
	     word = next_word(word + *length, length)) {
		if (!has_word(other, word, *length))
			return word;
	}
	return NULL;
}

static bool is_same_release(const struct judge *judge)
{
	const char *module = judge->ko->vermagic;
	size_t length = strcspn(module, " ");

	return strlen(judge->kernel->release) == length &&
	       strncmp(module, judge->kernel->release, length) == 0;
}

static void refuse_release(struct judge *judge)
{
	refuse(judge, REASON_KERNEL, "it was built for kernel %.*s, not for %.128s",
	       (int)strcspn(judge->ko->vermagic, " "), judge->ko->vermagic,
	       judge->kernel->release);
}

static int shown(size_t length)
{
	return length < WORD_SHOWN ? (int)length : WORD_SHOWN;
}

/* As same_magic() of the kernel: with symbol versions the release need not be the same, all else has to be. */
static void judge_flags(struct judge *judge)
{
	const char *module = judge->ko->vermagic, *kernel = judge->kernel->vermagic;
	size_t ours, theirs;
	const char *only_ours = odd_word(module, kernel, &ours);
	const char *only_theirs = odd_word(kernel, module, &theirs);

	if (only_ours && only_theirs)
		refuse(judge, REASON_KERNEL,
		       "vermagic differs: the module has \"%.*s\" where the kernel has "
		       "\"%.*s\"",
		       shown(ours), only_ours, shown(theirs), only_theirs);
	else if (only_ours)
		refuse(judge, REASON_KERNEL,
		       "vermagic differs: the module has \"%.*s\", the kernel has not",
		       shown(ours), only_ours);
	else if (only_theirs)
		refuse(judge, REASON_KERNEL,
		       "vermagic differs: the kernel has \"%.*s\", the module has not",
		       shown(theirs), only_theirs);
}

static void judge_vermagic(struct judge *judge)
{
	const struct loadable_kernel *kernel = judge->kernel;
	bool known = kernel->vermagic && kernel->vermagic[0];

	if (judge->ko->vermagic[0] == '\0') {
		refuse(judge, REASON_KERNEL, "it does not say what kernel it was built for");
		return;
	}
	if (!judge->ko->has_versions && !is_same_release(judge)) {
		refuse_release(judge);
		return;
	}
	if (known)
		judge_flags(judge);
	else if (!is_same_release(judge))
		doubt(judge,
		      "it was built for kernel %.*s, and nothing here says how %.128s was "
		      "built",
		      (int)strcspn(judge->ko->vermagic, " "), judge->ko->vermagic,
		      kernel->release);
}

/* A row for this symbol, from the bundle before the kernel; NULL: none. */
static const struct symvers_row *find_row(const struct judge *judge, const char *name,
					  const char **out_whose)
{
	const struct symvers_row *row =
		judge->beside ? symvers_find(judge->beside, name) : NULL;

	*out_whose = row ? row->module : "the kernel";
	if (!row && judge->kernel->symvers)
		row = symvers_find(judge->kernel->symvers, name);
	return row;
}

/* Does it build on a module that is neither the kernel's nor in the bundle? NULL: no. */
static const char *foreign(const struct judge *judge, size_t *length)
{
	const char *at = judge->ko->depends;

	for (; *at; at += *length + (at[*length] == ',')) {
		*length = strcspn(at, ",");
		if (*length && !symvers_has_module(judge->kernel->symvers, at, *length) &&
		    !(judge->beside && symvers_has_module(judge->beside, at, *length)))
			return at;
	}
	return NULL;
}

static bool is_whole(const struct judge *judge)
{
	return judge->kernel->symvers && judge->kernel->symvers->whole;
}

/* Symbols that nothing here has: a no only where everything is here. */
static void judge_absent(struct judge *judge, const char *first, size_t count)
{
	const char *module;
	size_t length;

	if (count == 0)
		return;
	if (!is_whole(judge)) {
		doubt(judge, "%zu of %zu symbol versions were not compared (%.128s, ...)",
		      count, count + judge->compared, first);
		return;
	}
	module = foreign(judge, &length);
	if (module)
		doubt(judge, "it builds on the module %.*s, which is not here, for %.128s",
		      shown(length), module, first);
	else
		refuse(judge, REASON_KERNEL, "kernel %.128s has no symbol %.128s",
		       judge->kernel->release, first);
}

static void judge_symbols(struct judge *judge)
{
	const char *absent = NULL;
	size_t absent_count = 0;

	for (size_t i = 0; i < judge->ko->need_count; i++) {
		const struct ko_symbol *need = &judge->ko->need[i];
		const char *whose;
		const struct symvers_row *row = find_row(judge, need->name, &whose);

		if (row && need->has_crc && row->has_crc && need->crc != row->crc) {
			refuse(judge, REASON_KERNEL,
			       "the version of symbol %.128s differs: the module wants 0x%08x, "
			       "%.64s has 0x%08x",
			       need->name, need->crc, whose, row->crc);
			return;
		}
		if (row || need->weak) {
			judge->compared += row != NULL;
			continue;
		}
		absent = absent ? absent : need->name;
		absent_count++;
	}
	judge_absent(judge, absent, absent_count);
}

/* Does the kernel refuse modules without a signature that it knows? */
static enum loadable_switch enforces(const struct loadable_security *security)
{
	if (security->sig_enforce == LOADABLE_ON ||
	    security->lockdown == LOADABLE_LOCKDOWN_INTEGRITY ||
	    security->lockdown == LOADABLE_LOCKDOWN_CONFIDENTIALITY)
		return LOADABLE_ON;
	if (security->sig_enforce == LOADABLE_OFF &&
	    (security->lockdown == LOADABLE_LOCKDOWN_NONE ||
	     security->secure_boot == LOADABLE_OFF))
		return LOADABLE_OFF;
	/* Distributions' kernels lock themselves down under Secure Boot. */
	return security->secure_boot == LOADABLE_ON ? LOADABLE_ON : LOADABLE_UNKNOWN;
}

static const char *why_enforced(const struct loadable_security *security)
{
	if (security->secure_boot == LOADABLE_ON)
		return "Secure Boot is on";
	if (security->sig_enforce == LOADABLE_ON)
		return "module.sig_enforce is set";
	return "the kernel is locked down";
}

static bool knows_key(const struct loadable_kernel *kernel, const struct ko_signer *signer)
{
	for (size_t i = 0; i < kernel->key_count; i++) {
		if (signer->id[0] && strcmp(kernel->key[i].id, signer->id) == 0 &&
		    strcmp(kernel->key[i].name, signer->name) == 0)
			return true;
	}
	return false;
}

/* A signature is never proven here: whether the machine has the key is what can be asked. */
static void judge_signature(struct judge *judge)
{
	const struct loadable_kernel *kernel = judge->kernel;
	const struct ko_signer *signer = &judge->ko->signer;
	const struct loadable_security *security = &kernel->security;
	enum loadable_switch enforced = enforces(security);

	if (enforced == LOADABLE_OFF)
		return;
	if (judge->ko->signature == KO_UNSIGNED && enforced == LOADABLE_ON)
		refuse(judge,
		       security->secure_boot == LOADABLE_ON ? REASON_SECURE_BOOT
							    : REASON_MODULE_UNSIGNED,
		       "it has no signature, and %s", why_enforced(security));
	else if (judge->ko->signature == KO_UNSIGNED)
		doubt(judge,
		      "it has no signature, and whether the kernel wants one is not known");
	else if (judge->ko->signature == KO_SIGNED_ODDLY && enforced == LOADABLE_ON)
		doubt(judge, "its signature is of a kind that is not read here, and %s",
		      why_enforced(security));
	else if (enforced == LOADABLE_ON && !knows_key(kernel, signer))
		doubt(judge,
		      "it is signed by \"%.64s\" (%.40s), and %s: whether the machine has "
		      "that key is not known",
		      signer->name, signer->id, why_enforced(security));
}

static void tell_good(struct judge *judge)
{
	if (judge->verdict.answer == LOADABLE_YES)
		snprintf(judge->verdict.text, LOADABLE_TEXT_MAX,
			 "vermagic and %zu symbols fit kernel %.128s", judge->compared,
			 judge->kernel->release);
}

struct loadable_verdict loadable_judge(const struct ko *ko,
				       const struct loadable_kernel *kernel,
				       const struct symvers *beside)
{
	static void (*const rules[])(struct judge *) = { judge_machine, judge_vermagic,
							 judge_symbols, judge_signature };
	struct judge judge = { .ko = ko, .kernel = kernel, .beside = beside };

	for (size_t i = 0; i < COUNT_OF(rules) && !is_no(&judge); i++)
		rules[i](&judge);
	tell_good(&judge);
	return judge.verdict;
}

enum loadable_switch loadable_secure_boot(const void *data, size_t size)
{
	const unsigned char *bytes = data;

	if (size != EFI_ATTRIBUTES + 1 || bytes[EFI_ATTRIBUTES] > 1)
		return LOADABLE_UNKNOWN;
	return bytes[EFI_ATTRIBUTES] ? LOADABLE_ON : LOADABLE_OFF;
}

static const char *const lockdowns[] = {
	[LOADABLE_LOCKDOWN_UNKNOWN] = "",
	[LOADABLE_LOCKDOWN_NONE] = "none",
	[LOADABLE_LOCKDOWN_INTEGRITY] = "integrity",
	[LOADABLE_LOCKDOWN_CONFIDENTIALITY] = "confidentiality",
};

const char *loadable_lockdown_name(enum loadable_lockdown lockdown)
{
	return lockdowns[lockdown];
}

enum loadable_lockdown loadable_lockdown(const char *text)
{
	const char *at = strchr(text, '[');

	for (size_t i = 1; at && i < COUNT_OF(lockdowns); i++) {
		size_t length = strlen(lockdowns[i]);

		if (strncmp(at + 1, lockdowns[i], length) == 0 && at[1 + length] == ']')
			return (enum loadable_lockdown)i;
	}
	return LOADABLE_LOCKDOWN_UNKNOWN;
}

enum loadable_switch loadable_flag(const char *text)
{
	if (text[0] == 'Y' || text[0] == '1')
		return LOADABLE_ON;
	return text[0] == 'N' || text[0] == '0' ? LOADABLE_OFF : LOADABLE_UNKNOWN;
}
